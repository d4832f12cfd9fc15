"""What ``vmq open`` opens an incident for: a trigger that is named, a page, or what the rules find firing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import notice, print_json, printable
from vmqlib.errors import AlreadyOpen, AwsError, BadInput
from vmqlib.times import SystemClock

if TYPE_CHECKING:
    from vmqlib.runbook.causes import Cause
    from vmqlib.runbook.triggers import Detection
    from vmqlib.settings import Settings

__all__ = ["Occasion", "by_event", "by_rules", "show_known", "show_nothing"]


@dataclass(frozen=True)
class Occasion:
    """What an incident is to be opened for.

    Parameters
    ----------
    trigger:
        The runbook's trigger.
    title:
        For people; empty: the trigger's condition.
    data_source_id:
        The connector; empty where nothing names one.
    cause:
        Where a rule or a page set it off.
    alarm:
        The alarm of a page.
    """

    trigger: str
    title: str = ""
    data_source_id: str = ""
    cause: Cause | None = None
    alarm: str = ""


def by_event(path: str) -> Occasion:
    """What the page in that file (``-``: stdin) is about.

    Raises
    ------
    BadInput
        When it cannot be read, or is no alarm that went into ALARM and belongs to a trigger.
    """
    from vmqlib.runbook.causes import Cause
    from vmqlib.runbook.pages import MOST_BYTES, parse
    from vmqlib.settings import Settings

    try:
        if path == "-":
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}.", hint="Give a file, or - for stdin."
        ) from error
    settings = Settings.load()
    page = parse(content, settings)
    remarks = page.remarks(settings.account_id or "", SystemClock().now())
    for remark in remarks:
        notice(f"  {printable(remark)}")
    return Occasion(page.trigger, page.title, page.data_source_id, Cause.of_page(page, remarks), page.alarm)


def by_rules(
    settings: Settings, *, since: str, progress: Callable[[str], None]
) -> tuple[Detection, list[Occasion]]:
    """What the four rules find firing, the most severe first, each cause once.

    Raises
    ------
    AwsError
        When nothing at all could be seen.
    """
    from vmqlib.aws import Aws
    from vmqlib.runbook.causes import Cause
    from vmqlib.runbook.opening import title_of
    from vmqlib.runbook.triggers import BY_SEVERITY
    from vmqlib.runbook.triggers.looking import Look

    settings.require("app_id", "index_id")
    look = Look(Aws(settings), settings, BY_SEVERITY, since=since)
    progress("looking at the four triggers")
    found = look(progress=lambda name: progress(f"looked at {name}"))
    if look.blind:
        title, problem = next(iter(look.problems.items()))
        raise AwsError(
            f"Nothing could be seen, so nobody knows whether anything fires. {title}: {problem}",
            hint="`vmq open --trigger …` opens a record all the same.",
        )
    for title, problem in look.problems.items():
        notice(f"  not seen: {printable(title)}: {printable(problem)}")
    firing = {one.cause: one for one in reversed(found.firing)}
    occasions = [
        Occasion(one.trigger, title_of(found, one, settings), one.data_source_id, Cause.of_verdict(one))
        for one in reversed(firing.values())
    ]
    return found, occasions


def show_nothing(found: Detection, *, as_json: bool) -> None:
    """Says that nothing fires, and what is not known."""
    if as_json:
        from vmqlib.cli.detect import document

        print_json({**_NOTHING, "detection": document(found)})
        return
    unknown = [one for one in found.triggers if one.verdict == "unknown"]
    words = "Nothing fires" if not unknown else "Nothing that could be seen fires"
    click.echo(f"{words}; no incident was opened.")
    for one in unknown:
        why = next((each.text for each in one.reasons if each.says == "unknown"), "")
        notice(f"  {one.trigger}: unknown. {printable(why)}")


def show_known(settings: Settings, known: Sequence[AlreadyOpen], *, as_json: bool) -> None:
    """Says which incidents are there already."""
    if not as_json:
        click.echo("No other incident was opened.")
        return
    first, *others = [_known(settings, one.incident_id) for one in known]
    print_json({**first, **({"others": others} if others else {})})


_NOTHING: dict[str, Any] = {
    "id": None, "dir": None, "notebook": None, "html": None, "state": None, "opened": False,
}  # fmt: skip


def _known(settings: Settings, incident_id: str) -> dict[str, Any]:
    from vmqlib.record.incident import Incident

    incident = Incident.load(incident_id, settings=settings)
    files = {"notebook": incident.dir / "incident.ipynb", "html": incident.dir / "incident.html"}
    return {
        "id": incident.id,
        "dir": incident.dir.resolve(),
        **{name: path.resolve() if path.exists() else None for name, path in files.items()},
        "state": incident.state.phase,
        "severity": incident.state.severity,
        "opened": False,
    }
