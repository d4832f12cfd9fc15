"""Runbook step 1, *Acknowledge & Triage*, its beginning: an incident is opened and everything is looked at once.

:func:`begin` is what the notebook's first cell calls, by hand, in JupyterLab and under papermill.
:func:`page_to_record` is the same for ``vmq open``, arranged so that the kernel gets ready while AWS is being asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vmqlib.errors import BadInput, Interrupted
from vmqlib.record.incident import Incident
from vmqlib.runbook.approvals import Remedy, approved_steps, remedy
from vmqlib.runbook.causes import Cause, once
from vmqlib.runbook.severity import DEFAULT, judge
from vmqlib.settings import Settings
from vmqlib.times import Clock, SystemClock, Window, parse_when

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.kernel import KernelHandle
    from vmqlib.record.notebook import RunResult
    from vmqlib.runbook.triggers import Detection, Verdict

__all__ = [
    "LOGS",
    "SEVERITIES",
    "TRIGGERS",
    "Record",
    "alarmed",
    "begin",
    "condition",
    "look",
    "page_to_record",
    "title_of",
    "write_record",
]

TRIGGERS = {
    "sync-failed": "“SyncFailed” alarm triggered for more than 15 minutes",
    "no-sync": "“NoSync > 24h” alarm triggered",
    "guardrail": "Guardrail violations blocking user queries",
    "content": "Unauthorized content detected in the index",
}
"""The runbook's trigger conditions, in its words."""

_CONDITIONS = TRIGGERS | {
    "sync-failed": "Syncs have failed for more than 15 minutes",
    "no-sync": "No sync has succeeded for more than 24 hours",
}
"""The same, where nobody has seen that the alarm triggered."""

SEVERITIES = ("SEV1", "SEV2", "SEV3")

LOGS = frozenset({"connector-log", "document-report"})
"""Sources that are read over the shorter window: a connector logs thousands of lines a day."""

SINCE, LOGS_SINCE = "21d", "48h"


@dataclass(frozen=True)
class Record:
    """Where an incident's record is.

    Parameters
    ----------
    incident:
        The incident.
    run:
        How the notebook's run ended.
    html:
        The self-contained page.
    remedy:
        What came of the rollback that was planned and perhaps approved when the incident was opened.
    """

    incident: Incident
    run: RunResult
    html: Path
    remedy: Remedy = field(default_factory=Remedy)


def begin(
    incident_id: str = "",
    *,
    trigger: str = "sync-failed",
    severity: str = "",
    title: str = "",
    data_source_id: str = "",
    since: str = SINCE,
    logs_since: str = LOGS_SINCE,
    incidents: str = "",
    offline: bool = False,
    approve: str | Iterable[str] = (),
    clock: Clock | None = None,
) -> Incident:
    """The incident that a notebook is about: loaded by its id, or opened now. Looks at AWS if nobody has yet, and plans
    the rollback; changes nothing there unless told to.

    Parameters
    ----------
    incident_id:
        An incident in the incidents folder; empty opens a new one.
    trigger, severity, title, data_source_id:
        For a new one: see :data:`TRIGGERS`, :data:`SEVERITIES`; the title defaults to the trigger's condition. Without
        a severity it is SEV2, and SEV1 when the settings' rule says that customers are hit.
    since, logs_since:
        How far back to look, as an age or a time: everything, and the logs.
    incidents:
        The incidents folder; empty: from the settings.
    offline:
        True renders from evidence alone; AWS is not asked, and credentials are not needed.
    approve:
        Steps that may be carried out, as a list or with commas between: see
        :data:`~vmqlib.runbook.approvals.APPROVABLE`. Each is carried out once in an incident: running a cell again
        does not do it again. What came of it stands in the journal, and the sections of the record show it.

    Raises
    ------
    BadInput
        When a value cannot be used.
    UnknownIncident
        When there is no such incident.
    """
    clock = clock or SystemClock()
    approved = approved_steps(approve)
    if offline and approved:
        raise BadInput(
            f"Offline, nothing can be carried out: {', '.join(approved)}.",
            hint="Leave `approve` empty, or `offline` False.",
        )
    settings = Settings.load(incidents=Path(incidents) if incidents else None)
    aws = None if offline else _aws(settings, clock)
    if incident_id:
        incident = Incident.load(incident_id, settings=settings, aws=aws, clock=clock)
    elif aws is None:
        raise BadInput(
            "Offline, and no incident_id.", hint="Name the incident whose evidence is to be rendered."
        )
    else:
        incident = open_incident(
            settings,
            aws,
            trigger=trigger,
            severity=severity,
            title=title,
            data_source_id=data_source_id,
            clock=clock,
        )
    if aws is not None:
        fresh = not incident.was_observed
        if fresh:
            look(incident, since=since, logs_since=logs_since, severity=severity)
        if fresh or approved:
            remedy(incident, approved)
    return incident


def open_incident(
    settings: Settings,
    aws: Aws,
    *,
    trigger: str,
    severity: str = "",
    title: str = "",
    data_source_id: str = "",
    cause: Cause | None = None,
    clock: Clock | None = None,
) -> Incident:
    """Makes the incident's folder and the first entry of its journal.

    Parameters
    ----------
    cause:
        What it is opened for, where a rule or a page set it off: then only if there is none for it yet.

    Raises
    ------
    AlreadyOpen
        When there is an incident for that cause.
    BadInput
        When trigger or severity is none that the runbook knows.
    SettingsError
        When no application or index is set.
    """
    if trigger not in TRIGGERS:
        raise BadInput(f"There is no trigger {trigger!r}.", hint=f"Triggers are: {', '.join(TRIGGERS)}.")
    if severity and severity not in SEVERITIES:
        raise BadInput(
            f"There is no severity {severity!r}.", hint=f"Severities are: {', '.join(SEVERITIES)}."
        )
    settings.require("app_id", "index_id")
    source = data_source_id or settings.data_sources[0].data_source_id
    with once(settings.incidents, cause) if cause else nullcontext():
        made = Incident.open(
            settings,
            aws,
            trigger=trigger,
            severity=severity or DEFAULT,
            title=" ".join(title.split()) or _CONDITIONS[trigger],
            data_source_id=source,
            cause=cause.key if cause else "",
            event=cause.event if cause else None,
            clock=clock or SystemClock(),
        )
    for remark in cause.remarks if cause else ():
        made.note(f"{remark[:1].upper()}{remark[1:]}", {"page": True}, step="open")
    return made


def title_of(found: Detection, verdict: Verdict, settings: Settings) -> str:
    """What an incident that is opened for a verdict is called. That the alarm triggered it says only where that is
    seen."""
    if alarmed(verdict):
        return condition(verdict.trigger, by_alarm=True)
    names = {"sync-failed": settings.alarms.sync_failed, "no-sync": settings.alarms.no_sync}
    words, name = _CONDITIONS[verdict.trigger], names.get(verdict.trigger)
    kinds = {one.kind for one in found.findings if name and name in one.text and one.level == "problem"}
    if "blind-alarm" in kinds:
        return f"{words}; the alarm is blind"
    return f"{words}; the alarm did not trigger" if "alarm-disagrees" in kinds else words


def condition(trigger: str, *, by_alarm: bool) -> str:
    """What a trigger is about.

    Parameters
    ----------
    by_alarm:
        Whether it was seen that the alarm triggered: then in the runbook's words. Else they would say too much.
    """
    return (TRIGGERS if by_alarm else _CONDITIONS).get(trigger, trigger)


def alarmed(verdict: Verdict) -> bool:
    """Whether it was seen that the trigger's alarm went off."""
    told = [one for one in verdict.reasons if one.source in ("alarms", "alarm-history")]
    return any(one.says == "firing" for one in told)


def about(incident: Incident) -> tuple[str, ...]:
    """What is looked at beside the routine, since it is what the incident is about."""
    wanted = ("ci-hold",) if incident.identity.trigger == "no-sync" and incident.settings.bucket_name else ()
    return tuple(name for name in wanted if name in incident.sources)


def look(
    incident: Incident,
    *,
    since: str = SINCE,
    logs_since: str = LOGS_SINCE,
    severity: str = "",
    refresh: bool = False,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Observes everything, concurrently; what cannot be had is noted with its reason and the rest goes on. After an
    incident's first look it is judged how severe it is (:func:`~vmqlib.runbook.severity.judge`), whoever opened it.

    Parameters
    ----------
    since, logs_since:
        Where the windows begin, as an age or a time.
    severity:
        What the person who opened it said; empty lets the rule raise it.
    refresh:
        Also what was observed before.
    progress:
        Told the name of each source when it is done.

    Raises
    ------
    BadInput
        When the incident is closed.
    """
    if incident.state.closed_at:
        raise BadInput(
            f"{incident.id} is closed: it is judged by what was seen until then, and not looked at again.",
            hint=f"`vmq render {incident.id}` writes its record again; `vmq detect` looks and writes nothing; "
            "`vmq reopen` lets the incident go on.",
        )
    first = not incident.was_observed
    now = incident.clock.now()
    wide = Window(parse_when(since, now), now)
    narrow = Window(parse_when(logs_since, now), now)
    incident.observe(window=wide, windows=dict.fromkeys(LOGS, narrow), refresh=refresh, progress=progress)
    if more := about(incident):
        incident.observe(more, window=wide, refresh=refresh, progress=progress)
    if first:
        judge(incident, severity)


def page_to_record(
    settings: Settings,
    *,
    kernel: KernelHandle | None = None,
    trigger: str,
    severity: str = "",
    title: str = "",
    data_source_id: str = "",
    since: str = SINCE,
    logs_since: str = LOGS_SINCE,
    approve: str | Iterable[str] = (),
    cause: Cause | None = None,
    progress: Callable[[str], None] = lambda _: None,
    clock: Clock | None = None,
) -> Record:
    """Opens an incident, observes, plans the rollback (and carries it out where it is approved), runs the notebook and
    writes the page. See :func:`begin` and :func:`open_incident` for the parameters.

    ``kernel`` is one that was started before; ``progress`` is told, in words, what is being done. The record is
    written although the rollback was stopped: by what, its ``remedy`` says.
    """
    from vmqlib.record.kernel import start_kernel

    clock = clock or SystemClock()
    approved = approved_steps(approve)
    aws = _aws(settings, clock)
    # Here, and not by two threads at once: papermill imports it, too.
    import boto3.session  # noqa: F401

    with kernel or start_kernel(offline=True) as started, _preparing() as ready:
        incident = open_incident(
            settings,
            aws,
            trigger=trigger,
            severity=severity,
            title=title,
            data_source_id=data_source_id,
            cause=cause,
            clock=clock,
        )
        progress(f"{incident.id}: asking AWS")
        try:
            look(
                incident,
                since=since,
                logs_since=logs_since,
                severity=severity,
                progress=lambda name: progress(f"observed {name}"),
            )
            done = remedy(incident, approved, progress=progress)
            ready()
            progress("writing the record")
            return replace(write_record(incident, kernel=started), remedy=done)
        except (KeyboardInterrupt, Interrupted) as error:
            raise Interrupted(
                f"Interrupted; {incident.id} is open, and what was seen is kept.",
                hint=f"`vmq render {incident.id} --refresh` looks again and writes the record.",
            ) from error


def write_record(
    incident: Incident, *, kernel: KernelHandle | None = None, deadline: float | None = None
) -> Record:
    """Runs the incident's notebook from its evidence alone and exports the page. Asks AWS nothing.

    The manifest of a closed incident is brought up to date with the two files, and with nothing that others changed.

    Parameters
    ----------
    kernel:
        One that was started before.
    deadline:
        Seconds that it may take; ``None`` for as long as it does.

    Raises
    ------
    DeadlinePassed
        When it took longer.
    RunFailed
        When a cell stopped the run; the notebook and the page were saved all the same, and say so.
    """
    from vmqlib.record import notebook

    page = incident.dir / "incident.html"
    parameters = {"incident_id": incident.id, "incidents": str(incident.dir.parent)}
    template = notebook.template("incident")
    path = incident.dir / "incident.ipynb"
    try:
        run = notebook.render(
            template,
            path,
            parameters,
            kernel=kernel,
            deadline=deadline,
            html=page,
            clean=incident.shown_by.text,
        )
    finally:  # also what says where its run was stopped
        if incident.state.closed_at:
            incident.reseal([path, page])
    return Record(incident, run, page)


@contextmanager
def _preparing() -> Iterator[Callable[[], None]]:
    """Gets ready what plans the rollback and runs the notebook while AWS is being asked; gives what waits until it is.

    What exports it is imported later, by the run itself, while its cells run and this process only waits.
    """
    from vmqlib.record.notebook import prepare

    def load() -> None:
        import vmqlib.runbook.rollback.planfile
        import vmqlib.runbook.rollback.planner  # noqa: F401 - what plans comes first: it is needed first

        prepare()

    thread = threading.Thread(target=load, name="vmq-prepare", daemon=True)
    thread.start()
    try:
        yield thread.join
    finally:
        thread.join()  # a process that ends while one of its threads imports may crash


def _aws(settings: Settings, clock: Clock) -> Aws:
    from vmqlib.aws import Aws

    return Aws(settings, clock)
