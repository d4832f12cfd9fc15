"""Conditions of Logs Insights' ``filter`` command: fields against values, ``and``, ``or``, ``not``.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Filter.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["BadQuery", "Condition", "compile_condition", "number_of", "regex_of"]

Condition = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(
    r"""\s*(?:
        "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)' | /(?P<regex>(?:[^/\\]|\\.)+)/
      | (?P<compare>!=|<=|>=|=~|=|<|>) | (?P<mark>[()\[\],]) | `(?P<ticked>[^`]+)`
      | (?P<number>-?\d+(?:\.\d+)?)(?![\w.]) | (?P<word>[@\w][\w.@\-]*)
    )""",
    re.VERBOSE,
)
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class BadQuery(ValueError):
    """The query is not one, or uses what is not understood here. The message says what."""


def compile_condition(text: str) -> Condition:
    """What a ``filter`` command lets pass.

    Raises
    ------
    BadQuery
        When it cannot be read.
    """
    parser = _Parser(text)
    condition = parser.either()
    if parser.token is not None:
        raise parser.problem()
    return condition


def number_of(value: Any) -> float | None:
    """A field's value as a number, None if it is none."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def regex_of(text: str) -> re.Pattern[str]:
    """A regular expression as Insights writes it, with ``(?<name>…)`` for named groups.

    Raises
    ------
    BadQuery
        When it is none.
    """
    try:
        return re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", text))
    except re.error as error:
        raise BadQuery(f"unexpected regular expression /{text}/: {error}") from error


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.end = text.rstrip(), 0
        self.token: re.Match[str] | None = None
        self.advance()

    def problem(self) -> BadQuery:
        at = self.token.start() if self.token is not None else len(self.text)
        return BadQuery(f"unexpected symbol at position {at} of: {self.text.strip()}")

    def advance(self) -> None:
        if self.end >= len(self.text):
            self.token = None
            return
        self.token = _TOKEN.match(self.text, self.end)
        if self.token is None:
            raise BadQuery(f"unexpected symbol at position {self.end} of: {self.text.strip()}")
        self.end = self.token.end()

    def take(self, group: str, *values: str) -> str:
        token = self.token
        if token is None or token[group] is None or (values and token[group].lower() not in values):
            return ""
        self.advance()
        return str(token[group])

    def either(self) -> Condition:
        tests = [self.both()]
        while self.take("word", "or"):
            tests.append(self.both())
        return lambda row: any(test(row) for test in tests)

    def both(self) -> Condition:
        tests = [self.one()]
        while self.take("word", "and"):
            tests.append(self.one())
        return lambda row: all(test(row) for test in tests)

    def one(self) -> Condition:
        if self.take("word", "not"):
            inner = self.one()
            return lambda row: not inner(row)
        if self.take("mark", "("):
            inner = self.either()
            self.expect(")")
            return inner
        name = self.take("ticked") or self.take("word")
        if not name:
            raise self.problem()
        if name.lower() in ("ispresent", "isblank", "strcontains") and self.take("mark", "("):
            return self.function(name.lower())
        return self.comparison(name)

    def expect(self, mark: str) -> None:
        if not self.take("mark", mark):
            raise self.problem()

    def function(self, name: str) -> Condition:
        field = self.take("ticked") or self.take("word")
        if name == "strcontains":
            self.expect(",")
            wanted = str(self.value())
            self.expect(")")
            return lambda row: wanted in str(row.get(field, ""))
        self.expect(")")
        if name == "ispresent":
            return lambda row: row.get(field) is not None
        return lambda row: not str(row.get(field) or "").strip()

    def comparison(self, field: str) -> Condition:
        negated = bool(self.take("word", "not"))
        if self.take("word", "like") or self.take("compare", "=~"):
            test = self.likeness(field)
        elif self.take("word", "in"):
            test = self.membership(field)
        else:
            test = self.order(field, self.take("compare"))
        return (lambda row: not test(row)) if negated else test

    def likeness(self, field: str) -> Condition:
        pattern = self.take("regex")
        if pattern:
            found = regex_of(pattern).search
            return lambda row: found(str(row.get(field) if row.get(field) is not None else "")) is not None
        wanted = str(self.value())
        return lambda row: wanted in str(row.get(field, ""))

    def membership(self, field: str) -> Condition:
        self.expect("[")
        values = [self.value()]
        while self.take("mark", ","):
            values.append(self.value())
        self.expect("]")
        return lambda row: any(_same(row.get(field), value) for value in values)

    def order(self, field: str, comparison: str) -> Condition:
        if not comparison:
            raise self.problem()
        wanted = self.value()
        if comparison in ("=", "!="):
            return lambda row: _same(row.get(field), wanted) == (comparison == "=")
        compare = _ORDER[comparison]

        def test(row: Mapping[str, Any]) -> bool:
            left, right = number_of(row.get(field)), number_of(wanted)
            return left is not None and right is not None and compare(left, right)

        return test

    def value(self) -> Any:
        token = self.token
        if token is None or (token["compare"] or token["mark"] or token["regex"]):
            raise self.problem()
        self.advance()
        if token["number"] is not None:
            return float(token["number"])
        quoted = token["double"] if token["double"] is not None else token["single"]
        return re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else token["word"] or token["ticked"]


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, float):
        return number_of(found) == wanted
    if isinstance(found, bool):
        return str(found).lower() == str(wanted).lower()
    return found is not None and str(found) == str(wanted)
