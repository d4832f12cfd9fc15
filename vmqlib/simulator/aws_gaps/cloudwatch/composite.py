"""Alarm rules of composite alarms: ``(ALARM("a") OR ALARM(b)) AND NOT OK("c")``.

Syntax: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["BadRule", "CompositeRule", "parse"]

_TOKEN = re.compile(
    r"\s*(?:(?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<bare>[^\s()\"]+))\s*\)"
    r"|(?P<word>AND|OR|NOT|TRUE|FALSE)\b|(?P<mark>[()]))"
)
#: Tells an alarm's state by its name; empty for an alarm that is not there.
States = Callable[[str], str]


class BadRule(ValueError):
    """The rule is not one. The message says where."""


@dataclass(frozen=True)
class CompositeRule:
    """A parsed rule.

    Parameters
    ----------
    children:
        Names of the alarms in it, in order.
    test:
        Whether it holds, given the states.
    """

    children: tuple[str, ...]
    test: Callable[[States], bool]


def parse(text: str) -> CompositeRule:
    """Parses a composite alarm's rule.

    Raises
    ------
    BadRule
        When it cannot be parsed.
    """
    parser = _Parser(text)
    test = parser.either()
    if parser.token is not None:
        raise BadRule(f"Invalid alarm rule: unexpected text at position {parser.at}.")
    return CompositeRule(tuple(dict.fromkeys(parser.children)), test)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.end = text, 0, 0
        self.children: list[str] = []
        self.token: re.Match[str] | None = None
        self.advance()

    def advance(self) -> None:
        self.at = self.end
        self.token = _TOKEN.match(self.text, self.at)
        if self.token is not None:
            self.end = self.token.end()
        elif self.text[self.at :].strip():
            raise BadRule(f"Invalid alarm rule: cannot read it from position {self.at}.")

    def take(self, word: str) -> bool:
        if self.token is not None and word in (self.token["word"], self.token["mark"]):
            self.advance()
            return True
        return False

    def either(self) -> Callable[[States], bool]:
        tests = [self.both()]
        while self.take("OR"):
            tests.append(self.both())
        return lambda states: any(test(states) for test in tests)

    def both(self) -> Callable[[States], bool]:
        tests = [self.one()]
        while self.take("AND"):
            tests.append(self.one())
        return lambda states: all(test(states) for test in tests)

    def one(self) -> Callable[[States], bool]:
        if self.take("NOT"):
            inner = self.one()
            return lambda states: not inner(states)
        if self.take("("):
            inner = self.either()
            if not self.take(")"):
                raise BadRule("Invalid alarm rule: a parenthesis is not closed.")
            return inner
        if self.take("TRUE"):
            return lambda _: True
        if self.take("FALSE"):
            return lambda _: False
        token = self.token
        if token is None or token["state"] is None:
            raise BadRule(f"Invalid alarm rule: an alarm's state is missing at position {self.at}.")
        state = token["state"]
        name = token["bare"] or re.sub(r"\\(.)", r"\1", token["quoted"])
        name = name.split(":alarm:", 1)[-1]
        self.children.append(name)
        self.advance()
        return lambda states: states(name) == state
