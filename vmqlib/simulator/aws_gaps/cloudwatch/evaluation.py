"""Alarms change their state as simulated time passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from moto.cloudwatch.models import Alarm, CloudWatchBackend, cloudwatch_backends

from vmqlib.simulator.aws_gaps.cloudwatch.actions import act
from vmqlib.simulator.aws_gaps.cloudwatch.alarm_rules import AlarmRule, judge, next_tick, observe
from vmqlib.simulator.aws_gaps.cloudwatch.composite import parse
from vmqlib.simulator.aws_gaps.cloudwatch.state import alarm_rule, change_state, state_of

__all__ = [
    "AlarmEvaluation",
    "StateChange",
    "catch_up",
    "evaluate_alarms",
    "evaluate_composites",
    "next_evaluation",
    "rule_of",
]


@dataclass(frozen=True)
class StateChange:
    """An alarm came into another state.

    Parameters
    ----------
    alarm:
        Its name.
    at:
        When, timezone-aware.
    before, after:
        The states.
    """

    alarm: str
    at: datetime
    before: str
    after: str


class AlarmEvaluation:
    """The alarms of one account and region as something that happens by itself in the simulated world.

    Parameters
    ----------
    account_id:
        Twelve digits.
    region:
        For example ``eu-west-1``.
    """

    def __init__(self, account_id: str, region: str) -> None:
        self.account_id, self.region = account_id, region

    def next_event_at(self) -> datetime | None:
        """When an evaluation can next come to something new, timezone-aware; None for never, as things stand."""
        return next_evaluation(self.account_id, self.region)

    def run_due(self, now: datetime) -> None:
        """Evaluates everything that is due at ``now``."""
        evaluate_alarms(self.account_id, self.region, now)


def next_evaluation(account_id: str, region: str) -> datetime | None:
    """When an alarm next has to be evaluated; None while nothing can change.

    An alarm is evaluated every minute (every 10 seconds where its period is shorter than a minute), but comes to
    something new only when a datapoint arrives, slides from one period into the next, or leaves the evaluation range.
    """
    backend = cloudwatch_backends[account_id][region]
    tick = min((tick for tick, _ in _due(backend)), default=None)
    return None if tick is None else datetime.fromtimestamp(tick, UTC)


def evaluate_alarms(account_id: str, region: str, now: datetime) -> list[StateChange]:
    """Evaluates every alarm at every moment up to ``now`` that can matter, in the order of time.

    Datapoints count from when they were put: those put late do not change what was decided before.

    Parameters
    ----------
    account_id, region:
        Whose alarms.
    now:
        Timezone-aware; nothing later is looked at.
    """
    return catch_up(cloudwatch_backends[account_id][region], now)


def catch_up(backend: CloudWatchBackend, now: datetime) -> list[StateChange]:
    """:func:`evaluate_alarms` for one of moto's backends."""
    changes: list[StateChange] = []
    end = now.timestamp()
    while True:
        due = sorted((tick, name) for tick, name in _due(backend) if tick <= end)
        if not due:
            return changes
        tick = due[0][0]
        for name in [name for other, name in due if other == tick]:
            changes += _evaluate(backend, backend.alarms[name], tick)
        changes += evaluate_composites(backend, datetime.fromtimestamp(tick, UTC))


def rule_of(backend: CloudWatchBackend, alarm: Alarm) -> AlarmRule:
    """A metric alarm's rule, read once."""
    rules = state_of(backend).rules
    if alarm.name not in rules:
        rules[alarm.name] = alarm_rule(alarm)
    return rules[alarm.name]


def _due(backend: CloudWatchBackend) -> Iterator[tuple[int, str]]:
    """For each metric alarm the next evaluation that can matter."""
    state = state_of(backend)
    for name, alarm in list(backend.alarms.items()):
        if alarm.rule is not None or name not in state.evaluated:
            continue
        rule = rule_of(backend, alarm)
        ticks = (
            state.pending.get(name),
            next_tick(rule, state.metrics.get(rule.metric), state.evaluated[name]),
        )
        if known := [tick for tick in ticks if tick is not None]:
            yield min(known), name


def _evaluate(backend: CloudWatchBackend, alarm: Alarm, tick: int) -> list[StateChange]:
    state = state_of(backend)
    rule = rule_of(backend, alarm)
    state.evaluated[alarm.name] = tick
    if state.pending.get(alarm.name, tick + 1) <= tick:
        del state.pending[alarm.name]
    before = alarm.state_value
    verdict = judge(rule, observe(rule, state.metrics.get(rule.metric), tick), tick, before)
    if not verdict.state:
        return []
    at = datetime.fromtimestamp(tick, UTC)
    change_state(backend, alarm, verdict.state, verdict.reason, verdict.data, at)
    act(backend, alarm, before, at)
    return [StateChange(alarm.name, at, before, verdict.state)]


def evaluate_composites(backend: CloudWatchBackend, at: datetime) -> list[StateChange]:
    """Brings composite alarms to what their rules say, those that look at other composites included."""
    changes: list[StateChange] = []
    composites = [alarm for alarm in backend.alarms.values() if alarm.rule is not None]
    for _round in composites:  # a chain of composites settles in as many rounds as it is long
        settled = True
        for alarm in composites:
            change = _evaluate_composite(backend, alarm, at)
            if change is not None:
                changes.append(change)
                settled = False
        if settled:
            break
    return changes


def _evaluate_composite(backend: CloudWatchBackend, alarm: Alarm, at: datetime) -> StateChange | None:
    def state(name: str) -> str:
        return backend.alarms[name].state_value if name in backend.alarms else ""

    rule, before = parse(str(alarm.rule)), alarm.state_value
    after = "ALARM" if rule.test(state) else "OK"
    if after == before:
        return None
    children = [backend.alarms[name] for name in rule.children if name in backend.alarms]
    latest = max(children, key=lambda child: child.state_updated_timestamp, default=None)
    when = at.strftime("%A %d %B, %Y %H:%M:%S UTC")
    reason = (
        f"{latest.alarm_arn} transitioned to {latest.state_value} at {when}"
        if latest is not None
        else f"The alarm rule came to {after} at {when}"
    )
    change_state(backend, alarm, after, reason, "", at)
    act(backend, alarm, before, at)
    return StateChange(alarm.name, at, before, after)
