"""What commands that carry plans out share: the progress, Ctrl-C, and how an apply ended."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from vmqlib.cli import rollbackoutput as shows
from vmqlib.cli.output import Bar, notice, print_json, progress_bar
from vmqlib.errors import VmqError
from vmqlib.times import duration

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback import Applied, Plan
    from vmqlib.runbook.rollback.progress import Progress
    from vmqlib.runbook.rollback.purposes import PurposeName

__all__ = ["carry_out", "load", "nothing_to_do", "watching"]


def nothing_to_do(plan: Plan) -> str:
    """Why a plan changes nothing."""
    held = sum(plan.head.blocked.values())
    if not held:
        return "No object is to be changed."
    return f"Nothing is changed: {held:,} key{' is' if held == 1 else 's are'} held back (BLOCKED)."


def load(incident_id: str) -> Incident:
    """An incident, with AWS."""
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Settings

    settings = Settings.load()
    return Incident.load(incident_id, settings=settings, aws=Aws(settings))


def carry_out(
    incident: Incident,
    digest: str,
    run: Callable[[Callable[[Progress], None], threading.Event], Applied],
    *,
    as_json: bool,
    purpose: PurposeName = "rollback",
) -> None:
    """Runs an apply with a progress bar, and says how it ended, whichever way it did; then what to type next.

    Parameters
    ----------
    digest:
        Of the plan.
    run:
        Applies or resumes; is told how far it is to say, and when to stop.
    as_json:
        Whether one JSON document is written instead.
    purpose:
        What the plan is for.
    """
    from vmqlib.runbook import rollback
    from vmqlib.runbook.rollback.purposes import command

    earlier = rollback.status(incident, purpose).applied
    try:
        with _stopping() as stop, progress_bar("{task.fields[counts]}") as bar:
            applied = run(_meter(bar, stop), stop)
    except VmqError:
        ended = rollback.status(incident, purpose).applied
        if ended is not None and ended.digest == digest and ended != earlier and ended.ending != "unfinished":
            _say(incident, ended, as_json=as_json)
        raise
    _say(incident, applied, as_json=as_json)
    verify = command(purpose, "verify", incident.id)
    notice(f"Next: `{verify}`, then `vmq sync start --incident {incident.id}`.")


def _say(incident: Incident, applied: Applied, *, as_json: bool) -> None:
    if as_json:
        print_json(shows.applied_document(incident, applied))
    else:
        shows.show_applied(incident, applied)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM, once or many times, ask the apply to finish what is in flight: never in the middle of it."""
    stop = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        stop.set()  # nothing is written from here: the handler may interrupt a write

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _meter(bar: Bar, stop: threading.Event) -> Callable[[Progress], None]:
    task = bar.add_task("Applying", total=None, counts="")

    def show(now: Progress) -> None:
        left = f", {duration(timedelta(seconds=now.eta))} left" if now.eta else ""
        failed = f", {now.failed:,} failed" if now.failed else ""
        changed = f", {now.changed:,} changed meanwhile" if now.changed else ""
        done = f"{now.done + now.found:,} done{failed}{changed}, {now.rate:,.0f}/s{left}"
        doing = "Stopping: what is in flight is finished" if stop.is_set() else "Applying"
        bar.update(task, description=doing, completed=now.decided, total=now.total or None, counts=done)

    return show


@contextmanager
def watching() -> Iterator[Callable[[str, int, int | None], None]]:
    """A display of what is being read, which goes when it is done."""
    with progress_bar(transient=True) as bar:
        task = bar.add_task("listing", total=None)
        yield lambda doing, count, total: bar.update(
            task, description=f"{doing} {count:,}", completed=count, total=total
        )
