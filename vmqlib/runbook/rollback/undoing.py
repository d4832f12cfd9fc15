"""Taking a rollback back: a plan of its own, from what the apply log says was done (runbook step 3).

Nothing was destroyed by the rollback, so what was there before it lies right below: it is copied back on top, or a
marker is put on top where nothing was. Reads only; the plan is applied like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vmqlib.errors import BadInput
from vmqlib.runbook.rollback.comparing import found
from vmqlib.runbook.rollback.copied import copies, only_ours_above
from vmqlib.runbook.rollback.ground import belongs, may_change, nobody_applies, versioning
from vmqlib.runbook.rollback.items import CHANGES, NOTHING, Action, Entry, Item, Target
from vmqlib.runbook.rollback.keyplan import switch_on
from vmqlib.runbook.rollback.planner import Seen
from vmqlib.runbook.rollback.planning import Watch, crawled, journal_plan, new_head, private, quiet
from vmqlib.runbook.rollback.purposes import PurposeName, command
from vmqlib.runbook.rollback.results import Applied
from vmqlib.runbook.rollback.sidebyside import Place, joined, log_of
from vmqlib.runbook.rollback.standing import apply_named, by_log, read_plan
from vmqlib.runbook.rollback.story import Story, folder, story
from vmqlib.times import show_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback.logreading import Logged
    from vmqlib.runbook.rollback.plan import Plan
    from vmqlib.sources.versionlisting import ObjectVersion

__all__ = ["undo", "undo_items"]


def undo(
    incident: Incident,
    *,
    digest: str = "",
    purpose: PurposeName = "rollback",
    inspect: bool = True,
    progress: Watch = quiet,
) -> Plan:
    """Plans the undo of the apply that was begun last and still stands, whether it came to its end or not. An undo that
    was applied is undone in its turn: that restores what it had taken back.

    Apply the plan with :func:`vmqlib.runbook.rollback.apply`. What was changed since the rollback is left alone.

    Parameters
    ----------
    digest:
        Of the plan whose apply is taken back, where an earlier one is meant; or its beginning. What a later one changed
        again is left alone.
    purpose:
        Whether a rollback is taken back, or a touch.
    inspect:
        Whether every version that would be copied is looked at now.
    progress:
        Told of the listing (versions) and the inspection (objects).

    Raises
    ------
    BadInput
        Nothing was applied, or all of it was taken back already; the incident is closed or offline.
    LockHeld
        An apply is under way.
    AwsError
        The bucket cannot be listed.
    """
    from vmqlib.runbook.rollback import planfile
    from vmqlib.runbook.rollback.inspecting import inspected
    from vmqlib.runbook.rollback.objects import Objects
    from vmqlib.s3 import S3
    from vmqlib.sources.versionlisting import list_versions

    aws = may_change(incident)
    told = story(incident, purpose)
    last = _standing(incident, told, digest)
    nobody_applies(incident)
    plan = read_plan(incident, told.plans[last.digest])
    belongs(incident, aws, plan)
    when = f" of {show_time(last.at)}" if last.at else ""
    what = "undo" if last.kind == "undo" else purpose
    target = Target("undo", None, f"What was there before the {what} {plan.digest[:12]}{when}.")
    scope, seen = plan.scope, Seen()
    with S3(aws, scope.bucket) as s3:
        suspended = versioning(s3) != "Enabled"
        versions = list_versions(
            s3,
            scope.prefix,
            scope.exclude,
            keys=scope.keys,
            progress=lambda count: progress("listing", count, None),
        )
        items = undo_items(
            plan,
            log_of(incident, plan),
            versions,
            suspended=scope.bucket if suspended else "",
            seen=seen,
            made=copies(incident),
        )
        if inspect:
            items = inspected(
                items, Objects(s3).inspect, progress=lambda count: progress("inspecting", count, None)
            )
        made = planfile.write(
            private(folder(incident)),
            new_head(incident, scope, target, of=plan.digest, purpose=purpose),
            items,
            seen=seen,
            crawl=crawled(incident),
        )
    journal_plan(incident, made)
    return made


def _standing(incident: Incident, told: Story, digest: str) -> Applied:
    if digest:
        named = apply_named(incident, told, digest)
        if named.undone:
            raise BadInput(
                f"The {told.purpose.name} {named.digest[:12]} was taken back already.",
                hint=f"`{command(told.purpose.name, 'undo', incident.id)}` takes back what was applied last.",
            )
    standing = [each for each in told.applies.values() if not each.undone]
    if not standing:
        done = "All that was applied was taken back already." if told.applies else "Nothing was applied."
        raise BadInput(f"There is nothing to undo in {incident.id}. {done}", hint=f"vmq show {incident.id}")
    last = named if digest else standing[-1]
    if last.kind == "undo" and not last.ok and last.ending != "changed":
        if last.ending == "unfinished":
            last = by_log(incident, last, told.plans.get(last.digest))
        raise BadInput(
            f"The undo {last.digest[:12]} was begun and is not done: {last.sentence}",
            hint=f"`{command(told.purpose.name, 'resume', incident.id)}` goes on with it.",
        )
    return last


def undo_items(
    plan: Plan,
    log: Logged | None,
    versions: Iterable[ObjectVersion],
    *,
    suspended: str = "",
    seen: Seen | None = None,
    made: Mapping[str, str] | None = None,
) -> Iterator[Item]:
    """The items of an undo, in the order of keys. Pure but for reading plan and log from disk; streams.

    Parameters
    ----------
    plan, log:
        What was planned, and what came of it.
    versions:
        The bucket's versions now, in the plan's scope.
    suspended:
        The bucket's name where its versioning is suspended now: every change is BLOCKED then.
    seen:
        Where to count what was read.
    made:
        :func:`vmqlib.runbook.rollback.copied.copies`: what was restored and then touched is taken back, too.
    """
    seen = Seen() if seen is None else seen
    for place in joined(plan, log, versions):
        seen.keys += bool(place.versions)
        seen.listed += len(place.versions)
        there = bool(place.versions) and not place.versions[0].is_delete_marker
        seen.there += there
        seen.documents += there and (place.item is None or place.item.document)
        item = _back(place, log, made or {})
        if item is None:
            seen.unchanged += bool(place.versions)
        else:
            yield _held(item, suspended) if suspended and item.action in CHANGES else item


def _back(place: Place, log: Logged | None, made: Mapping[str, str]) -> Item | None:
    """What takes one item back; ``None`` where it was not carried out, or is back already."""
    item = place.item
    if item is None or item.action not in CHANGES or log is None:
        return None
    entries = place.entries
    now = entries[0] if entries else NOTHING
    if place.outcome is None:
        if log.state(place.number) != "in-doubt" or now.version_id == item.current.version_id:
            return None
    elif place.outcome.result not in {"done", "found"}:
        return None
    if not _is_ours(item, place, entries, made):
        return None if _same(now, item.current) else _moved(item, now)
    before = item.current
    if not before.there:
        return replace(_plain(item), action="DELETE", current=now, target=before) if now.there else None
    below = next((each for each in entries if each.version_id == before.version_id), None)
    if below is None:
        return replace(
            _plain(item),
            action="BLOCKED",
            current=now,
            target=before,
            code="missing",
            reason=f"Version {before.version_id}, which was there before, is not there any more.",
            remedy="Upload a good copy.",
        )
    action: Action = "COPY" if now.there else "UNDELETE"
    return replace(_plain(item), action=action, current=now, target=below)


def _is_ours(item: Item, place: Place, entries: Sequence[Entry], made: Mapping[str, str]) -> bool:
    """Whether the current entry is the one that the rollback made, or this incident's own copy of that."""
    now = entries[0] if entries else NOTHING
    if place.outcome is not None and place.outcome.version_id:
        ours = place.outcome.version_id
        return now.version_id == ours or only_ours_above(entries, ours, made)
    # Nobody knows its id (a run was killed before the answer): it lies on the planned one, and is what was to be made.
    below = entries[1] if len(entries) > 1 else NOTHING
    return below.version_id == item.current.version_id and _same(now, item.target)


def _same(one: Entry, other: Entry) -> bool:
    if not (one.there and other.there):
        return one.there == other.there
    return (one.size, one.etag) == (other.size, other.etag)


def _plain(item: Item) -> Item:
    return Item(item.key, "BLOCKED", item.current, document=item.document)


def _moved(item: Item, now: Entry) -> Item:
    since = f" at {now.at[:10]} {now.at[11:19]} UTC" if now.at else ""
    return replace(
        _plain(item),
        current=now,
        target=item.current,
        code="moved",
        reason=f"Somebody changed it after the rollback{since}: {found(now)} is there now.",
        remedy="Agree with them; `vmq versions --key` shows its history.",
    )


def _held(item: Item, bucket: str) -> Item:
    return replace(
        item,
        action="BLOCKED",
        code="suspended",
        reason="Versioning is suspended: a change would destroy what is there now.",
        remedy=f"Switch versioning on, then undo again: {switch_on(bucket)}",
    )
