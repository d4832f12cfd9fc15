"""Does each alarm see its metric (``vmq doctor``)? It is blind when it looks at other dimensions than are published."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.wiring.blindness import BlindAlarm, is_blind, others
from vmqlib.runbook.wiring.mends import best, looking_at, mend
from vmqlib.runbook.wiring.metrics import Looked, Published, in_words, published
from vmqlib.runbook.wiring.seen import Seen, cannot_tell
from vmqlib.runbook.wiring.wiredalarm import WiredAlarm, wired_alarms
from vmqlib.sources.metricnames import REACH
from vmqlib.times import duration, show_time

if TYPE_CHECKING:
    from vmqlib.settings import Settings

__all__ = ["SEES", "sight"]

SEES = "alarm sees its metric"
_EVIDENCE = ("alarm-config", "metric-names")
_ALIKE = 0.8


def sight(seen: Seen, settings: Settings, _now: datetime) -> list[CheckResult]:
    """One result for each alarm that looks at metrics. Pure."""
    for source in _EVIDENCE:
        if (unknown := cannot_tell(SEES, seen, source)) is not None:
            return [unknown]
    metrics = published(seen)
    stopped = "" if seen["metric-names"].complete else seen["metric-names"].stopped
    stopped = stopped or ("" if seen["metric-names"].complete else "the look stopped early")
    return [_sees(one, metrics, settings, stopped) for one in wired_alarms(seen) if one.kind != "composite"]


def _sees(alarm: WiredAlarm, metrics: Sequence[Published], settings: Settings, stopped: str) -> CheckResult:
    said = [(one, _verdict(one, metrics, is_whole=not stopped)) for one in alarm.metrics]
    blind = [one for one, ok in said if ok is False]
    if blind:
        return _blind(alarm, blind, metrics, settings)
    unseen = [one for one, ok in said if ok is None]
    if unseen or not said:
        return _unknown(alarm, unseen, metrics, settings, stopped)
    texts = [_last(one, metrics) for one, _ in said]
    return CheckResult(
        SEES, True, f"{alarm.name} looks at {'; '.join(texts)}.", alarm.name, evidence=_EVIDENCE
    )


def _verdict(looked: Looked, metrics: Sequence[Published], *, is_whole: bool) -> bool | None:
    if looked.account:
        return None
    if any(one.periods for one in metrics if one.is_of(looked)):
        return True
    return False if is_whole and is_blind(looked, metrics) else None


def _last(looked: Looked, metrics: Sequence[Published]) -> str:
    one = next(one for one in metrics if one.is_of(looked))
    at = f", the last at {show_time(one.last_at)}" if one.last_at else ""
    return f"{_named(looked)}: datapoints in {one.periods} periods of {duration(REACH)}{at}"


def _named(looked: Looked) -> str:
    return f"{looked.namespace} {looked.name} with {in_words(looked.dimensions)}"


def _blind(
    alarm: WiredAlarm, blind: Sequence[Looked], metrics: Sequence[Published], settings: Settings
) -> CheckResult:
    text = " ".join(BlindAlarm(alarm.name, one, others(one, metrics)).text for one in blind)
    text += f" That is so for {duration(REACH)} at least. {_HIDES.get(alarm.treat_missing_data, '')}".rstrip()
    after: dict[str, Any] | None = dict(alarm.definition)
    for one in blind:
        chosen = best(others(one, metrics), settings)
        after = looking_at(after, one, chosen) if after is not None and chosen is not None else None
    if after is None:
        return CheckResult(SEES, False, text, alarm.name, _choose(alarm, blind, metrics, settings), _EVIDENCE)
    return CheckResult(SEES, False, text, alarm.name, mend(alarm.definition, after, settings), _EVIDENCE)


_HIDES = {
    "notBreaching": "Missing data counts as not breaching, so it is OK whatever happens.",
    "ignore": "Missing data leaves it as it is, so it keeps its state whatever happens.",
    "breaching": "Missing data counts as breaching, so it is in ALARM whatever happens.",
    "missing": "It has no data: INSUFFICIENT_DATA, whatever happens.",
}


def _choose(
    alarm: WiredAlarm, blind: Sequence[Looked], metrics: Sequence[Published], settings: Settings
) -> str:
    """Several metrics could be meant: each as it would be."""
    parts = ["Several metrics could be meant, and a person has to say which. One of these:"]
    for one in blind:
        for each in others(one, metrics):
            after = looking_at(alarm.definition, one, each)
            parts.append(f"# {in_words(each.dimensions)}\n{mend(alarm.definition, after, settings)}")
    return "\n\n".join(parts)


def _unknown(
    alarm: WiredAlarm,
    unseen: Sequence[Looked],
    metrics: Sequence[Published],
    settings: Settings,
    stopped: str,
) -> CheckResult:
    if not unseen:
        said = ", ".join(alarm.expressions) or "nothing"
        text = f"{alarm.name} finds its metrics itself ({said}): which they are, was not looked at."
        return CheckResult(SEES, None, text, alarm.name, evidence=_EVIDENCE)
    if elsewhere := [one for one in unseen if one.account]:
        one = elsewhere[0]
        text = f"{alarm.name} looks at {_named(one)} of account {one.account}, which was not looked at."
        return CheckResult(SEES, None, text, alarm.name, evidence=_EVIDENCE)
    named = "; ".join(map(_named, unseen))
    if stopped:
        text = f"Whether {named} gets datapoints could not be seen: {stopped}"
        return CheckResult(SEES, None, text, alarm.name, stopped, _EVIDENCE)
    text = f"{named}: no datapoint in {duration(REACH)}, and none under that name with other dimensions."
    near = {one.name for one in metrics if one.periods and one.namespace == unseen[0].namespace}
    if alike := difflib.get_close_matches(unseen[0].name, sorted(near), n=1, cutoff=_ALIKE):
        text += f" There is a metric {alike[0]} in that namespace."
    # NoSync is published every day, come what may; a metric of failures may just have had none.
    daily = alarm.name == settings.alarms.no_sync
    text += "" if daily else " Either there was nothing to publish, or nobody publishes it any more."
    return CheckResult(
        SEES, False if daily else None, text, alarm.name,
        f"Look at who publishes {unseen[0].name} (a Lambda or a job of the ops repo): does it run, and with which "
        "dimensions?", _EVIDENCE,
    )  # fmt: skip
