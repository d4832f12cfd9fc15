"""*No plan half applied*: changes that were begun and whose end nobody knows, and changes of which a part was made.

From the journal alone. What has a story of its own (rollbacks, schedules, sync jobs) is read there, so that it is told
in the same way everywhere.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.communicate.sending import ACTION as MESSAGE
from vmqlib.runbook.publish.applying import ACTION as PUBLISH
from vmqlib.runbook.resync.journal import ACTION as SYNC
from vmqlib.runbook.resync.journal import begun
from vmqlib.runbook.resync.stopping import ACTION as STOP
from vmqlib.runbook.resyncstory import SCRIPT, UPLOAD
from vmqlib.runbook.rollback import status
from vmqlib.runbook.rollback.archives import ACTION as THAW
from vmqlib.runbook.rollback.purposes import PURPOSES, Verb, command
from vmqlib.runbook.stabilize.story import ACTIONS as SCHEDULES
from vmqlib.runbook.stabilize.story import story
from vmqlib.runbook.validation.moves import made_in_part
from vmqlib.runbook.validation.names import HALF
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.events import Event
    from vmqlib.record.incident import Incident

__all__ = ["OpenEnd", "half_applied", "open_ends"]

_OBJECTS: Final = frozenset(action for purpose in PURPOSES.values() for action in purpose.actions)
_TOLD: Final = frozenset({MESSAGE, PUBLISH, THAW, SYNC, *SCHEDULES.values(), *_OBJECTS})
"""Actions that are told of by stories of their own; and messages, published records and readable copies, which leave
nothing half done in the world: a message whose answer was lost does not keep an incident open for good."""

_ON_OR_BACK: Final[tuple[Verb, Verb]] = ("resume", "undo")
_STANDS: Final = frozenset({"changed", "differs"})


@dataclass(frozen=True)
class OpenEnd:
    """A change that has no end, or was made in part.

    Parameters
    ----------
    what:
        In a sentence.
    mend:
        What to type.
    """

    what: str
    mend: str


def half_applied(incident: Incident) -> CheckResult:
    """Whether every change that was begun has an end, and was made in whole or not at all."""
    found = list(open_ends(incident))
    if not found:
        return CheckResult(HALF, True, "Every change that was begun has ended.", evidence=("journal",))
    mends = "\n".join(dict.fromkeys(one.mend for one in found))
    return CheckResult(HALF, False, " ".join(one.what for one in found), mend=mends, evidence=("journal",))


def open_ends(incident: Incident) -> Iterator[OpenEnd]:
    """Each of them."""
    yield from _objects(incident)
    for source, change in story(incident).pending.items():
        yield OpenEnd(
            f"Nobody knows whether the schedule of {source} was changed ({change.verb}, {show_time(change.at)}).",
            f"vmq schedule {change.verb} {incident.id}",
        )
    for source, start in begun(incident).items():
        if start.pending:
            yield OpenEnd(
                f"Nobody knows whether a sync of {source} was started ({show_time(start.at)}).",
                f"vmq sync wait --data-source {shlex.quote(source)} --incident {incident.id}",
            )
    yield from _others(incident.journal.events(), incident.id)


def _objects(incident: Incident) -> Iterator[OpenEnd]:
    """Rollbacks and touches: the apply that was begun last, whatever was planned since."""
    for purpose in PURPOSES:
        now = status(incident, purpose)
        last = now.applied
        if last is None:
            continue
        if last.ending in {"unfinished", "interrupted", "failed"}:
            resume, undo = (command(purpose, verb, incident.id) for verb in _ON_OR_BACK)
            mend = f"{resume}" if last.kind == "undo" else f"{resume}; or back: {undo}"
            yield OpenEnd(f"The {purpose} is {last.ending}: {last.sentence}", mend)
        elif now.state in _STANDS:
            seen = now.verification
            said = seen.sentence if seen is not None and not seen.ok else last.sentence
            yield OpenEnd(
                f"The {purpose} is not as planned: {said}",
                now.command or command(purpose, "plan", incident.id),
            )


def _others(events: Iterable[Event], incident_id: str) -> Iterator[OpenEnd]:
    """What was about to be done, and neither applied nor failed nor taken back afterwards; and uploads that stopped in
    the middle. A later one that was done makes up for an earlier one of the same connector, which it looks at whole."""
    begun: dict[tuple[str, str], tuple[str, OpenEnd]] = {}
    for event in events:
        if event.kind not in ("applying", "applied", "failed", "undone") or event.data.action in _TOLD | {""}:
            continue
        action, digest = event.data.action, event.data.digest
        data: Mapping[str, Any] = event.data.model_dump()
        key = action, event.data.item or str(data.get("execution_id", ""))
        if event.kind == "applying":
            what = f"Begun, and no end is known: {event.summary} ({show_time(event.at)})"
            begun[key] = digest, OpenEnd(what, _again(action, data, incident_id))
        elif event.kind == "failed" and action == UPLOAD and made_in_part(data):
            what = f"Made in part: {event.summary} ({show_time(event.at)})"
            undo = data.get("undo")
            back = f"; or back: {undo}" if undo else ""
            begun[key] = digest, OpenEnd(what, f"{_again(action, data, incident_id)}{back}")
        elif event.kind != "failed" or begun.get(key, ("",))[0] == digest:
            begun.pop(key, None)
    yield from (end for _, end in begun.values())


def _again(action: str, data: Mapping[str, Any], incident_id: str) -> str:
    """The command that finds out, or goes on."""
    where = f" --connector {shlex.quote(str(data['item']))}" if data.get("item") else ""
    if action == SCRIPT:
        return f"vmq sync run{where} --incident {incident_id}"
    if action == UPLOAD:
        return f"vmq sync docs{where} --incident {incident_id}"
    if action == STOP:
        return f"vmq sync stop --data-source {data.get('data_source_id', '')} --incident {incident_id}"
    return "Run that command again: it looks at the world and goes on, or says that it was done."
