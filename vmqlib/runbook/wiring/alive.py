"""Are the ids of the settings alive (``vmq doctor``)? Everything ACTIVE, the schedule on, the deletion safeguard on."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.stabilize.story import switched_off_by
from vmqlib.runbook.wiring.seen import Row, Seen, cannot_tell, loaded, rows
from vmqlib.sources.crawlscope import crawl_scope
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.settings import Settings

__all__ = ["ALIVE", "GUARDED", "SCHEDULED", "alive"]

ALIVE = "resource is ACTIVE"
SCHEDULED = "sync schedule is on"
GUARDED = "deletion safeguard is on"
_EVIDENCE = ("resources",)
_CHANGING = frozenset({"CREATING", "UPDATING", "PENDING_CREATION"})
_GONE = frozenset({"ResourceNotFoundException", "ValidationException"})
_LIST = {
    "application": "list-applications", "index": "list-indices", "retriever": "list-retrievers",
    "data-source": "list-data-sources", "web-experience": "list-web-experiences",
}  # fmt: skip


def alive(seen: Seen, settings: Settings, _now: datetime) -> list[CheckResult]:
    """One result for each thing, and two more for each data source. Pure, but for the journals of the incidents on this
    machine, where a schedule is off."""
    if (unknown := cannot_tell(ALIVE, seen, "resources")) is not None:
        return [unknown]
    found = rows(seen, "resources")
    results = [_status(one, settings) for one in found]
    for kind in _LIST:
        if not any(one["kind"] == kind for one in found):
            why = "" if seen["resources"].complete else f": {seen['resources'].stopped}"
            text = f"No {kind.replace('-', ' ')} was seen{why}."
            results.append(
                CheckResult(ALIVE, None if why else False, text, kind, _listing(kind, settings), _EVIDENCE)
            )
    for one in found:
        if one["kind"] == "data-source" and one["status"]:
            results += [_schedule(one, settings), *_safeguard(one, found, settings)]
    return results


def _called(row: Row) -> str:
    return f"{str(row['kind']).replace('-', ' ')} {row['name'] or row['id']}"


def _subject(row: Row) -> str:
    return f"{row['kind']} {row['id']}"


def _status(row: Row, settings: Settings) -> CheckResult:
    status, said = row["status"] or "", row["error"] or ""
    if status == "ACTIVE":
        return CheckResult(ALIVE, True, f"The {_called(row)} is ACTIVE.", _subject(row), evidence=_EVIDENCE)
    if not status and row["code"] in _GONE:
        text = f"{said.rstrip('.')}: the settings name what is not there."
        return CheckResult(ALIVE, False, text, _subject(row), _listing(row["kind"], settings), _EVIDENCE)
    if not status:
        how = f"Grant qbusiness:Get{_api(row['kind'])}, or repeat." if said else ""
        return CheckResult(ALIVE, None, said or "It could not be read.", _subject(row), how, _EVIDENCE)
    text = f"The {_called(row)} is {status}{f': {said}' if said else ''}."
    if status in _CHANGING:
        return CheckResult(ALIVE, None, text, _subject(row), "Look again in some minutes.", _EVIDENCE)
    return CheckResult(
        ALIVE, False, text, _subject(row), "See in the Amazon Q Business console what it lacks.", _EVIDENCE
    )


def _api(kind: str) -> str:
    return "".join(part.title() for part in kind.split("-"))


def _listing(kind: str, settings: Settings) -> str:
    where = f"--region {shlex.quote(settings.region)}"
    if kind != "application":
        where += f" --application-id {shlex.quote(settings.app_id or 'APP_ID')}"
    if kind == "data-source":
        where += f" --index-id {shlex.quote(settings.index_id or 'INDEX_ID')}"
    return f"aws qbusiness {_LIST[kind]} {where}\nThen correct the id in .env or vmq.toml."


def _schedule(row: Row, settings: Settings) -> CheckResult:
    said = row["sync_schedule"] or ""
    if said:
        return CheckResult(
            SCHEDULED, True, f"The {_called(row)} syncs by {said}.", _subject(row), evidence=_EVIDENCE
        )
    if (ours := switched_off_by(settings, str(row["id"]))) is not None:
        incident_id, off = ours
        perhaps = "" if off.certain else "perhaps "
        text = (
            f"The {_called(row)} has no schedule: {incident_id} {perhaps}switched it off at {show_time(off.at)}; "
            f"it was {off.before}."
        )
        mend = f"vmq schedule restore {shlex.quote(incident_id)}"
        return CheckResult(SCHEDULED, False, text, _subject(row), mend, (*_EVIDENCE, "journal"))
    text = f"The {_called(row)} has no schedule: nothing starts a sync but people and CI."
    how = (
        "No incident on this machine switched it off. With times of your own (UTC):\n"
        f"aws qbusiness update-data-source --region {shlex.quote(settings.region)} "
        f"--application-id {shlex.quote(settings.app_id)} --index-id {shlex.quote(settings.index_id or 'INDEX_ID')} "
        f"--data-source-id {shlex.quote(str(row['id']))} --sync-schedule 'cron(MINUTE HOUR * * ? *)'"
    )
    return CheckResult(SCHEDULED, False, text, _subject(row), how, _EVIDENCE)


def _safeguard(row: Row, found: Sequence[Row], settings: Settings) -> list[CheckResult]:
    """Of an S3 connector: other kinds do not say it in this form."""
    if str(loaded(row["config"], {}).get("type", "S3")).upper() != "S3":
        return []
    guard = crawl_scope(found, str(row["id"])).safeguard
    if guard is None:
        text = f"The configuration of the {_called(row)} does not say."
        return [CheckResult(GUARDED, None, text, _subject(row), evidence=_EVIDENCE)]
    if guard.on:
        text = f"The {_called(row)} holds deletions of more than {guard.threshold:g} % back."
        return [CheckResult(GUARDED, True, text, _subject(row), evidence=_EVIDENCE)]
    text = (
        f"The {_called(row)} holds no deletions back: an emptied bucket empties the index with the next sync."
    )
    where = (
        f"--region {shlex.quote(settings.region)} --application-id {shlex.quote(settings.app_id)} "
        f"--index-id {shlex.quote(settings.index_id or 'INDEX_ID')} --data-source-id {shlex.quote(str(row['id']))}"
    )
    how = (
        f"aws qbusiness get-data-source {where} --query configuration > data-source.json\n"
        '# in additionalProperties: "enableDeletionProtection": "true", "deletionProtectionThreshold": "15"\n'
        f"aws qbusiness update-data-source {where} --configuration file://data-source.json"
    )
    return [CheckResult(GUARDED, False, text, _subject(row), how, _EVIDENCE)]
