"""After a rollback: the bucket is listed again and compared with the plan, key by key (runbook step 3).

Reads only: ``s3:ListBucketVersions``. Memory does not grow with the bucket or with the number of differences: those are
written as they are found.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING

from vmqlib.errors import BadInput
from vmqlib.runbook.rollback.comparing import ITSELF, SOMEBODY, compare, outside
from vmqlib.runbook.rollback.copied import copies, makers, only_ours_above
from vmqlib.runbook.rollback.differences import Draft
from vmqlib.runbook.rollback.ground import belongs, connected, nobody_applies
from vmqlib.runbook.rollback.planning import Watch, private, quiet
from vmqlib.runbook.rollback.purposes import PURPOSES, PurposeName, command
from vmqlib.runbook.rollback.results import Difference, Verification
from vmqlib.runbook.rollback.sidebyside import joined, log_of
from vmqlib.runbook.rollback.standing import apply_named, read_plan
from vmqlib.runbook.rollback.story import folder, story
from vmqlib.times import iso

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback.items import Entry
    from vmqlib.runbook.rollback.logreading import Logged
    from vmqlib.runbook.rollback.plan import Plan
    from vmqlib.sources.versionlisting import ObjectVersion

__all__ = ["verify"]

_FIRST = 100
_SOME = 10
_IN_JOURNAL = 5
_WHOLE_STATES = frozenset({"as-of", "last-good"})
"""Targets that say what every key in scope is to be. The others aim at their own keys and say nothing of the rest."""


@dataclass
class _Tally:
    """What was found so far."""

    checked: int = 0
    matching: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    first: list[Difference] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)
    held_first: list[str] = field(default_factory=list)
    outside: int = 0
    outside_first: list[Difference] = field(default_factory=list)


def verify(
    incident: Incident,
    plan: Plan | None = None,
    *,
    digest: str = "",
    purpose: PurposeName = "rollback",
    progress: Watch = quiet,
) -> Verification:
    """Lists the bucket again and compares it with the plan. Every difference is in a file beside the plan.

    A difference is told apart by whose it is: what was not applied, what somebody else changed (also between planning
    and applying, under our version), content that is not the planned one. Before an apply all is ``not applied``.

    Parameters
    ----------
    plan:
        The plan; by default the one of ``purpose`` that was applied last, or else the newest.
    digest:
        Of the plan, where an earlier one that was applied is meant; or its beginning.
    progress:
        Told of the listing (versions).

    Raises
    ------
    BadInput
        Nothing was planned, the plan is another incident's, or the incident is offline.
    LockHeld
        An apply is under way in this incident.
    AwsError
        The bucket cannot be listed.
    """
    from vmqlib.s3 import S3
    from vmqlib.sources.versionlisting import list_versions

    aws = connected(incident)
    plan = plan or _default(incident, purpose, digest)
    belongs(incident, aws, plan)
    scope, at = plan.scope, incident.clock.now()
    tally = _Tally()
    path = (
        private(folder(incident))
        / f"verify-{plan.digest[:12]}-{at:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}.json"
    )
    nobody_applies(incident)  # what it is doing right now would look like somebody else's doing
    with S3(aws, scope.bucket) as s3, Draft(path) as draft:
        versions = list_versions(
            s3,
            scope.prefix,
            scope.exclude,
            keys=scope.keys,
            progress=lambda count: progress("verifying", count, None),
        )
        for difference in _differences(plan, log_of(incident, plan), versions, tally, incident):
            draft.add(difference)
        made = Verification(
            digest=plan.digest, at=at, ok=not tally.counts, checked=tally.checked, matching=tally.matching,
            counts=dict(tally.counts.most_common()), first=tuple(tally.first), held=dict(tally.held.most_common()),
            held_first=tuple(tally.held_first), outside=tally.outside, outside_first=tuple(tally.outside_first),
            path=path,
        )  # fmt: skip
        sha256 = draft.finish(made)
    _journal(incident, plan, made, sha256)
    return made


def _default(incident: Incident, purpose: PurposeName, digest: str) -> Plan:
    told = story(incident, purpose)
    last = apply_named(incident, told, digest) if digest else told.last
    which = told.plans.get(last.digest) if last is not None else told.newest
    if which is None:
        raise BadInput(
            f"Nothing was planned in {incident.id}.",
            hint=f"`{command(purpose, 'plan', incident.id)}` plans a {purpose}.",
        )
    return read_plan(incident, which)


def _differences(
    plan: Plan,
    log: Logged | None,
    versions: Iterable[ObjectVersion],
    tally: _Tally,
    incident: Incident,
) -> Iterator[Difference]:
    made, own = copies(incident), makers(incident)
    whole, changed = plan.target.kind in _WHOLE_STATES, _changed_since(plan, made)
    for place in joined(plan, log, versions):
        if place.item is None:
            if not changed(place.versions):
                continue
            difference: Difference | None = _whose(outside(place.key, place.entries[0]), place.entries, own)
            tally.outside += 1
            if len(tally.outside_first) < _SOME and difference is not None:
                tally.outside_first.append(difference)
            if not whole:
                continue
        elif place.item.action == "BLOCKED":
            tally.held[place.item.code or "blocked"] += 1
            if len(tally.held_first) < _SOME:
                tally.held_first.append(place.key)
            continue
        else:
            tally.checked += 1
            difference = _whose(compare(place.item, place.entries, place.outcome), place.entries, own)
            done = place.outcome is not None and place.outcome.result in {"done", "found"}
            if difference is not None and done and place.outcome is not None and place.outcome.version_id:
                ours = only_ours_above(place.entries, place.outcome.version_id, made)
                difference = None if ours else difference
        if difference is None:
            tally.matching += 1
            continue
        tally.counts[difference.problem] += 1
        if len(tally.first) < _FIRST:
            tally.first.append(difference)
        yield difference


def _whose(
    difference: Difference | None, entries: Sequence[Entry], own: Mapping[str, str]
) -> Difference | None:
    """The same, but for what this incident itself wrote on top: it is nobody else's."""
    if difference is None or difference.problem != SOMEBODY or not entries:
        return difference
    if not (by := own.get(entries[0].version_id)):
        return difference
    return replace(difference, problem=ITSELF, detail=f"It was changed since by this incident's own {by}.")


def _changed_since(plan: Plan, copies: Mapping[str, str]) -> Callable[[Sequence[ObjectVersion]], bool]:
    """Tells of a key that is not in the plan whether it changed since. Where the target says what every key is to be,
    no clock is needed: such a key was as the target has it when the plan was made; if it is not now, it changed."""
    from vmqlib.runbook.rollback.planner import plan_items

    target, whole = plan.target, plan.target.kind in _WHOLE_STATES
    scope = replace(plan.scope, keys=())  # the listing has seen to those
    since = iso(target.at if whole and target.at is not None else plan.head.made_at)[:19]

    def differs(versions: Sequence[ObjectVersion]) -> bool:
        if max(one.at for one in versions)[:19] < since:
            return False
        if not whole:
            return versions[0].at[:19] > since
        # As the planner wants them: by age alone. Of equal age the current one is first already: sorts are stable.
        newest_first = sorted(versions, key=attrgetter("at"), reverse=True)
        item = next(
            plan_items(
                newest_first,
                target,
                scope,
                ambiguous=plan.head.ambiguous,
                versioning="Enabled",
                documents=lambda _: True,
                copies=copies,
            ),
            None,
        )
        return item is not None and item.action != "SKIP"

    return differs


def _journal(incident: Incident, plan: Plan, made: Verification, sha256: str) -> None:
    assert made.path is not None
    purpose = PURPOSES[plan.head.purpose]
    data = {
        "action": purpose.action(plan.target.kind),
        "digest": plan.digest,
        "ok": made.ok,
        "file": made.path.name,
        "file_sha256": sha256,
        "checked": made.checked,
        "matching": made.matching,
        "differences": dict(made.counts),
        "held": dict(made.held),
        "outside": made.outside,
        "first": [{"key": each.key, "problem": each.problem} for each in made.first[:_IN_JOURNAL]],
    }
    incident.verified(purpose.step, made.sentence, data)
