"""The journal's file format as JSON Schema, for readers that are not this kit:
``docs/journal.schema.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vmqlib.record.events import Event

__all__ = ["journal_schema", "write_schema"]


def journal_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of one line of ``journal.jsonl``."""
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

    adapter: TypeAdapter[Any] = TypeAdapter(Event)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "Event",
        "description": (
            "One line of an incident's journal.jsonl. The line is canonical JSON: keys sorted, no spaces, UTF-8. "
            "hash is the SHA-256 of the line's canonical JSON without hash; prev is the hash of the line before, "
            "64 zeros in the first."
        ),
        **adapter.json_schema(mode="serialization"),
    }


def write_schema(path: Path) -> None:
    """Writes it, as it stands in ``docs/``."""
    path.write_text(json.dumps(journal_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
