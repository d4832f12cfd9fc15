"""What became of an upload that S3 did not answer, or whose process was killed: found out, and written down.

What arrived is known as this incident's own by what the journal has of its plan: it lies directly on the version that
was planned for, and holds the planned content by the SHA-256 that S3 keeps, or by reading it back. An ETag is no proof:
with KMS it says nothing of the content. What cannot be told stays not known, with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.errors import AwsError, ResourceMissing
from vmqlib.record.evidence import Question
from vmqlib.record.redaction import has_mask
from vmqlib.runbook.docsync.applying import undo_command
from vmqlib.runbook.docsync.plan import CHANGES
from vmqlib.runbook.objectcontent import proven
from vmqlib.runbook.resyncstory import STEP, UPLOAD
from vmqlib.runbook.rollback import looking
from vmqlib.runbook.rollback.items import NOTHING, Entry
from vmqlib.runbook.wording import many
from vmqlib.times import parse_iso

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.events import Event
    from vmqlib.record.incident import Incident
    from vmqlib.s3 import S3

__all__ = ["Settled", "settle"]

_AGAIN = "This run plans with what is there now."


@dataclass(frozen=True)
class Settled:
    """What was found out of an upload.

    Parameters
    ----------
    digest:
        Of its plan.
    arrived:
        How many documents are there by requests that S3 never answered.
    missing:
        How many never came there, or were not come to.
    unknown:
        Of how many it cannot be told.
    sentence:
        All of that in words.
    """

    digest: str
    arrived: int
    missing: int
    unknown: int
    sentence: str


def settle(incident: Incident, aws: Aws) -> Settled | None:
    """Looks what became of the incident's last upload, where its journal does not say, and journals that.

    Returns
    -------
    None where the end of the last upload is known.

    Raises
    ------
    AwsError
        The bucket cannot be asked.
    """
    from vmqlib.s3 import S3

    begun, ended, planned = _last(incident)
    if begun is None or planned is None:
        return None
    rows = [
        row for row in incident.evidence.open(planned.evidence[0]).rows() if str(row["action"]) in CHANGES
    ]
    told = {str(row["key"]): row for row in _told(incident, ended)}
    undecided = [
        row for row in rows if ended is None or told.get(str(row["key"]), {}).get("result") == "unknown"
    ]
    if not undecided:
        return None
    data = begun.data.model_dump()
    first = parse_iso(str(data["before"]))
    with S3(aws, str(data["bucket"])) as s3:
        for row in undecided:
            became, at = _became(s3, row)
            told[str(row["key"])] = {"key": row["key"], "action": row["action"], **became}
            first = min(first, at or first)
    return _written(incident, data, [told[key] for key in sorted(told)], len(rows), first)


def _last(incident: Incident) -> tuple[Event | None, Event | None, Event | None]:
    """The last upload: its beginning, its end where there is one, and its plan."""
    begun = ended = planned = None
    plans: dict[str, Event] = {}
    for event in incident.journal.events():
        data = event.data.model_dump()
        if data.get("action") != UPLOAD:
            continue
        if event.kind == "concluded" and event.evidence:
            plans[str(data.get("digest", ""))] = event
        elif event.kind == "applying":
            begun, ended, planned = event, None, plans.get(str(data.get("digest", "")))
        elif event.kind in ("applied", "failed"):
            ended = event
    return begun, ended, planned


def _told(incident: Incident, ended: Event | None) -> list[dict[str, Any]]:
    if ended is None or not ended.evidence:
        return []
    return [dict(row) for row in incident.evidence.open(ended.evidence[0]).rows()]


def _became(s3: S3, row: Mapping[str, Any]) -> tuple[dict[str, str], datetime | None]:
    """``found`` (ours, and its version), ``left`` (all is as it was planned for), ``changed`` or ``unknown``; and when
    what is ours was written."""

    def said(result: str, version_id: str = "", problem: str = "") -> tuple[dict[str, str], datetime | None]:
        told = {"result": result, "version_id": version_id, "code": "", "problem": problem}
        return told, parse_iso(top.at) if result == "found" and top.at else None

    key, top = str(row["key"]), NOTHING
    if has_mask(key):
        return said(
            "unknown", problem="Its key is masked in the evidence: which object it is cannot be told."
        )
    planned = Entry(
        str(row["current_version_id"]),
        str(row["current_at"]),
        bool(row["current_version_id"]) and not row["current_etag"],
        int(row["current_size"]),
        str(row["current_etag"]),
    )
    entries = looking.newest(s3, key)
    top = entries[0] if entries else NOTHING
    if looking.is_same(top, planned):
        return said("left", problem="It never came to S3.")
    if not looking.is_same(entries[1] if len(entries) > 1 else NOTHING, planned):
        if any(looking.is_same(one, planned) for one in entries) or planned == NOTHING:
            return said(
                "unknown", problem="It was changed again since: whose change came first cannot be told."
            )
        return said("changed", top.version_id, "Somebody else changed it.")
    if row["action"] == "DELETE" or top.is_delete_marker:
        ours = row["action"] == "DELETE" and top.is_delete_marker
        return said("found" if ours else "changed", top.version_id)
    try:
        ours = bool(proven(s3, key, [(int(row["size"]), str(row["sha256"]))])[0])
    except ResourceMissing:
        return said("unknown", problem="It was deleted while it was looked at.")
    except AwsError as error:
        problem = f"Whether it holds what was sent cannot be told: {error.message} {error.hint}".strip()
        return said("unknown", problem=problem)
    return (
        said("found", top.version_id)
        if ours
        else said("changed", top.version_id, "Somebody else changed it.")
    )


def _written(
    incident: Incident,
    about: Mapping[str, Any],
    rows: list[dict[str, Any]],
    planned: int,
    first: datetime,
) -> Settled:
    results = Counter(str(row["result"]) for row in rows)
    question = Question(
        "docs-upload",
        "s3:ListObjectVersions",
        incident.clock.now(),
        {"bucket": about["bucket"], "prefix": about["prefix"], "digest": about["digest"]},
        incident.settings.region,
        incident.identity.account,
        incident.actor().caller,
    )
    ref = incident.evidence.add(question, rows, incident.redactor)
    ours = [str(row["key"]) for row in rows if row["result"] in ("done", "found")]
    whole = not (results["left"] or results["unknown"] or results["failed"]) and len(rows) == planned
    words = [f"{many(results['found'], 'document')} arrived by requests that were not answered"]
    missing = results["left"] + planned - len(rows)
    words += [f"{missing:,} did not"] if missing else []
    words += [f"{results['changed']:,} were changed by somebody else"] if results["changed"] else []
    reason = next((str(row["problem"]) for row in rows if row["result"] == "unknown"), "")
    words += [f"of {results['unknown']:,} it cannot be told ({reason.rstrip('.')})"] if reason else []
    sentence = f"Looked what became of the upload {str(about['digest'])[:12]}: {', '.join(words)}."
    data = {
        **about,
        "ending": ("changed" if results["changed"] else "applied") if whole else "interrupted",
        "results": dict(results),
        "undo": undo_command(ours, str(about["prefix"]), first, incident.id)
        if ours and not any(map(has_mask, ours))
        else "",
    }
    if whole:
        incident.applied(STEP, sentence, data, evidence=[ref])
    else:
        data |= {"problem": sentence, "hint": _AGAIN}
        incident.journal.append("failed", sentence, step=STEP, data=data, evidence=[ref])
    return Settled(str(about["digest"]), results["found"], missing, results["unknown"], sentence)
