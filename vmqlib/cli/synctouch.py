"""``vmq sync touch``: have the connector look again at objects that did not change (runbook, step 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmqlib.cli import rollbackoutput as shows
from vmqlib.cli.carrying import carry_out, load, nothing_to_do, watching
from vmqlib.cli.output import confirm, json_option, notice, print_json, yes_option
from vmqlib.errors import BadInput, CheckFailed

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback import Plan

__all__ = ["touch_command"]


@click.command("touch")
@click.argument("incident_id", metavar="ID")
@click.option("--key", "keys", multiple=True, help="Touch this object; repeatable.")
@click.option(
    "--failed", is_flag=True, help="Touch every document that the newest `vmq sync verify` found failed."
)
@click.option(
    "--digest",
    default="",
    metavar="D",
    help="Apply the plan that was looked at.",
)
@click.option(
    "--resume",
    "resumes",
    is_flag=True,
    help="Go on with a touch that was interrupted or refused.",
)
@click.option(
    "--check", "checks", is_flag=True, help="List the bucket again and compare it with what was planned."
)
@click.option("--undo", "undoes", is_flag=True, help="Put the versions back on top that were there before.")
@yes_option
@json_option
def touch_command(
    incident_id: str,
    keys: tuple[str, ...],
    failed: bool,
    digest: str,
    resumes: bool,
    checks: bool,
    undoes: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Copy objects onto themselves with new metadata, so that the next sync reads them again.

    Plans, shows the plan, asks, applies. For documents that failed and did not change: a connector does not read those
    again. Content, content headers, tags, storage class, encryption and user metadata stay; the metadata key
    vmq-touched is added. The former version is kept.

    Exit code 1: every object was held back (BLOCKED), so nothing was touched; or --check found a difference.

    \b
    Examples:
      vmq sync touch INC-20261123-001 --failed
      vmq sync touch INC-20261123-001 --key guides/setup.md --yes
      vmq sync touch INC-20261123-001 --digest 5f14bc3cfa37 --yes
      vmq sync touch INC-20261123-001 --resume
    """
    from vmqlib.runbook import rollback

    if sum((bool(keys or failed or digest), resumes, checks, undoes)) != 1:
        raise BadInput(
            "It is not said what to touch.",
            hint="Give --key or --failed, or the --digest of a plan; or one of --resume, --check, --undo.",
        )
    incident = load(incident_id)
    if checks:
        _check(incident, as_json=as_json)
    elif resumes:
        last = rollback.status(incident, "touch").applied
        carry_out(
            incident,
            last.digest if last is not None else "",
            lambda watch, stop: rollback.resume(incident, purpose="touch", progress=watch, stop=stop),
            as_json=as_json,
            purpose="touch",
        )
    else:
        _plan_and_apply(incident, keys, failed=failed, digest=digest, undoes=undoes, yes=yes, as_json=as_json)


def _plan_and_apply(
    incident: Incident,
    keys: tuple[str, ...],
    *,
    failed: bool,
    digest: str,
    undoes: bool,
    yes: bool,
    as_json: bool,
) -> None:
    from vmqlib.runbook import rollback

    plan = _plan(incident, keys, failed=failed, digest=digest, undoes=undoes)
    if not as_json:
        shows.show_plan(incident, plan)
        click.echo(f"Digest  {plan.digest}")
    if not plan.changes:
        if as_json:
            print_json({"id": incident.id, "digest": plan.digest, "changes": 0})
        if (held := next((item for item in plan.iter_items() if item.action == "BLOCKED"), None)) is not None:
            raise CheckFailed(
                f"{nothing_to_do(plan)} {incident.redactor.text(held.key)}: {held.reason}",
                hint=f"{held.remedy} `vmq versions` lists what changed, with keys as the bucket has them.".strip(),
            )
        notice(nothing_to_do(plan))
        return
    what = "1 object" if plan.changes == 1 else f"{plan.changes:,} objects"
    onto = "itself" if plan.changes == 1 else "themselves"
    confirm(f"Copy {what} in s3://{plan.scope.bucket} onto {onto}?", yes=yes)
    carry_out(
        incident,
        plan.digest,
        lambda watch, stop: rollback.apply(
            incident, plan, digest=digest or plan.digest, progress=watch, stop=stop
        ),
        as_json=as_json,
        purpose="touch",
    )


def _plan(incident: Incident, keys: tuple[str, ...], *, failed: bool, digest: str, undoes: bool) -> Plan:
    from vmqlib.runbook import rollback, touch
    from vmqlib.runbook.rollback.applying import check_applicable

    with watching() as watch:
        if undoes:
            return rollback.undo(incident, purpose="touch", progress=watch)
        if digest and not (keys or failed):
            known = rollback.planned(incident, "touch")
            if known is None:
                raise BadInput(f"No touch was planned in {incident.id}.", hint="Give --key or --failed.")
            check_applicable(incident, known, digest)
            return known
        made = touch.plan(incident, [*keys, *(_failed(incident) if failed else [])], progress=watch)
    if digest:
        check_applicable(incident, made, digest)
    return made


def _failed(incident: Incident) -> tuple[str, ...]:
    from vmqlib.runbook import proof
    from vmqlib.runbook.proof.expecting import deeds

    found = proof.newest(incident)
    again = f"vmq sync verify --incident {incident.id}"
    if found is None:
        raise BadInput("Nobody has looked yet which documents failed.", hint=f"`{again}` looks, then touch.")
    if not found.failed:
        raise BadInput(
            "The newest proof names no failed document.",
            hint=f"`{again}` looks again; or name objects with --key.",
        )
    # A proof rests on evidence, where names of persons are masked; plans have the keys as they are.
    exact = {incident.redactor.text(key): key for key in deeds(incident)[0]}
    return tuple(exact.get(key, key) for key in found.failed)


def _check(incident: Incident, *, as_json: bool) -> None:
    from vmqlib.runbook import rollback

    with watching() as watch:
        seen = rollback.verify(incident, purpose="touch", progress=watch)
    if as_json:
        print_json(shows.verification_document(incident, seen))
    else:
        shows.show_verification(incident, seen)
    click.get_current_context().exit(0 if seen.ok else 1)
