"""Lines of a program's output, made safe to show and to keep: nothing steers a terminal, nothing secret stays."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vmqlib.record.redaction import Redactor
from vmqlib.record.secretforms import is_sensitive_name, looks_secret
from vmqlib.runbook.targeted.process import Stream

__all__ = ["LineMasker"]

# Terminal sequences, taken out whole and before anything is masked: they could hide a secret from the masks.
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # OSC, DCS, SOS, PM, APC: titles, clipboard, links
    r"|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY-----")
_MOST_PEM_LINES = 200  # a key that never ends is no key
_SHORTEST = 6  # characters of a value worth hiding: a shorter one is in every other word


class LineMasker:
    """Masks lines one after the other, for each stream apart: a private key spans several.

    Parameters
    ----------
    redactor:
        Masks whatever looks like a secret.
    environment:
        What the program was given: the values of variables that hold secrets are masked wherever they turn up.
    """

    def __init__(self, redactor: Redactor, environment: Mapping[str, str]) -> None:
        self._redactor = redactor
        self._known = _secrets(environment)
        self._in_key: dict[Stream, int] = {}

    def __call__(self, stream: Stream, line: bytes) -> str | None:
        """The line as it may be shown and kept; None for one within a private key."""
        text = _SEQUENCE.sub("", line.decode("utf-8", "backslashreplace")).expandtabs(8)
        text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
        for value in self._known:
            text = text.replace(value, "[secret]")
        return self._keys(stream, text)

    def _keys(self, stream: Stream, text: str) -> str | None:
        if stream in self._in_key:
            end = _PEM_END.search(text)
            self._in_key[stream] += 1
            if end is None and self._in_key[stream] <= _MOST_PEM_LINES:
                return None
            del self._in_key[stream]
            if end is None:
                return self._redactor.text(text)
            text = text[end.end() :]
            return self._redactor.text(text) if text else None
        begin = _PEM_BEGIN.search(text)
        if begin is None or _PEM_END.search(text, begin.end()):
            return self._redactor.text(text)  # a key on one line is masked as a whole
        self._in_key[stream] = 0
        return self._redactor.text(text[: begin.start()]) + "[private-key]"


def _secrets(environment: Mapping[str, str]) -> list[str]:
    """Values that are secrets by their variable's name; of several lines each by itself. The longest first."""
    found: set[str] = set()
    for name, value in environment.items():
        sensitive = is_sensitive_name(name)
        if sensitive or (sensitive is None and looks_secret(value)):
            found |= {part.strip() for part in value.splitlines()}
    return sorted((one for one in found if len(one) >= _SHORTEST), key=len, reverse=True)
