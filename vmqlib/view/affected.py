"""Who and what an incident hits, in a few lines and a small table (runbook, step 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.wording import many
from vmqlib.times import show_time
from vmqlib.view.base import Panel, View, guarded, join, notice, plain, tag
from vmqlib.view.layout import Column, ago, chip, code, count, facts, line, name, records, table

if TYPE_CHECKING:
    from vmqlib.runbook.affected import Affected
    from vmqlib.runbook.affectedconnectors import AffectedConnector
    from vmqlib.runbook.guardrailchanges import Guardrail
    from vmqlib.runbook.questions import Asked

__all__ = ["affected"]

_NOT_SEEN = "not seen"
_ROWS = 8
_SHOWN = 3

_Pair = tuple[str, str, object]
"""A name, the text, and what a browser shows."""


@guarded
def affected(found: Affected | Callable[[], Affected]) -> View:
    """Connector, index, guardrail, documents and their prefixes, users' questions, and how severe that is.

    Parameters
    ----------
    found:
        What :func:`vmqlib.runbook.affected.affected` gives, or a function that gives it. What it does not know is shown
        as not seen, in its place.
    """
    found = found() if callable(found) else found
    pairs = [
        _severity(found),
        *_connectors(found),
        _pair("index", _index(found)),
        *([_pair("guardrail", _guardrail(found.guardrail))] if _about_guardrail(found) else []),
        _pair("documents", _documents(found)),
        *_questions(found),
        _pair("web experience", _web(found)),
    ]
    counts = ["documents", "failing", *(["unwanted"] if found.unauthorized else []), "changed"]
    rows = records(found.prefixes.head(_ROWS), ["prefix", *counts])
    hit = [row for row in rows if any(_number(value) for value in row[2:])] or rows[:1]
    columns = [
        Column("prefix", lambda prefix: name(prefix) if plain(prefix) else "(top)"),
        *(Column(title, _count, right=True) for title in counts),
    ]
    gaps = (
        [notice(join(["Not seen: ", plain(" ".join(found.not_seen), 800)]), "#E69F00")]
        if found.not_seen
        else []
    )
    lead = _lead(found)
    html = join(
        [
            tag("div", tag("strong", lead), style="margin:0.3em 0"),
            facts([(title, shown) for title, _, shown in pairs]),
            *([table(columns, hit)] if len(hit) else []),
            *gaps,
        ]
    )
    text = [lead, *(f"{title}: {words}" for title, words, _ in pairs)]
    text += [_row_text(row, counts) for row in hit]
    text += [f"not seen: {plain(one, 300)}" for one in found.not_seen]
    return Panel(html, "\n".join(text))


def _row_text(row: Sequence[Any], counts: Sequence[str]) -> str:
    shown = (f"{_count(value)} {what}" for value, what in zip(row[1:], counts, strict=True))
    return line([f"prefix {plain(row[0], 120) or '(top)'}", *shown])


def _pair(title: str, words: str) -> _Pair:
    return title, words, words


def _number(value: Any) -> int:
    text = plain(value)
    return int(text) if text else 0


def _count(value: Any) -> str:
    return count(value) or _NOT_SEEN


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    return f"{share:.0%}" if share == 0 or share >= 0.005 else "under 1%"


def _lead(found: Affected) -> str:
    """The finding in one sentence, from what was seen."""
    hit = [one for one in found.connectors if one.hit]
    parts = [f"{many(len(hit), 'connector')} affected"] if hit else []
    if found.unauthorized:
        parts.append(plain(found.unauthorized, 400))
    if found.index.failing:
        parts.append(f"{found.index.failing:,} of {found.index.documents or 0:,} documents fail")
    if found.guardrail.hit:
        parts.append("the guardrail blocks questions")
    after = found.questions.after
    if after is not None and found.severity.customers == "hit" and after.asked:
        parts.append(
            f"{_percent(after.no_answer_share)} of {many(after.asked, 'question')} had no answer, "
            f"{_percent(after.blocked_share)} were blocked"
        )
    if parts:
        return f"{'; '.join(parts)}."
    if found.not_seen or any(one.hit is None for one in found.connectors):
        return "Who is affected is not known from what was seen."
    return "Nothing that was seen is affected."


def _severity(found: Affected) -> _Pair:
    advice = found.severity
    text = f"{advice.severity}. {plain(advice.reason, 600)}"
    return "severity by the rule", text, join([chip(advice.severity), " ", plain(advice.reason, 600)])


def _connectors(found: Affected) -> list[_Pair]:
    """Those that are affected or may be, or whose last good sync is not known; how many are well."""
    doubtful = [one for one in found.connectors if one.hit is not False or one.doubt]
    well = len(found.connectors) - len(doubtful)
    told = [_connector(one, found) for one in doubtful[:_SHOWN]]
    if len(doubtful) > _SHOWN:
        told.append(_pair("more connectors", f"{len(doubtful) - _SHOWN} affected, or not known"))
    if not found.connectors:
        told.append(_pair("connector", _NOT_SEEN))
    if well:
        told.append(_pair("well", many(well, "connector")))
    return told


def _connector(one: AffectedConnector, found: Affected) -> _Pair:
    state = (
        "whether it is affected is not known"
        if one.hit is None
        else "affected"
        if one.hit
        else "not affected"
    )
    last = f"last sync {plain(one.last_status, 40)}" if one.last_status else f"last sync {_NOT_SEEN}"
    called = (
        "last that SUCCEEDED"
        if one.doubt
        else "last good before the first bad sign"
        if one.hit
        else "last good"
    )
    good = f"{called} {ago(one.last_good_at, found.at)}" if one.last_good_at else ""
    schedule = "" if one.schedule is None else f"schedule {plain(one.schedule, 80) or 'none: on demand'}"
    rest = "; ".join(filter(None, (f"{state}: {plain(one.why, 200)}", last, good, schedule)))
    rest = f"{rest}. {plain(one.doubt, 300)}" if one.doubt else rest
    label = plain(one.name, 80)
    identity = plain(one.data_source_id, 80)
    text = f"{label} ({identity}): {rest}" if label != identity else f"{identity}: {rest}"
    shown = join([tag("strong", label), " ", code(identity), ": ", rest])
    return "connector", text, shown


def _index(found: Affected) -> str:
    index = found.index
    label = plain(index.name or index.id, 80) or "the index"
    status = f" is {plain(index.status, 40)}" if index.status else f": status {_NOT_SEEN}"
    if index.documents is None:
        return f"{label}{status}; documents {_NOT_SEEN}"
    if index.failing is None:
        return f"{label}{status}; {many(index.documents, 'document')}, which of them fail {_NOT_SEEN}"
    share = f" ({_percent(index.share_failing)})" if index.failing else ""
    kept = f", and {index.kept}" if index.kept else ""
    return f"{label}{status}; {index.failing:,} of {many(index.documents, 'document')} fail{share}{kept}"


def _about_guardrail(found: Affected) -> bool:
    guardrail = found.guardrail
    return bool(guardrail.hit is not False or guardrail.changes)


def _guardrail(guardrail: Guardrail) -> str:
    state = {True: "blocks questions", False: "as usual", None: "whether it blocks too much is not known"}
    parts = [state[guardrail.hit]]
    if guardrail.phrases is None:
        parts.append(f"controls {_NOT_SEEN}")
    else:
        scope = f", scope {plain(guardrail.scope, 40)}" if guardrail.scope else ""
        parts.append(
            f"{many(guardrail.phrases, 'blocked phrase')}, {many(guardrail.topics or 0, 'topic')}{scope}"
        )
    if guardrail.changes is None:
        parts.append(f"changes {_NOT_SEEN}")
    for change in (guardrail.changes or ())[:_SHOWN]:
        at = show_time(change.at) if change.at else "at an unknown time"
        what = ", ".join(plain(one, 80) for one in change.what[:5]) or "what was changed is not in the event"
        more = f" and {len(change.what) - 5} more" if len(change.what) > 5 else ""
        refused = f" (refused: {plain(change.refused, 60)})" if change.refused else ""
        parts.append(f"{plain(change.who, 80) or 'somebody'}, {at}: {what}{more}{refused}")
    if guardrail.changes is not None and not guardrail.changes:
        parts.append("no change of it was seen")
    return "; ".join(parts)


def _documents(found: Affected) -> str:
    documents = found.documents
    fail = _NOT_SEEN if documents.failing is None else f"{documents.failing:,}"
    changed = _NOT_SEEN if documents.changed is None else f"{documents.changed:,}"
    sync = "sync that SUCCEEDED" if any(one.doubt for one in found.connectors) else "good sync"
    parts = [f"failing: {fail}", f"changed since the last {sync}: {changed}"]
    if documents.failing and documents.failing_changed is not None:
        parts.append(f"{documents.failing_changed:,} of the failing ones are among the changed")
    if documents.examples:
        parts.append(f"for example {_names(documents.examples)}")
    if documents.unwanted:
        parts.append(f"in the index, and must not be: {_names(documents.unwanted)}")
    return "; ".join(parts)


def _names(keys: Sequence[str]) -> str:
    return ", ".join(plain(key, 120) for key in keys[:_SHOWN]) + (" …" if len(keys) > _SHOWN else "")


def _questions(found: Affected) -> Iterable[_Pair]:
    asked = found.questions
    since = "since the first bad sign" if asked.from_sign else "the last day"
    whole = (
        "; the metrics' period of the first bad sign counts whole" if asked.from_sign and asked.after else ""
    )
    told = [
        _pair(f"questions {since}", _asked(asked.after) + whole),
        _pair("questions before", _asked(asked.before, "at the same hours")),
    ]
    return [*told, *([_pair("of the questions", plain(asked.problem, 400))] if asked.problem else [])]


def _asked(span: Asked | None, note: str = "") -> str:
    if span is None:
        return _NOT_SEEN
    window = f"{show_time(span.since)} to {show_time(span.until)}"
    hours = f", {span.hours:,.0f} h{f' {note}' if note else ''}" if span.hours >= 1 else ""
    if span.own:
        hours += (
            f"; {span.own:,} more {'was' if span.own == 1 else 'were'} this kit's own canaries, and left out"
        )
    if not span.asked:
        return f"none was asked ({window}{hours})"
    rate = f", {span.per_hour:,.1f} an hour" if span.per_hour is not None else ""
    return (
        f"{span.asked:,} asked{rate}; no answer {span.no_answer:,} ({_percent(span.no_answer_share)}); "
        f"blocked {span.blocked:,} ({_percent(span.blocked_share)}) ({window}{hours})"
    )


def _web(found: Affected) -> str:
    if found.web is None:
        return _NOT_SEEN
    if not found.web:
        return "none was found"
    return ", ".join(
        f"{plain(one.name or one.id, 80)} is {plain(one.status, 40) or 'not readable'}" for one in found.web
    )
