"""``vmq rollback``: plan, apply, resume, verify, undo (runbook, step 3)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli import rollbackoutput as shows
from vmqlib.cli.carrying import carry_out, load, nothing_to_do, watching
from vmqlib.cli.output import confirm, json_option, notice, print_json, yes_option
from vmqlib.errors import BadInput

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback import Plan

__all__ = ["rollback_command"]

_id = click.argument("incident_id", metavar="ID")
_rate = click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), help="At most so many objects a second."
)
_workers = click.option(
    "--workers", type=click.IntRange(1, 256), default=16, show_default=True, help="Requests at a time."
)


_which = click.option(
    "--digest",
    default="",
    metavar="D",
    help="Of several that were applied, another than the last: its plan's digest, or 8 characters of it.",
)


@click.group("rollback")
def rollback_command() -> None:
    """Put objects back to what they were: plan, look at the plan, apply it, verify. Undo takes it back.

    No version is ever destroyed: an old one is copied on top, or a delete marker is put on top. An object that
    somebody else changes meanwhile is left alone.

    \b
    Examples:
      vmq rollback plan INC-20261123-001
      vmq rollback apply INC-20261123-001 --digest 5f14bc3cfa37
      vmq rollback verify INC-20261123-001
      vmq rollback undo INC-20261123-001
    """


@rollback_command.command("plan")
@_id
@click.option(
    "--to",
    default="last-good",
    show_default=True,
    metavar="last-good|previous|TIME",
    help="The start of the last sync that succeeded before the incident; each key's previous version (with --key or "
    "--since); or a time: an age (6h) or UTC.",
)
@click.option("--prefix", help="Only keys that begin with it. Default: the connector's.")
@click.option(
    "--exclude",
    multiple=True,
    help="No keys that begin with it; repeatable. The connector's own exclusions hold as well.",
)
@click.option("--key", "keys", multiple=True, help="Only this key; repeatable.")
@click.option(
    "--since", default="", help="With --to previous: keys that changed since, an age or a UTC time."
)
@click.option(
    "--ambiguous",
    type=click.Choice(["hold", "include", "exclude"]),
    default="hold",
    show_default=True,
    help="Keys that changed within the very second of the target: hold them back, or count the change as made by then "
    "(include) or after it (exclude).",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Copy the plan into this file, too."
)
@json_option
def plan_command(
    incident_id: str,
    to: str,
    prefix: str | None,
    exclude: tuple[str, ...],
    keys: tuple[str, ...],
    since: str,
    ambiguous: Any,
    out: Path | None,
    as_json: bool,
) -> None:
    """Plan a rollback and show what would come of it. Changes nothing.

    \b
    Examples:
      vmq rollback plan INC-20261123-001
      vmq rollback plan INC-20261123-001 --to 2026-11-20T10:00Z --prefix policies/
      vmq rollback plan INC-20261123-001 --to previous --key phases-mirage.md
      vmq rollback plan INC-20261123-001 --out plan.jsonl.gz --json | jq .counts
    """
    from vmqlib.runbook import rollback

    incident = load(incident_id)
    with watching() as watch:
        plan = rollback.plan(
            incident,
            to=to,
            prefix=prefix,
            exclude=exclude or None,
            keys=keys,
            since=since,
            ambiguous=ambiguous,
            progress=watch,
        )
    if out is not None:
        plan.copy_to(out)
    if as_json:
        print_json(shows.plan_document(plan))
        return
    shows.show_plan(incident, plan)
    shows.show_next(plan)


@rollback_command.command("apply")
@_id
@click.option(
    "--plan",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A plan's file; default: the newest plan of the incident.",
)
@click.option(
    "--digest",
    default="",
    metavar="D",
    help="The plan that was looked at: its digest, or 8 characters of it.",
)
@_rate
@_workers
@click.option(
    "--thaw",
    is_flag=True,
    help="Ask for readable copies of archived versions, too. Costs money; takes hours.",
)
@yes_option
@json_option
def apply_command(
    incident_id: str,
    file: Path | None,
    digest: str,
    rate: float | None,
    workers: int,
    thaw: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Carry a plan out. Ctrl-C finishes what is in flight; `vmq rollback resume` goes on.

    Exit code 0: all is as planned. 3: AWS refused some. 4: somebody else changed some, which were left alone; or the
    digest is another plan's, or another apply is under way.

    \b
    Examples:
      vmq rollback apply INC-20261123-001
      vmq rollback apply INC-20261123-001 --digest 5f14bc3cfa37 --yes
      vmq rollback apply INC-20261123-001 --plan plan.jsonl.gz --rate 100
    """
    from vmqlib.runbook import rollback
    from vmqlib.runbook.rollback import planfile
    from vmqlib.runbook.rollback.applying import check_applicable

    incident = load(incident_id)
    plan = planfile.read(file) if file is not None else rollback.planned(incident)
    if plan is None:
        raise BadInput(
            f"Nothing was planned in {incident.id}.",
            hint=f"`vmq rollback plan {incident.id}` plans a rollback and shows what would come of it.",
        )
    # Before anybody is asked: what would be refused afterwards.
    check_applicable(incident, plan, digest or plan.digest)
    notice(f"Plan {plan.digest[:12]}: {plan.summary}")
    for warning in plan.warnings:
        notice(f"  {warning}")
    how = _thaw(incident, plan, yes=yes) if thaw else None
    if not plan.changes:
        notice(nothing_to_do(plan))
        if as_json:
            print_json({"id": incident.id, "digest": plan.digest, "changes": 0})
        return
    confirm(f"Change {plan.changes:,} objects in s3://{plan.scope.bucket}?", yes=yes)
    carry_out(
        incident,
        plan.digest,
        lambda watch, stop: rollback.apply(
            incident,
            plan,
            digest=digest or plan.digest,
            rate=rate,
            workers=workers,
            thaw=how,
            progress=watch,
            stop=stop,
        ),
        as_json=as_json,
    )


@rollback_command.command("resume")
@_id
@_rate
@_workers
@click.option(
    "--yes",
    "-y",
    is_flag=True,
    expose_value=False,
    help="As for apply; not needed: the plan was approved when it was begun.",
)
@json_option
def resume_command(incident_id: str, rate: float | None, workers: int, as_json: bool) -> None:
    """Go on with an apply that was interrupted, killed, or refused in part. What was done is not done again.

    It does not ask: the plan was approved when its apply began, and nothing but that plan is done.

    \b
    Examples:
      vmq rollback resume INC-20261123-001
      vmq rollback resume INC-20261123-001 --workers 4
    """
    from vmqlib.runbook import rollback

    incident = load(incident_id)
    last = rollback.status(incident).applied
    carry_out(
        incident,
        last.digest if last is not None else "",
        lambda watch, stop: rollback.resume(incident, rate=rate, workers=workers, progress=watch, stop=stop),
        as_json=as_json,
    )


@rollback_command.command("verify")
@_id
@_which
@json_option
def verify_command(incident_id: str, digest: str, as_json: bool) -> None:
    """List the bucket again and compare it with the plan that was applied last. Changes nothing.

    Exit code 0: all is as planned. 1: it is not, and every difference is said.

    \b
    Examples:
      vmq rollback verify INC-20261123-001
      vmq rollback verify INC-20261123-001 --digest 5f14bc3cfa37
      vmq rollback verify INC-20261123-001 --json | jq .counts
    """
    from vmqlib.runbook import rollback

    incident = load(incident_id)
    with watching() as watch:
        seen = rollback.verify(incident, digest=digest, progress=watch)
    shows.show_which(incident, seen.digest, "Compared with")
    if as_json:
        print_json(shows.verification_document(incident, seen))
    else:
        shows.show_verification(incident, seen)
        command = rollback.status(incident).command
        if not seen.ok and command and not digest:
            notice(f"Next: `{command}`.")
        elif seen.ok:
            notice(f"Next: `vmq sync start --incident {incident.id}`.")
    click.get_current_context().exit(0 if seen.ok else 1)


@rollback_command.command("undo")
@_id
@_which
@_rate
@_workers
@yes_option
@json_option
def undo_command(
    incident_id: str, digest: str, rate: float | None, workers: int, yes: bool, as_json: bool
) -> None:
    """Take the last rollback back, or the last undo. What was changed since is left alone.

    \b
    Examples:
      vmq rollback undo INC-20261123-001
      vmq rollback undo INC-20261123-001 --digest 5f14bc3cfa37
      vmq rollback undo INC-20261123-001 --yes
    """
    from vmqlib.runbook import rollback

    incident = load(incident_id)
    with watching() as watch:
        plan = rollback.undo(incident, digest=digest, progress=watch)
    shows.show_which(incident, plan.head.of, "Takes back")
    if not as_json:
        shows.show_plan(incident, plan)
    if not plan.changes:
        notice(nothing_to_do(plan))
        if as_json:
            print_json({"id": incident.id, "digest": plan.digest, "changes": 0})
        return
    confirm(f"Change {plan.changes:,} objects in s3://{plan.scope.bucket}?", yes=yes)
    carry_out(
        incident,
        plan.digest,
        lambda watch, stop: rollback.apply(
            incident, plan, digest=plan.digest, rate=rate, workers=workers, progress=watch, stop=stop
        ),
        as_json=as_json,
    )


def _thaw(incident: Incident, plan: Plan, *, yes: bool) -> Any:
    """Asks for readable copies of what is archived, with leave; how, for what turns out to be archived later."""
    from vmqlib.runbook import rollback
    from vmqlib.runbook.rollback.archives import estimate

    how = rollback.Thaw()
    found = estimate(plan, how)
    if not found.versions:
        notice("The plan holds no archived versions back.")
        return how
    confirm(
        f"Ask for readable copies of {found.versions:,} archived versions ({found.size}) for {how.days} days? "
        f"{found.cost}",
        yes=yes,
    )
    made = rollback.thaw_archived(incident, plan, how=how)
    notice(f"Asked for {made.asked:,} readable copies: they are there in about {made.wait}. Then plan again.")
    for problem in made.problems:
        notice(f"  refused: {problem.key!r}: {problem.problem}")
    return how
