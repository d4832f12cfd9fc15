"""Archived versions of a plan: the requests for readable copies of them (runbook step 3; API: RestoreObject)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vmqlib.errors import AccessDenied, AwsError, CredentialsExpired, CredentialsMissing
from vmqlib.runbook.rollback.ground import belongs, may_change
from vmqlib.runbook.rollback.results import Problem
from vmqlib.runbook.rollback.story import STEP
from vmqlib.runbook.rollback.thawing import Thaw, waiting_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback.plan import Plan

__all__ = ["ACTION", "ARCHIVED", "Estimate", "Thawing", "estimate", "thaw_archived"]

ACTION = "thaw"
ARCHIVED = "archived"
_PROBLEMS = 20
_IN_JOURNAL = 5


@dataclass(frozen=True)
class Thawing:
    """What was asked for.

    Parameters
    ----------
    asked:
        Versions of which a readable copy was asked for, those asked for before included.
    refused:
        Versions for which AWS refused.
    problems:
        The first of those.
    classes:
        How many lie in which storage class.
    wait:
        About how long the slowest takes, for people.
    """

    asked: int = 0
    refused: int = 0
    problems: tuple[Problem, ...] = ()
    classes: dict[str, int] = field(default_factory=dict)
    wait: str = ""


@dataclass(frozen=True)
class Estimate:
    """What asking for readable copies would come to.

    Parameters
    ----------
    versions:
        Archived versions that the plan holds back.
    size:
        Of all of them, for people.
    cost:
        One sentence on what S3 charges.
    """

    versions: int
    size: str
    cost: str


def estimate(plan: Plan, how: Thaw) -> Estimate:
    """How many versions a plan holds back since they are archived, how big they are, and what S3 charges for them."""
    from vmqlib.runbook.rollback.preview import size_text
    from vmqlib.runbook.rollback.prices import PRICES

    versions = size = 0
    usd = 0.0
    for item in plan.iter_items() if plan.head.blocked.get(ARCHIVED) else ():
        if item.code == ARCHIVED:
            price = PRICES.of(item.target.storage_class)
            versions, size = versions + 1, size + item.target.size
            month = PRICES.of("STANDARD").month
            usd += item.target.size / 1e9 * (price.retrieval + month * how.days / 30) + price.write / 1000
    cost = f"About {usd:,.2f} USD ({PRICES.source}; faster tiers cost more)."
    return Estimate(versions, size_text(size), cost)


def thaw_archived(
    incident: Incident,
    plan: Plan,
    *,
    how: Thaw | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Thawing:
    """Asks for readable copies of the archived versions that a plan holds back. Costs money; overwrites nothing.

    They take minutes to days to come; a plan that is made then copies them.

    Parameters
    ----------
    how:
        For how many days, and how fast.
    progress:
        Told how many were asked for so far.

    Raises
    ------
    BadInput
        The incident is closed or offline, or the plan is another's.
    AwsError
        AWS refused all of them, or cannot be asked.
    """
    from vmqlib.runbook.rollback.objects import Objects
    from vmqlib.s3 import S3

    how = how or Thaw()
    aws = may_change(incident)
    belongs(incident, aws, plan)
    about: dict[str, Any] = {"action": ACTION, "digest": plan.digest, "days": how.days, "tier": how.tier}
    held = plan.head.blocked.get(ARCHIVED, 0)
    if not held:
        return Thawing()
    incident.applying(STEP, f"Ask for readable copies of {held} archived versions.", about)
    classes: Counter[str] = Counter()
    problems: list[Problem] = []
    asked = refused = 0
    last: AwsError | None = None
    with S3(aws, plan.scope.bucket) as s3:
        objects = Objects(s3)
        for item in plan.iter_items():
            if item.code != ARCHIVED:
                continue
            try:
                objects.thaw(item, days=how.days, tier=how.tier)
            except (CredentialsExpired, CredentialsMissing) as error:
                last, refused = error, held - asked
                break
            except AwsError as error:
                last, refused = error, refused + 1
                if len(problems) < _PROBLEMS:
                    problems.append(Problem(item.key, "failed", error.code, error.message, error.hint))
                if isinstance(error, AccessDenied) and not asked:
                    refused = held
                    break
            else:
                asked += 1
                classes[item.target.storage_class] += 1
                progress(asked)
    waits = [waiting_time(name, how.tier) for name in sorted(classes)]
    made = Thawing(asked, refused, tuple(problems), dict(classes), " or ".join(dict.fromkeys(waits)))
    counts = {"asked": asked, "refused": refused, "classes": dict(classes)}
    if last is not None and not asked:
        incident.failed(STEP, last.message, {**about, **counts, "problem": last.message, "hint": last.hint})
        raise last
    incident.applied(
        STEP,
        f"Readable copies of {asked} archived versions are asked for: in about {made.wait}.",
        about | counts,
    )
    return made
