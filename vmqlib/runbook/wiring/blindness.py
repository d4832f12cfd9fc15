"""Alarms that never see a datapoint: they look at another metric than the one that is published.

Used by ``vmq doctor``, by the trigger *SyncFailed*, and by whoever waits for an alarm to clear: a blind one never does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vmqlib.runbook.wiring.metrics import Looked, Published, in_words, published
from vmqlib.runbook.wiring.seen import Seen, loaded, rows, why_not
from vmqlib.runbook.wiring.wiredalarm import wired_alarms

__all__ = ["BlindAlarm", "blind_alarms", "is_blind", "others"]

_OWN = "VaultMesh/QBusiness"


@dataclass(frozen=True)
class BlindAlarm:
    """An alarm that looks past its metric.

    Parameters
    ----------
    name:
        The alarm's name.
    looks_at:
        The metric that it looks at, and that gets no datapoint.
    published:
        What is published under that name instead, with other dimensions or in another namespace.
    sources:
        The observations that say so.
    """

    name: str
    looks_at: Looked
    published: tuple[Published, ...]
    sources: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """That it is blind, and why, in a sentence."""
        seen = "; ".join(dict.fromkeys(_where(self.looks_at, one) for one in self.published))
        return (
            f"The alarm {self.name} looks at {self.looks_at.name} with {in_words(self.looks_at.dimensions)}; "
            f"it is published with {seen}: the alarm never sees a datapoint."
        )


def is_blind(looks_at: Looked, metrics: Iterable[Published]) -> bool:
    """Whether a metric that is looked at gets no datapoint while another of that name does. Pure.

    Where nothing at all is published under the name, nobody knows: a metric of failures may have had none.

    Parameters
    ----------
    looks_at:
        What the alarm looks at.
    metrics:
        Metrics; those without a datapoint (``periods`` 0 or ``None``) count for nothing.
    """
    known = [one for one in metrics if one.periods]
    return not any(one.is_of(looks_at) for one in known) and bool(others(looks_at, known))


def others(looks_at: Looked, metrics: Iterable[Published]) -> tuple[Published, ...]:
    """What gets datapoints under the name of a metric, and is not it: of its own namespace, else of any other."""
    named = [one for one in metrics if one.periods and one.name == looks_at.name and not one.is_of(looks_at)]
    near = [one for one in named if one.namespace == looks_at.namespace]
    return tuple(near or named)


def blind_alarms(seen: Seen) -> list[BlindAlarm]:
    """Every alarm that is blind, once for each metric that it misses. Pure.

    Parameters
    ----------
    seen:
        ``alarm-config`` and ``metric-names``, as ``vmq doctor`` looks at them; where those are missing, or older than
        the incident's own look, ``alarms`` and ``metrics``, which know of our own application only. Alarms whose
        sources were not seen are not named.
    """
    if _has(seen, "alarm-config", "metric-names") and seen["metric-names"].complete and not _outdated(seen):
        every = [
            (alarm.name, one) for alarm in wired_alarms(seen) for one in alarm.metrics if not one.account
        ]
        return _blind(every, published(seen), ("alarm-config", "metric-names"))
    if _has(seen, "alarms", "metrics"):
        metrics = _measured(seen)
        mine = [(name, looked) for name, looked in _looked(seen) if _may_be_ours(looked, metrics)]
        return _blind(mine, metrics, ("alarms", "metrics"))
    return []


def _blind(
    alarms: Iterable[tuple[str, Looked]], metrics: Sequence[Published], sources: tuple[str, ...]
) -> list[BlindAlarm]:
    return [
        BlindAlarm(name, looked, others(looked, metrics), sources)
        for name, looked in alarms
        if is_blind(looked, metrics)
    ]


def _has(seen: Seen, *sources: str) -> bool:
    return all(why_not(seen, source) is None for source in sources)


def _outdated(seen: Seen) -> bool:
    """Whether the incident has looked at its alarms again since."""
    if not _has(seen, "alarms"):
        return False
    wired, plain = seen["alarm-config"].at, seen["alarms"].at
    return wired is not None and plain is not None and plain > wired


def _looked(seen: Seen) -> list[tuple[str, Looked]]:
    return [
        (row["name"], Looked(row["namespace"] or "", row["metric"] or "", loaded(row["dimensions"], {})))
        for row in rows(seen, "alarms")
        if row["namespace"]
    ]


def _may_be_ours(looked: Looked, metrics: Sequence[Published]) -> bool:
    """Whether it looks at a metric of ours with too few or too many dimensions. With others it may be another
    application's, whose metrics an incident does not look at."""
    own = [one.dimensions.items() for one in metrics if one.name == looked.name]
    mine = looked.dimensions.items()
    return looked.namespace == _OWN and any(mine <= each or each <= mine for each in own)


def _measured(seen: Seen) -> list[Published]:
    table = seen["metrics"].frame
    some: Any = table[table["value"].notna()].drop_duplicates(["namespace", "metric", "dimensions"])
    return [
        Published(space, name, loaded(text, {}), 1)
        for space, name, text in some[["namespace", "metric", "dimensions"]].itertuples(index=False)
    ]


def _where(looked: Looked, one: Published) -> str:
    elsewhere = "" if one.namespace == looked.namespace else f" in {one.namespace}"
    return f"{in_words(one.dimensions)}{elsewhere}"
