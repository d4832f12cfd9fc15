"""``vmq doctor``: is everything wired up that the kit, and whoever is on call, relies on? Looks only; changes nothing.

:data:`CHECKS` is the place where a check is added: a title, the sources that it reads, and a pure function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.dashboard import SOURCES as DASHBOARD
from vmqlib.runbook.dashboardchecks import dashboard_checks
from vmqlib.runbook.triggers.detection import live
from vmqlib.runbook.wiring.alarmsthere import alarms_there
from vmqlib.runbook.wiring.alive import alive
from vmqlib.runbook.wiring.bucket import bucket
from vmqlib.runbook.wiring.cadence import cadence
from vmqlib.runbook.wiring.logdelivery import log_delivery
from vmqlib.runbook.wiring.role import role
from vmqlib.runbook.wiring.seen import Seen
from vmqlib.runbook.wiring.setup import account, folders, ids_set, permissions
from vmqlib.runbook.wiring.sight import sight
from vmqlib.runbook.wiring.telling import telling
from vmqlib.times import Window

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.record.observation import Observation
    from vmqlib.settings import Settings

__all__ = [
    "ALARM_CHECKS",
    "CHECKS",
    "Check",
    "Diagnosis",
    "Part",
    "diagnose",
    "examine",
    "look",
    "sources_of",
]

Judge = Callable[[Seen, "Settings", datetime], list[CheckResult]]

_LOOK_BACK = timedelta(days=21)


@dataclass(frozen=True)
class Check:
    """One kind of check.

    Parameters
    ----------
    title:
        The heading that its results stand under; several checks may share one.
    needs:
        The sources that it reads.
    judge:
        What it makes of them. Pure, but for looking at this machine's own folders.
    """

    title: str
    needs: tuple[str, ...]
    judge: Judge


ALARM_CHECKS: Final[tuple[Check, ...]] = (
    Check("Alarms", ("alarm-config", "metric-names", "alarm-actions"), alarms_there),
    Check("Alarms", ("alarm-config", "metric-names"), sight),
    Check("Alarms", ("alarm-config", "metric-names"), cadence),
    Check("Alarms", ("alarm-config", "alarm-actions"), telling),
)
"""The wiring of alarms alone: for whoever waits until they reset, and for the retro."""

CHECKS: Final[tuple[Check, ...]] = (
    Check("Settings and account", (), ids_set),
    Check("Settings and account", ("caller",), account),
    Check("Settings and account", (), folders),
    Check("Permissions to look", ("permissions",), permissions),
    Check("Application", ("resources",), alive),
    *ALARM_CHECKS,
    Check("Logs", ("log-deliveries",), log_delivery),
    Check("Bucket", ("bucket-health", "sync-jobs"), bucket),
    Check("Connector's role", ("role-access",), role),
    Check("Dashboard", DASHBOARD, lambda seen, settings, at: dashboard_checks(seen, at, settings)),
)
"""Every check of ``vmq doctor``, in the order in which a person would go through them."""


@dataclass(frozen=True)
class Part:
    """The results under one heading.

    Parameters
    ----------
    title:
        The heading.
    checks:
        Its results, those that failed first.
    """

    title: str
    checks: tuple[CheckResult, ...]


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found.

    Parameters
    ----------
    at:
        The moment that it is true for.
    parts:
        The results by heading, those with failures first.
    unreachable:
        Whether no look at AWS got anything at all.
    """

    at: datetime
    parts: tuple[Part, ...]
    unreachable: bool = False

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """Every result, in the order of the parts."""
        return tuple(one for part in self.parts for one in part.checks)

    def count(self, ok: bool | None) -> int:
        """How many passed (``True``), failed (``False``) or cannot be told (``None``)."""
        return sum(one.ok is ok for one in self.checks)

    @property
    def summary(self) -> str:
        """How many there are of each, in a sentence."""
        return (
            f"{self.count(False)} of {len(self.checks)} checks failed, {self.count(None)} cannot be told, "
            f"{self.count(True)} passed."
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "at": self.at,
            "summary": {"fail": self.count(False), "cannot tell": self.count(None), "pass": self.count(True)},
            "checks": [{"part": part.title, **one.as_dict()} for part in self.parts for one in part.checks],
        }


def sources_of(checks: Iterable[Check] = CHECKS) -> list[str]:
    """The sources that these checks read, each once."""
    return list(dict.fromkeys(name for check in checks for name in check.needs))


def look(
    aws: Aws,
    settings: Settings,
    *,
    checks: Iterable[Check] = CHECKS,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Observation]:
    """Looks at what the checks read, without an incident. Nothing is written.

    Parameters
    ----------
    progress:
        Told each source's name when it is done.
    """
    now = aws.clock.now()
    return live(aws, settings, Window(now - _LOOK_BACK, now), names=sources_of(checks), progress=progress)


def examine(seen: Seen, settings: Settings, now: datetime, *, checks: Iterable[Check] = CHECKS) -> Diagnosis:
    """What the checks say of what was seen. Pure, but for looking at this machine's own folders.

    Parameters
    ----------
    seen:
        Observations by source name; one that is not there counts as not seen.
    settings:
        What is wanted.
    now:
        The moment that this is to be true for, UTC.
    checks:
        Which checks.
    """
    checks = tuple(checks)
    found: dict[str, list[CheckResult]] = {}
    for check in checks:
        found.setdefault(check.title, []).extend(_judged(check, seen, settings, now))
    parts = [Part(title, tuple(sorted(each, key=_rank))) for title, each in found.items() if each]
    parts.sort(key=lambda part: min(_rank(one) for one in part.checks) != 0)
    asked = [seen[name] for name in sources_of(checks) if name in seen]
    return Diagnosis(now, tuple(parts), bool(asked) and not any(one.available for one in asked))


def diagnose(incident: Incident, *, progress: Callable[[str], None] | None = None) -> Diagnosis:
    """Looks, keeps what was seen as the incident's evidence, and notes in its journal what it comes to.

    Offline nothing is looked at: the checks are made over the evidence that is there.
    """
    names = sources_of()
    seen = incident.observe(names, refresh=True, progress=progress)
    found = examine(seen, incident.judged_by, incident.seen_at)
    if incident.aws is not None:
        phase = incident.state.phase
        kept: Mapping[str, Any] = {
            "verdict": "fail" if found.count(False) else "cannot tell" if found.count(None) else "pass",
            "checks": [
                {"part": part.title, "name": one.name, "subject": one.subject, "outcome": one.outcome,
                 "finding": one.finding}
                for part in found.parts for one in part.checks if one.ok is not True
            ],
        }  # fmt: skip
        incident.conclude(
            "triage" if phase in ("open", "closed") else phase,
            f"vmq doctor: {found.summary}",
            kept,
            [seen[name].evidence for name in names if seen[name].evidence is not None],  # type: ignore[misc]
        )
    return found


def _judged(check: Check, seen: Seen, settings: Settings, now: datetime) -> list[CheckResult]:
    try:
        return check.judge(seen, settings, now)
    except Exception as error:  # noqa: BLE001 - a check that fails costs its own lines alone
        text = f"The kit itself failed here: {type(error).__name__}: {error}."
        return [CheckResult(check.title.lower(), None, text, mend="This is a bug of the kit: report it.")]


def _rank(one: CheckResult) -> int:
    return (False, None, True).index(one.ok)
