"""*Ensure alarms reset*; schedules are as before, and the last sync SUCCEEDED after the last change. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.validation.names import ALARM, SCHEDULE, SYNC
from vmqlib.sources.syncjobs import RUNNING
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.stabilize.story import Off

__all__ = ["by_alarms", "by_schedules", "by_syncs"]


def by_syncs(jobs: Observation, changed: datetime | None, names: Mapping[str, str]) -> list[CheckResult]:
    """Whether the newest sync of each data source SUCCEEDED, and began after ``changed``.

    Parameters
    ----------
    jobs:
        The ``sync-jobs`` observation, looked at just now.
    changed:
        The last change that a sync has to index; None where there was none.
    names:
        The data sources to check, and what people call them.
    """
    if not jobs.available or jobs.problem:
        # A problem beside older evidence means that it could not be seen now: what was true then says nothing.
        return [CheckResult(SYNC, None, jobs.problem, mend=jobs.hint, evidence=("sync-jobs",))]
    newest = jobs.frame.sort_values("started_at", kind="stable").groupby("data_source_id").tail(1)
    rows = {row["data_source_id"]: row for row in newest.to_dict("records")}
    return [_sync(identifier, name, rows.get(identifier), changed) for identifier, name in names.items()]


def _sync(
    identifier: str, name: str, job: Mapping[Hashable, Any] | None, changed: datetime | None
) -> CheckResult:
    again = f"vmq sync start --data-source {identifier} && vmq sync wait --data-source {identifier}"
    if job is None:
        return CheckResult(SYNC, False, "There was no sync yet.", name, again, ("sync-jobs",))
    status, began = str(job["status"]), job["started_at"]
    assert isinstance(began, datetime)
    if status in RUNNING:
        return CheckResult(
            SYNC, None, f"The newest sync is {status}, since {show_time(began)}.", name,
            f"vmq sync wait --data-source {identifier}", ("sync-jobs",),
        )  # fmt: skip
    if status != "SUCCEEDED":
        why = f": {job['error_message']}" if job.get("error_message") else ""
        return CheckResult(
            SYNC, False, f"The newest sync is {status}{why}.", name, again, ("sync-jobs",)
        )  # fmt: skip
    if changed is not None and began < changed:
        finding = (
            f"The newest sync began at {show_time(began)}, before the last change at {show_time(changed)}."
        )
        return CheckResult(SYNC, False, finding, name, again, ("sync-jobs",))
    return CheckResult(
        SYNC, True, f"The newest sync began at {show_time(began)} and SUCCEEDED.", name, "", ("sync-jobs",)
    )  # fmt: skip


def by_alarms(alarms: Observation, blind: Mapping[str, str], absent: list[str]) -> list[CheckResult]:
    """Whether each alarm is OK, and sees anything at all.

    Parameters
    ----------
    alarms:
        The ``alarms`` observation, looked at just now.
    blind:
        Why each alarm that sees nothing does so, by its name: its OK says nothing.
    absent:
        Alarms that the settings name and the account does not have.
    """
    if not alarms.available or alarms.problem:
        return [CheckResult(ALARM, None, alarms.problem, mend=alarms.hint, evidence=("alarms",))]
    rows = alarms.frame[["name", "state", "since", "reason"]].to_dict("records")
    missing = [
        CheckResult(ALARM, None, "There is no such alarm.", name, "vmq doctor", ("alarms",))
        for name in absent
    ]
    return [*(_alarm(row, blind.get(row["name"], "")) for row in rows), *missing]


def _alarm(row: Mapping[Hashable, Any], blind: str) -> CheckResult:
    name, state = str(row["name"]), str(row["state"])
    import pandas as pd

    since = "" if pd.isna(row["since"]) else f", since {show_time(row['since'])}"
    if state == "ALARM":
        return CheckResult(
            ALARM, False, f"It is in ALARM{since}.", name, f"{row['reason']} Wait for it: vmq alarms wait", ("alarms",)
        )  # fmt: skip
    if blind:
        finding = f"It is {state}, which says nothing: {blind}"
        return CheckResult(ALARM, False, finding, name, "vmq doctor", ("alarms", "metric-names"))
    if state != "OK":
        return CheckResult(ALARM, None, f"It is {state}{since}.", name, "vmq doctor", ("alarms",))
    return CheckResult(ALARM, True, f"It is OK{since}.", name, "", ("alarms",))


def by_schedules(off: Sequence[Off], incident_id: str) -> list[CheckResult]:
    """Whether every schedule that the incident switched off is on again, as it was."""
    if not off:
        found = "No schedule is off that this incident switched off."
        return [CheckResult(SCHEDULE, True, found, evidence=("journal",))]
    return [
        CheckResult(
            SCHEDULE,
            False if one.certain else None,
            f"It was {one.before}, and is {'' if one.certain else 'perhaps '}off since {show_time(one.at)}.",
            one.name or one.data_source_id,
            f"vmq schedule restore {incident_id}",
            ("journal",),
        )
        for one in off
    ]
