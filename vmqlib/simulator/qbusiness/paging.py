"""Pages of a list, with a token that only fits the list that it came from."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from vmqlib.simulator.qbusiness.exceptions import Validation

__all__ = ["page"]

T = TypeVar("T")


def page(
    items: Sequence[T], params: dict[str, Any], *, default: int, scope: str
) -> tuple[list[T], dict[str, str]]:
    """The page of ``items`` that ``params`` (``maxResults``, ``nextToken``) asks for.

    Parameters
    ----------
    items:
        The whole list.
    params:
        The operation's input.
    default:
        The page's size when ``maxResults`` is not given.
    scope:
        What is listed; a token from another list is refused.

    Returns
    -------
    tuple
        The page, and ``{"nextToken": …}`` when there is more.

    Raises
    ------
    Validation
        When the token is not one of this list.
    """
    start = _read(params.get("nextToken"), scope)
    size = params.get("maxResults") or default
    chunk = list(items[start : start + size])
    if start + size >= len(items):
        return chunk, {}
    return chunk, {"nextToken": _write(start + size, scope)}


def _write(start: int, scope: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([scope, start]).encode()).decode()


def _read(token: str | None, scope: str) -> int:
    if token is None:
        return 0
    try:
        issued_for, start = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error, TypeError):
        issued_for, start = None, 0
    if issued_for != scope:
        raise Validation("The nextToken is not valid.", [("nextToken", "is not valid for this request")])
    return int(start)
