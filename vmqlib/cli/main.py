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
from vmqlib.errors import BadInput, Declined, VmqError
from vmqlib.record._quick import calm_collector

__all__ = ["main", "run", "vmq"]

# Each command by the runbook's steps: where it lives, and what it does. Loaded when typed: `vmq open` does not pay for
# what `vmq sim` imports, and the list of commands for none.
_STEPS = {
    "1 Triage": {
        "detect": ("detect", "do the runbook's triggers fire, since when, and why?"),
        "open": ("opening", "look at everything, plan the rollback, write the record"),
        "ack": ("triage", "take an incident; --post confirms receipt in the channel"),
        "severity": ("triage", "set how severe it is, or confirm it with a reason"),
        "show": ("show", "where it stands: what, since when, how bad, what next"),
    },
    "2 Stabilize": {
        "logs": ("logs", "capture the connector's logs, masked"),
        "schedule": ("schedule", "switch a connector's schedule off, and put it back"),
    },
    "3 Rollback": {
        "versions": ("versions", "what changed in the bucket; --diff shows how"),
        "rollback": ("rollback", "put objects back: plan, show, apply, verify, undo"),
    },
    "4 Force resync": {
        "sync": ("sync", "start, wait, verify key by key, stop, list syncs"),
        "dashboard": ("dashboard", "what each widget shows now, and whether that is current"),
        "alarms": ("alarms", "wait until the alarms are OK again"),
    },
    "5 Communicate": {
        "update": ("update", "post what is due: channel, and e-mail to stakeholders"),
    },
    "6 Validate and close": {
        "validate": ("validate", "is it over? questions, alarms, syncs, index, schedules"),
        "close": ("closing", "closing words, final record, manifest, last messages"),
        "entry": ("review", "enter it into OPERATIONS-RUNBOOK.md (close does, too)"),
    },
    "Afterwards": {
        "retro": ("review", "the post-incident review, from journal and evidence"),
        "publish": ("publish", "upload the sealed folder of a closed incident to S3"),
        "verify": ("incidents", "was anything of a record changed?"),
        "render": ("opening", "write the record again, from its evidence alone"),
        "reopen": ("closing", "let a closed incident go on in the same journal"),
    },
    "Everything else": {
        "doctor": ("doctor", "is everything wired up that an incident relies on?"),
        "list": ("incidents", "the incidents, newest first"),
        "note": ("note", "write a line into the journal, or a word for the review"),
        "lab": ("lab", "open JupyterLab on the notebooks"),
        "sim": ("sim", "a local AWS, Slack and mail server to try this on"),
    },
}
_COMMANDS = {name: module for step in _STEPS.values() for name, (module, _) in step.items()}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """By the runbook's steps, and not by the alphabet: what is next stands below."""
        wide = max(map(len, _COMMANDS))
        for step, several in _STEPS.items():
            with formatter.section(step):
                formatter.write_dl([(name.ljust(wide), what) for name, (_, what) in several.items()])

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
    An incident, in the runbook's order:
      vmq detect                      do any of the four triggers fire?
      vmq open --trigger sync-failed  look, plan the rollback, write the record
      vmq ack ID --post               who takes it; receipt in the channel
      vmq show ID                     what is wrong, since when, what next
      vmq schedule disable ID         failures recur: no sync by schedule
      vmq rollback plan ID            what going back to the last good sync does
      vmq rollback apply ID           do it; then `vmq rollback verify ID`
      vmq sync start --incident ID    force a resync; `sync wait`, `sync verify`
      vmq update ID                   post what is due: channel, stakeholders
      vmq schedule restore ID         as it was before
      vmq validate ID                 is it over?
      vmq close ID                    closing words, final record, runbook entry
      vmq retro ID                    the post-incident review

    \b
    Examples:
      vmq doctor                      is all wired up that an incident needs?
      vmq logs --data-source ID       capture the connector's logs
      vmq sim serve                   a local AWS to try all this on

    \b
    Exit codes:
      0 done
      1 the check found a problem
      2 bad input or settings
      3 AWS refused or cannot be reached
      4 the world changed, or a lock is held
      5 a deadline passed
      130 interrupted
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
    except Declined as said:
        click.echo(_plain(str(said)), err=True)
        return said.exit_code
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
