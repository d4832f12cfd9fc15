"""What would come of a rollback, in figures and in words. :mod:`vmqlib.runbook.rollback.survey` adds it up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from vmqlib.runbook.rollback.items import ACTIONS, CHANGES
from vmqlib.runbook.rollback.prices import PRICES
from vmqlib.runbook.wording import many
from vmqlib.times import duration

__all__ = ["Cost", "Example", "Preview", "Safeguard", "shown", "size_text"]

_SHOWN = 3  # examples in a row; there are more in the preview itself


def shown(text: str) -> str:
    """A key as it can be shown anywhere: control characters and what hides or reorders text as escapes."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def size_text(size: float) -> str:
    """Bytes for people: ``3.4 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


@dataclass(frozen=True)
class Example:
    """One key that stands for others.

    Parameters
    ----------
    key, action:
        Of the item.
    size:
        Of the version that is brought back, bytes.
    at:
        When that version was written, as :func:`vmqlib.times.iso` writes it.
    """

    key: str
    action: str
    size: int
    at: str


@dataclass(frozen=True)
class Safeguard:
    """The rollback's deletions against the connector's deletion safeguard.

    ``100 * deletions / (scanned + deletions)`` above the threshold: the next sync skips its deletions and does all else
    (Q Business user guide, S3 connector). The index is taken to hold what the bucket holds now.

    Parameters
    ----------
    deletions:
        Documents that the rollback deletes.
    scanned:
        Documents that the next sync finds; ``None``: not known, as when the plan is for a part of what it crawls.
    percent:
        As above; ``None``: not known.
    threshold:
        Percent; ``None``: the connector's configuration is not known.
    on:
        Whether the safeguard is switched on; ``None``: not known.
    holds_back:
        Whether it would hold the deletions back; ``None``: not known.
    """

    deletions: int = 0
    scanned: int | None = None
    percent: float | None = None
    threshold: float | None = None
    on: bool | None = None
    holds_back: bool | None = None

    @property
    def text(self) -> str:
        """For people."""
        if not self.deletions:
            return "no document is deleted"
        share = "" if self.percent is None else f", {self.percent:.1f} % of what the next sync compares"
        deletions = f"{many(self.deletions, 'document')} deleted{share}; "
        if self.on is None:
            return (
                deletions
                + "whether the connector holds deletions back is not known (the default is above 15 %)"
            )
        if not self.on:
            return deletions + "the connector's safeguard is off"
        limit = f"the connector holds deletions back above {self.threshold:g} %"
        if self.holds_back is None:
            return f"{deletions}{limit}; whether that happens is not known"
        if self.holds_back:
            return f"{deletions}{limit}: they stay in the index until somebody lets them go"
        return f"{deletions}{limit}: they go through, if it has no others to delete"


@dataclass(frozen=True)
class Cost:
    """An estimate of what S3 will charge, USD.

    Parameters
    ----------
    once:
        Requests and retrieval, for planning (inspection of each version that is copied, listing), apply and verify.
    month:
        For keeping the new versions a month.
    requests:
        How many of each kind: ``list``, ``head``, ``copy`` (parts of multipart copies included), ``delete``.
    source:
        Whose prices, of when.
    """

    once: float = 0.0
    month: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)
    source: str = PRICES.source


@dataclass(frozen=True)
class Preview:
    """What would come of a plan. Keys stand in it as they are: :meth:`rows` and :meth:`lines` make them safe to show.

    Parameters
    ----------
    counts, bytes:
        Items, and their bytes, by action.
    blocked:
        BLOCKED items by code.
    largest, oldest:
        The largest, and the oldest, of the versions that are brought back; at most ten each.
    outside, outside_first:
        Changes to keys that the connector does not crawl, which have no effect on the index; the first few.
    acl:
        Access control files that change. (A prefix that such a file does not name is open to everyone.)
    metadata, metadata_first:
        Metadata files that change, each of which has its document indexed again; the first few.
    reindexed:
        Documents whose content the next sync indexes again: each copy counts as changed.
    removed:
        Documents that the next sync deletes from the index, if the safeguard lets it.
    safeguard:
        See :class:`Safeguard`.
    cost:
        See :class:`Cost`.
    seconds:
        How long applying takes, roughly.
    assumed:
        What that rests on.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    bytes: Mapping[str, int] = field(default_factory=dict)
    blocked: Mapping[str, int] = field(default_factory=dict)
    largest: tuple[Example, ...] = ()
    oldest: tuple[Example, ...] = ()
    outside: int = 0
    outside_first: tuple[str, ...] = ()
    acl: tuple[str, ...] = ()
    metadata: int = 0
    metadata_first: tuple[str, ...] = ()
    reindexed: int = 0
    removed: int = 0
    safeguard: Safeguard = field(default_factory=Safeguard)
    cost: Cost = field(default_factory=Cost)
    seconds: float = 0.0
    assumed: str = ""

    def to_json(self) -> dict[str, Any]:
        """In JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Preview:
        """What :meth:`to_json` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is something else.
        """
        listed = {name: tuple(raw[name]) for name in ("outside_first", "acl", "metadata_first")}
        examples = {name: tuple(Example(**one) for one in raw[name]) for name in ("largest", "oldest")}
        return cls(
            **{
                **raw,
                **listed,
                **examples,
                "safeguard": Safeguard(**raw["safeguard"]),
                "cost": Cost(**raw["cost"]),
            }
        )

    def rows(self, mask: Callable[[str], str] = str) -> list[tuple[str, str]]:
        """What there is to say, as ``(what, how much)``, safe to print.

        Parameters
        ----------
        mask:
            Applied to every key: a redactor's ``text``.
        """

        def names(keys: tuple[str, ...], total: int) -> str:
            more = [f"and {total - len(keys):,} more"] if total > len(keys) else []
            return ", ".join([*(shown(mask(key)) for key in keys), *more])

        def example(one: Example) -> str:
            return f"{shown(mask(one.key))} ({size_text(one.size)}, {one.at[:10]} {one.at[11:19]})"

        rows: list[tuple[str, str]] = [
            (action, f"{many(self.counts[action], 'key')}, {size_text(self.bytes.get(action, 0))}")
            for action in ACTIONS
            if action in self.counts
        ]
        rows += [(f"BLOCKED: {code}", many(count, "key")) for code, count in sorted(self.blocked.items())]
        if not any(self.counts.get(action) for action in CHANGES):
            return rows
        if self.largest:
            rows.append(("largest", "; ".join(map(example, self.largest[:_SHOWN]))))
            rows.append(("oldest", "; ".join(map(example, self.oldest[:_SHOWN]))))
        if self.outside:
            found = f"{many(self.outside, 'key')}: {names(self.outside_first, self.outside)}"
            rows.append(("no effect on the index", found))
        if self.acl:
            rows.append(("access control files", names(self.acl, len(self.acl))))
        if self.metadata:
            found = f"{self.metadata:,}: {names(self.metadata_first, self.metadata)}"
            rows.append(("metadata files", found))
        again = f"{many(self.reindexed, 'document')} indexed again, {self.removed:,} deleted"
        beside = f"; also those of {many(self.metadata, 'metadata file')}" if self.metadata else ""
        beside += "; also those that the access control files rule" if self.acl else ""
        cost, requests = self.cost, sorted(self.cost.requests.items())
        usd = f"{_usd(cost.once)}, and {_usd(cost.month)} a month for the new versions ({cost.source})"
        return [
            *rows,
            ("next sync", f"for this plan alone: {again}{beside}"),
            ("deletion safeguard", self.safeguard.text),
            ("requests", ", ".join(f"{count:,} {kind}" for kind, count in requests)),
            ("cost, estimated", usd),
            ("time, estimated", f"{_span(self.seconds)} ({self.assumed})"),
        ]

    def lines(self, mask: Callable[[str], str] = str) -> list[str]:
        """:meth:`rows` for a terminal."""
        rows = self.rows(mask)
        width = max((len(name) for name, _ in rows), default=0)
        return [f"{name:<{width}}  {value}" for name, value in rows]


def _usd(amount: float) -> str:
    return "less than 0.01 USD" if 0 < amount < 0.01 else f"{amount:,.2f} USD"


def _span(seconds: float) -> str:
    return "less than 1 s" if 0 < seconds < 1 else duration(timedelta(seconds=seconds))
