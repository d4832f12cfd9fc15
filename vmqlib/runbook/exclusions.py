"""Which exclusion a connector lacks: the field and the values, from the settings; and what its filter was before, where
CloudTrail has that."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.triggers.indexed import never_documents
from vmqlib.sources.crawlscope import crawl_scope
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = ["exclusions"]

_FIELDS = ("inclusionPatterns", "inclusionPrefixes", "exclusionPatterns", "exclusionPrefixes")


def exclusions(incident: Incident, data_source_id: str, keys: Iterable[str]) -> str:
    """What of these indexed keys the connector takes in, the folders that leave it out, and what its filter was before;
    empty where its configuration was not seen, or leaves all of them out already. Asks nothing.

    Parameters
    ----------
    keys:
        Keys of documents that must not be in the index.
    """
    resources = incident.observed("resources")
    if not resources.available:
        return ""
    scope = crawl_scope(resources.frame, data_source_id)
    taken = [key for key in keys if scope.is_document(key)]
    never = never_documents(incident.judged_by.connector(data_source_id))
    lacking = [folder for folder in never if any(key.startswith(folder) for key in taken)]
    if not lacking:
        return ""
    values = ", ".join(map(json.dumps, lacking))
    be = "1 of these documents" if len(taken) == 1 else f"{len(taken):,} of these documents"
    text = f"The connector's filter takes in {be}: add {values} to exclusionPrefixes."
    text += " (In exclusionPatterns a star stops at a slash: a folder and all below it is `folder/**`.)"
    return f"{text} {_before(incident, data_source_id)}"


def _before(incident: Incident, data_source_id: str) -> str:
    """What the filter was before its newest change, as an older call of CloudTrail has it."""
    trail = incident.observed("trail") if "trail" in incident.sources else None
    if trail is None or not trail.available:
        return "What the filter was before was not seen."
    rows = trail.frame
    mine = rows[
        rows["event"].isin(["UpdateDataSource", "CreateDataSource"])
        & rows["resource"].fillna("").str.contains(data_source_id, regex=False)
        & rows["error_code"].fillna("").eq("")
    ].sort_values("at")
    told = [
        (row["at"], filters) for row in mine.to_dict("records") if (filters := _filters(row["parameters"]))
    ]
    if len(told) < 2:
        return "CloudTrail shows no older call, so what the filter was before was not seen."
    at, filters = told[-2]
    was = "; ".join(f"{name} {json.dumps(filters[name])}" for name in _FIELDS if filters.get(name))
    return f"Before its newest change it was set at {show_time(at)} to: {was or 'no filter'}."


def _filters(parameters: Any) -> Mapping[str, Any]:
    try:
        found = json.loads(parameters)["configuration"]["additionalProperties"]
    except (TypeError, ValueError, KeyError):
        return {}
    return found if isinstance(found, dict) else {}
