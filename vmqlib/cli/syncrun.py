"""``vmq sync run``: the script that a connector names (runbook, step 4)."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import confirm, json_option, notice, print_json, printable, yes_option

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.targeted import Ended, Line, ScriptPlan
    from vmqlib.settings import Settings

__all__ = ["run_command"]


@click.command("run")
@click.option("--connector", metavar="NAME", default="", help="The connector by its name in vmq.toml.")
@click.option(
    "--incident", "incident_id", metavar="ID", help="Journal it there, and keep its output as evidence."
)
@click.option(
    "--digest",
    default="",
    metavar="D",
    help="The plan that was looked at: its digest, or 8 characters of it.",
)
@click.option("--preview", is_flag=True, help="Show what would be run, and run nothing.")
@yes_option
@json_option
def run_command(
    connector: str, incident_id: str | None, digest: str, preview: bool, yes: bool, as_json: bool
) -> None:
    """Run the script of a connector: what exactly is shown first, and asked for.

    It is run without a shell, in the environment that is shown and no other. Its output is shown line by line, with
    secrets masked. Ctrl-C, and its time-out, end it with all that it started.

    Exit code 0: its exit status was 0. 1: it was another one. 4: the script is not the one that was looked at. 5: it
    took too long.

    \b
    Examples:
      vmq sync run --connector docs --preview
      vmq sync run --connector docs --incident INC-20261123-001
      vmq sync run --connector docs --digest 5f14bc3cfa37 --yes
    """
    from vmqlib.record.redaction import redactor_for
    from vmqlib.runbook import resync, targeted
    from vmqlib.settings import Settings

    settings = Settings.load()
    chosen = resync.choose(settings, "", connector)
    incident = _incident(settings, incident_id)
    made = targeted.plan(settings, chosen, incident_id=incident.id if incident else "")
    mask = redactor_for(settings, incident).text
    _show(made, mask)
    if digest:
        from vmqlib.runbook.targeted.plan import approve

        approve(made, digest)
    if preview:
        if as_json:
            print_json(_document(made, None, incident, mask))
        return
    if incident is not None:
        from vmqlib.runbook.targeted.alive import check_none_runs

        check_none_runs(incident, made.connector)  # before anybody is asked
    confirm(f"Run {made.script.name}?", yes=yes)

    def show(line: Line) -> None:
        # With --json, stdout is for the one document.
        to_stderr = as_json or line.stream == "stderr"
        click.echo(line.text, err=to_stderr)
        (sys.stderr if to_stderr else sys.stdout).flush()

    with _hang_up_interrupts():
        ended = targeted.run(
            made, settings, chosen, digest=digest or made.digest, incident=incident, show=show
        )
    if as_json:
        print_json(_document(made, ended, incident, mask))
    if (problem := targeted.problem(made, ended, incident)) is not None:
        raise problem
    if not as_json:
        notice(f"{made.script.name} ended well after {ended.seconds:.1f} s.")
        for extra in _extras(ended):
            notice(f"  {extra}")


@contextmanager
def _hang_up_interrupts() -> Iterator[None]:
    """A terminal that goes away (ssh) ends the script as Ctrl-C does; not under nohup."""
    before = signal.getsignal(signal.SIGHUP)
    if before is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        yield
    finally:
        if before is signal.SIG_DFL:
            signal.signal(signal.SIGHUP, before)


def _incident(settings: Settings, incident_id: str | None) -> Incident | None:
    if not incident_id:
        return None
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback.ground import may_change

    incident = Incident.load(incident_id, settings=settings, aws=Aws(settings))
    may_change(incident)
    return incident


def _show(made: ScriptPlan, mask: Callable[[str], str]) -> None:
    """What would be run, on stderr: stdout is the script's."""
    import shlex

    words = shlex.join(made.argv)
    rows = [
        ("connector", f"{made.connector} ({made.data_source_id or 'no data source'})"),
        ("run", mask(words)),
        ("in", str(made.cwd)),
        ("for at most", f"{made.timeout_s:g} s"),
        ("with the variables", ", ".join(made.env)),
        ("not set here", ", ".join(made.unset)),
        ("SHA-256", made.sha256),
        ("Git", _git(made)),
        ("digest", made.digest),
    ]
    for name, value in rows:
        if value:
            notice(f"  {name:<18}  {printable(value)}")


def _git(made: ScriptPlan) -> str:
    said = {
        "committed": f"as in commit {made.commit[:12]}",
        "changed": f"NOT as in commit {made.commit[:12]}: changed since",
        "untracked": f"in no commit{f' (at {made.commit[:12]})' if made.commit else ''}",
    }
    return said.get(made.state, made.state)


def _extras(ended: Ended) -> list[str]:
    told = []
    if ended.left_behind:
        told.append("It left programs running; they were ended, too.")
    if ended.escaped:
        told.append("Something that it started has left its group, and runs on.")
    return told


def _document(
    made: ScriptPlan, ended: Ended | None, incident: Incident | None, mask: Callable[[str], str]
) -> dict[str, Any]:
    ran = {} if ended is None else {"ok": ended.why == "ended" and ended.status == 0, **asdict(ended)}
    about = made.to_json() | {"argv": [mask(word) for word in made.argv]}
    return {"incident": incident.id if incident else None, "digest": made.digest, **about, **ran}
