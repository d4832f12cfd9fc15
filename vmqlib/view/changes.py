"""What changed as a table, and the suspects with what speaks for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from vmqlib.runbook.wording import many
from vmqlib.times import duration, show_time
from vmqlib.view.base import Html, Panel, View, guarded, join, notice, plain, tag
from vmqlib.view.layout import Column, chip, line, panel, short, table, when, who
from vmqlib.view.version_history import told as told_of

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.changes import Change, Ranking, Suspicion, WhatChanged

__all__ = ["MOST_SUSPECTS", "Given", "numbers", "span_of", "suspects", "told_of", "what_changed"]

T = TypeVar("T")
Given: TypeAlias = T | Callable[[], T]
"""A value, or a function that gives it: when that fails, the section says so."""

_KINDS = {
    "promotion": "promotion",
    "objects": "S3 change",
    "aws-call": "AWS call",
    "schedule": "schedule",
    "commit": "commit",
    "sync": "sync",
    "alarm": "alarm",
}
MOST_CHANGES = 40
MOST_SUSPECTS = 5
_MOST_AFTER = 3
_LEAST = timedelta(hours=2)
_QUIET = timedelta(days=7)
_SMALL = "color:#666;font-size:85%;margin:0.2em 0"


@guarded
def what_changed(
    changed: Given[WhatChanged],
    ranking: Given[Ranking] | None = None,
    *,
    since: datetime | None = None,
    seen: Mapping[str, Observation] | None = None,
) -> View:
    """Everything that changed, oldest first: when, what, by whom, where it can be looked up; and what cannot be known.

    Parameters
    ----------
    changed:
        What changed, or a function that gives it.
    ranking:
        The suspects, likewise: their places stand beside them.
    since:
        Where to begin, UTC; by default as :func:`span_of` says.
    seen:
        Observations by source name: where it was drawn from.
    """
    known = told_of("What changed", changed)
    if isinstance(known, Panel):
        return known
    ranked = told_of("Suspects", ranking) if ranking is not None else None
    ranked = None if isinstance(ranked, Panel) else ranked
    places = numbers(ranked)
    start = max(since, known.since) if since else span_of(known, ranked)
    late = [one for one in known.changes if one.until >= start]
    shown = _few(late, places)
    columns = [
        Column("when (UTC)", _when),
        Column("kind", lambda one: _kind(one, places.get(one))),
        Column("what", _what),
        Column("who", lambda one: who(one.who or ("" if one.kind in ("sync", "alarm") else "not known"))),
        Column("where, and its reference", _where),
    ]
    rows = [[one] * len(columns) for one in shown]
    lines = [
        line([
            f"suspect {places[one]}" if one in places else "",
            f"{when(one.at)}{f' for {duration(one.until - one.at)}' if one.until > one.at else ''}",
            _KINDS[one.kind], one.what, one.who, one.where, one.outcome, one.reference,
        ])
        for one in shown
    ]  # fmt: skip
    lead = f"{many(len(late), 'change')} since {show_time(start)}, syncs and alarms among them"
    earlier = len(known.changes) - len(late)
    left = [f"{many(earlier, 'earlier change')} since {show_time(known.since)} left out"] if earlier else []
    if len(late) > len(shown):
        left.append(f"{many(len(late) - len(shown), 'change')} of the span left out, syncs and alarms first")
    gaps = _gaps(known)
    notes = [f"{'; '.join(left)}." if left else "", *(plain(one, 400) for one in known.limits)]
    small = [tag("div", note, style=_SMALL) for note in notes if note]
    return panel(
        f"{lead}.",
        *gaps,
        table(columns, rows),
        *small,
        seen=[seen[name] for name in dict.fromkeys(one.source for one in shown) if name in seen]
        if seen
        else [],
        text=[*unseen_lines(known), *lines, *(note for note in notes if note)],
    )


def _few(late: Sequence[Change], places: Mapping[Change, int]) -> list[Change]:
    """At most 40: suspects and causes before signs, newer before older; then in their order again."""
    ranked = sorted(
        late, key=lambda one: (one not in places, not one.is_cause, -one.until.timestamp(), one.order)
    )
    kept = set(ranked[:MOST_CHANGES])
    return [one for one in late if one in kept]


def _when(one: Change) -> Html:
    if one.until <= one.at:
        return short(one.at)
    return join(
        [short(one.at), tag("div", f"for {duration(one.until - one.at)}", style="color:#666;font-size:85%")]
    )


def _kind(one: Change, place: int | None) -> Html | str:
    word = _KINDS[one.kind]
    return word if place is None else join([word, tag("div", chip(f"suspect {place}"))])


def _where(one: Change) -> Html:
    """The place, and below it what it is looked up by: its end, since the whole shows on pointing."""
    text = plain(one.reference, 300)
    short_ = text if len(text) <= 40 else f"…{text[-38:]}"
    reference = tag("code", short_, style="overflow-wrap:anywhere;font-size:82%", title=text or None)
    parts = [plain(one.where, 160), *([tag("div", reference)] if text and text != one.where else [])]
    return join(parts)


def _what(one: Change) -> Html | str:
    if one.refused:
        return join([plain(one.what, 300), " ", chip(f"refused: {plain(one.outcome, 60)}")])
    if one.kind == "sync":
        rest = one.what.removeprefix(f"sync {one.outcome}").removeprefix(": ")
        return join([chip(one.outcome), f" {plain(rest, 200)}" if rest else ""])
    return plain(one.what, 300)


def unseen_lines(known: WhatChanged) -> list[str]:
    """Which kinds of change cannot be known of, one sentence each."""
    return [
        f"{'not seen' if one.whole else 'not all seen'}: {plain(one.what, 120)}: {plain(one.why, 300)}"
        + (f" {plain(one.hint, 300)}" if one.hint else "")
        for one in known.unseen
    ]


def _gaps(known: WhatChanged) -> list[Html]:
    lines = unseen_lines(known)
    if not lines:
        return []
    body = [tag("strong", "Changes that this cannot know of"), *(tag("div", text) for text in lines)]
    return [notice(join(body), "#E69F00")]


# -- the suspects


@guarded
def suspects(ranking: Given[Ranking], changed: Given[WhatChanged] | None = None) -> View:
    """Which changes to look at first, each with its points part by part and with what was seen, in a sentence.

    Parameters
    ----------
    ranking:
        The suspects, or a function that gives them.
    changed:
        What changed, likewise: what was not seen of it is said here, too.
    """
    ranked = told_of("Suspects", ranking)
    if isinstance(ranked, Panel):
        return ranked
    known = told_of("What changed", changed) if changed is not None else None
    gaps = [] if known is None or isinstance(known, Panel) else _gaps(known)
    if ranked.sign is None:
        return panel("No bad sign is known, so no change is suspected of anything.", *gaps)
    before = [one for one in ranked.suspects if not one.after]
    after = [one for one in ranked.suspects if one.after and one.documents][:_MOST_AFTER]
    shown = [one for one in before if one.points][:MOST_SUSPECTS]
    columns = [
        Column("", lambda place: tag("strong", place)),
        Column("change", lambda one: plain(one.title, 300)),
        Column("points", lambda one: tag("strong", f"{one.points}"), right=True),
        Column("made up of", _parts),
    ]
    rows = [[str(place), one, one, one] for place, one in enumerate(shown, 1)]
    rows += [["later", one, one, one] for one in after]
    sign = ranked.sign
    lead = lead_of(ranked)
    note = (
        f"First bad sign: {sign.trigger}, {show_time(sign.at)}"
        + (f" (its sync began {show_time(sign.began_at)})" if sign.began_at else "")
        + ". Points order what to look at first; they are no likelihood, and no suspect is a finding."
    )
    rest = len(before) - len(shown)
    if rest > 0:
        note += f" {many(rest, 'change')} before it with fewer points, or none, left out."
    text = [f"{place}. [{one.points}: {_points(one)}] {one.why}" for place, one in enumerate(shown, 1)]
    text += [f"later: {one.why}" for one in after]
    made = panel(lead, *([table(columns, rows)] if rows else []), tag("div", note, style=_SMALL), *gaps)
    lines = [lead, *(plain(one, 600) for one in text), note]
    if isinstance(known, Panel) or known is None:
        return Panel(made.html, "\n".join(lines))
    return Panel(made.html, "\n".join([*lines, *unseen_lines(known)]))


def lead_of(ranking: Ranking) -> str:
    """The first suspect in a sentence; or that no change which was seen has more than its time against it."""
    if ranking.first is not None:
        return plain(f"To look at first: {ranking.first.why}", 600)
    if any(not one.after for one in ranking.suspects):
        return (
            "No change that was seen explains it: each before it has no more than its time against it, or a sync took "
            "it in and SUCCEEDED."
        )
    return "No change before the first bad sign was seen."


def _parts(one: Suspicion) -> Html:
    return join(
        [
            tag(
                "div",
                f"{part.name} {_of(part.points, part.most)}: ",
                tag("span", plain(part.text, 200), style="color:#555"),
            )
            for part in one.parts
        ]
    )


def _of(points: int, most: int) -> str:
    return f"{points} of {most}" if most else f"{points}"


def _points(one: Suspicion) -> str:
    return ", ".join(f"{part.name} {_of(part.points, part.most)}" for part in one.parts)


def numbers(ranking: Ranking | None) -> dict[Change, int]:
    """The places of the first suspects, by their change."""
    if ranking is None:
        return {}
    before = [one for one in ranking.suspects if not one.after and one.points][:MOST_SUSPECTS]
    return {one.change: place for place, one in enumerate(before, 1)}


def span_of(changed: WhatChanged, ranking: Ranking | None) -> datetime:
    """Where to begin: half as long again before the last good sync, and before whatever something speaks for."""
    sign = ranking.sign if ranking is not None else None
    if ranking is None or sign is None:
        return max(changed.since, changed.until - _QUIET)
    told = [sign.at, *([sign.good_at] if sign.good_at else []), *(one.change.at for one in ranking.supported)]
    first = min(told)
    return max(changed.since, first - max((changed.until - first) / 2, _LEAST))
