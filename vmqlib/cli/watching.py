"""``vmq detect --watch``: keeps looking, tells what changes, and opens an incident once for each cause."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from vmqlib.cli.output import as_json as jsonable
from vmqlib.cli.output import notice, printable
from vmqlib.errors import AlreadyOpen, Interrupted, VmqError
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.runbook.triggers import Detection, Verdict
    from vmqlib.runbook.triggers.looking import Look
    from vmqlib.settings import Settings

__all__ = ["watch"]


def watch(look: Look, *, every: float, opens: bool, as_json: bool) -> None:
    """Looks until it is interrupted (exit code 130).

    Parameters
    ----------
    look:
        Looks.
    every:
        Seconds between two looks.
    opens:
        Whether to open an incident for what fires.
    as_json:
        Whether to write a line of JSON for each change on stdout; lines for people are on stderr in any case.
    """
    from vmqlib.cli.detect import document
    from vmqlib.runbook.triggers.watching import watch as looks

    opener = _Opener(look.settings)
    problems: dict[str, str] = {}
    try:
        for found, changed in looks(look, every, sleep=time.sleep):
            for one in changed:
                notice(printable(f"{show_time(found.at)}  {one.subject}: {one.text}"))
            for name, problem in look.problems.items():
                if problems.get(name) != problem:
                    notice(printable(f"{show_time(found.at)}  not seen: {name}: {problem}"))
            problems = look.problems
            if as_json and changed:
                click.echo(json.dumps(document(found), default=jsonable, ensure_ascii=False))
            if opens:
                opener(found)
    except KeyboardInterrupt:
        notice("No longer watching.")
        click.get_current_context().exit(130)


class _Opener:
    """Opens an incident for what fires, and remembers for what there is one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: set[str] = set()
        self._told: dict[str, str] = {}

    def __call__(self, found: Detection) -> None:
        for one in found.firing:
            if one.cause not in self._known:
                self._open(found, one)

    def _open(self, found: Detection, verdict: Verdict) -> None:
        from vmqlib.runbook.causes import Cause, check
        from vmqlib.runbook.opening import page_to_record, title_of

        when, trigger = show_time(found.at), verdict.trigger
        try:
            check(
                self._settings.incidents, Cause.of_verdict(verdict)
            )  # before a kernel is started for nothing
            record = page_to_record(
                self._settings,
                trigger=trigger,
                title=title_of(found, verdict, self._settings),
                data_source_id=verdict.data_source_id,
                cause=Cause.of_verdict(verdict),
            )
        except Interrupted:
            raise
        except AlreadyOpen as error:
            # A closed one may be reopened and closed again: then it is told again.
            if self._told.get(verdict.cause) == error.message:
                return
            self._told[verdict.cause] = error.message
            goes_on = f" It fires still. {error.hint}" if error.closed else ""
            notice(printable(f"{when}  {trigger}: {error.message}{goes_on}"))
            if error.closed:
                return
        except VmqError as error:
            # The next look tries again. Where a folder was made by then, that is the incident: it is named.
            if self._told.get(verdict.cause) != error.message:
                notice(
                    printable(f"{when}  {trigger}: no record could be written: {error.message} {error.hint}")
                )
                self._told[verdict.cause] = error.message
            return
        else:
            notice(printable(f"{when}  {trigger}: opened {record.incident.id}: {record.html}"))
        self._known.add(verdict.cause)
