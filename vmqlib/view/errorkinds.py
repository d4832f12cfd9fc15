"""Error messages without what differs from document to document, so that equal errors are one kind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from vmqlib.view.base import plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["error_kinds"]

_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b")
_PLACE = re.compile(r"\b(byte|char(?:acter)?|column|line|offset|position|row) \d+")


def error_kinds(messages: pd.Series[Any], documents: pd.Series[Any]) -> pd.Series[Any]:
    """The kind of each error.

    Parameters
    ----------
    messages:
        Error messages.
    documents:
        The document of each: a URI, a key or an id. Where the message names it, in whole or from any folder on, the
        name is taken out.
    """
    import pandas as pd

    pairs = zip(messages, documents, strict=True)
    return pd.Series(
        [_kind(str(message), str(name)) for message, name in pairs], index=messages.index, dtype=object
    )


def _kind(message: str, document: str) -> str:
    text = plain(message, 400)
    parts = document.split("/")
    # The longest name first: taking out the last part alone would leave the folders before it.
    for start in range(len(parts)):
        name = "/".join(parts[start:])
        if len(name) > 3 and name in text:
            text = text.replace(name, "‹document›")
            break
    return _PLACE.sub(r"\1 ‹n›", _ID.sub("‹id›", text))
