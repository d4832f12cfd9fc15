"""``vmq sim``: the local AWS."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
from types import ModuleType
from typing import Any

import click

from vmqlib.cli.output import json_option, print_json, table
from vmqlib.errors import BadInput

__all__ = ["sim_command"]

# Periods that an alarm can have, in seconds.
_WATCH_EVERY = {"10s": 10, "20s": 20, "30s": 30, "1m": 60, "2m": 120, "5m": 300}


@click.group("sim")
def sim_command() -> None:
    """A local AWS with a Q Business assistant in it, to try, test and practise on.

    \b
    Examples:
      vmq sim list
      vmq sim serve --scenario sync-failed > sim.env &
      vmq sim slack > slack.env &
      vmq sim mail > mail.env &
    """


@sim_command.command("serve")
@click.option("--scenario", default="sync-failed", show_default=True, help="`vmq sim list` names them.")
@click.option("--seed", default=0, show_default=True, help="Another seed, another but equally fixed history.")
@click.option("--port", default=0, show_default="a free one", help="Port on 127.0.0.1.")
@click.option(
    "--watch-every",
    type=click.Choice(list(_WATCH_EVERY)),
    default="5m",
    show_default=True,
    help="How often the account's watcher of syncs looks: also its alarm's period. Short, an alarm clears at once.",
)
def serve_command(scenario: str, seed: int, port: int, watch_every: str) -> None:
    """Serve until stopped. Prints `export NAME=value` lines, then `# ready`.

    \b
    Examples:
      vmq sim serve --scenario sync-failed --port 5001
      vmq sim serve --scenario sync-failed --watch-every 10s
      vmq sim serve > sim.env &  until grep -q '# ready' sim.env; do sleep 0.2; done;  . ./sim.env
    """
    server, scenarios = _simulator()
    if scenario not in scenarios:
        raise BadInput(f"There is no scenario {scenario!r}.", hint=f"Scenarios are: {', '.join(scenarios)}.")
    try:
        server.serve(
            scenario,
            seed=seed,
            port=port,
            out=sys.stdout,
            watch_every=timedelta(seconds=_WATCH_EVERY[watch_every]),
        )
    except OSError as error:
        raise _port_taken(port, error) from error


@sim_command.command("slack")
@click.option("--port", default=0, show_default="a free one", help="Port on 127.0.0.1.")
def slack_command(port: int) -> None:
    """Serve a local Slack until stopped. Prints `export NAME=value` lines, then `# ready`; messages on stderr.

    \b
    Examples:
      vmq sim slack > slack.env &  until grep -q '# ready' slack.env; do sleep 0.2; done;  . ./slack.env
    """
    from vmqlib.simulator import slack

    try:
        slack.serve(port, sys.stdout)
    except OSError as error:
        raise _port_taken(port, error) from error


@sim_command.command("mail")
@click.option("--port", default=0, show_default="a free one", help="Port on 127.0.0.1.")
def mail_command(port: int) -> None:
    """Serve a local mail server with TLS until stopped; it delivers nothing. Prints `export NAME=value` lines, then
    `# ready`; mails on stderr.

    \b
    Examples:
      vmq sim mail > mail.env &  until grep -q '# ready' mail.env; do sleep 0.2; done;  . ./mail.env
    """
    try:
        from vmqlib.simulator import mail
    except ImportError as error:
        raise _not_installed(error) from error
    try:
        mail.serve(port, sys.stdout)
    except OSError as error:
        raise _port_taken(port, error) from error


@sim_command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the scenarios.

    \b
    Examples:
      vmq sim list
      vmq sim list --json
    """
    _, scenarios = _simulator()
    rows = [{"name": name, "summary": each.summary} for name, each in scenarios.items()]
    if as_json:
        print_json(rows)
    else:
        table(("scenario", "what happened"), ((row["name"], row["summary"]) for row in rows))


def _simulator() -> tuple[ModuleType, Mapping[str, Any]]:
    try:
        from vmqlib.simulator import server
        from vmqlib.simulator.scenarios import SCENARIOS
    except ImportError as error:
        raise _not_installed(error) from error
    return server, SCENARIOS


def _not_installed(error: ImportError) -> BadInput:
    return BadInput(
        f"The simulator is not installed ({error.name} is missing).", hint="pip install 'vmqlib[simulator]'"
    )


def _port_taken(port: int, error: OSError) -> BadInput:
    return BadInput(
        f"Port {port} on 127.0.0.1 cannot be used: {error.strerror or error}.",
        hint="Leave --port out for a free one, or name another.",
    )
