"""*Ensure alarms reset*; schedules are as before, and the last sync SUCCEEDED after the last change. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.validation.agreeing import changed_keys, names
from vmqlib.runbook.validation.names import ALARM, ALARMS, SCHEDULE, SYNC
from vmqlib.sources.syncjobs import RUNNING
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.alarmdue import Due
    from vmqlib.runbook.proof.results import Later
    from vmqlib.runbook.stabilize.story import Off, ScheduleStory
    from vmqlib.runbook.validation.moves import Change
    from vmqlib.settings import Connector

__all__ = ["Sought", "by_alarms", "by_schedules", "by_syncs", "sought"]


@dataclass(frozen=True)
class Sought:
    """A data source whose newest sync is to have succeeded after the last change.

    Parameters
    ----------
    data_source_id, name:
        Which, and what people call it.
    changed:
        The last change that it has to index; None where there was none.
    ours:
        The sync jobs that the incident started after that change, by the journal's order: clocks may differ.
    later:
        What changed in its part of the bucket after its sync began, whoever did it; None where nothing did.
    unseen:
        Why that could not be seen; empty where it was.
    """

    data_source_id: str
    name: str
    changed: datetime | None = None
    ours: frozenset[str] = field(default_factory=frozenset)
    later: Later | None = None
    unseen: str = ""


def sought(
    connectors: Iterable[Connector],
    mine: str,
    changes: Iterable[Change],
    started: Mapping[str, int],
    bucket: str,
) -> tuple[Sought, ...]:
    """Every data source of the settings, and the one in question, each with the last change that is its own.

    All of them, and not only the one in question: an alarm tells of an application, and the incident takes the first
    connector for it where nobody named another.

    Parameters
    ----------
    connectors:
        Those of the settings.
    mine:
        The data source that the incident is about; may be empty.
    changes, started:
        :func:`vmqlib.runbook.validation.moves.changes` and ``started``.
    bucket:
        The bucket of connectors that name none.
    """
    known = {one.data_source_id: (one.name, one.bucket or bucket) for one in connectors if one.data_source_id}
    if mine:
        known.setdefault(mine, (mine, bucket))
    told = list(changes)
    return tuple(_sought(source, name, where, told, started) for source, (name, where) in known.items())


def _sought(
    source: str, name: str, bucket: str, changes: Sequence[Change], started: Mapping[str, int]
) -> Sought:
    own = [
        one for one in changes if (one.bucket == bucket if one.bucket else one.data_source_id in ("", source))
    ]
    if not own:
        return Sought(source, name)
    last = own[-1]
    ours = frozenset(execution for execution, seq in started.items() if seq > last.seq)
    return Sought(source, name, max(one.at for one in own), ours)


def by_syncs(jobs: Observation, wanted: Iterable[Sought], incident_id: str) -> list[CheckResult]:
    """Whether the newest sync of each data source SUCCEEDED, and began after the last change.

    Parameters
    ----------
    jobs:
        The ``sync-jobs`` observation, looked at just now.
    wanted:
        The data sources: :func:`sought`.
    """
    if jobs.gone:
        return [CheckResult(SYNC, False, jobs.problem, mend=jobs.hint, evidence=("sync-jobs",))]
    if not jobs.available or jobs.problem:
        # A problem beside older evidence means that it could not be seen now: what was true then says nothing.
        return [CheckResult(SYNC, None, jobs.problem, mend=jobs.hint, evidence=("sync-jobs",))]
    newest = jobs.frame.sort_values("started_at", kind="stable").groupby("data_source_id").tail(1)
    rows = {row["data_source_id"]: row for row in newest.to_dict("records")}
    return [
        _sync(one, rows.get(one.data_source_id), incident_id, jobs.missing_of(one.data_source_id))
        for one in wanted
    ]


def _sync(one: Sought, job: Mapping[Hashable, Any] | None, incident_id: str, stopped: str) -> CheckResult:
    about = f"--data-source {one.data_source_id} --incident {incident_id}"
    again = f"vmq sync start {about} && vmq sync wait {about}"

    def told(ok: bool | None, finding: str, mend: str = "") -> CheckResult:
        return CheckResult(SYNC, ok, finding, one.name, mend, ("sync-jobs",))

    if job is None:
        return (
            told(None, f"Its syncs could not be seen: {stopped}")
            if stopped
            else told(False, "There was no sync yet.", again)
        )
    status, began = str(job["status"]), job["started_at"]
    assert isinstance(began, datetime)
    if status in RUNNING:
        return told(None, f"The newest sync is {status}, since {show_time(began)}.", f"vmq sync wait {about}")
    if status != "SUCCEEDED":
        why = f": {job['error_message']}" if job.get("error_message") else ""
        return told(False, f"The newest sync is {status}{why}.", again)
    if one.changed is not None and began < one.changed and job.get("execution_id") not in one.ours:
        finding = f"The newest sync began at {show_time(began)}, before the last change at {show_time(one.changed)}."
        return told(False, finding, again)
    text = f"The newest sync began at {show_time(began)} and SUCCEEDED"
    if later := one.later:
        mend = f"vmq sync wait {about}" if later.running else again
        if began > later.began:
            return told(None, f"{text}, after the bucket was looked at.", f"vmq validate {incident_id}")
        if later.lacking:
            return told(False, f"{text}; {changed_keys(later.lacking)} since: {names(later.lacking)}.", mend)
        said = (
            f"whether it read {changed_keys(later.unsure)} since it began is not known: {names(later.unsure)}"
        )
        return told(None, f"{text}; {said}.", mend)
    if one.unseen:
        return told(None, f"{text}; whether the bucket changed since could not be seen: {one.unseen}")
    return told(True, f"{text}; nothing that it reads changed in the bucket since.")


_MISSING = (
    "Put it back, or name the one that there is under [alarms] in vmq.toml: aws cloudwatch describe-alarms; then: "
    "vmq doctor --incident {}"
)


def by_alarms(
    alarms: Observation,
    blind: Mapping[str, str],
    absent: list[str],
    incident_id: str,
    waits: Due | None = None,
) -> list[CheckResult]:
    """Whether each alarm is OK, and sees anything at all.

    Parameters
    ----------
    alarms:
        The ``alarms`` observation, looked at just now.
    blind:
        Why each alarm that sees nothing does so, by its name: its OK says nothing.
    absent:
        Alarms that the settings name and the account does not have.
    waits:
        The alarm that is in ALARM only until its next datapoint comes: it cannot be told, and holds nothing up.
    """
    if not alarms.available or alarms.problem:
        return [CheckResult(ALARMS, None, alarms.problem, mend=alarms.hint, evidence=("alarms",))]
    if alarms.stopped:
        return [CheckResult(ALARMS, None, alarms.stopped, evidence=("alarms",))]
    rows = alarms.frame[["name", "state", "since", "reason"]].to_dict("records")
    missing = [
        CheckResult(ALARM, False, "It does not exist.", name, _MISSING.format(incident_id), ("alarms",))
        for name in absent
    ]
    return [*(_alarm(row, blind.get(row["name"], ""), incident_id, waits) for row in rows), *missing]


def _alarm(row: Mapping[Hashable, Any], blind: str, incident_id: str, waits: Due | None) -> CheckResult:
    name, state = str(row["name"]), str(row["state"])
    import pandas as pd

    since = "" if pd.isna(row["since"]) else f", since {show_time(row['since'])}"
    if state == "ALARM" and waits is not None and waits.name == name and not blind:
        return CheckResult(
            ALARM, None, f"It is in ALARM{since}. {waits.why}", name,
            f"It holds nothing up. From {show_time(waits.at)} on: vmq alarms wait --incident {incident_id}",
            ("alarms", "metrics", "sync-jobs"),
        )  # fmt: skip
    if state == "ALARM":
        return CheckResult(
            ALARM, False, f"It is in ALARM{since}: {row['reason']}", name, f"vmq alarms wait --incident {incident_id}",
            ("alarms",),
        )  # fmt: skip
    if blind:
        finding = f"It is {state}, which says nothing: {blind}"
        return CheckResult(
            ALARM, False, finding, name, f"vmq doctor --incident {incident_id}", ("alarms", "metric-names")
        )
    if state != "OK":
        return CheckResult(
            ALARM, None, f"It is {state}{since}.", name, f"vmq doctor --incident {incident_id}", ("alarms",)
        )
    return CheckResult(ALARM, True, f"It is OK{since}.", name, "", ("alarms",))


def by_schedules(
    told: ScheduleStory, off: Iterable[Off], first: Observation, now: Observation, incident_id: str
) -> list[CheckResult]:
    """Whether every schedule is as it was before the incident.

    Parameters
    ----------
    told, off:
        What the journal says of schedules: :func:`vmqlib.runbook.stabilize.story.story` and ``schedules_off``.
    first, now:
        The ``resources`` observation, as it was seen first, and just now.
    """
    before, today = _schedules(first), _schedules(now)
    left = {one.data_source_id: one for one in off}
    found = [_left_off(one, today.get(source), incident_id) for source, one in left.items()]
    for source, (name, schedule) in today.items():
        if source in left:
            continue
        ours = told.restored.get(source)
        was = ours.after if ours else before.get(source, ("", schedule))[1]
        if schedule != was:
            found.append(_other(name or source, was, schedule))
    if now.problem or not now.available:
        finding = f"Whether somebody else changed one cannot be seen: {now.problem}"
        found.append(CheckResult(SCHEDULE, None, finding, mend=now.hint, evidence=("resources",)))
    if found:
        return found
    said = "No schedule is off that this incident switched off, and none is other than it was when it was first seen."
    return [CheckResult(SCHEDULE, True, said, evidence=("journal", "resources"))]


def _left_off(one: Off, today: tuple[str, str] | None, incident_id: str) -> CheckResult:
    certain = "" if one.certain else "perhaps "
    finding = f"It was {one.before}, and is {certain}off since {show_time(one.at)}."
    if today is not None and today[1]:
        finding = f"This incident switched it off at {show_time(one.at)}; it was {one.before}, and is {today[1]} now."
    name, mend = one.name or one.data_source_id, f"vmq schedule restore {incident_id}"
    return CheckResult(
        SCHEDULE, False if one.certain else None, finding, name, mend, ("journal", "resources")
    )


def _other(name: str, was: str, now: str) -> CheckResult:
    """Switched off by somebody else it holds the incident up; set to another time it may be meant."""
    finding = f"It was {was or 'on demand'}, and is {now or 'off'} now; this incident did not do that."
    mend = "Agree with whoever set it; the Q Business console puts it back (data source, sync run schedule)."
    return CheckResult(SCHEDULE, None if now else False, finding, name, mend, ("resources",))


def _schedules(resources: Observation) -> dict[str, tuple[str, str]]:
    """Name and schedule of each data source that could be read, by its id."""
    if not resources.available or resources.problem:
        return {}
    rows = resources.frame
    rows = rows[rows["kind"].eq("data-source") & rows["status"].fillna("").ne("")]
    rows = rows[["id", "name", "sync_schedule"]].fillna("")
    return {one: (name, schedule) for one, name, schedule in rows.itertuples(index=False)}
