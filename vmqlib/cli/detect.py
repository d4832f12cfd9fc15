"""``vmq detect``: the runbook's four triggers, evaluated now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import Once, json_option, notice, print_json, printable, progress_bar, say, table
from vmqlib.errors import BadInput
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    from vmqlib.runbook.triggers import Detection, Verdict
    from vmqlib.runbook.triggers.looking import Look
    from vmqlib.runbook.triggers.verdicts import Reason

__all__ = ["detect_command", "document"]

# Written out here, so that `vmq detect --help` and a mistyped option need not load the library.
_TRIGGERS = ("sync-failed", "no-sync", "guardrail", "content")
_REASONS = 3


@click.command("detect")
@click.option(
    "--trigger", "triggers", type=click.Choice(_TRIGGERS), multiple=True, help="Only this; may be repeated."
)
@click.option("--since", default="21d", show_default=True, help="How far back to look: an age or a UTC time.")
@click.option(
    "--canaries", is_flag=True,
    help="Ask the canary questions, too: they stand in the application's conversation logs.",
)  # fmt: skip
@click.option(
    "--watch", "every", type=click.FloatRange(min=1), metavar="SECONDS",
    help="Keep looking, and tell each change on stderr. Ctrl-C ends it.",
)  # fmt: skip
@click.option("--open", "opens", is_flag=True, help="With --watch: open an incident, once for each cause.")
@json_option
def detect_command(
    triggers: tuple[str, ...], since: str, canaries: bool, every: float | None, opens: bool, as_json: bool
) -> None:
    """Evaluate the runbook's four triggers now, each with since when and why. Looks only; writes nothing, but with
    --canaries a line for each question that is asked: it is not to be taken for a user's.

    "unknown" means that what the rule needs could not be seen, or not all of it: it is never taken for quiet.
    With --watch and --json, one line of JSON for each change.

    Exit codes: 0 nothing fires, 1 something fires, 3 nothing could be seen.

    \b
    Examples:
      vmq detect
      vmq detect --trigger guardrail --canaries
      vmq detect --json | jq -r '.triggers[] | select(.verdict == "firing") | .trigger'
      vmq detect --watch 60 --open
    """
    if opens and every is None:
        raise BadInput(
            "--open is for --watch.",
            hint="`vmq open --auto` opens what fires now; `vmq detect --watch 60 --open` keeps at it.",
        )
    from vmqlib.aws import Aws
    from vmqlib.runbook.triggers.looking import Look
    from vmqlib.settings import Settings

    settings = Settings.load()
    settings.require("app_id", "index_id")
    look = Look(Aws(settings), settings, triggers or _TRIGGERS, since=since, canaries=canaries)
    if every is not None:
        from vmqlib.cli.watching import watch

        watch(look, every=every, opens=opens, as_json=as_json)
        return
    with progress_bar(transient=True) as bar:
        task = bar.add_task("Looking", total=None)
        found = look(progress=lambda name: bar.update(task, description=f"looked at {name}"))
    if as_json:
        print_json(document(found))
    else:
        _show(found)
    _tell_unseen(look, "" if as_json else _told(found))
    click.get_current_context().exit(3 if look.blind else 1 if found.firing else 0)


def document(found: Detection) -> dict[str, Any]:
    """A detection for programs."""
    return {
        "at": found.at,
        "triggers": [_verdict(one) for one in found.triggers],
        "findings": [
            {
                "kind": one.kind, "level": one.level, "text": one.text,
                "remedy": one.remedy, "source": one.source,
            }
            for one in found.findings
        ],
    }  # fmt: skip


def _verdict(one: Verdict) -> dict[str, Any]:
    return {
        "trigger": one.trigger,
        "verdict": one.verdict,
        "since": one.since,
        "confidence": one.confidence,
        "data_source_id": one.data_source_id,
        "cause": one.cause,
        "reasons": [
            {"says": each.says, "text": each.text, "source": each.source, "since": each.since}
            for each in one.reasons
        ],
    }


def _telling(one: Verdict) -> tuple[list[Reason], list[Reason]]:
    """The reasons that make the verdict; and what the same sources say otherwise, of other connectors."""
    telling = [each for each in one.reasons if each.says == one.verdict][:_REASONS] or list(one.reasons)
    sources = {each.source for each in telling}
    others = [each for each in one.reasons if each.says != one.verdict and each.source in sources]
    return telling, [each for each in others if each not in telling][:_REASONS]


def _told(found: Detection) -> str:
    """What the answer for people says of reasons."""
    reasons = (each for one in found.triggers for part in _telling(one) for each in part)
    return "\n".join([*(each.text for each in reasons), *(one.text for one in found.findings)])


def _tell_unseen(look: Look, told: str) -> None:
    """What could not be seen and why, but for the reasons that the answer gives; and the way out, once."""
    for hint, problems in look.problems_by_hint.items():
        unsaid: dict[str, list[str]] = {}
        for name, problem in problems.items():
            if problem.rstrip(".") not in told:
                unsaid.setdefault(problem, []).append(name)
        for problem, names in unsaid.items():
            notice(f"  not seen: {printable(', '.join(names))}: {printable(problem)}")
        if hint and hint.rstrip(".") not in told:
            notice(f"  {printable(hint)}")


def _show(found: Detection) -> None:
    """A detection for people."""
    rows, once = [], Once()
    for one in found.triggers:
        since = f"{show_time(one.since)} ({duration(found.at - one.since)})" if one.since else ""
        telling, others = _telling(one)
        # Several looks may lack the same thing: their trigger says so once.
        why = dict.fromkeys(once(each.text, one.trigger) for each in telling)
        rows += [
            (*((one.trigger, one.verdict, since) if number == 0 else ("", "", "")), text)
            for number, text in enumerate(why)
        ]
        rows += [("", f"({each.says})", "", once(each.text, one.trigger)) for each in others]
    table(("trigger", "verdict", "since", "why"), rows)
    for finding in found.findings:
        say(f"{finding.level}: {printable(once(finding.text, finding.kind))}")
        if finding.remedy:
            say(f"  {printable(finding.remedy)}")
