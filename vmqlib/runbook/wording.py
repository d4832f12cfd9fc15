"""Text from outside on one line, for files that other programs read; counts with their nouns."""

from __future__ import annotations

import unicodedata

__all__ = ["many", "one_line"]

_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}


def many(number: int, noun: str) -> str:
    """A count with its noun: ``1 document``, ``1,204 documents``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def one_line(text: str, limit: int) -> str:
    """``text`` on one line: without control characters and marks that hide or reorder text, at most ``limit`` long."""
    spaced = "".join(" " if char.isspace() else char for char in text)
    words = " ".join("".join(char for char in spaced if unicodedata.category(char) not in _HIDDEN).split())
    return words if len(words) <= limit else words[: limit - 2].rstrip() + " …"
