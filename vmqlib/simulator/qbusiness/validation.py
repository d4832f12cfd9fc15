"""What a request must look like: botocore's model, read strictly.

boto3 checks types and required members before it sends, but no patterns, enums or upper bounds; and a raw
HTTP client checks nothing. The service checks all of it, and so does the simulator.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Any

from vmqlib.simulator.qbusiness.exceptions import Validation

__all__ = ["check_input", "problems"]

_CONTROL_FREE = r"\P{C}*"


def check_input(operation: Any, params: dict[str, Any]) -> None:
    """Checks an operation's input against its model.

    Parameters
    ----------
    operation:
        botocore's operation model.
    params:
        The parsed input.

    Raises
    ------
    Validation
        Naming every field that does not fit.
    """
    found = list(problems(params, operation.input_shape))
    if found:
        first = f"{found[0][0]} {found[0][1]}"
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise Validation(f"The input fails to satisfy the constraints: {first}{more}.", found)


def problems(value: Any, shape: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Everything in ``value`` that does not fit ``shape``: pairs of a member's path and what is wrong."""
    checker = _BY_TYPE.get(shape.type_name)
    if shape.metadata.get("document") or getattr(shape, "is_document_type", False):
        return
    if checker is None:
        yield path, f"has a type that is not known: {shape.type_name}"
        return
    yield from checker(value, shape, path)


def _structure(value: Any, shape: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield path, "must be an object"
        return
    for name in shape.required_members:
        if value.get(name) is None:
            yield _join(path, name), "is required"
    given = [name for name, member in value.items() if member is not None]
    if shape.metadata.get("union") and len(given) != 1:
        yield path, "must have exactly one member"
    for name in given:
        if name in shape.members:
            yield from problems(value[name], shape.members[name], _join(path, name))
        else:
            yield _join(path, name), "is not a member"


def _list(value: Any, shape: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        yield path, "must be a list"
        return
    yield from _bounds(len(value), shape, path, "must have at least {} items", "must have at most {} items")
    for position, item in enumerate(value):
        yield from problems(item, shape.member, f"{path}[{position}]")


def _map(value: Any, shape: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield path, "must be an object"
        return
    yield from _bounds(
        len(value), shape, path, "must have at least {} entries", "must have at most {} entries"
    )
    for key, item in value.items():
        yield from problems(key, shape.key, f"{path}.{key}")
        yield from problems(item, shape.value, f"{path}.{key}")


def _string(value: Any, shape: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, str):
        yield path, "must be a string"
        return
    meta = shape.metadata
    if "enum" in meta and value not in meta["enum"]:
        yield path, f"must be one of {', '.join(meta['enum'])}"
    yield from _bounds(
        len(value), shape, path, "must have at least {} characters", "must have at most {} characters"
    )
    if "pattern" in meta and not _matcher(meta["pattern"])(value):
        yield path, f"must match {meta['pattern']}"


def _number(value: Any, shape: Any, path: str) -> Iterator[tuple[str, str]]:
    whole = shape.type_name in ("integer", "long")
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        yield path, "must be an integer" if whole else "must be a number"
        return
    yield from _bounds(value, shape, path, "must be at least {}", "must be at most {}")


def _boolean(value: Any, _: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, bool):
        yield path, "must be true or false"


def _timestamp(value: Any, _: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, datetime):
        yield path, "must be a timestamp"


def _blob(value: Any, _: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, bytes | bytearray | str):
        yield path, "must be bytes"


def _bounds(size: float, shape: Any, path: str, low: str, high: str) -> Iterator[tuple[str, str]]:
    if "min" in shape.metadata and size < shape.metadata["min"]:
        yield path, low.format(shape.metadata["min"])
    if "max" in shape.metadata and size > shape.metadata["max"]:
        yield path, high.format(shape.metadata["max"])


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@cache
def _matcher(pattern: str) -> Callable[[str], bool]:
    """The model's patterns match whole values; two kinds of them are not Python's."""
    if pattern == _CONTROL_FREE:
        return lambda text: not any(unicodedata.category(character).startswith("C") for character in text)
    pattern = pattern.replace(r"\p{L}", r"[^\W\d_]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "[a-z0-9-\.]" reads as meant
        compiled = re.compile(pattern, re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None


_BY_TYPE: dict[str, Callable[[Any, Any, str], Iterator[tuple[str, str]]]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "character": _string,
    "integer": _number,
    "long": _number,
    "float": _number,
    "double": _number,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "blob": _blob,
}
