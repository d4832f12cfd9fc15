"""Does the bucket keep what a rollback needs (runbook step 3; ``vmq doctor``)? Versions on, none expired too early."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.wiring.seen import Row, Seen, cannot_tell, loaded, rows, why_not
from vmqlib.sources.syncjobs import last_good
from vmqlib.times import duration

if TYPE_CHECKING:
    from vmqlib.settings import Connector, Settings

__all__ = ["ENCRYPTED", "FEWEST_DAYS", "KEPT", "VERSIONED", "bucket"]

VERSIONED = "bucket keeps versions"
KEPT = "old versions are kept long enough"
ENCRYPTED = "bucket's key is that of the settings"
FEWEST_DAYS = 7
"""An old version that goes earlier than this may be gone before an incident that began on a Friday is looked at."""
_EVIDENCE = ("bucket-health",)
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})


def bucket(seen: Seen, settings: Settings, now: datetime) -> list[CheckResult]:
    """Three results for each bucket that a connector reads. Pure."""
    if (unknown := cannot_tell(VERSIONED, seen, "bucket-health")) is not None:
        return [unknown]
    found: list[CheckResult] = []
    for row in rows(seen, "bucket-health"):
        name, check = row["bucket"] or "", _CHECKS.get(row["aspect"] or "")
        if check is None:
            continue
        title, judge = check
        if row["problem"]:
            found.append(CheckResult(title, None, row["problem"], name, row["hint"] or "", _EVIDENCE))
        else:
            found += judge(name, row, seen, settings, now)
    return found


def _versioning(name: str, row: Row, _seen: Seen, _settings: Settings, _now: datetime) -> list[CheckResult]:
    status = loaded(row["value"], "")
    if status == "Enabled":
        return [CheckResult(VERSIONED, True, f"{name}: versioning is enabled.", name, evidence=_EVIDENCE)]
    how = f"aws s3api put-bucket-versioning --bucket {shlex.quote(name)} --versioning-configuration Status=Enabled"
    if status == "Suspended":
        text = (
            f"{name}: versioning is suspended: whatever is written now overwrites the null version for good."
        )
    else:
        text = f"{name}: versioning was never enabled: there is nothing to go back to."
    return [CheckResult(VERSIONED, False, text, name, how, _EVIDENCE)]


def _encryption(name: str, row: Row, _seen: Seen, settings: Settings, _now: datetime) -> list[CheckResult]:
    wanted = settings.kms_key_id
    if not wanted:
        return []
    keys = [one.get("key", "") for one in loaded(row["value"], []) if "kms" in one.get("algorithm", "")]
    if any(_is_key(one, wanted) for one in keys):
        return [CheckResult(ENCRYPTED, True, f"{name} encrypts with {keys[0]}.", name, evidence=_EVIDENCE)]
    if "alias/" in "".join([wanted, *keys]):
        text = f"{name} encrypts with {', '.join(keys) or 'no KMS key'}, and KMS_KEY_ID is {wanted}."
        text += " Which key an alias stands for, was not looked at."
        return [CheckResult(ENCRYPTED, None, text, name, evidence=_EVIDENCE)]
    text = f"{name} encrypts with {', '.join(filter(None, keys)) or 'no KMS key of its own'}; KMS_KEY_ID is {wanted}."
    how = "Correct KMS_KEY_ID in .env, and the key in the policies that were made from it; or the bucket's encryption."
    return [CheckResult(ENCRYPTED, False, text, name, how, _EVIDENCE)]


def _is_key(key: str, wanted: str) -> bool:
    return key.rsplit("/", 1)[-1] == wanted.rsplit("/", 1)[-1] and "alias/" not in key + wanted


def _lifecycle(name: str, row: Row, seen: Seen, settings: Settings, now: datetime) -> list[CheckResult]:
    rules = [one for one in loaded(row["value"], []) if one.get("Status") == "Enabled"]
    readers = [one for one in settings.data_sources if one.bucket == name]
    said = [_rule(one, readers, _age(seen, readers, now)) for one in rules]
    bad = [(text, ok) for text, ok in said if ok is not True]
    texts = " ".join(f"{name}: {text}" for text, _ in bad or said)
    if not bad:
        text = texts or f"{name} has no lifecycle rule: every version is kept."
        return [CheckResult(KEPT, True, text, name, evidence=_EVIDENCE)]
    ok = False if any(one is False for _, one in bad) else None
    how = (
        f"aws s3api get-bucket-lifecycle-configuration --bucket {shlex.quote(name)} > lifecycle.json\n"
        f"# raise the days in it, to {FEWEST_DAYS} and more; it replaces all rules, so keep the others as they are\n"
        f"aws s3api put-bucket-lifecycle-configuration --bucket {shlex.quote(name)} "
        "--lifecycle-configuration file://lifecycle.json"
    )
    return [CheckResult(KEPT, ok, texts, name, how, (*_EVIDENCE, "sync-jobs"))]


def _age(seen: Seen, readers: Sequence[Connector], now: datetime) -> timedelta | None:
    """How long ago the last good sync of a connector began, of several the oldest one's; ``None`` where not known."""
    if why_not(seen, "sync-jobs") or any(seen["sync-jobs"].missing_of(one.data_source_id) for one in readers):
        return None
    ages: list[timedelta] = []
    for one in readers:
        good = last_good(seen["sync-jobs"].frame, data_source_id=one.data_source_id)
        if good is not None:
            ages.append(now - good["started_at"].to_pydatetime())
    return max(ages, default=None)


def _rule(
    rule: Mapping[str, Any], readers: Sequence[Connector], age: timedelta | None
) -> tuple[str, bool | None]:
    """What a rule does to the versions that a rollback to the last good sync needs."""
    given = rule.get("Filter") or {}
    prefix = rule.get("Prefix") or given.get("Prefix") or given.get("And", {}).get("Prefix") or ""
    called = f"the rule {rule.get('ID') or 'without a name'}{f' ({prefix})' if prefix else ''}"
    if prefix and readers and all(prefix.startswith(one.exclude) for one in readers):
        return f"{called} concerns no document.", True
    whole = bool(given.keys() - {"Prefix", "And"}) or bool(given.get("And", {}).keys() - {"Prefix"})
    some = " It concerns only objects of certain tags or sizes." if whole else ""
    parts = [*_expired(rule), *_noncurrent(rule, age), *_archived(rule, age)]
    if not parts:
        return f"{called} takes no version away.{some}", True
    ok = (
        False
        if any(one is False for _, one in parts)
        else None
        if any(one is None for _, one in parts)
        else True
    )
    return f"{called} {', and '.join(text for text, _ in parts)}.{some}", ok


def _expired(rule: Mapping[str, Any]) -> list[tuple[str, bool | None]]:
    said = rule.get("Expiration") or {}
    found: list[tuple[str, bool | None]] = []
    if said.get("Days") or said.get("Date"):
        when = f"{said['Days']} days after they were written" if said.get("Days") else f"at {said['Date']}"
        found.append((f"deletes documents themselves (a delete marker each) {when}", False))
    if said.get("ExpiredObjectDeleteMarker"):
        found.append(("clears delete markers that have no version under them, which no rollback needs", True))
    return found


def _noncurrent(rule: Mapping[str, Any], age: timedelta | None) -> list[tuple[str, bool | None]]:
    said = rule.get("NoncurrentVersionExpiration") or {}
    days, newest = said.get("NoncurrentDays"), said.get("NewerNoncurrentVersions")
    if days is None:
        return []
    text, ok = _compared(f"expires old versions {days} days after they were replaced", int(days), age)
    if newest and ok is False:
        return [
            (
                f"{text}, but of each key keeps the {newest} newest: enough unless one was changed more often",
                None,
            )
        ]
    return [(text, ok)]


def _archived(rule: Mapping[str, Any], age: timedelta | None) -> list[tuple[str, bool | None]]:
    found = []
    for one in rule.get("NoncurrentVersionTransitions") or []:
        if one.get("StorageClass") in _ARCHIVES:
            days = int(one.get("NoncurrentDays") or 0)
            what = f"archives old versions ({one['StorageClass']}) {days} days after they were replaced"
            text, ok = _compared(what, days, age)
            found.append((f"{text} (an archived one must be thawed first)", ok))
    return found


def _compared(what: str, days: int, age: timedelta | None) -> tuple[str, bool | None]:
    """A version that was current at the last good sync was replaced after it: it is there for ``days`` from then on."""
    if age is None:
        return (
            f"{what}; how long ago the last good sync was, is not known",
            False if days < FEWEST_DAYS else None,
        )
    ago = f"the last good sync began {duration(age)} ago"
    if timedelta(days=days) <= age:
        return f"{what}: {ago}, so some that it read may be gone already", False
    if days < FEWEST_DAYS:
        return f"{what}: {ago}, and a weekend may pass before anybody looks", False
    return f"{what}: {ago}", True


_CHECKS = {
    "versioning": (VERSIONED, _versioning),
    "lifecycle": (KEPT, _lifecycle),
    "encryption": (ENCRYPTED, _encryption),
}
