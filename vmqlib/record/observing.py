"""Looking at AWS, all sources at once: each look is read, masked, kept as evidence and noted in the journal.

A source that cannot be read is noted as failed, with the reason, and the others go on. What stops everything
is a disk or a journal that cannot be written: a look that leaves no trace would be worth nothing."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vmqlib.errors import AwsError, CorruptRecord, LockHeld, StorageError, VmqError
from vmqlib.record.events import EvidenceRef
from vmqlib.record.evidence import Question
from vmqlib.times import iso

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.sources.base import Reading, Source
    from vmqlib.times import Window

__all__ = ["look_at_all"]

_FATAL = (StorageError, LockHeld, CorruptRecord)


class _Stopped(Exception):
    """Somebody interrupted: this look is given up."""


def look_at_all(
    incident: Incident,
    aws: Aws,
    looks: Sequence[tuple[Source, Window]],
    *,
    step: str,
    threads: int,
    progress: Callable[[str], None],
) -> None:
    """Makes every look, ``threads`` at a time, and returns when all are done. ``step`` is the runbook's that it is for.

    Threads are daemons, so that Ctrl-C ends the process at once even while AWS keeps one of them waiting.

    Raises
    ------
    StorageError, LockHeld, CorruptRecord
        When what was seen cannot be written down.
    KeyboardInterrupt
        What was finished before is kept, and the journal says what was not.
    """
    todo: queue.SimpleQueue[tuple[Source, Window]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[str, BaseException | None]] = queue.SimpleQueue()
    stop = threading.Event()
    for item in looks:
        todo.put(item)

    def work() -> None:
        while not stop.is_set():
            try:
                source, window = todo.get_nowait()
            except queue.Empty:
                return
            try:
                _look(incident, aws, source, window, step, stop)
                done.put((source.name, None))
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
                done.put((source.name, error))

    for n in range(min(threads, len(looks))):
        threading.Thread(target=work, name=f"vmq-look-{n}", daemon=True).start()
    left = [source.name for source, _ in looks]
    try:
        while left:
            name, error = done.get()
            if error is not None:
                raise error
            left.remove(name)
            progress(name)
    except KeyboardInterrupt:
        stop.set()
        with incident.hurried():  # an AWS that keeps one waiting is not asked who we are, either
            incident.note(
                f"The look at AWS was interrupted. Not seen: {', '.join(left)}.", {"not_seen": left}
            )
        raise
    finally:
        stop.set()


def _look(
    incident: Incident, aws: Aws, source: Source, window: Window, step: str, stop: threading.Event
) -> None:
    begun = time.monotonic()
    at = incident.clock.now()
    try:
        reading = source.read(aws, incident.settings, window, data_source_id=incident.identity.data_source_id)
        question = _question(incident, source, reading, window, at)
        with incident.evidence.writer(question, incident.redactor) as writer:
            problem = _write_rows(writer.write, reading, stop)
            complete, stopped = reading.outcome()
            missing = reading.missing
            if problem is not None:
                complete, stopped, missing = False, problem.message, {}
            writer.outcome(complete=complete, stopped=stopped, missing=missing)
    except (*_FATAL, _Stopped):
        raise
    except Exception as error:  # noqa: BLE001 - a section that fails says so, and the rest goes on
        _note_failure(incident, source, step, error)
        return
    if problem is not None:
        _note_failure(incident, source, step, problem, writer.ref)
        return
    incident.journal.append(
        "observed",
        f"{source.title}: {writer.rows} rows{'' if complete else f', incomplete: {stopped}'}.",
        step=step,
        data={
            "source": source.name,
            "call": reading.call,
            "parameters": question.parameters,
            "rows": writer.rows,
            "complete": complete,
            "stopped": stopped,
            "redactions": writer.redactions,
            "duration_s": round(time.monotonic() - begun, 3),
        },
        evidence=[writer.ref],
    )


def _write_rows(
    write: Callable[[Mapping[str, Any]], None], reading: Reading, stop: threading.Event
) -> AwsError | None:
    """Writes the rows. When AWS refuses half-way, what came before is kept, and the error is the answer."""
    written = False
    try:
        for row in reading.rows:
            if stop.is_set():
                raise _Stopped
            write(row)
            written = True
    except AwsError as error:
        if not written:
            raise
        return error
    return None


def _question(incident: Incident, source: Source, reading: Reading, window: Window, at: Any) -> Question:
    return Question(
        name=source.name,
        call=reading.call,
        at=at,
        parameters={**reading.parameters, "window": {"since": iso(window.since), "until": iso(window.until)}},
        region=incident.identity.region,
        account=incident.identity.account,
        caller=incident.actor().caller,
    )


def _note_failure(
    incident: Incident, source: Source, step: str, error: Exception, partial: EvidenceRef | None = None
) -> None:
    name = type(error).__name__
    if isinstance(error, VmqError):
        problem, hint = error.message, error.hint
    else:
        problem = f"The kit itself failed here: {name}: {error}"
        hint = "This is a bug of the kit, not of AWS; the other sections are not touched by it."
    incident.journal.append(
        "failed",
        f"{source.title} could not be seen: {problem}",
        step=step,
        data={
            "source": source.name,
            "problem": problem,
            "hint": hint,
            "error": name,
            "operation": getattr(error, "operation", ""),
            "code": getattr(error, "code", ""),
        },
        evidence=[partial] if partial else [],
    )
