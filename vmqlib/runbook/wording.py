"""Text from outside on one line, for files that other programs read."""

from __future__ import annotations

import unicodedata

__all__ = ["one_line"]

_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}


def one_line(text: str, limit: int) -> str:
    """``text`` on one line: without control characters and marks that hide or reorder text, at most ``limit`` long."""
    spaced = "".join(" " if char.isspace() else char for char in text)
    words = " ".join("".join(char for char in spaced if unicodedata.category(char) not in _HIDDEN).split())
    return words if len(words) <= limit else words[: limit - 2].rstrip() + " …"
