"""What ``vmq rollback`` shows: a plan, how an apply ended, a verification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import notice, say, table
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback import Applied, Plan, Verification

__all__ = [
    "applied_document",
    "plan_document",
    "show_applied",
    "show_next",
    "show_plan",
    "show_verification",
    "show_which",
    "verification_document",
]

_BLOCKED = 20
_DIFFERENCES = 50


def show_plan(incident: Incident, plan: Plan) -> None:
    """The preview of a plan on stdout: what, how much, what to be warned of, what is held back and why."""
    mask = incident.redactor.text
    say(f"Plan {plan.digest[:12]} of {plan.head.incident}: {_line(mask(plan.summary))}")
    if plan.target.why:
        say(_line(mask(plan.target.why)))
    table(("what", "how much"), plan.head.preview.rows(mask))
    for warning in plan.warnings:
        say(f"{click.style('Warning:', fg='yellow', bold=True)} {_line(mask(warning))}")
    held = sum(plan.head.blocked.values())
    if held:
        items = (item for item in plan.iter_items() if item.action == "BLOCKED")
        shown = f" (the first {_BLOCKED} of {held:,})" if held > _BLOCKED else ""
        table(
            ("key", "code", "why", "what to do"),
            (
                (_line(mask(item.key)), item.code, _line(mask(item.reason)), _line(mask(item.remedy)))
                for item in islice(items, _BLOCKED)
            ),
            title=f"Held back{shown}",
            whole=("key",),
        )


def show_next(plan: Plan) -> None:
    """The digest and what to type: the last lines of a plan."""
    from vmqlib.runbook.rollback.archives import ARCHIVED

    click.echo(f"Digest  {plan.digest}")
    click.echo(f"File    {plan.path}")
    apply = f"vmq rollback apply {plan.head.incident} --digest {plan.digest[:12]}"
    if plan.changes:
        click.echo(f"Next    {apply}")
    elif plan.head.blocked.get(ARCHIVED):
        click.echo(f"Next    {apply} --thaw")
    else:
        click.echo("Next    nothing: no object is to be changed.")


def plan_document(plan: Plan) -> dict[str, Any]:
    """A plan as JSON: keys exactly as they are. Its items are in the file."""
    apply = f"vmq rollback apply {plan.head.incident} --digest {plan.digest[:12]}"
    return {
        "id": plan.head.incident,
        "digest": plan.digest,
        "file": plan.path.resolve(),
        "summary": plan.summary,
        "changes": plan.changes,
        **{name: value for name, value in plan.head.to_json().items() if name != "incident"},
        "next": apply if plan.changes else "",
    }


def show_applied(incident: Incident, applied: Applied) -> None:
    """How an apply ended, on stdout."""
    mask = incident.redactor.text
    say(f"Plan {applied.digest[:12]}: {applied.sentence}")
    counts = [
        (name, getattr(applied, name)) for name in ("done", "found", "changed", "failed", "left", "unknown")
    ]
    table(("outcome", "objects"), [pair for pair in counts if pair[1]], numeric=("objects",))
    if applied.problems:
        table(
            ("key", "outcome", "what happened", "what to do"),
            [
                (_line(mask(each.key)), each.result, _line(mask(each.problem)), _line(mask(each.hint)))
                for each in applied.problems
            ],
            whole=("key",),
        )


def applied_document(incident: Incident, applied: Applied) -> dict[str, Any]:
    """The same as JSON."""
    return {"id": incident.id, **asdict(applied), "ok": applied.ok, "summary": applied.sentence}


def show_which(incident: Incident, digest: str, doing: str) -> None:
    """Which apply of several it is about, and how to name another; on stderr. Where there is one, nothing is said.

    Parameters
    ----------
    digest:
        Of its plan.
    doing:
        What is done with it.
    """
    from vmqlib.runbook import rollback

    applies = rollback.status(incident).applies
    if len(applies) < 2:
        return
    notice(f"{doing} plan {digest[:12]}, one of {len(applies)} that were applied. --digest names another:")
    for one in applies:
        when = f"{show_time(one.at)}: " if one.at else ""
        mark = "*" if one.digest == digest else " "
        notice(f"  {mark} {one.digest[:12]}  {when}{one.sentence}{' Taken back.' if one.undone else ''}")


def show_verification(incident: Incident, seen: Verification) -> None:
    """A verification on stdout: every difference, or the first of them and where the others are."""
    mask = incident.redactor.text
    say(seen.sentence)
    if seen.first:
        total = sum(seen.counts.values())
        table(
            ("key", "difference", "planned", "found", "since", "detail"),
            [
                (
                    _line(mask(each.key)),
                    each.problem,
                    each.planned,
                    each.found,
                    _second(each.since),
                    each.detail,
                )
                for each in seen.first[:_DIFFERENCES]
            ],
            whole=("key",),
        )
        if total > _DIFFERENCES:
            click.echo(f"… {total - _DIFFERENCES:,} more differences in {seen.path}")
    if seen.held:
        codes = ", ".join(f"{count:,} {code}" for code, count in seen.held.items())
        say(f"Held back by the plan and not restored: {codes}. {_some(seen.held_first, mask)}")
    if seen.outside:
        keys = [each.key for each in seen.outside_first]
        say(f"Not in the plan, and changed since it was made: {seen.outside:,}. {_some(keys, mask)}")


def verification_document(incident: Incident, seen: Verification) -> dict[str, Any]:
    """The same as JSON. All differences are in the file."""
    document = {"id": incident.id, **asdict(seen), "summary": seen.sentence}
    document["file"] = document.pop("path")
    return document


def _some(keys: Any, mask: Callable[[str], str]) -> str:
    return f"First: {', '.join(_line(mask(key)) for key in keys[:3])}." if keys else ""


def _second(at: str) -> str:
    return f"{at[:10]} {at[11:19]}" if at else ""


def _line(text: str) -> str:
    from vmqlib.runbook.rollback.preview import shown

    return shown(text)
