"""Which versions this incident made, and of which each is a copy: what an ETag does not tell where KMS
encrypts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import TYPE_CHECKING

from vmqlib.errors import VmqError
from vmqlib.runbook.resyncstory import uploaded
from vmqlib.runbook.rollback import applylog
from vmqlib.runbook.rollback.items import Entry, Item
from vmqlib.runbook.rollback.outcome import Outcome
from vmqlib.runbook.rollback.purposes import PURPOSES, PurposeName
from vmqlib.runbook.rollback.results import Applied
from vmqlib.runbook.rollback.sidebyside import log_of
from vmqlib.runbook.rollback.standing import read_plan
from vmqlib.runbook.rollback.story import folder, log_name, story
from vmqlib.times import iso, show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["copies", "made_by", "made_since", "makers", "only_ours_above"]


def copies(incident: Incident) -> dict[str, str]:
    """From plans and apply logs alone: each version id that was made, with the id of the version that it is a copy of
    (the first one, where copies were copied). What cannot be read is left out.
    """
    made: dict[str, str] = {}
    for _, item, outcome in _made(incident):
        if item.target.there:
            made[outcome.version_id] = made.get(item.target.version_id, item.target.version_id)
    return made


def makers(incident: Incident) -> dict[str, str]:
    """From plans, apply logs and evidence alone: each version or delete marker that this incident made, and by what,
    such as ``touch of 2026-11-23 10:03:11 UTC``. What cannot be read is left out.
    """
    return {version_id: f"upload of {show_time(at)}" for at, _, version_id in uploaded(incident)} | {
        outcome.version_id: f"{'undo' if applied.kind == 'undo' else name} of {show_time(applied.at)}"
        if applied.at
        else name
        for (name, applied), _, outcome in _made(incident)
    }


def made_by(incident: Incident, digest: str) -> tuple[frozenset[str], bool]:
    """From a plan's apply log alone: the versions and delete markers that it made, and whether these are all of them:
    nothing is in doubt, and S3 named each (it names none where it keeps no versions)."""
    path = folder(incident) / log_name(digest)
    try:
        log = applylog.read(path)
        carried = [one for _, one in log.outcomes() if one.result in {"done", "found"}]
    except VmqError:
        return frozenset(), False
    made = frozenset(one.version_id for one in carried) - {"", "null"}
    return made, not log.counts.get("in-doubt") and len(made) == len(carried)


def made_since(incident: Incident, since: datetime) -> Iterator[tuple[datetime, str, str]]:
    """What plans of this incident made after a moment: when that apply ended, the key, the version or delete marker."""
    for (_, applied), item, outcome in _made(incident, since):
        if applied.at is not None:
            yield applied.at, item.key, outcome.version_id


def _made(
    incident: Incident, since: datetime | None = None
) -> Iterator[tuple[tuple[PurposeName, Applied], Item, Outcome]]:
    """Every item that a plan carried out and whose version is known, by the order of applies."""
    told = [
        (each, one)
        for one in (story(incident, name) for name in PURPOSES)
        for each in one.applies.values()
        if since is None or (each.at is not None and each.at > since)
    ]
    for applied, one in sorted(told, key=lambda pair: iso(pair[0].at) if pair[0].at else ""):
        try:
            plan = read_plan(incident, one.plans[applied.digest])
            log = log_of(incident, plan)
            outcomes = dict(log.outcomes()) if log is not None else {}
            for number, item in enumerate(plan.iter_items()):
                outcome = outcomes.get(number)
                if outcome is not None and outcome.result in {"done", "found"} and outcome.version_id:
                    yield (one.purpose.name, applied), item, outcome
        except (VmqError, KeyError):
            continue


def only_ours_above(entries: Sequence[Entry], version_id: str, made: Mapping[str, str]) -> bool:
    """Whether nothing lies above a version that a plan made but copies of the same, made by this incident's plans: a
    touched object is still the one that was restored.

    Parameters
    ----------
    entries:
        The key's versions and markers, newest first.
    version_id:
        What the plan made.
    made:
        :func:`copies`.
    """
    above = list(takewhile(lambda each: each.version_id != version_id, entries))
    if len(above) == len(entries) or not above or version_id not in made:
        return False
    return all(made.get(each.version_id) == made[version_id] for each in above)
