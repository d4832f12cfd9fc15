"""How a metric of the dashboard is put right, exactly: commands to copy."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from vmqlib.record.redaction import has_mask, redactor_for
from vmqlib.runbook.dashboard import Line

if TYPE_CHECKING:
    from vmqlib.settings import Settings

__all__ = ["MOST", "rewritten"]

MOST = 3
"""Sets of dimensions that are named; how many more there are is said."""

# Every entry of that very metric, with its own options kept. An entry that is abbreviated takes over from the one
# before it, and would change along with it.
_EDIT = (
    'if [.. | strings] | any(. == "." or . == "...") then error("metrics abbreviated with dots: edit by hand") '
    "else (.widgets[].properties.metrics[]? | select((map(strings) | sort) == ($old | sort))) "
    "|= $new + map(objects) end"
)


def rewritten(line: Line, settings: Settings | None = None) -> Iterator[str]:
    """The metric of a line as it has to stand in its widget to show something, for each set of dimensions that it is
    published with; with settings the commands that write it there.

    Parameters
    ----------
    line:
        A line whose metric is published with other dimensions.
    settings:
        The dashboard's name and region. What is masked, or has to be, is in no command.
    """
    old = _entry(line.metric, line.dimensions)
    for one in line.elsewhere[:MOST]:
        new = _entry(line.metric, one)
        yield f"Write into the widget's metrics: {_json(new)}"
        if settings is not None and settings.dashboard and not _is_private([*old, *new], settings):
            yield from _commands(old, new, settings)
    if len(line.elsewhere) > MOST:
        yield f"… or one of {len(line.elsewhere) - MOST} more sets of dimensions"


def _commands(old: Sequence[str], new: Sequence[str], settings: Settings) -> Iterator[str]:
    where = f"--region {shlex.quote(settings.region)} --dashboard-name {shlex.quote(settings.dashboard)}"
    yield (
        f"aws cloudwatch get-dashboard {where} --query DashboardBody --output text "
        f"| jq --argjson old {shlex.quote(_json(old))} --argjson new {shlex.quote(_json(new))} {shlex.quote(_EDIT)} "
        "> dashboard.json &&"
    )
    yield f"aws cloudwatch put-dashboard {where} --dashboard-body file://dashboard.json"
    yield "And in the template that makes the dashboard, or its next deployment takes this back."


def _entry(metric: str, dimensions: Mapping[str, str]) -> list[str]:
    namespace, _, name = metric.partition(" ")
    return [namespace, name, *(part for pair in dimensions.items() for part in pair)]


def _json(entry: Sequence[str]) -> str:
    return json.dumps(list(entry), ensure_ascii=False)


def _is_private(words: Sequence[str], settings: Settings) -> bool:
    text = json.dumps(words)
    return has_mask(text) or redactor_for(settings).text(text) != text
