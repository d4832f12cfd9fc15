"""Where between two keys there are how many others: a guess from the keys that were seen so far.

A listing that is read at several places at once has to say where to start, and S3 tells neither how many keys there are
nor what they look like. Keys are taken for numbers whose digits are the characters seen at each place; a wrong guess
costs a request, never an entry.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from string import ascii_lowercase, ascii_uppercase, digits

__all__ = ["LAST", "Keyspace", "in_bytes", "shared"]

LAST = "\U0010ffff"
"""Sorts behind every character that a key can go on with."""

_PLACES = 12  # digits of a number: more than a float can tell apart
_KNOWN = 8  # with fewer letters seen at a place, the others are assumed to come, too
_MOST = 256  # characters that are kept for a place
_CODES = 0x110000
_SAMPLE = 100  # keys of a page that are looked at
_KINDS = (digits, ascii_lowercase, ascii_uppercase)


def in_bytes(key: str) -> bytes:
    """What S3 sorts keys by."""
    return key.encode("utf-8", "surrogateescape")


class Keyspace:
    """What is known of the keys of a listing. Not safe to share between threads.

    Parameters
    ----------
    prefix:
        What every key begins with.
    """

    def __init__(self, prefix: str = "") -> None:
        self.common = ""
        self._prefix = prefix
        self._any = False
        self._all: set[str] = set()
        self._seen: defaultdict[int, set[str]] = defaultdict(set)
        self._digits: dict[int, list[str]] = {}

    def learn(self, keys: Sequence[str]) -> None:
        """Takes note of keys that follow each other in the listing: of some of them, where they differ."""
        first, last = keys[0], keys[-1]
        alike = shared(first, last)
        self.common = shared(self.common, alike) if self._any else alike
        self._any = True
        self._note(first, 0, len(alike))
        for key in {*keys[:: max(1, len(keys) // _SAMPLE)], last}:
            self._note(key, len(alike), len(alike) + 2 * _PLACES)

    def _note(self, key: str, start: int, end: int) -> None:
        for place, character in enumerate(key[start:end], start):
            seen = self._seen[place]
            if character in seen or len(seen) >= _MOST or "\ud800" <= character <= "\udfff":
                continue
            seen.add(character)
            if len(self._all) < _MOST:
                self._all.add(character)
            if character not in self._digits.get(place, ()):
                self._digits.pop(place, None)

    def left(self, first: str, last: str, end: str | None) -> float:
        """How many times as many keys as from ``first`` to ``last`` there may be from ``last`` to ``end``.

        Infinite where nothing can be said: ``end`` is ``None`` (that of the listing), or both keys are the same.
        """
        if end is None:
            return float("inf")
        start = len(shared(first, end))
        here, there, beyond = (self._number(key, start) for key in (first, last, end))
        return (beyond - there) / (there - here) if there > here else float("inf")

    def between(self, low: str, end: str | None, share: float) -> str | None:
        """A key behind ``low`` and before ``end``, with about that share of the keys between them before it.

        ``None`` where no such key can be made of the characters that are known.
        """
        made = self._beyond(low) if end is None else self._inside(low, end, share)
        inside = in_bytes(low) < in_bytes(made) and (end is None or in_bytes(made) < in_bytes(end))
        return made if inside else None

    def _beyond(self, low: str) -> str:
        """A key that is far behind ``low``: where the listing ends is not known."""
        if len(self.common) > len(self._prefix) and low.startswith(self.common):
            return self.common + LAST  # is there anything else at all?
        place = len(self._prefix)
        here = low[place : place + 1] or "\0"
        known: list[str] = sorted({*self._all, *"".join(_KINDS)})
        more = known[bisect_right(known, here) :]
        if more:
            return low[:place] + more[len(more) // 2]
        # Beyond all that was seen: twice as far as from where it began.
        code = ord(here) + max(1, ord(here) - ord(min(self._seen[place], default=here)))
        return low[:place] + _character(code)

    def _inside(self, low: str, end: str, share: float) -> str:
        start = len(shared(low, end))
        number = self._number(low, start)
        width = self._number(end, start) - number
        rest, unit, made = number + share * width, 1.0, low[:start]
        for place in range(start, start + _PLACES):
            characters = self._characters(place)
            base = len(characters) + 1 if characters else _CODES
            digit = min(int(rest * base), base - 1)
            if digit == 0:
                break
            made += characters[digit - 1] if characters else _character(digit)
            rest, unit = rest * base - digit, unit / base
            if rest * unit < width / 100 and in_bytes(low) < in_bytes(made):
                break
        return made

    def _characters(self, place: int) -> list[str]:
        """The digits at a place; empty: too many to know them all, so that each character is as likely."""
        if place not in self._digits:
            found = set(self._seen[place])
            if len(self._all) >= _MOST and any(not one.isascii() for one in found):
                found.clear()
            else:
                kinds = [kind for kind in _KINDS if 0 < len(found.intersection(kind)) < _KNOWN]
                found.update("".join(kinds))
                if len(found) < _KNOWN:
                    found.update(self._all)
            self._digits[place] = sorted(found)
        return self._digits[place]

    def _number(self, key: str, start: int) -> float:
        """From 0 to 1; in the order of the keys, as far as the characters at each place are known."""
        number, unit = 0.0, 1.0
        for place in range(start, min(len(key), start + _PLACES)):
            characters = self._characters(place)
            unit /= len(characters) + 1 if characters else _CODES
            digit = bisect_right(characters, key[place]) if characters else ord(key[place])
            number += digit * unit
            if characters and (digit == 0 or characters[digit - 1] != key[place]):
                return number + (unit if digit else 0.0)  # between two that are known
        return number


def _character(code: int) -> str:
    """That character, or the next that may stand in a key."""
    return chr(0xE000 if 0xD800 <= code < 0xE000 else min(code, ord(LAST)))


def shared(one: str, other: str) -> str:
    """What both begin with."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[:middle] == other[:middle]:
            least = middle
        else:
            most = middle - 1
    return one[:least]
