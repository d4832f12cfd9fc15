"""One way of writing JSON, so that equal things have equal bytes and equal hashes.

Sorted keys, no spaces, UTF-8 as it is. A lone surrogate, which UTF-8 cannot hold, is written as its JSON
escape (``backslashreplace`` happens to produce exactly that), so nothing that Python can hold in a string is
lost."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any

from vmqlib.errors import BadInput
from vmqlib.times import iso

__all__ = ["canonical", "compact", "digest", "jsonable", "to_bytes"]

_canonical = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
).encode


def to_bytes(text: str) -> bytes:
    """``text`` as UTF-8; lone surrogates become their JSON escape (only meant for JSON text)."""
    return text.encode("utf-8", "backslashreplace")


def canonical(value: Any) -> bytes:
    """The canonical JSON of ``value``, which must hold JSON types only (see :func:`jsonable`)."""
    return to_bytes(_canonical(value))


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def jsonable(value: Any) -> Any:
    """``value`` in JSON types: times as ISO 8601, paths as text, NumPy scalars as numbers, missing values as
    null.

    Raises
    ------
    BadInput
        When it holds something that has no plain JSON form. Nothing is turned into its ``repr`` in silence.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None  # NaN and the infinities have no JSON form
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((jsonable(item) for item in value), key=str)
    if isinstance(value, datetime):
        return iso(value) if value == value else None  # noqa: PLR0124 - pandas' NaT is unequal to itself
    if isinstance(value, PurePath):
        return str(value)
    return _from_libraries(value)


def _from_libraries(value: Any) -> Any:
    """Scalars and models of NumPy, pandas, pydantic and dataclasses, known by what they can do."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return jsonable({f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.repr})
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return jsonable(value.item())
    raise BadInput(
        f"A {type(value).__name__} cannot be written into the record.",
        hint="Give text, numbers, booleans, times, lists or mappings of those.",
    )


compact = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=jsonable
).encode
"""JSON without spaces, keys in the order given: rows of evidence keep their columns' order."""
