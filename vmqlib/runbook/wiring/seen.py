"""What the checks read: rows of an observation, or why there are none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.checks import CheckResult

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation

__all__ = ["Row", "Seen", "cannot_tell", "loaded", "rows", "why_not"]

Seen = Mapping[str, "Observation"]
Row = dict[str, Any]


def why_not(seen: Seen, source: str) -> tuple[str, str] | None:
    """Why a source cannot be read, and what to do about it; ``None`` where it can."""
    one = seen.get(source)
    if one is None:
        return f"Nobody has looked at {source}.", ""
    if not one.available:
        return f"{one.title} could not be seen: {one.problem}", one.hint
    return None


def cannot_tell(name: str, seen: Seen, source: str, subject: str = "") -> CheckResult | None:
    """A check that cannot be made, since its source was not seen; ``None`` where it was."""
    why = why_not(seen, source)
    if why is None:
        return None
    return CheckResult(name, None, why[0], subject, why[1], (source,))


def rows(seen: Seen, source: str) -> list[Row]:
    """A source's rows, ``None`` for what is missing; nothing where it was not seen."""
    if why_not(seen, source):
        return []
    table = seen[source].frame
    found = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in found]


def loaded(text: str | None, default: Any) -> Any:
    """JSON in a cell; ``default`` where there is none that can be read."""
    try:
        value = json.loads(text) if text else default
    except ValueError:
        return default
    return value if isinstance(value, type(default)) else default
