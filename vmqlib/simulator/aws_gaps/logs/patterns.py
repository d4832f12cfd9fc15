"""CloudWatch Logs filter patterns: terms, phrases and JSON conditions.

Syntax: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["BadPattern", "Matcher", "compile_pattern"]

#: Whether a message matches.
Matcher = Callable[[str], bool]
_Test = Callable[[Any], bool]

_LONGEST = 1024
_TERM = re.compile(
    r"""\s*(?P<sign>[-?]?)(?:"(?P<phrase>(?:[^"\\]|\\.)*)"|%(?P<regex>[^%]+)%|(?P<word>[^\s"%]+))"""
)
_REGEX = re.compile(
    r"[A-Za-z0-9:_#=@/;,\-^$?\[\]{}|\\*+.]+"
)  # all that AWS allows: no parentheses, no spaces
_JSON_TOKEN = re.compile(
    r"""\s*(?:
        (?P<selector>\$(?:\.[\w@-]+|\.\*|\[(?:\d+|\*)\]|\[?\.?\["[^"]+"\]\]?)+)
      | (?P<test>IS\s+NULL|IS\s+TRUE|IS\s+FALSE|NOT\s+EXISTS|EXISTS)\b
      | (?P<logic>&&|\|\|) | (?P<compare>!=|<=|>=|=|<|>) | (?P<mark>[(){}])
      | "(?P<quoted>(?:[^"\\]|\\.)*)" | %(?P<regex>[^%]+)% | (?P<bare>[^\s"%(){}&|=<>!]+)
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_STEP = re.compile(r'\.([\w@-]+|\*)|\[(\d+|\*)\]|\["([^"]+)"\]')
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


class BadPattern(ValueError):
    """The pattern is not one, or more than is understood here. The message says why."""


def compile_pattern(pattern: str | None) -> Matcher:
    """What ``pattern`` matches. A term matches anywhere in a message; whether AWS wants whole words is not documented.

    Parameters
    ----------
    pattern:
        Terms, quoted phrases, ``-term`` to exclude, ``?term`` for any of several, ``%regular expression%``, or a JSON
        condition in braces. Empty matches everything.

    Raises
    ------
    BadPattern
        When it cannot be read. Patterns in brackets (space-delimited events) are not understood.
    """
    text = (pattern or "").strip()
    if not text:
        return lambda _: True
    if len(text) > _LONGEST:
        raise BadPattern(f"A filter pattern has at most {_LONGEST} characters.")
    if text.startswith("{"):
        return _json_matcher(text)
    if text.startswith("["):
        raise BadPattern("The simulator does not understand patterns for space-delimited events.")
    return _term_matcher(text)


# ---- terms


def _term_matcher(text: str) -> Matcher:
    needed: list[Matcher] = []
    excluded: list[Matcher] = []
    optional: list[Matcher] = []
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            raise BadPattern(f"Invalid filter pattern: cannot read it from position {at}.")
        at = match.end()
        kind = {"-": excluded, "?": optional}.get(match["sign"], needed)
        kind.append(_term(match))
    if needed or excluded:  # beside other terms, optional ones are ignored
        return lambda message: (
            all(one(message) for one in needed) and not any(one(message) for one in excluded)
        )
    return lambda message: any(one(message) for one in optional)


def _term(match: re.Match[str]) -> Matcher:
    if match["regex"] is not None:
        found = _regex(match["regex"]).search
        return lambda message: found(message) is not None
    wanted = match["word"] if match["phrase"] is None else _unquoted(match["phrase"])
    return lambda message: wanted in message


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _regex(text: str) -> re.Pattern[str]:
    if not _REGEX.fullmatch(text):
        raise BadPattern(
            f"Invalid filter pattern: the regular expression %{text}% has characters that it may not."
        )
    try:
        return re.compile(text)
    except re.error as error:
        raise BadPattern(f"Invalid filter pattern: {error} in the regular expression %{text}%.") from error


# ---- JSON


def _json_matcher(text: str) -> Matcher:
    parser = _JsonParser(text)
    test = parser.whole()

    def matches(message: str) -> bool:
        if not message.lstrip().startswith("{"):
            return False
        try:
            return test(json.loads(message))
        except ValueError:
            return False

    return matches


class _JsonParser:
    def __init__(self, text: str) -> None:
        self.text, self.end = text, 0
        self.token: re.Match[str] | None = None
        self.advance()

    def problem(self) -> BadPattern:
        at = self.token.start() if self.token is not None else len(self.text)
        return BadPattern(f"Invalid filter pattern: cannot read it from position {at}.")

    def advance(self) -> None:
        self.token = _JSON_TOKEN.match(self.text, self.end)
        if self.token is not None:
            self.end = self.token.end()
        elif self.text[self.end :].strip():
            raise BadPattern(f"Invalid filter pattern: cannot read it from position {self.end}.")

    def take(self, group: str, *values: str) -> str:
        """The present token if it is of ``group`` (and one of ``values``), else empty."""
        if self.token is None or self.token[group] is None or (values and self.token[group] not in values):
            return ""
        found = self.token[group]
        self.advance()
        return found

    def whole(self) -> _Test:
        if not self.take("mark", "{"):
            raise self.problem()
        test = self.either()
        if not self.take("mark", "}") or self.token is not None:
            raise self.problem()
        return test

    def either(self) -> _Test:
        tests = [self.both()]
        while self.take("logic", "||"):
            tests.append(self.both())
        return lambda event: any(test(event) for test in tests)

    def both(self) -> _Test:
        tests = [self.one()]
        while self.take("logic", "&&"):
            tests.append(self.one())
        return lambda event: all(test(event) for test in tests)

    def one(self) -> _Test:
        if self.take("mark", "("):
            test = self.either()
            if not self.take("mark", ")"):
                raise self.problem()
            return test
        selector = self.take("selector")
        if not selector:
            raise self.problem()
        steps = [match.group(1) or match.group(2) or match.group(3) for match in _STEP.finditer(selector)]
        if words := self.take("test"):
            return _existence(steps, " ".join(words.upper().split()))
        comparison = self.take("compare")
        if not comparison:
            raise self.problem()
        test = self.value(comparison)
        return lambda event: any(test(found) for found in _select(event, steps))

    def value(self, comparison: str) -> _Test:
        token = self.token
        if token is None:
            raise self.problem()
        if token["regex"] is not None and comparison in ("=", "!="):
            self.advance()
            found = _regex(token["regex"]).search
            return lambda value: isinstance(value, str) and (found(value) is not None) == (comparison == "=")
        if token["quoted"] is not None:
            self.advance()
            return _text_test(comparison, _unquoted(token["quoted"]))
        if token["bare"] is None:
            raise self.problem()
        self.advance()
        try:
            number = float(token["bare"])
        except ValueError:
            return _text_test(comparison, token["bare"])
        return _number_test(comparison, number, token["bare"])


def _select(event: Any, steps: list[str]) -> Iterator[Any]:
    """Every value that a selector reaches."""
    if not steps:
        yield event
    elif isinstance(event, dict):
        inner = list(event.values()) if steps[0] == "*" else [event[steps[0]]] if steps[0] in event else []
        for one in inner:
            yield from _select(one, steps[1:])
    elif isinstance(event, list):
        chosen = event if steps[0] == "*" else event[int(steps[0]) :][:1] if steps[0].isdigit() else []
        for one in chosen:
            yield from _select(one, steps[1:])


def _existence(steps: list[str], words: str) -> _Test:
    if words in ("EXISTS", "NOT EXISTS"):
        return lambda event: any(True for _ in _select(event, steps)) == (words == "EXISTS")
    wanted = {"IS NULL": None, "IS TRUE": True, "IS FALSE": False}[words]
    return lambda event: any(found is wanted for found in _select(event, steps))


def _text_test(comparison: str, wanted: str) -> _Test:
    """Equality of text, ``*`` standing for anything."""
    if comparison not in ("=", "!="):
        raise BadPattern(f"Invalid filter pattern: {comparison} compares numbers, not text.")
    whole = re.compile(".*".join(re.escape(part) for part in wanted.split("*")), re.DOTALL)

    def test(value: Any) -> bool:
        if isinstance(value, bool) or value is None or isinstance(value, dict | list):
            return False
        return (whole.fullmatch(str(value)) is not None) == (comparison == "=")

    return test


def _number_test(comparison: str, wanted: float, written: str) -> _Test:
    compare = _ORDER[comparison]

    def test(value: Any) -> bool:
        if isinstance(value, str) and comparison in ("=", "!="):
            return (value == written) == (comparison == "=")
        return isinstance(value, int | float) and not isinstance(value, bool) and compare(value, wanted)

    return test
