"""The versions of one object, and of an incident's suspects: which there are, how old, and what they belong to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from vmqlib.errors import VmqError
from vmqlib.runbook.contents import visible
from vmqlib.runbook.promoters import RULE
from vmqlib.runbook.wording import many
from vmqlib.times import duration, show_time
from vmqlib.view.base import Html, Panel, View, guarded, join, notice, plain, tag
from vmqlib.view.layout import (
    MOST_ROWS,
    Column,
    chip,
    code,
    line,
    name,
    panel,
    short,
    size,
    table,
    when,
)

if TYPE_CHECKING:
    from vmqlib.runbook.keyhistory import KeyHistory, Version
    from vmqlib.runbook.suspects import Suspect, Suspects

T = TypeVar("T")

__all__ = ["suspect_versions", "told", "version_history"]

MOST_OF_A_SUSPECT = 5
_SMALL = "color:#666;font-size:85%;margin:0.2em 0"
_GROUP = (
    "text-align:left;vertical-align:top;font-weight:normal;padding:0.7em 0.7em 0.2em 0;"
    "border-bottom:1px solid #999;white-space:normal"
)


@guarded
def version_history(history: KeyHistory | Callable[[], KeyHistory]) -> View:
    """Every version of one object, newest first: age, size, ETag, and the promotion during which it was written.

    Parameters
    ----------
    history:
        ``history.key_history(incident, key)``, or a function that gives it: when that fails, the section says so.
    """
    known = told("Versions", history)
    if isinstance(known, Panel):
        return known
    shown = known.versions[:MOST_ROWS]
    columns = [
        Column("version", _version),
        Column("age", right=True),
        Column("written (UTC)", short),
        Column("size", size, right=True),
        Column("ETag", _version),
        Column("what", lambda one: join(map(chip, _words(one, known)), " ")),
        Column("promotion"),
    ]
    rows = [
        [one.version_id, duration(known.age(one)), one.at, one.size, one.etag, one, _promotion(one)]
        for one in shown
    ]
    lines = [
        line([row[0], row[1], when(row[2]), size(row[3]), ", ".join(_words(one, known)), row[6]])
        for row, one in zip(rows, shown, strict=True)
    ]
    markers = sum(one.is_delete_marker for one in known.versions)
    lead = f"{many(len(known.versions) - markers, 'version')} and {many(markers, 'delete marker')} of"
    key = visible(known.key)
    made = panel(
        join([f"{lead} ", name(key), "."]),
        table(columns, rows),
        *_remarks(known.problem, known.incomplete),
        _source(known.source, known.as_of),
        left_out=len(known.versions) - len(shown),
    )
    rest = made.text.strip().splitlines()
    return Panel(made.html, "\n".join([f"{lead} {plain(key, 400)}.", *lines, *rest]))


def told(title: str, given: T | Callable[[], T]) -> T | Panel:
    """What was given, or what the function gives; a panel with problem and hint where the kit could not have it."""
    try:
        return given() if callable(given) else given
    except VmqError as error:
        return _unknown(title, error.message, error.hint)


def _unknown(title: str, problem: str, hint: str) -> Panel:
    body = [tag("strong", f"{title}: not known"), tag("div", plain(visible(problem), 600))]
    if hint:
        body.append(tag("div", "What to do: ", tag("em", plain(visible(hint), 600))))
    text = f"{title}: not known: {plain(visible(problem), 600)} {plain(visible(hint), 600)}"
    return Panel(notice(join(body), "#E69F00"), text.strip(), ok=False)


def _version(value: Any) -> Html:
    text = plain(value, 1024)
    return tag("code", text if len(text) <= 12 else text[:10] + "…", title=text or None)


def _promotion(one: Version) -> str:
    return one.promoted.words if one.promoted else ""


def _words(one: Version, known: KeyHistory, good: Version | None = None) -> list[str]:
    """What is special about a version, in words."""
    words = ["current"] if one is known.current else []
    if _same(one, good):
        words.append("last good")
    if one.is_delete_marker:
        words.append("deleted")
    if one.same_as:
        words.append(f"same as {plain(one.same_as, 1024)[:10]}…")
    if one.storage_class not in ("", "STANDARD"):
        words.append(one.storage_class)
    return words


def _same(one: Version, other: Version | None) -> bool:
    """Whether these are one version: a null version keeps its id when it is overwritten."""
    return other is not None and (one.version_id, one.at) == (other.version_id, other.at)


def _remarks(problem: str, incomplete: str) -> list[Html]:
    said = [f"Who promoted what is not known: {problem}"] if problem else []
    if incomplete:
        said.append(f"The listing is incomplete: {incomplete}")
    return [tag("div", plain(one, 600)) for one in said]


def _source(source: str, as_of: datetime | None) -> Html:
    seen = f"{plain(source, 160)}, as of {show_time(as_of)}. " if as_of else f"{plain(source, 160)}. "
    return tag("div", f"{seen}{RULE}", style=_SMALL)


@guarded
def suspect_versions(suspects: Suspects | Callable[[], Suspects]) -> View:
    """The objects to look at first, each with its newest versions down to the one of the last good sync.

    Parameters
    ----------
    suspects:
        ``history.suspects(incident)``, or a function that gives it: when that fails, the section says so.
    """
    title = "Versions of suspects"
    found = told(title, suspects)
    if isinstance(found, Panel):
        return found
    if found.problem:
        return _unknown(title, found.problem, found.hint)
    span = f"since the last good sync of {when(found.since.at)}" if found.since else ""
    if not found.found:
        text = f"{title}: nothing had changed {span}."
        return Panel(notice(join([tag("strong", title), f": nothing had changed {span}."]), "#0072B2"), text)
    lead = f"{many(found.changed, 'object')} had changed {span}"
    lead += (
        f"; {found.failing:,} of them failed in a sync since, or are the metadata of a document that did. "
        if found.failing
        else ". "
    )
    lead += f"{len(found.found):,} to look at first:"
    parts, lines = [], []
    for one in found.found:
        parts.append(_suspect_rows(one))
        lines += _suspect_text(one)
    head = tag("tr", *(tag("th", text, scope="col", style=_HEAD) for text in _TITLES))
    grid = tag("table", tag("thead", head), *(tag("tbody", *rows) for rows in parts), style=_TABLE)
    command = f"vmq versions --key {_quoted(found.found[0].key)} --diff last-good current"
    made = panel(
        lead,
        grid,
        *_remarks("", found.incomplete),
        tag("div", "What differs: ", code(command)),
        _source(found.source, None),
    )
    return Panel(made.html, "\n".join([plain(lead, 1000), *lines, f"What differs: {plain(command, 1000)}"]))


_TITLES = ("version", "written (UTC)", "size", "what", "promotion")
_TABLE = "border-collapse:collapse;font-size:90%;margin:0.3em 0;text-align:left"
_HEAD = "text-align:left;vertical-align:bottom;border-bottom:2px solid #888;padding:0.2em 0.7em 0.2em 0"
_CELL = "text-align:left;vertical-align:top;padding:0.15em 0.7em 0.15em 0"
_RIGHT = "text-align:right;vertical-align:top;white-space:nowrap;padding:0.15em 0.7em 0.15em 0"


def _suspect_rows(one: Suspect) -> list[Html]:
    """The key and why it is here, then its versions."""
    why = [chip(one.change.what), " ", name(visible(one.key))]
    if one.error:
        about = ["; metadata of ", name(visible(one.document))] if one.document else []
        why.append(tag("div", "fails: ", plain(one.error, 200).rstrip("."), *about))
    if one.change.doubt:
        why.append(tag("div", plain(one.change.doubt, 200)))
    rows = [tag("tr", tag("th", *why, colspan=len(_TITLES), scope="rowgroup", style=_GROUP))]
    shown, older = _newest(one)
    for version in shown:
        words = join(map(chip, _words(version, one.history, one.good)), " ")
        rows.append(
            tag(
                "tr",
                tag("td", _version(version.version_id), style=_CELL),
                tag("td", short(version.at), style=_CELL),
                tag("td", size(version.size), style=_RIGHT),
                tag("td", words, style=_CELL),
                tag("td", plain(_promotion(version), 300), style=_CELL),
            )
        )
    if older:
        rows.append(tag("tr", tag("td", f"… {older:,} more", colspan=len(_TITLES), style=_CELL)))
    return rows


def _newest(one: Suspect) -> tuple[Sequence[Version], int]:
    """Its newest versions down to the one of the last good sync, that one always; and how many are not shown."""
    versions = one.history.versions
    good = next((place for place, each in enumerate(versions) if _same(each, one.good)), None)
    down = len(versions) if good is None else good + 1
    if down <= MOST_OF_A_SUSPECT or good is None:
        shown = versions[: min(down, MOST_OF_A_SUSPECT)]
    else:
        shown = (*versions[: MOST_OF_A_SUSPECT - 1], versions[good])
    return shown, len(versions) - len(shown)


def _suspect_text(one: Suspect) -> list[str]:
    why = f"{one.change.what}: {plain(visible(one.key), 300)}"
    lines = [why + (f" (fails: {plain(one.error, 200)})" if one.error else "")]
    for version in _newest(one)[0]:
        told = [version.version_id, when(version.at), size(version.size)]
        words = ", ".join(_words(version, one.history, one.good))
        lines.append("  " + line([*told, words, _promotion(version)]))
    return lines


def _quoted(key: str) -> str:
    import shlex

    return shlex.quote(visible(key))
