"""How each key should be in the index: from what this incident did to the bucket, and from the bucket itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.errors import VmqError
from vmqlib.runbook.proof.seen import Expected, Want
from vmqlib.sources.crawlscope import METADATA_SUFFIX
from vmqlib.times import iso

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback import Applied
    from vmqlib.runbook.rollback.items import Item

__all__ = ["Deed", "deeds", "described", "expect", "expected_of"]


@dataclass(frozen=True)
class Deed:
    """What this incident did last to one key.

    Parameters
    ----------
    key, want:
        Which key, and what was done.
    at:
        When the apply that did it ended, or began where it has not.
    made:
        The version that it made; empty where its id is not known.
    target:
        The version that it is a copy of; empty for a deletion.
    """

    key: str
    want: Want
    at: datetime | None
    made: str = ""
    target: str = ""


def deeds(incident: Incident) -> tuple[dict[str, Deed], tuple[str, ...]]:
    """What rollbacks, touches and their undos did last to each key, from plans and apply logs alone; and what of these
    could not be read."""
    from vmqlib.runbook.rollback.purposes import PURPOSES
    from vmqlib.runbook.rollback.sidebyside import log_of
    from vmqlib.runbook.rollback.standing import read_plan
    from vmqlib.runbook.rollback.story import story

    stories = [story(incident, purpose) for purpose in PURPOSES]
    applies = [(applied, told) for told in stories for applied in told.applies.values()]
    found: dict[str, Deed] = {}
    problems: list[str] = []
    for applied, told in sorted(applies, key=lambda pair: iso(pair[0].at) if pair[0].at else ""):
        try:
            plan = read_plan(incident, told.plans[applied.digest])
            log = log_of(incident, plan)
            outcomes = dict(log.outcomes()) if log is not None else {}
            for number, item in enumerate(plan.iter_items()):
                outcome = outcomes.get(number)
                if outcome is not None and outcome.result in {"done", "found"}:
                    found[item.key] = _deed(applied, item, outcome.version_id)
        except (VmqError, KeyError) as error:
            problems.append(error.message if isinstance(error, VmqError) else f"No plan {error} is known.")
    return found, tuple(problems)


def _deed(applied: Applied, item: Item, made: str) -> Deed:
    if not item.target.there:
        return Deed(item.key, "deleted", applied.at, made)
    want: Want = "touched" if applied.kind == "touch" else "restored"
    return Deed(item.key, want, applied.at, made, item.target.version_id)


def expect(done: Mapping[str, Deed], versions: pd.DataFrame | None) -> dict[str, Expected]:
    """The keys of these deeds, with S3's own times where the listing has them.

    Parameters
    ----------
    done:
        :func:`deeds`.
    versions:
        A frame of the source ``versions``; ``None`` where it was not seen. A key that somebody else changed after the
        deed is expected as they left it.
    """
    if versions is None or not done:
        return {key: Expected(key, one.want, one.at) for key, one in done.items()}
    mine = versions[versions["key"].isin(done)]
    entries: dict[str, list[tuple[str, datetime, bool]]] = {}
    rows = zip(
        mine["key"],
        mine["version_id"],
        mine["at"].dt.to_pydatetime(),
        mine["is_delete_marker"].astype(bool),
        strict=True,
    )
    for key, version_id, at, marker in rows:  # newest first, as the source says
        entries.setdefault(key, []).append((version_id, at, marker))
    return {key: _timed(one, entries.get(key, [])) for key, one in done.items()}


def _timed(one: Deed, entries: list[tuple[str, datetime, bool]]) -> Expected:
    places = {version_id: place for place, (version_id, _, _) in enumerate(entries)}
    place = places.get(one.made)
    if place is not None and place > 0:  # somebody wrote on top of it
        _, at, marker = entries[0]
        return Expected(one.key, "absent" if marker else "present", at)
    since = entries[place][1] if place is not None else one.at
    target = places.get(one.target)
    held = None
    if target is not None and target > 0:
        held = (entries[target][1], entries[target - 1][1])
    return Expected(one.key, one.want, since, held)


def described(wanted: Mapping[str, Expected], there: Mapping[str, Expected]) -> dict[str, Expected]:
    """The documents whose metadata files are among the wanted keys: with its metadata a document is indexed again.

    Parameters
    ----------
    wanted:
        The keys that the incident changed.
    there:
        The keys of the bucket. A metadata file may lie in a folder of its own: ``<prefix>/<key>.metadata.json``.
    """
    found: dict[str, Expected] = {}
    for key, one in wanted.items():
        if not key.endswith(METADATA_SUFFIX) or one.want not in ("restored", "touched", "deleted"):
            continue
        parts = key.removesuffix(METADATA_SUFFIX).split("/")
        names = ("/".join(parts[place:]) for place in range(len(parts)))
        name = next((each for each in names if each in there and there[each].want == "present"), None)
        if name is not None and name not in wanted:
            found[name] = Expected(name, "touched" if one.want == "touched" else "restored", one.since)
    return found


def expected_of(versions: pd.DataFrame) -> dict[str, Expected]:
    """Every key of the bucket as it is: there, or deleted, and since when."""
    current = versions[versions["is_latest"].fillna(False).astype(bool)]
    rows = zip(
        current["key"],
        current["at"].dt.to_pydatetime(),
        current["is_delete_marker"].astype(bool),
        strict=True,
    )
    return {key: Expected(key, "absent" if marker else "present", at) for key, at, marker in rows}
