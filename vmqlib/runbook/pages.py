"""What a page carries: a CloudWatch alarm, as SNS and EventBridge deliver it, or bare.

Four forms are taken: an SNS notification whose ``Message`` is the alarm's, that message by itself (raw delivery), an
EventBridge event *CloudWatch Alarm State Change*, and a ``MetricAlarm`` of ``describe-alarms``, alone or as its answer.
Everything else is refused with what is wrong with it; nothing is guessed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from vmqlib.errors import BadInput
from vmqlib.times import duration, parse_iso, show_time

if TYPE_CHECKING:
    from vmqlib.settings import Settings

__all__ = ["MOST_BYTES", "Page", "parse"]

MOST_BYTES: Final = 512 * 1024
"""SNS and EventBridge carry 256 KB; quoting in an envelope may double that."""
_DEEPEST = 24
_TITLE = 160
_FRESH = timedelta(days=1)
_CLOCKS = timedelta(minutes=5)  # that two machines may differ by
_BY_METRIC = {
    ("VaultMesh/QBusiness", "SyncFailed"): "sync-failed",
    ("VaultMesh/QBusiness", "NoSync"): "no-sync",
    ("AWS/QBusiness", "BlockedChatMessages"): "guardrail",
}
_FORMS = (
    "Give an SNS notification or an EventBridge event of a CloudWatch alarm, or one alarm of "
    "`aws cloudwatch describe-alarms`."
)


@dataclass(frozen=True)
class Page:
    """An alarm that went into ALARM.

    Parameters
    ----------
    trigger:
        The runbook's trigger that it is about.
    alarm:
        Its name.
    since:
        When it went into ALARM, UTC.
    reason:
        Why, as CloudWatch says.
    title:
        For the incident.
    data_source_id:
        From the metric's dimensions; empty where it has none.
    account:
        The AWS account of the alarm; empty where it is not said.
    event:
        What was delivered, without what only SNS needs: for the journal.
    """

    trigger: str
    alarm: str
    since: datetime
    reason: str
    title: str
    data_source_id: str = ""
    account: str = ""
    event: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def remarks(self, account_id: str, now: datetime) -> tuple[str, ...]:
        """What whoever is paged ought to know of the page itself, a sentence each: it is of another account, it is old.

        Parameters
        ----------
        account_id:
            The account of the settings; empty where none is set.
        now:
            The moment, UTC.
        """
        found = []
        if account_id and self.account and self.account != account_id:
            found.append(f"the alarm is of account {_one_line(self.account)}; the settings say {account_id}.")
        if old := self.out_of_date(now):
            found.append(old)
        return tuple(found)

    def out_of_date(self, now: datetime) -> str:
        """A sentence where it is older than a day, or of the future; else empty. ``now`` is UTC."""
        if self.since > now + _CLOCKS:
            return f"the event is of {show_time(self.since)}, {duration(self.since - now)} from now."
        if self.since < now - _FRESH:
            return f"the event is of {show_time(self.since)}, {duration(now - self.since)} ago."
        return ""

    @property
    def cause(self) -> str:
        """This alarm's change into ALARM: the same however often, and in whatever form, it is delivered."""
        return f"{self.trigger}/alarm/{self.alarm}/{self.since.isoformat(timespec='seconds')}"


@dataclass(frozen=True)
class _Alarm:
    """The parts of an alarm that all forms have."""

    name: Any
    state: Any
    at: Any
    reason: Any
    metrics: tuple[tuple[Any, Any, Any], ...]  # namespace, name, dimensions
    is_composite: bool
    account: Any
    description: Any


def parse(text: bytes | str, settings: Settings) -> Page:
    """Reads what a page carries.

    Parameters
    ----------
    text:
        What was delivered: JSON.
    settings:
        Names the alarms; others are known by their metric.

    Raises
    ------
    BadInput
        When it is no alarm, one that is not in ALARM, or one that belongs to no trigger.
    """
    delivered = _json(text)
    alarm = _alarm(_message(delivered))
    name = _text(alarm.name, "the alarm's name")
    state = _text(alarm.state, "the alarm's state")
    shown = name[:80]
    if state == "OK":
        raise BadInput(
            f"Nothing to open: the alarm {shown!r} is OK, not ALARM.", hint="It is over by itself."
        )
    if state != "ALARM":
        raise BadInput(
            f"The alarm {shown!r} is {state[:40]}, not ALARM.",
            hint="Nothing is wrong by it: no incident was opened.",
        )
    if alarm.is_composite:
        raise BadInput(
            f"{shown!r} is a composite alarm: it does not say what is wrong.",
            hint="Give the event of the alarm under it, or open with --trigger.",
        )
    trigger, data_source_id = _trigger(name, alarm, settings)
    return Page(
        trigger=trigger,
        alarm=name,
        since=_time(alarm.at),
        reason=alarm.reason if isinstance(alarm.reason, str) else "",
        title=_one_line(f"{name}: {alarm.description}" if alarm.description else f"{name} went into ALARM"),
        data_source_id=data_source_id,
        account=alarm.account if isinstance(alarm.account, str) else "",
        event=_kept(delivered),
    )


# -- from bytes to one JSON object


def _json(text: bytes | str) -> dict[str, Any]:
    if len(text) > MOST_BYTES:
        raise BadInput(f"The event is larger than {MOST_BYTES // 1024} KiB: it is no alarm's.", hint=_FORMS)
    try:
        words = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise BadInput("The event is not text: it cannot be decoded as UTF-8.", hint=_FORMS) from error
    if not words.strip():
        raise BadInput("The event is empty.", hint=_FORMS)
    return _object(words, "The event")


def _object(words: str, what: str) -> dict[str, Any]:
    try:
        found = json.loads(words, parse_constant=_no_constant)
        if _is_deep(found):
            raise BadInput(f"{what} is nested too deeply: it is no alarm's.", hint=_FORMS)
    except BadInput:
        raise
    except (ValueError, RecursionError) as error:
        why = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise BadInput(f"{what} is not JSON{why}.", hint=_FORMS) from error
    if not isinstance(found, dict):
        raise BadInput(f"{what} is no JSON object.", hint=_FORMS)
    return found


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def _is_deep(value: Any) -> bool:
    """Whether anything is nested deeper than an alarm's event ever is. Without recursion; also refuses infinities."""
    level = [value]
    for _ in range(_DEEPEST):
        if any(isinstance(one, float) and not math.isfinite(one) for one in level):
            raise ValueError("a number is out of range")
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _message(delivered: dict[str, Any]) -> dict[str, Any]:
    """What is inside an SNS envelope; anything else as it is."""
    kind = delivered.get("Type")
    if kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        raise BadInput(
            f"This is an SNS {kind}, no alarm.", hint="Confirm the subscription; the alarm comes later."
        )
    if kind != "Notification" and not ("Message" in delivered and "TopicArn" in delivered):
        return delivered
    message = delivered.get("Message")
    if not isinstance(message, str):
        raise BadInput("The SNS notification has no Message.", hint=_FORMS)
    return _object(message, "The SNS notification's Message")


# -- the forms of an alarm


def _alarm(event: dict[str, Any]) -> _Alarm:
    if "detail-type" in event or "detail" in event:
        return _from_event_bridge(event)
    if "MetricAlarms" in event or "CompositeAlarms" in event:
        return _from_answer(event)
    if "NewStateValue" in event:
        return _from_message(event)
    if "StateValue" in event and "AlarmName" in event:
        return _from_described(event)
    keys = ", ".join(sorted(key[:40] for key in event)[:6]) or "none"
    raise BadInput(f"This is no CloudWatch alarm (its keys: {keys}).", hint=_FORMS)


def _from_event_bridge(event: dict[str, Any]) -> _Alarm:
    kind = event.get("detail-type")
    if kind != "CloudWatch Alarm State Change":
        shown = str(kind)[:80]
        raise BadInput(
            f"This EventBridge event is a {shown!r}, not a CloudWatch Alarm State Change.", hint=_FORMS
        )
    detail = _map(event.get("detail"), "detail")
    state = _map(detail.get("state"), "detail.state")
    configuration = detail.get("configuration")
    configuration = configuration if isinstance(configuration, dict) else {}
    metrics = configuration.get("metrics")
    found = []
    for one in metrics if isinstance(metrics, list) else ():
        stat = one.get("metricStat") if isinstance(one, dict) else None
        metric = stat.get("metric") if isinstance(stat, dict) else None
        if isinstance(metric, dict):
            found.append((metric.get("namespace"), metric.get("name"), metric.get("dimensions")))
    return _Alarm(
        detail.get("alarmName"), state.get("value"), state.get("timestamp") or event.get("time"),
        state.get("reason"), tuple(found), "alarmRule" in configuration, event.get("account"),
        configuration.get("description"),
    )  # fmt: skip


def _from_message(message: dict[str, Any]) -> _Alarm:
    trigger = message.get("Trigger")
    trigger = trigger if isinstance(trigger, dict) else {}
    found = [(trigger.get("Namespace"), trigger.get("MetricName"), _pairs(trigger.get("Dimensions")))]
    found += _of_queries(trigger.get("Metrics"))
    return _Alarm(
        message.get("AlarmName"), message.get("NewStateValue"), message.get("StateChangeTime"),
        message.get("NewStateReason"), tuple(found), "AlarmRule" in message, message.get("AWSAccountId"),
        message.get("AlarmDescription"),
    )  # fmt: skip


def _from_answer(answer: dict[str, Any]) -> _Alarm:
    """The answer of ``describe-alarms``, when it holds one alarm, or one in ALARM."""
    lists = [answer.get(kind) for kind in ("MetricAlarms", "CompositeAlarms")]
    alarms = [one for each in lists if isinstance(each, list) for one in each if isinstance(one, dict)]
    firing = [one for one in alarms if one.get("StateValue") == "ALARM"]
    chosen = firing if len(firing) == 1 else alarms
    if len(chosen) != 1:
        many = f"{len(firing)} of {len(alarms)} alarms are in ALARM" if alarms else "No alarm is in it"
        raise BadInput(f"{many}: which one is meant is not said.", hint="Give one: `--alarm-names NAME`.")
    return _from_described(chosen[0])


def _from_described(alarm: dict[str, Any]) -> _Alarm:
    found = [(alarm.get("Namespace"), alarm.get("MetricName"), _pairs(alarm.get("Dimensions")))]
    found += _of_queries(alarm.get("Metrics"))
    arn = alarm.get("AlarmArn")
    parts = arn.split(":") if isinstance(arn, str) else []
    return _Alarm(
        alarm.get("AlarmName"), alarm.get("StateValue"),
        alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp"),
        alarm.get("StateReason"), tuple(found), "AlarmRule" in alarm, parts[4] if len(parts) > 5 else "",
        alarm.get("AlarmDescription"),
    )  # fmt: skip


def _of_queries(queries: Any) -> list[tuple[Any, Any, Any]]:
    """The metrics of an alarm on an expression."""
    found = []
    for one in queries if isinstance(queries, list) else ():
        stat = one.get("MetricStat") if isinstance(one, dict) else None
        metric = stat.get("Metric") if isinstance(stat, dict) else None
        if isinstance(metric, dict):
            found.append(
                (metric.get("Namespace"), metric.get("MetricName"), _pairs(metric.get("Dimensions")))
            )
    return found


def _pairs(dimensions: Any) -> dict[Any, Any]:
    """Dimensions as a mapping: SNS writes ``name``, describe-alarms ``Name``."""
    found = {}
    for one in dimensions if isinstance(dimensions, list) else ():
        if isinstance(one, dict):
            name = one.get("name", one.get("Name"))
            if isinstance(name, str):
                found[name] = one.get("value", one.get("Value"))
    return found


# -- what it means


def _trigger(name: str, alarm: _Alarm, settings: Settings) -> tuple[str, str]:
    named = {settings.alarms.sync_failed: "sync-failed", settings.alarms.no_sync: "no-sync"}
    by_metric = [
        _BY_METRIC[namespace, metric]
        for namespace, metric, _ in alarm.metrics
        if isinstance(namespace, str) and isinstance(metric, str) and (namespace, metric) in _BY_METRIC
    ]
    trigger = named.get(name) or next(iter(by_metric), "")
    if not trigger:
        known = ", ".join(one for one in named if one)
        raise BadInput(
            f"The alarm {name[:80]!r} belongs to none of the runbook's triggers.",
            hint=f"Known are {known}, and alarms on SyncFailed, NoSync and BlockedChatMessages; "
            "name yours in vmq.toml under [alarms], or open with --trigger.",
        )
    ids = [
        dimensions.get("DataSourceId") for _, _, dimensions in alarm.metrics if isinstance(dimensions, dict)
    ]
    return trigger, next((one for one in ids if isinstance(one, str)), "")


def _kept(delivered: dict[str, Any]) -> dict[str, Any]:
    """What the journal keeps: without SNS's signature and its address for unsubscribing, which anybody may use."""
    if not isinstance(delivered.get("Message"), str):
        return delivered
    kept: dict[str, Any] = {
        key: delivered[key] for key in ("Type", "MessageId", "TopicArn", "Timestamp") if key in delivered
    }
    return {**kept, "Message": _object(delivered["Message"], "The SNS notification's Message")}


def _map(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"The event has no {what}.", hint=_FORMS)
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"The event does not say {what}.", hint=_FORMS)
    return value


def _time(value: Any) -> datetime:
    try:
        if not isinstance(value, str):
            raise ValueError("not text")
        return parse_iso(value)
    except (ValueError, OverflowError) as error:
        raise BadInput("The event does not say when the alarm's state changed.", hint=_FORMS) from error


def _one_line(text: str) -> str:
    """One printable line that is short enough for a title."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _TITLE else f"{line[: _TITLE - 1]}…"
