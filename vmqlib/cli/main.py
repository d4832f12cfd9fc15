"""Entry point: the command group, and how every error ends."""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib import import_module

import click

import vmqlib
from vmqlib.cli.output import printable
from vmqlib.errors import BadInput, VmqError
from vmqlib.record._quick import calm_collector

__all__ = ["main", "run", "vmq"]

# Where each command lives. Loaded when typed: `vmq open` does not pay for what `vmq sim` imports.
_COMMANDS = {
    "ack": "triage",
    "alarms": "alarms",
    "close": "closing",
    "dashboard": "dashboard",
    "detect": "detect",
    "doctor": "doctor",
    "entry": "review",
    "lab": "lab",
    "list": "incidents",
    "logs": "logs",
    "note": "note",
    "open": "opening",
    "publish": "publish",
    "render": "opening",
    "reopen": "closing",
    "retro": "review",
    "rollback": "rollback",
    "schedule": "schedule",
    "severity": "triage",
    "show": "show",
    "sim": "sim",
    "sync": "sync",
    "validate": "validate",
    "update": "update",
    "verify": "incidents",
    "versions": "versions",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"vmqlib.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in _COMMANDS:
            import difflib

            close = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            hint = f"Did you mean `vmq {close[0]}`?" if close else "`vmq --help` lists the commands."
            raise BadInput(f"There is no command {args[0]!r}.", hint=hint)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.version_option(vmqlib.__version__, prog_name="vmq")
def vmq() -> None:
    """From a page to a finished incident record, for VaultMesh's Amazon Q Business assistant.

    Looking changes nothing. Settings come from .env, vmq.toml, the environment and options, in that order.

    \b
    Examples:
      vmq doctor                            is everything wired up that an incident relies on?
      vmq detect                            do any of the runbook's four triggers fire?
      vmq open --trigger sync-failed        gather everything, write the record
      vmq logs --data-source ID --since 2h  capture the connector's logs
      vmq rollback plan INC-20261123-001    what going back to the last good sync would do
      vmq sync start && vmq sync wait       force a resync and wait for its end
      vmq sim serve                         a local AWS to try all this on

    \b
    Exit codes:
      0 done   1 the check found a problem   2 bad input or settings   3 AWS refused or cannot be reached
      4 the world changed, or a lock is held   5 a deadline passed   130 interrupted
    """


def main(args: list[str] | None = None) -> None:
    """The console script."""
    # Whoever ends us (a pager's time-out, a container's stop) means what Ctrl-C means: clean up, keep what was read.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    calm_collector()
    code = run(vmq, args)
    # The memory goes back as it is: looking for garbage in it first, as Python does at exit, takes a fifth of a second.
    gc.freeze()
    sys.exit(code)


def run(command: click.Command, args: list[str] | None = None) -> int:
    """Runs a command and returns its exit code; an error is two sentences on stderr, a traceback with --debug only."""
    arguments = sys.argv[1:] if args is None else args
    debug = "--debug" in arguments or bool(os.environ.get("VMQ_DEBUG"))
    # People add it to the end of the command that has just failed.
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        code = _call(command, arguments)
        sys.stdout.flush()
    except VmqError as error:
        if debug:
            raise
        return _fail(error.message, error.hint, error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "vmq"
        return _fail(error.format_message(), f"`{path} --help` shows the options and examples.", 2)
    except click.ClickException as error:
        return _fail(error.format_message(), "", 2)
    except (KeyboardInterrupt, click.Abort):
        return _fail("Interrupted.", "", 130)
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        hint = "Run it again with --debug and report what it prints. Nothing that was written is lost."
        return _fail(f"This is a bug of the kit: {type(error).__name__}: {error}.", hint, 1)
    return code if isinstance(code, int) else 0


def _call(command: click.Command, arguments: list[str]) -> object:
    if any(name.endswith("_COMPLETE") and name.startswith("_") for name in os.environ):
        command.main(args=arguments, prog_name=command.name)
    # Not click's own main(): it turns a reader that leaves early (`| head`) into exit code 1.
    try:
        with command.make_context(command.name, arguments) as context:
            return command.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code


def _plain(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def _fail(message: str, hint: str, code: int) -> int:
    # What AWS or a bucket says stands in a message, too: nothing in it steers the terminal.
    click.echo(f"{click.style('Error:', fg='red', bold=True)} {_plain(message)}", err=True)
    if hint:
        click.echo("\n".join(f"       {line}" for line in _plain(hint).split("\n")), err=True)
    return code
