"""The plan of a rollback, for somebody who is to approve it: the section *Rollback plan* of a record."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.wording import many
from vmqlib.view.base import Html, Panel, View, guarded, join, notice, plain, tag
from vmqlib.view.layout import (
    Column,
    chip,
    code,
    count,
    facts,
    line,
    name,
    panel,
    short,
    size,
    small,
    table,
    when,
)

if TYPE_CHECKING:
    from vmqlib.runbook.rollback import Plan, Status
    from vmqlib.runbook.rollback.items import Entry, Item

__all__ = ["rollback_plan"]

MOST_ITEMS = 25
MOST_BLOCKED = 10
MOST_READ = 100_000
"""Items that are read for the table; a plan may have millions, and the file has them all."""

_ORDER = ("DELETE", "UNDELETE", "COPY")
_COPIES = ("COPY", "UNDELETE")
_MEANS = {
    "COPY": "the old version is copied on top of the current one",
    "UNDELETE": "the old version is copied on top of a delete marker",
    "DELETE": "a new delete marker: the key was not there then",
    "SKIP": "changed since, but of the same content: left as it is",
    "BLOCKED": "held back: see below",
}


@guarded
def rollback_plan(status: Status | Callable[[], Status], why_not: str | Callable[[], str] = "") -> View:
    """What a rollback would do: where it goes back to, how many objects, what the index makes of it, what is held back
    and why, and the exact command that does it.

    Parameters
    ----------
    status:
        Where the rollback stands (``rollback.status(incident)``), or a function that gives it: when that fails, the
        section says so.
    why_not:
        Why none could be planned, where somebody tried; or a function that gives it.
    """
    now = status() if callable(status) else status
    told = why_not() if callable(why_not) else why_not
    if now.plan is None:
        return _none(now, told)
    plan, head = now.plan, now.plan.head
    picked = _pick(plan)
    warnings = [plain(one, 600) for one in head.warnings]
    lines = [f"{action}: {number:,}" for action, number in head.counts.items() if number]
    lines += [f"warning: {one}" for one in warnings]
    parts: list[Html] = []
    if told:
        words = f"A newer plan could not be made: {told}"
        parts.append(notice(words, "#E69F00"))
        lines.append(words)
    parts += [_counts(plan), facts(_goal(plan)), *(notice(one, "#E69F00") for one in warnings)]
    if head.blocked:
        shown, words_ = _blocked(plan, picked)
        parts.append(shown)
        lines += words_
    # Its first rows are what the tables above say.
    told_above = len(head.preview.counts) + len(head.preview.blocked)
    preview = [(what, plain(value, 1500)) for what, value in head.preview.rows()[told_above:]]
    parts += [tag("div", tag("strong", "What comes of it")), facts(preview)] if preview else []
    lines += [f"{what}: {value}" for what, value in preview]
    if picked.items:
        shown, words_ = _items(picked.items)
        parts.append(shown)
        lines += words_
        if plan.changes > len(picked.items):
            parts.append(small(f"… {plan.changes - len(picked.items):,} more in rollback/{plan.path.name}"))
    parts.append(facts(_origin(plan)))
    lines += [f"target: {plain(head.target.why, 300)}", f"digest: {plan.digest}"]
    todo = _todo(now)
    if todo and any(item.action in _COPIES and item.properties is None for item in picked.items):
        words = "The versions were not looked at one by one. What cannot be copied shows when it is applied, or now:"
        command = f"vmq rollback plan {head.incident}"
        parts.append(tag("div", words, " ", code(command), style="margin:0.5em 0"))
        lines.append(f"{words} {command}")
    if todo:
        parts.append(tag("div", todo, " ", code(now.command), style="margin:0.5em 0"))
        lines.append(f"{todo} {now.command}")
    return panel(plan.summary, *parts, text=lines)


def _none(now: Status, told: str) -> View:
    """There is no plan, and why."""
    if told or now.problem:
        problem = now.problem or told
        lead = "The plan cannot be read" if now.problem else "No rollback could be planned"
        body = join([tag("strong", lead), ": ", plain(problem, 800)])
        return Panel(notice(body, "#E69F00"), f"{lead}: {plain(problem, 800)}", ok=False)
    lead = "No rollback was planned."
    return panel(
        lead,
        tag("div", "Planning only reads: ", code("vmq rollback plan ID")),
        text=["Planning only reads: vmq rollback plan ID"],
    )


def _todo(now: Status) -> str:
    """What the command below is for; empty where the plan asks for none."""
    if "rollback apply" in now.command:
        return "To approve exactly this plan and carry it out:"
    if "rollback resume" in now.command:
        return "To go on with it:"
    return ""


@dataclass
class _Picked:
    """What is shown of a plan's items.

    Parameters
    ----------
    items:
        Changes: deletions first, as those are what somebody must look at.
    blocked:
        The first keys by code, with the reason and the remedy of the first.
    """

    items: list[Item] = field(default_factory=list)
    blocked: dict[str, list[Item]] = field(default_factory=dict)


def _pick(plan: Plan) -> _Picked:
    """Reads as much of the plan as its table needs."""
    by_action: dict[str, list[Item]] = {action: [] for action in _ORDER}
    picked = _Picked()
    for item in itertools.islice(plan.iter_items(), MOST_READ):
        if item.action == "BLOCKED":
            known = picked.blocked.setdefault(item.code, [])
            if len(known) < MOST_BLOCKED:
                known.append(item)
        elif item.action in by_action and len(by_action[item.action]) < MOST_ITEMS:
            by_action[item.action].append(item)
    picked.items = _shared(by_action)
    return picked


def _shared(by_action: dict[str, list[Item]]) -> list[Item]:
    """Some of each action: deletions first, and none crowds the others out."""
    each = MOST_ITEMS // len(_ORDER)
    free = MOST_ITEMS - sum(min(len(items), each) for items in by_action.values())
    chosen: list[Item] = []
    for action in _ORDER:
        more = min(max(len(by_action[action]) - each, 0), free)
        free -= more
        chosen += by_action[action][: each + more]
    return chosen


def _counts(plan: Plan) -> Html:
    """Objects and bytes by action, and what each action does."""
    head = plan.head
    rows = [
        (action, head.counts[action], head.bytes.get(action, 0), meaning)
        for action, meaning in _MEANS.items()
        if head.counts.get(action)
    ]
    columns = [
        Column("action", chip),
        Column("objects", count, right=True),
        Column("bytes", lambda number: size(number) if number else "", right=True),
        Column("what is done"),
    ]
    return table(columns, rows) if rows else Html("")


def _blocked(plan: Plan, picked: _Picked) -> tuple[Html, list[str]]:
    """What is held back, by reason, with what to do about it."""
    columns = [
        Column("held back", chip),
        Column("objects", count, right=True),
        Column("why"),
        Column("what to do"),
        Column("keys", lambda keys: join([tag("div", name(key)) for key in keys])),
    ]
    rows: list[list[Any]] = []
    for reason, number in sorted(plan.head.blocked.items(), key=lambda pair: -pair[1]):
        known = picked.blocked.get(reason, [])
        first = known[0] if known else None
        rows.append(
            [
                reason,
                number,
                first.reason if first else "",
                first.remedy if first else "",
                [item.key for item in known[:3]],
            ]
        )
    lines = [f"held back: {line(row[:4])} | {', '.join(plain(key, 120) for key in row[4])}" for row in rows]
    return table(columns, rows), lines


def _items(items: list[Item]) -> tuple[Html, list[str]]:
    columns = [
        Column("key", name),
        Column("action", chip),
        Column("now (UTC)", _entry),
        Column("will be, as of (UTC)", _entry),
    ]
    rows: list[list[Any]] = [[item.key, item.action, item.current, item.target] for item in items]
    if any(not item.document for item in items):
        columns.append(Column("index", lambda there: "" if there else "not a document"))
        rows = [[*row, item.document] for row, item in zip(rows, items, strict=True)]
    lines = [
        line([row[0], row[1], _words(row[2]), _dated(row[2]), "becomes", _words(row[3]), _dated(row[3])])
        for row in rows
    ]
    return table(columns, rows), lines


def _words(entry: Entry) -> str:
    """An entry in a word or its size."""
    if not entry.version_id:
        return "not there"
    return "deleted" if entry.is_delete_marker else size(entry.size)


def _dated(entry: Entry) -> str:
    return when(entry.at or None)


def _entry(value: Any) -> Html:
    """An entry by its size and time; the whole version id shows on pointing."""
    shown = [_words(value), *([" · ", short(value.at)] if value.at else [])]
    return tag("span", *shown, title=plain(value.version_id, 1024) or None, style="white-space:nowrap")


def _goal(plan: Plan) -> list[tuple[str, object]]:
    """Where it goes back to, and in which keys."""
    head = plan.head
    scope = head.scope
    without = f", without {', '.join(plain(one, 80) for one in scope.exclude)}" if scope.exclude else ""
    named = f", {many(len(scope.keys), 'named key')}" if scope.keys else ""
    return [
        ("back to", plain(head.target.why, 400)),
        ("as of", when(head.target.at) if head.target.at else ""),
        ("scope", join([code(f"s3://{scope.bucket}/{scope.prefix}"), without, named])),
        (
            "seen",
            f"{head.listed:,} versions and markers of {many(head.keys, 'key')}; {head.unchanged:,} need no change",
        ),
        ("takes back", code(head.of[:12]) if head.of else ""),
    ]


def _origin(plan: Plan) -> list[tuple[str, object]]:
    """Who made it, when, and what an approval names."""
    return [
        ("planned", f"{when(plan.head.made_at)} by {plain(plan.head.caller, 200) or 'somebody'}"),
        ("file", code(f"rollback/{plan.path.name}")),
        ("digest", tag("code", plan.digest, style="font-size:80%;word-break:break-all")),
    ]
