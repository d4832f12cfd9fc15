"""An alarm as it is set up, from the source ``alarm-config``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vmqlib.runbook.wiring.metrics import Looked
from vmqlib.runbook.wiring.seen import Row, Seen, loaded, rows

__all__ = ["WiredAlarm", "wired_alarms"]


@dataclass(frozen=True)
class WiredAlarm:
    """An alarm.

    Parameters
    ----------
    name:
        Its name.
    kind:
        ``metric``, ``math`` or ``composite``.
    state:
        OK, ALARM or INSUFFICIENT_DATA.
    metrics:
        What it looks at.
    expressions:
        Its metric math; a composite alarm's rule.
    evaluation_periods:
        How many periods it looks at (N).
    treat_missing_data:
        ``missing``, ``notBreaching``, ``breaching`` or ``ignore``.
    actions_enabled:
        Whether it tells anybody.
    actions:
        State to the ARNs that are told of it.
    children:
        A composite alarm's alarms with their state, ``None`` for one that is not there.
    suppressor:
        The alarm that holds its actions back.
    definition:
        The parameters of PutMetricAlarm that make it as it is.
    """

    name: str
    kind: str = "metric"
    state: str = ""
    metrics: tuple[Looked, ...] = ()
    expressions: tuple[str, ...] = ()
    evaluation_periods: int = 1
    treat_missing_data: str = "missing"
    actions_enabled: bool | None = True
    actions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    children: Mapping[str, str | None] = field(default_factory=dict)
    suppressor: str = ""
    definition: Mapping[str, Any] = field(default_factory=dict)

    @property
    def told(self) -> tuple[str, ...]:
        """The ARNs that are told when it goes into ALARM."""
        return self.actions.get("ALARM", ())

    def window_s(self, looked: Looked) -> float | None:
        """How many seconds of a metric it looks at; ``None`` where its period is not known."""
        return None if looked.period_s is None else float(looked.period_s) * self.evaluation_periods


def wired_alarms(seen: Seen) -> list[WiredAlarm]:
    """Every alarm of ``alarm-config``; nothing where it was not seen."""
    return [_alarm(row) for row in rows(seen, "alarm-config")]


def _alarm(row: Row) -> WiredAlarm:
    enabled = row["actions_enabled"]
    return WiredAlarm(
        name=row["name"] or "",
        kind=row["kind"] or "metric",
        state=row["state"] or "",
        metrics=tuple(_looked(one) for one in loaded(row["metrics"], [])),
        expressions=tuple(loaded(row["expressions"], [])),
        evaluation_periods=int(row["evaluation_periods"] or 1),
        treat_missing_data=row["treat_missing_data"] or "missing",
        actions_enabled=None if enabled is None else bool(enabled),
        actions={state: tuple(arns) for state, arns in loaded(row["actions"], {}).items()},
        children=loaded(row["children"], {}),
        suppressor=row["suppressor"] or "",
        definition=loaded(row["definition"], {}),
    )


def _looked(one: Mapping[str, Any]) -> Looked:
    return Looked(
        one["namespace"], one["name"], one["dimensions"], one["period_s"], one["id"], one["account"]
    )
