"""The four triggers at once: :func:`detect` over what was seen, :func:`live` to see it without an incident."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.errors import ResourceMissing, VmqError
from vmqlib.record.observation import Observation
from vmqlib.runbook.triggers.content import content
from vmqlib.runbook.triggers.guardrail import guardrail
from vmqlib.runbook.triggers.nosync import no_sync
from vmqlib.runbook.triggers.syncfailed import sync_failed
from vmqlib.runbook.triggers.verdicts import Detection, Verdict
from vmqlib.sources import REGISTRY
from vmqlib.sources.base import Row, frame

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.runbook.findings import Finding
    from vmqlib.settings import Settings
    from vmqlib.sources.base import Source
    from vmqlib.sources.canaries import Answer
    from vmqlib.times import Window

__all__ = ["NEEDED", "detect", "live", "sources_for"]

NEEDED: Mapping[str, tuple[str, ...]] = {
    "sync-failed": ("sync-jobs", "alarms", "alarm-history", "metrics"),
    "no-sync": ("sync-jobs", "alarms", "alarm-history"),
    "guardrail": ("metrics", "conversations", "own-questions"),
    "content": ("documents", "resources", "versions", "sync-jobs", "acl"),
}
"""The sources that each trigger's rule reads."""


def detect(
    seen: Mapping[str, Observation],
    settings: Settings,
    now: datetime,
    *,
    answers: Sequence[Answer] | None = None,
    triggers: Iterable[str] = tuple(NEEDED),
) -> Detection:
    """What the triggers say. Pure; a rule whose sources were not seen says unknown, never quiet.

    Parameters
    ----------
    seen:
        Observations by source name (:data:`NEEDED`); one that is not there counts as not seen.
    settings:
        What the rules go by.
    now:
        The moment that this is to be true for, UTC.
    answers:
        What canaries and prompts were answered, where they were asked.
    triggers:
        Which triggers; all four by default.
    """
    rules: Mapping[str, Callable[[], tuple[Verdict, list[Finding]]]] = {
        "sync-failed": lambda: sync_failed(seen, settings, now),
        "no-sync": lambda: no_sync(seen, settings, now),
        "guardrail": lambda: guardrail(seen, settings, now, answers),
        "content": lambda: content(seen, settings, now),
    }
    said = {name: rule() for name, rule in rules.items() if name in triggers}
    verdicts = {name: verdict for name, (verdict, _) in said.items()}
    if "no-sync" in verdicts and "sync-failed" in verdicts:
        verdicts["no-sync"] = _same_cause(verdicts["no-sync"], verdicts["sync-failed"])
    findings = dict.fromkeys(one for _, found in said.values() for one in found)
    return Detection(now, tuple(verdicts.values()), tuple(findings))


def _same_cause(missed: Verdict, failed: Verdict) -> Verdict:
    """Where every sync of a connector has failed for a day, that is why none succeeded: one cause, one incident."""
    if missed.cause and failed.cause and missed.data_source_id == failed.data_source_id:
        return replace(missed, cause=failed.cause)
    return missed


def sources_for(triggers: Iterable[str], settings: Settings) -> list[str]:
    """The sources that these triggers read and that the settings let be observed, in the registry's order."""
    wanted = {name for trigger in triggers for name in NEEDED[trigger]}
    return [name for name, source in REGISTRY.items() if name in wanted and source.wanted(settings)]


def live(
    aws: Aws,
    settings: Settings,
    window: Window,
    *,
    names: Iterable[str] | None = None,
    data_source_id: str = "",
    progress: Callable[[str], None] = lambda _: None,
    threads: int = 16,
) -> dict[str, Observation]:
    """Looks at AWS without an incident, several sources at once. Nothing is written.

    Parameters
    ----------
    window:
        The span to ask about; a source that looks less far back by itself is asked about its end.
    names:
        Which sources; by default all that the triggers read.
    data_source_id:
        One data source; empty means every one of the settings.
    progress:
        Told each source's name when it is done.
    threads:
        How many at once.

    Returns
    -------
    dict
        An observation for each; what could not be had says why. Nothing is raised for it.
    """
    wanted = list(dict.fromkeys(sources_for(NEEDED, settings) if names is None else names))
    seen: dict[str, Observation] = {}
    todo: queue.SimpleQueue[str] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[str, Observation]] = queue.SimpleQueue()
    for name in wanted:
        todo.put(name)

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                name = todo.get_nowait()
                done.put((name, _look(aws, settings, REGISTRY[name], window, data_source_id)))

    # Daemons, as where an incident looks: Ctrl-C need not wait for an answer that takes its time.
    for number in range(min(threads, len(wanted))):
        threading.Thread(target=work, name=f"vmq-look-{number}", daemon=True).start()
    while len(seen) < len(wanted):
        name, observation = done.get()
        seen[name] = observation
        progress(name)
    return {name: seen[name] for name in wanted}


def _look(aws: Aws, settings: Settings, source: Source, window: Window, data_source_id: str) -> Observation:
    at = aws.clock.now()
    rows: list[Row] = []
    try:
        reading = source.read(aws, settings, source.within(window), data_source_id=data_source_id)
        try:
            rows.extend(reading.rows)
            complete, stopped = reading.outcome()
            missing = reading.missing
        except VmqError as error:
            if not rows:
                raise
            complete, stopped, missing = False, error.message, {}
    except VmqError as error:
        return _unavailable(source, at, error.message, error.hint, gone=isinstance(error, ResourceMissing))
    except Exception as error:  # noqa: BLE001 - one source that fails costs its own part alone
        return _unavailable(source, at, f"The kit itself failed here: {type(error).__name__}: {error}", "")
    return Observation(
        source.name,
        source.title,
        frame(source, rows),
        at=at,
        complete=complete,
        stopped=stopped,
        missing=missing,
    )


def _unavailable(source: Source, at: datetime, problem: str, hint: str, *, gone: bool = False) -> Observation:
    nothing = frame(source, ())
    return Observation(
        source.name, source.title, nothing, False, problem, hint, at, False, problem, gone=gone
    )
