"""The dashboard of VaultMesh's ops repo: with shorthand, maths and a search."""

from __future__ import annotations

import json
from typing import Any

from vmqlib.simulator.identity import ACCOUNT_ID, REGION, Resources

__all__ = ["dashboard_body"]

_ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:"
_FIVE_MINUTES, _HOUR, _DAY = 300, 3600, 86_400


def dashboard_body(ids: Resources, *, blind: bool = False) -> str:
    """The ``DashboardBody`` for these resources.

    Parameters
    ----------
    ids:
        What its metrics are about.
    blind:
        With a widget that shows nothing whatever happens: SyncFailed without dimensions. It is published with App, and
        CloudWatch takes these for two metrics.
    """
    ours = ["VaultMesh/QBusiness", "SyncFailed", "App", ids.app_id]
    chat = ["AWS/QBusiness", "ChatMessages", "ApplicationId", ids.app_id]
    source = ["ApplicationId", ids.app_id, "IndexId", ids.index_id, "DataSourceId", ids.ds_id]
    count = ["AWS/QBusiness", "DocumentCount", *source]
    prefixes = (
        "SEARCH('{VaultMesh/S3Prefixes,Bucket,Prefix} MetricName=\"PrefixObjectCount\"', 'Maximum', 86400)"
    )
    widgets = [
        _text("## Knowledge base\nRunbook: look at *Sync failures* first. Questions: #ops-escalations."),
        _alarms("Alarms", ["QBusinessSyncFailed", "QBusinessNoSync"]),
        _graph(
            "Sync failures",
            [[*ours, {"label": "SyncFailed"}], [".", "NoSync", ".", ".", {"stat": "Maximum", "label": "NoSync"}]],
            stat="Sum",
            annotations={"horizontal": [{"label": "alarm", "value": 1}]},
            yAxis={"left": {"min": 0}},
        ),
        *([_graph("Sync failures (all applications)", [ours[:2]], stat="Sum")] if blind else []),
        _graph(
            "Questions",
            [
                [*chat, {"id": "asked"}],
                [".", "ChatMessagesWithNoAnswer", ".", ".", {"id": "unanswered"}],
                [".", "BlockedChatMessages", ".", ".", {"id": "blocked"}],
            ],
            stat="Sum",
            period=_HOUR,
            stacked=False,
            yAxis={"left": {"min": 0, "label": "messages"}},
        ),
        _graph(
            "Questions without an answer",
            [
                [{"expression": "100 * FILL(m2, 0) / m1", "label": "share without an answer", "id": "e1"}],
                [*chat, {"id": "m1", "visible": False}],
                [".", "ChatMessagesWithNoAnswer", ".", ".", {"id": "m2", "visible": False}],
            ],
            stat="Sum",
            period=6 * _HOUR,
            annotations={"horizontal": [{"label": "SEV1 from here", "value": 20, "fill": "above"}]},
            yAxis={"left": {"min": 0, "max": 100, "label": "percent"}},
        ),
        _graph(
            "Documents of each sync",
            [["AWS/QBusiness", "DocumentsIndexed", *source], [".", "DocumentsFailedToIndex", *["."] * 6]],
            stat="Sum",
            period=_HOUR,
            stacked=True,
        ),
        _graph(
            "Documents per sync",
            [
                ["AWS/QBusiness", "DocumentsIndexed", *source, {"stat": "p50", "label": "p50"}],
                ["...", {"stat": "p90", "label": "p90"}],
            ],
            period=_DAY,
        ),
        _graph("Documents in the index", [count], stat="Maximum", view="singleValue"),
        _graph("Objects by prefix", [[{"expression": prefixes, "id": "e1"}]], period=_DAY),
        {"type": "log", "properties": {
            "title": "Connector errors", "region": REGION, "view": "table",
            "query": f"SOURCE '/aws/qbusiness/{ids.app_id}' | fields @timestamp, ErrorCode | filter LogLevel = 'Error'",
        }},
    ]  # fmt: skip
    places = (
        {"x": 12 * (number % 2), "y": 6 * (number // 2), "width": 12, "height": 6}
        for number in range(len(widgets))
    )
    return json.dumps({"widgets": [widget | place for widget, place in zip(widgets, places, strict=True)]})


def _text(markdown: str) -> dict[str, Any]:
    return {"type": "text", "properties": {"markdown": markdown}}


def _alarms(title: str, names: list[str]) -> dict[str, Any]:
    return {"type": "alarm", "properties": {"title": title, "alarms": [_ALARM + name for name in names]}}


def _graph(title: str, metrics: list[list[Any]], **properties: Any) -> dict[str, Any]:
    given = {
        "title": title,
        "region": REGION,
        "period": _FIVE_MINUTES,
        "view": "timeSeries",
        "metrics": metrics,
    }
    return {"type": "metric", "properties": given | properties}
