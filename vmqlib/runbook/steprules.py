"""Rules as data: what to do next, from facts. The rules are in ``templates/next-steps.toml``; here is what reads them.

A rule is a table with ``name``, ``step`` (the runbook's), ``when`` (conditions that must all hold), ``why`` (a
sentence) and ``command`` (what to type; empty where it is done by a person). A condition is one line: a fact, an
operator and a value, or a fact and ``set`` or ``unset``; ``{any = […]}`` and ``{all = […]}`` hold several. There is no
code in it.

What is not known makes a condition false, whatever it asks, except ``unset``. ``{fact}`` in ``why`` and ``command``
stands for a fact's value, ``{fact:noun}`` for a count with its noun. In a command every value is quoted for the shell.
All of it is checked when the rules are read.
"""

from __future__ import annotations

import operator
import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, NoReturn, Protocol

from vmqlib.errors import SettingsError
from vmqlib.times import iso, show_time

__all__ = ["Fact", "Kind", "NextStep", "Rule", "Value", "apply_rules", "read_rules"]

Kind = Literal["flag", "count", "text", "texts", "time", "command"]
Value = bool | int | str | tuple[str, ...] | datetime | None
"""A fact's value; ``None`` means that it is not known."""


@dataclass(frozen=True)
class NextStep:
    """One thing to do.

    Parameters
    ----------
    step:
        The runbook's step.
    why:
        One sentence, from the evidence.
    command:
        What to type; empty where it is done by a person, not by a command.
    """

    step: str
    why: str
    command: str


@dataclass(frozen=True)
class Fact:
    """A name that rules may use.

    Parameters
    ----------
    kind:
        ``flag``, ``count``, ``text``, ``texts`` (several), ``time``, or ``command`` (a whole command, ready to type).
    meaning:
        What it says.
    always:
        Whether it is known in every incident. Others may only stand in a sentence that a condition on them guards.
    """

    kind: Kind
    meaning: str
    always: bool = False


class _Condition(Protocol):
    def holds(self, values: Mapping[str, Value]) -> bool: ...
    def known(self) -> frozenset[str]: ...
    def names(self) -> frozenset[str]: ...


@dataclass(frozen=True)
class _Test:
    """One fact against one value; :meth:`known` is which facts are known where it holds."""

    fact: str
    sign: str
    value: Any = None

    def holds(self, values: Mapping[str, Value]) -> bool:
        found = values.get(self.fact)
        there = found is not None and found not in ("", ())
        if self.sign in ("set", "unset"):
            return there == (self.sign == "set")
        return found is not None and bool(_SIGNS[self.sign](found, self.value))

    def known(self) -> frozenset[str]:
        return frozenset() if self.sign == "unset" else frozenset({self.fact})

    def names(self) -> frozenset[str]:
        return frozenset({self.fact})


@dataclass(frozen=True)
class _Several:
    """Conditions of which all, or any one, must hold."""

    every: bool
    parts: tuple[_Condition, ...]

    def holds(self, values: Mapping[str, Value]) -> bool:
        return (all if self.every else any)(part.holds(values) for part in self.parts)

    def known(self) -> frozenset[str]:
        found = [part.known() for part in self.parts]
        return frozenset().union(*found) if self.every or not found else frozenset.intersection(*found)

    def names(self) -> frozenset[str]:
        return frozenset().union(*(part.names() for part in self.parts))


@dataclass(frozen=True)
class Rule:
    """One rule, checked.

    Parameters
    ----------
    name:
        Its name, for errors and tests.
    step, why, command:
        As in :class:`NextStep`, with ``{facts}``.
    when:
        Its conditions.
    ready:
        Whether ``command`` is one fact that is a whole command: it is typed as it is.
    """

    name: str
    step: str
    why: str
    command: str
    when: _Condition
    ready: bool = False

    def apply(self, values: Mapping[str, Value]) -> NextStep | None:
        """The step, where the conditions hold."""
        if not self.when.holds(values):
            return None
        why = _PLACE.sub(lambda place: _shown(values[place[1]], place[2] or ""), self.why)
        command = str(values[self.command[1:-1]]) if self.ready else _filled(self.command, values)
        return NextStep(self.step, why, command)


def _equal(found: object, value: object) -> bool:
    return found == value


_SIGNS: Final[Mapping[str, Callable[[Any, Any], bool]]] = MappingProxyType(
    {
        "==": _equal,
        "!=": lambda found, value: not _equal(found, value),
        ">": operator.gt,
        ">=": operator.ge,
        "<": operator.lt,
        "<=": operator.le,
        "in": lambda found, value: found in value,
        "has": lambda found, value: value in found,
    }
)
# What a fact of each kind may be asked, and the type of the value.
_ASKED: Final[Mapping[Kind, tuple[tuple[str, ...], type]]] = MappingProxyType(
    {
        "flag": (("==", "!="), bool),
        "count": (("==", "!=", ">", ">=", "<", "<=", "in"), int),
        "text": (("==", "!=", "in"), str),
        "texts": (("has",), str),
        "time": ((), datetime),
        "command": ((), str),
    }
)
_PLACE = re.compile(r"\{(\w+)(?::([a-z ]+))?\}")
_LINE = re.compile(r"(\w+) +(?:(set|unset)|(==|!=|>=|<=|>|<|in|has) +(.+))")
_KEYS = ("name", "step", "when", "why", "command")


def apply_rules(rules: Iterable[Rule], values: Mapping[str, Value]) -> tuple[NextStep, ...]:
    """The steps of the rules that hold, in their order. Pure."""
    return tuple(step for rule in rules if (step := rule.apply(values)) is not None)


def read_rules(path: Path, facts: Mapping[str, Fact]) -> tuple[Rule, ...]:
    """Reads and checks the rules.

    Parameters
    ----------
    path:
        The file.
    facts:
        The names that rules may use.

    Raises
    ------
    SettingsError
        Naming the file, the rule and the key that is wrong, and what may be written there.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be read: {error}.", hint="Mend that line, or install the kit again."
        ) from error
    given = content.get("rule")
    if not isinstance(given, list) or set(content) != {"rule"}:
        raise SettingsError(
            f"{path} holds no rules.", hint="It is a list of tables headed [[rule]], nothing else."
        )
    rules = tuple(_Reading(path, number, table, facts).rule() for number, table in enumerate(given, 1))
    names = [rule.name for rule in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError(
            f"Rule {twice[0]!r} is in {path} twice.", hint="Give each rule a name of its own."
        )
    return rules


class _Reading:
    """One rule as it is read."""

    def __init__(self, path: Path, number: int, table: Any, facts: Mapping[str, Fact]) -> None:
        self._path, self._facts = path, facts
        self._table: Mapping[str, Any] = table if isinstance(table, Mapping) else {}
        self._name = str(self._table.get("name") or f"number {number}")

    def rule(self) -> Rule:
        for key in self._table:
            if key not in _KEYS:
                self._refuse(key, "is no key of a rule", f"Keys are: {', '.join(_KEYS)}.")
        texts = {key: self._text(key) for key in ("name", "step", "why", "command")}
        conditions = self._table.get("when")
        if not isinstance(conditions, list) or not conditions:
            self._refuse("when", "is not a list of conditions", 'Write one such as ["failing > 0"].')
        when = _Several(every=True, parts=tuple(self._condition(one) for one in conditions))
        known = when.known() | {name for name, fact in self._facts.items() if fact.always}
        self._places("why", texts["why"], known)
        self._places("command", texts["command"], known)
        whole = _PLACE.fullmatch(texts["command"])
        ready = whole is not None and self._facts[whole[1]].kind == "command"
        if not ready:
            self._quotable(texts["command"])
        return Rule(when=when, ready=ready, **texts)

    def _refuse(self, key: str, what: str, hint: str) -> NoReturn:
        raise SettingsError(f"Rule {self._name!r} in {self._path}: {key} {what}.", hint=hint)

    def _text(self, key: str) -> str:
        text = self._table.get(key)
        if not isinstance(text, str) or (not text.strip() and key != "command"):
            self._refuse(key, "is missing or is no text", "Write a text; `command` may be empty.")
        return text

    def _fact(self, key: str, name: str) -> Fact:
        if name not in self._facts:
            self._refuse(key, f"names {name!r}, which is no fact", f"Facts are: {', '.join(self._facts)}.")
        return self._facts[name]

    def _condition(self, given: Any) -> _Condition:
        if isinstance(given, Mapping) and len(given) == 1 and set(given) <= {"any", "all"}:
            ((word, parts),) = given.items()
            if isinstance(parts, list) and parts:
                return _Several(word == "all", tuple(self._condition(one) for one in parts))
        line = _LINE.fullmatch(given.strip()) if isinstance(given, str) else None
        if line is None:
            hint = 'Write "fact operator value", "fact set", "fact unset", {any = […]} or {all = […]}.'
            self._refuse("when", f"has {given!r}, which is no condition", hint)
        name, word, sign, text = line.groups()
        fact = self._fact("when", name)
        if word:
            return _Test(name, word)
        signs, wanted = _ASKED[fact.kind]
        if sign not in signs:
            can = ", ".join((*signs, "set", "unset"))
            self._refuse("when", f"asks {given!r}, but {name} is a {fact.kind}", f"It can be asked: {can}.")
        return _Test(name, sign, self._value(given, text, wanted, several=sign == "in"))

    def _value(self, given: str, text: str, wanted: type, *, several: bool) -> Any:
        try:
            value = tomllib.loads(f"value = {text}")
        except tomllib.TOMLDecodeError:
            value = {}
        found = value.get("value")
        items = found if several and isinstance(found, list) else [found]
        # A bool is an int to Python, and not to people.
        if (
            set(value) != {"value"}
            or isinstance(found, list) != several
            or any(type(one) is not wanted for one in items)
        ):
            what = {bool: "true or false", int: "a whole number", str: "a text in quotes"}.get(
                wanted, "nothing"
            )
            self._refuse(
                "when",
                f"has {given!r}",
                f"After the operator stands {'a list of ' if several else ''}{what}.",
            )
        return tuple(items) if several else found

    def _places(self, key: str, text: str, known: Iterable[str]) -> None:
        """Every ``{…}`` names a fact that is known whenever the rule holds."""
        if "{" in (rest := _PLACE.sub("", text)) or "}" in rest:
            self._refuse(key, "has a brace that belongs to no fact", "Write {fact} or {fact:noun}.")
        for name, noun in _PLACE.findall(text):
            fact = self._fact(key, name)
            if noun and (fact.kind != "count" or key == "command"):
                self._refuse(key, f"gives {name} a noun", "Only a count in `why` has one.")
            if name not in known:
                hint = f'Add a condition such as "{name} set".'
                self._refuse(key, f"shows {name}, which may be unknown when the conditions hold", hint)
            if key == "command" and fact.kind in ("texts", "flag"):
                self._refuse(key, f"uses {name}, which is no one word", "Use a text, a count or a time.")
            if fact.kind == "command" and (key != "command" or text != f"{{{name}}}"):
                self._refuse(key, f"uses {name}, which is a whole command", "Let it be all of `command`.")

    def _quotable(self, text: str) -> None:
        """Each value must arrive in one word as it is: a place inside quotes would break out of them."""
        odd = "a'b\"c $(d) `e`"
        names = [name for name, _ in _PLACE.findall(text)]
        try:
            words = shlex.split(_filled(text, dict.fromkeys(names, odd)))
        except ValueError:
            words = []
        if (text and not words) or sum(word.count(odd) for word in words) != len(names):
            self._refuse(
                "command", "cannot be read by a shell", "Close its quotes; leave {facts} out of them."
            )


def _filled(command: str, values: Mapping[str, Value]) -> str:
    return _PLACE.sub(lambda place: shlex.quote(_typed(values[place[1]])), command)


def _typed(value: Value) -> str:
    """A value in a command."""
    return iso(value) if isinstance(value, datetime) else str(value)


def _shown(value: Value, noun: str) -> str:
    """A value in a sentence."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,} {noun}{'' if value == 1 else 's'}" if noun else f"{value:,}"
    if isinstance(value, datetime):
        return show_time(value)
    if isinstance(value, str):
        return value
    return ", ".join(value or ())
