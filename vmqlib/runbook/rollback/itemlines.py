"""An item as one line of a plan file: JSON with what is empty left out, the same bytes for the same item."""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring as quoted
from typing import Any

from vmqlib.record.canonical import canonical, to_bytes
from vmqlib.runbook.rollback.items import ACTIONS, NOTHING, Entry, Item

__all__ = ["item_line", "read_item"]


def item_line(item: Item) -> bytes:
    """The line, with its end. Assembled by hand: this is what a plan's time goes into, and json takes twice as long."""
    line = (
        f'{{"key":{quoted(item.key)},"action":"{item.action}","current":{_entry(item.current)},'
        f'"target":{_entry(item.target)}'
    )
    if item.code or item.reason or item.remedy:
        line += f',"code":{quoted(item.code)},"reason":{quoted(item.reason)},"remedy":{quoted(item.remedy)}'
    if item.properties is not None:
        line += f',"properties":{canonical(dict(item.properties)).decode("utf-8")}'
    if not item.document:
        line += ',"document":false'
    return to_bytes(line + "}\n")


def _entry(entry: Entry) -> str:
    if entry is NOTHING or not entry.version_id:
        return "[]"
    if entry.is_delete_marker:
        return f"[{quoted(entry.version_id)},{quoted(entry.at)}]"
    return (
        f"[{quoted(entry.version_id)},{quoted(entry.at)},{entry.size},{quoted(entry.etag)},"
        f"{quoted(entry.storage_class)}]"
    )


def read_item(line: bytes) -> Item:
    """What :func:`item_line` wrote.

    Raises
    ------
    ValueError, KeyError, TypeError
        It is something else.
    """
    raw: Mapping[str, Any] = json.loads(line)
    if raw["action"] not in ACTIONS:
        raise ValueError(f"no action: {raw['action']}")
    return Item(
        key=raw["key"],
        action=raw["action"],
        current=_read_entry(raw["current"]),
        target=_read_entry(raw["target"]),
        code=raw.get("code", ""),
        reason=raw.get("reason", ""),
        remedy=raw.get("remedy", ""),
        properties=raw.get("properties"),
        document=raw.get("document", True),
    )


def _read_entry(raw: list[Any]) -> Entry:
    if not raw:
        return NOTHING
    if len(raw) == 2:
        return Entry(raw[0], raw[1], is_delete_marker=True)
    version_id, at, size, etag, storage_class = raw
    return Entry(version_id, at, False, size, etag, storage_class)
