"""The proof in the incident: its rows as evidence, its checks in the journal; and read again, offline too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vmqlib.record.evidence import Question
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.proof.concluding import frame_of
from vmqlib.runbook.proof.results import UNWANTED, Proof
from vmqlib.times import iso, show_time

if TYPE_CHECKING:
    from vmqlib.record.events import Event
    from vmqlib.record.incident import Incident

__all__ = ["ACTION", "STEP", "keep", "left", "newest", "standing"]

STEP = "resync"
ACTION = "sync proof"
_NAME = "sync-proof"


def keep(incident: Incident, proof: Proof, step: str = STEP) -> None:
    """Writes a proof down: every key as evidence, the checks into the journal, with what they rest on."""
    question = Question(
        name=_NAME,
        call="vmq sync verify",
        at=proof.at,
        parameters={"data_source_id": proof.data_source_id, "executions": list(proof.executions)},
        region=incident.identity.region,
        account=incident.identity.account,
        caller=incident.actor().caller,
    )
    rows = proof.keys.to_dict("records")
    written = incident.evidence.add(question, (_plain(row) for row in rows), incident.redactor)
    names = sorted({name for check in proof.checks for name in check.evidence})
    under = [one.evidence for one in (incident.observed(name) for name in names) if one.evidence is not None]
    data = {
        "action": ACTION,
        "ok": proof.ok,
        "data_source_id": proof.data_source_id,
        "bucket": proof.bucket,
        "executions": list(proof.executions),
        "rollback": proof.rollback,
        "counts": proof.counts,
        "failed": len(proof.failed),
        "stuck": len(proof.stuck),
        "checks": [dict(one.as_dict()) for one in proof.checks],
    }
    incident.verified(step, proof.sentence, data, [written, *under])


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    import pandas as pd

    def value(one: Any) -> Any:
        if one is None or pd.isna(one):
            return None
        return iso(one.to_pydatetime(warn=False)) if isinstance(one, pd.Timestamp) else one

    return {str(name): value(one) for name, one in row.items()}


def newest(incident: Incident) -> Proof | None:
    """The proof that was written down last, from disk alone; ``None`` where there is none.

    Raises
    ------
    CorruptRecord
        Its evidence is missing, or was changed.
    """
    event, later = _found(incident)
    if event is None:
        return None
    data: Mapping[str, Any] = event.data.model_dump()
    ref = next((one for one in event.evidence if one.name == _NAME), None)
    rows = list(incident.evidence.open(ref).rows()) if ref is not None else []
    checks = tuple(_check(one) for one in data.get("checks", ()))
    return Proof(
        incident=incident.id,
        data_source_id=str(data.get("data_source_id", "")),
        bucket=str(data.get("bucket", "")),
        at=ref.at if ref is not None else event.at,
        executions=tuple(data.get("executions", ())),
        rollback=bool(data.get("rollback")),
        keys=frame_of(rows),
        checks=checks,
        stale=f"After it, at {show_time(later.at)}: {later.summary}" if later is not None else "",
    )


def standing(incident: Incident) -> tuple[str, int, int]:
    """From the journal alone: ``none`` (nothing was proved since the last change), ``proved``, ``failed`` or
    ``unknown``; how many documents failed; how many of them were not read again."""
    event, later = _found(incident)
    if event is None or later is not None:
        return "none", 0, 0
    data: Mapping[str, Any] = event.data.model_dump()
    state = {True: "proved", False: "failed", None: "unknown"}[data.get("ok")]
    return state, int(data.get("failed") or 0), int(data.get("stuck") or 0)


def left(incident: Incident) -> str:
    """From the journal alone: what the newest proof found in the index that must not be there, and what to do about it;
    empty where it found nothing, or something was changed since."""
    event, later = _found(incident)
    if event is None or later is not None:
        return ""
    for check in event.data.model_dump().get("checks") or ():
        if check.get("name") == UNWANTED and check.get("ok") is False:
            mends = (
                line.partition(", then sync: vmq ")[0].partition(": vmq ")[0]
                for line in str(check.get("mend") or "").splitlines()
            )
            told = [f"{one.rstrip('.')}." for one in mends if not one.startswith("vmq ")]
            return " ".join([str(check.get("finding")), *told])
    return ""


def _found(incident: Incident) -> tuple[Event | None, Event | None]:
    """The journal's entry of the newest proof, and of the last change after it that it says nothing of."""
    found = later = None
    for event in incident.journal.events():
        if event.kind == "verified" and event.data.action == ACTION:
            found, later = event, None
        elif event.kind in {"applying", "applied"} and event.step in {STEP, "rollback"}:
            later = event
    return found, later


def _check(raw: Mapping[str, Any]) -> CheckResult:
    known = {name: raw[name] for name in ("name", "ok", "finding", "subject", "mend")}
    return CheckResult(**known, evidence=tuple(raw.get("evidence", ())))
