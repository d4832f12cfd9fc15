"""``vmq sync verify``: the proof that a sync took over what was restored (runbook, steps 3 and 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import json_option, notice, print_json, printable, progress_bar, say, table

if TYPE_CHECKING:
    from vmqlib.runbook.proof import Proof

__all__ = ["show_checks", "verify_command"]

_SHOWN = 25
_ORDER = ("fail", "cannot tell", "pass")


@click.command("verify")
@click.option(
    "--incident", "incident_id", metavar="ID", help="What this incident restored; kept in its record."
)
@click.option("--data-source", "data_source_id", metavar="ID", help="Without an incident: default DS_ID.")
@click.option(
    "--connector", metavar="NAME", help="Without an incident: the data source by its name in vmq.toml."
)
@click.option(
    "--execution",
    "execution_id",
    metavar="ID",
    default="",
    help="Only this sync job's evidence; default: all since.",
)
@json_option
def verify_command(
    incident_id: str | None,
    data_source_id: str | None,
    connector: str | None,
    execution_id: str,
    as_json: bool,
) -> None:
    """Prove that a sync took over what was restored, key by key; without a rollback, that index and bucket agree.

    Changes nothing. What cannot be told is neither proved nor disproved, and says why.

    Exit codes: 0 proved, 1 something is not as it should be or cannot be told, 3 nothing could be seen.

    \b
    Examples:
      vmq sync verify --incident INC-20261123-001
      vmq sync verify --data-source 8f0c… --json | jq .checks
      vmq sync verify --incident INC-20261123-001 --json | jq -r '.stuck[]'
    """
    from vmqlib.aws import Aws
    from vmqlib.runbook import proof
    from vmqlib.settings import Settings

    settings = Settings.load()
    settings.require("app_id", "index_id")
    aws = Aws(settings)
    mask: Callable[[str], str] = str
    with progress_bar(transient=True) as bar:
        task = bar.add_task("Looking", total=None)

        def watch(name: str) -> None:
            bar.update(task, description=f"looked at {name}")

        if incident_id:
            from vmqlib.record.incident import Incident

            incident = Incident.load(incident_id, settings=settings, aws=aws)
            mask = incident.redactor.text
            found = proof.prove(incident, execution_id=execution_id, progress=watch)
        else:
            from vmqlib.runbook.resync import choose

            chosen = choose(settings, data_source_id or "", connector or "").data_source_id
            found = proof.look(aws, settings, chosen, execution_id=execution_id, progress=watch)
    if as_json:
        print_json({**found.as_dict(), "keys": found.keys.to_dict("records")})
    else:
        _show(found, mask)
    click.get_current_context().exit(3 if not found.seen else 0 if found.ok else 1)


def _show(found: Proof, mask: Callable[[str], str]) -> None:
    say(printable(mask(found.sentence)))
    show_checks(found.checks, mask)
    from vmqlib.runbook.proof.results import LEFT_OUT

    open_ = ~found.keys["ok"].fillna(False).astype(bool) & ~found.keys["verdict"].isin(LEFT_OUT)
    rows = found.keys if found.rollback and bool(open_.any()) else found.keys[open_]
    if len(rows):
        table(
            ("key", "verdict", "wanted", "finding"),
            (
                (mask(row["key"]), row["verdict"], row["want"], mask(row["finding"]))
                for row in rows.head(_SHOWN).to_dict("records")
            ),
            title="Documents",
            whole=("key",),
        )
    if len(rows) > _SHOWN:
        notice(f"… {len(rows) - _SHOWN:,} more; --json has them all.")
    if found.stuck and found.incident:
        notice(f"Next, once the cause is gone: `vmq sync touch {found.incident} --failed`.")


def show_checks(checks: Any, mask: Callable[[str], str] = str) -> None:
    """Checks as a table, those that failed first."""
    ordered = sorted(checks, key=lambda one: _ORDER.index(one.outcome))
    table(
        ("outcome", "check", "finding", "what to do"),
        ((one.outcome, one.name, mask(one.finding), mask(one.mend)) for one in ordered),
    )
