"""A connector's script, run as it was approved: streamed, kept as evidence, and journaled (runbook, step 4)."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.errors import BadInput, DeadlinePassed, Interrupted, RunFailed, VmqError
from vmqlib.record.evidence import Question
from vmqlib.record.redaction import redactor_for
from vmqlib.runbook.resyncstory import SCRIPT, STEP
from vmqlib.runbook.targeted.alive import RUNNING, check_none_runs, process_identity
from vmqlib.runbook.targeted.masking import LineMasker
from vmqlib.runbook.targeted.plan import ScriptPlan, approve, environment, unchanged
from vmqlib.runbook.targeted.process import Ended, Stream, follow
from vmqlib.times import Clock, SystemClock, iso

if TYPE_CHECKING:
    from vmqlib.record.evidence import EvidenceWriter
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Connector, Settings

__all__ = ["EVIDENCE", "MOST_BYTES", "Line", "problem", "run"]

EVIDENCE = "script-output"
MOST_BYTES = 64 * 1024 * 1024
"""Of output that is kept; the rest is shown, and the evidence says that it is missing."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of output, masked and harmless.

    Parameters
    ----------
    at:
        When it was read, UTC.
    stream:
        ``stdout`` or ``stderr``.
    text:
        What it says.
    """

    at: datetime
    stream: Stream
    text: str


def run(
    made: ScriptPlan,
    settings: Settings,
    connector: Connector,
    *,
    digest: str,
    incident: Incident | None = None,
    show: Callable[[Line], None] = lambda _: None,
    clock: Clock | None = None,
    grace_s: float = 5.0,
) -> Ended:
    """Runs the script that was planned and approved, and returns how it ended: see :func:`problem`.

    Parameters
    ----------
    digest:
        The approval: the plan's digest, or its beginning.
    incident:
        Where it is journaled and its output kept; None: it is only shown.
    show:
        Given each line as it comes.
    grace_s:
        Seconds between SIGTERM and SIGKILL, when it has to be ended.

    Raises
    ------
    BadInput
        The incident is closed, the approval too short, or the script cannot be started.
    WorldChanged
        The approval is another plan's, or the script changed: nothing was run.
    LockHeld
        An earlier run of it in this incident's name still goes on: nothing was run.
    """
    clock = clock or (incident.clock if incident else SystemClock())
    if incident is not None and incident.state.closed_at:
        raise BadInput(
            f"{incident.id} is closed: its record is complete, and nothing is changed in its name.",
            hint="Leave --incident out, or open a new incident.",
        )
    approve(made, digest)
    unchanged(made)
    if incident is not None:
        check_none_runs(incident, made.connector)
    given = environment(settings, connector, incident_id=incident.id if incident else "")
    redactor = redactor_for(settings, incident)
    about = _about(made)
    if incident is not None:
        what = f"the script of connector {made.connector}: {made.script.name}"
        incident.approved(STEP, f"Plan {made.digest[:12]} is approved: run {what}.", about)
        incident.applying(STEP, f"Run {what}.", about)
    mask = LineMasker(redactor, given)
    with ExitStack() as stack:
        kept = None
        if incident is not None:
            question = Question(
                EVIDENCE, f"script:{made.script.name}", clock.now(), _parameters(made), settings.region,
                incident.identity.account, incident.actor().caller,
            )  # fmt: skip
            kept = stack.enter_context(incident.evidence.writer(question, redactor))
        take = _Taking(mask, kept, show, clock)

        def started(pid: int) -> None:
            if incident is not None and (identity := process_identity(pid)):
                known = {"action": SCRIPT, "connector": made.connector, "digest": made.digest}
                summary = f"{made.script.name} runs as process {pid}."
                incident.conclude(STEP, summary, {**known, **identity, "verdict": RUNNING})

        try:
            ended = follow(
                made.argv, cwd=made.cwd, env=given, timeout_s=made.timeout_s, on_line=take, on_start=started,
                grace_s=grace_s,
            )  # fmt: skip
        except (
            BaseException
        ) as error:  # the group was ended: that is all that is known, and it is written down
            if incident is not None:
                said = _said(error)
                incident.failed(
                    STEP, f"{made.script.name}: {said['problem']}", {**about, "ending": "failed", **said}
                )
            raise
        if kept is not None:
            kept.outcome(complete=take.complete, stopped=take.stopped)
    if incident is not None:
        assert kept is not None
        _journal(incident, made, ended, about, kept)
    return ended


class _Taking:
    """What becomes of a line: masked, kept as long as there is room, shown."""

    def __init__(
        self, mask: LineMasker, kept: EvidenceWriter | None, show: Callable[[Line], None], clock: Clock
    ) -> None:
        self._mask = mask
        self._kept = kept
        self._show = show
        self._clock = clock
        self._room = MOST_BYTES
        self._beyond = 0

    def __call__(self, stream: Stream, raw: bytes) -> None:
        text = self._mask(stream, raw)
        if text is None:
            return
        line = Line(self._clock.now(), stream, text)
        self._room -= len(text) + 64
        if self._kept is not None and self._room >= 0:
            self._kept.write({"at": iso(line.at), "stream": stream, "text": text})
        elif self._kept is not None:
            self._beyond += 1
        self._show(line)

    @property
    def complete(self) -> bool:
        return not self._beyond

    @property
    def stopped(self) -> str:
        return (
            f"{self._beyond:,} lines beyond {MOST_BYTES // 1024**2} MiB were not kept" if self._beyond else ""
        )


def _about(made: ScriptPlan) -> dict[str, Any]:
    """What the journal says of a plan: names of variables, never values."""
    return {
        "action": SCRIPT,
        "digest": made.digest,
        "item": made.connector,
        "connector": made.connector,
        "data_source_id": made.data_source_id,
        "script": str(made.script),
        "script_sha256": made.sha256,
        **_parameters(made),
    }


def _parameters(made: ScriptPlan) -> dict[str, Any]:
    names = ("argv", "cwd", "env", "unset", "commit", "state", "timeout_s")
    known = made.to_json()
    return {name: known[name] for name in names}


def _said(error: BaseException) -> Mapping[str, Any]:
    name = type(error).__name__
    if isinstance(error, VmqError):
        return {"problem": error.message, "hint": error.hint, "error": name}
    return {"problem": f"it was ended, since its output could not be passed on: {name}.", "error": name}


def _journal(
    incident: Incident, made: ScriptPlan, ended: Ended, about: dict[str, Any], kept: EvidenceWriter
) -> None:
    good = ended.why == "ended" and ended.status == 0
    ending = {"timed out": "timed out", "interrupted": "interrupted"}.get(
        ended.why, "succeeded" if good else "failed"
    )
    data = {
        **about,
        "ending": ending,
        "exit_status": ended.status,
        "seconds": round(ended.seconds, 3),
        "left_behind": ended.left_behind,
        "killed": ended.killed,
        "escaped": ended.escaped,
        "redactions": kept.redactions,
    }
    error = problem(made, ended, incident)
    sentence = _sentence(made, ended)
    if error is None:
        incident.applied(STEP, sentence, data, evidence=[kept.ref])
    else:
        incident.journal.append(
            "failed", sentence, step=STEP, data={**data, **_said(error)}, evidence=[kept.ref]
        )


def _sentence(made: ScriptPlan, ended: Ended) -> str:
    name, took = made.script.name, f"{ended.seconds:.1f} s"
    if ended.why == "timed out":
        text = f"{name} was ended after {made.timeout_s:g} s, which is its time-out."
    elif ended.why == "interrupted":
        text = f"{name} was interrupted and ended after {took}."
    elif ended.status < 0:
        text = f"{name} was ended by {_signal(-ended.status)} after {took}."
    else:
        text = f"{name} ended with exit status {ended.status} after {took}."
    if ended.left_behind:
        text += " It left programs running; they were ended, too."
    if ended.escaped:
        text += " Something that it started has left its group, and runs on."
    return text


def problem(made: ScriptPlan, ended: Ended, incident: Incident | None = None) -> VmqError | None:
    """What is to be said of a run that did not end well; None when its exit status was 0.

    ``RunFailed``: it was another one, or a signal ended it. ``DeadlinePassed``: it took too long. ``Interrupted``:
    Ctrl-C.
    """
    sentence = _sentence(made, ended)
    where = f"`vmq show {incident.id}` and the evidence {EVIDENCE}-… have its output." if incident else ""
    if ended.why == "interrupted":
        return Interrupted(
            sentence, hint=f"What it had done by then, it did: look before you run it again. {where}".strip()
        )
    if ended.why == "timed out":
        return DeadlinePassed(
            sentence, hint=f"See where it hung; script_timeout in vmq.toml gives it longer. {where}".strip()
        )
    if ended.status:
        return RunFailed(sentence, hint=f"Read the last lines above. {where}".strip())
    return None


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
