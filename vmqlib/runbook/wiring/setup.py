"""Is the kit itself set up (``vmq doctor``)? Settings, account, this machine's folders, permissions to look."""

from __future__ import annotations

import os
import shlex
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.wiring.seen import Seen, cannot_tell, rows

if TYPE_CHECKING:
    from vmqlib.settings import Settings

__all__ = ["ACCOUNT", "MAY", "SET", "WRITABLE", "account", "folders", "ids_set", "permissions"]

SET = "id is set"
ACCOUNT = "account is the one of the settings"
WRITABLE = "can be written"
MAY = "kit may look"
_IDS = {
    "app_id": ("APP_ID", "list-applications"),
    "index_id": ("INDEX_ID", "list-indices --application-id {app_id}"),
    "ds_id": ("DS_ID", "list-data-sources --application-id {app_id} --index-id {index_id}"),
}


def ids_set(_seen: Seen, settings: Settings, _now: datetime) -> list[CheckResult]:
    """One result for each id that nothing can be looked at without."""
    return [_id(key, settings) for key in _IDS]


def _id(key: str, settings: Settings) -> CheckResult:
    name, listing = _IDS[key]
    named = [one.data_source_id for one in settings.data_sources if one.data_source_id]
    if key == "ds_id" and named:
        return CheckResult(SET, True, f"Data sources: {', '.join(named)}.", name)
    if value := getattr(settings, key):
        return CheckResult(SET, True, f"{name} is {value}.", name)
    known = {one: shlex.quote(getattr(settings, one) or one.upper()) for one in ("app_id", "index_id")}
    how = (
        f"aws qbusiness {listing.format(**known)} --region {shlex.quote(settings.region)}\n"
        f"Then write {name}=… in .env."
    )
    return CheckResult(SET, False, f"{name} is not set: what belongs to it cannot be looked at.", name, how)


def account(seen: Seen, settings: Settings, _now: datetime) -> list[CheckResult]:
    """Whether we talk to the account that the settings name."""
    if (unknown := cannot_tell(ACCOUNT, seen, "caller")) is not None:
        return [unknown]
    row = rows(seen, "caller")[0]
    there, arn, evidence = row["account"] or "", row["arn"], ("caller",)
    if not settings.account_id:
        text = (
            f"We are {arn} in account {there}. ACCOUNT_ID is not set, so there is nothing to compare it with."
        )
        return [CheckResult(ACCOUNT, None, text, there, f"Write ACCOUNT_ID='{there}' in .env.", evidence)]
    if there == settings.account_id:
        text = f"We are {arn}, in {settings.region}."
        return [CheckResult(ACCOUNT, True, text, there, evidence=evidence)]
    text = f"We are {arn} in account {there}; the settings name {settings.account_id} (ACCOUNT_ID)."
    how = f"Sign in to {settings.account_id} (AWS_PROFILE, aws sso login), or correct ACCOUNT_ID in .env."
    return [CheckResult(ACCOUNT, False, text, there, how, evidence)]


def folders(_seen: Seen, settings: Settings, _now: datetime) -> list[CheckResult]:
    """Whether incidents can be written on this machine, and entered in the operations runbook. Writes nothing."""
    return [
        _writable(settings.incidents, "the incidents folder", "VMQ_INCIDENTS", folder=True),
        _writable(
            settings.operations_runbook, "the operations runbook", "VMQ_OPERATIONS_RUNBOOK", folder=False
        ),
    ]


def _writable(path: Path, what: str, key: str, *, folder: bool) -> CheckResult:
    name = f"{what} {WRITABLE}"
    whole = path.expanduser().absolute()
    home = next(one for one in (whole, *whole.parents) if one.exists())
    how = f"Give it to {_user()}, or set {key} to another path."
    if whole.exists() and whole.is_dir() != folder:
        text = f"{whole} is {'a file' if folder else 'a folder'}."
        return CheckResult(name, False, text, str(path), f"Move it away, or set {key} to another path.")
    if home != whole and not home.is_dir():
        return CheckResult(name, False, f"{home} is a file, and {whole} is below it.", str(path), how)
    needed = os.W_OK | (os.X_OK if home.is_dir() else os.R_OK)
    if not os.access(home, needed):
        return CheckResult(name, False, f"{home} cannot be written by {_user()}.", str(path), how)
    text = f"{whole} can be written." if home == whole else f"{whole} is not there yet, and can be made."
    return CheckResult(name, True, text, str(path))


def _user() -> str:
    return f"the user {os.getuid()}"


_OTHERS = {
    "s3:GetObjectVersion": " Whoever plans a rollback needs it, and the connector's role does not: whether somebody "
    "else may, is seen when `vmq doctor` runs as them."
}
"""What somebody else may have to be allowed instead: that we are refused does not say that nobody may."""


def permissions(seen: Seen, _settings: Settings, _now: datetime) -> list[CheckResult]:
    """One result for each reading call that was refused or not answered; one for all where none was."""
    if (unknown := cannot_tell(MAY, seen, "permissions")) is not None:
        return [unknown]
    found = rows(seen, "permissions")
    results = [
        CheckResult(
            MAY, False if one["outcome"] == "refused" and one["action"] not in _OTHERS else None,
            f"{one['problem']} Needed for: {one['needed_for']}.{_OTHERS.get(one['action'], '')}", one["action"],
            one["hint"] or "", ("permissions",),
        )
        for one in found
        if one["outcome"] in ("refused", "unknown")
    ]  # fmt: skip
    allowed = [one["action"] for one in found if one["outcome"] == "allowed"]
    skipped = [one["action"] for one in found if one["outcome"] == "not asked"]
    if allowed:
        text = f"{len(allowed)} of {len(found)} reading calls are allowed."
        if skipped:
            text += f" Not asked, since an id is not set: {', '.join(skipped)}."
        results.append(CheckResult(MAY, True, text, "", evidence=("permissions",)))
    return results
