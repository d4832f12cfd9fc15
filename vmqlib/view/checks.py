"""Checks as a table: what was looked at, how it is, and what to do about it (runbook, steps 1, 4 and 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.wording import many
from vmqlib.view.base import Html, View, guarded, join, plain, tag
from vmqlib.view.layout import Column, chip, line, panel, table

__all__ = ["checks"]

_ORDER = ("fail", "cannot tell", "pass")


@guarded
def checks(
    results: Sequence[CheckResult] | Callable[[], Sequence[CheckResult]], title: str = "Checks"
) -> View:
    """Every check, those that failed first, each with its finding and what mends it.

    Parameters
    ----------
    results:
        The checks, or a function that gives them: when that fails, the section says so.
    title:
        What was checked: begins the first sentence.
    """
    made = sorted(results() if callable(results) else results, key=lambda one: _ORDER.index(one.outcome))
    said = [one.outcome for one in made]
    counts = ", ".join(f"{said.count(word):,} {word}" for word in _ORDER if word in said)
    columns = [
        Column("outcome", chip),
        Column("check", _about),
        Column("finding and what to do", _finding),
    ]  # fmt: skip
    rows = [[one.outcome, one, one] for one in made]
    words = [line([one.outcome, one.name, one.subject, one.finding, one.mend]) for one in made]
    return panel(
        f"{title}: {many(len(made), 'check')}; {counts or 'none'}.", table(columns, rows), text=words
    )


def _about(one: CheckResult) -> Html:
    subject = [tag("div", tag("code", plain(one.subject, 300)))] if one.subject else []
    return join([plain(one.name, 300), *subject])


def _finding(one: CheckResult) -> Html:
    parts: list[object] = [tag("div", plain(one.finding, 1000))]
    if one.mend:
        style = "white-space:pre-wrap;overflow-wrap:anywhere"
        parts.append(tag("div", "What to do: ", tag("code", plain(one.mend, 4000), style=style)))
    return join(parts)
