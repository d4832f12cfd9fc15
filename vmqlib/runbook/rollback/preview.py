"""What would come of a rollback: figures that add up while a plan's items stream past, and what to be warned of."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from vmqlib.runbook.rollback.items import CHANGES, Item
from vmqlib.runbook.rollback.planner import Seen
from vmqlib.runbook.rollback.prices import PRICES
from vmqlib.sources.crawlscope import METADATA_SUFFIX, CrawlScope
from vmqlib.times import duration

__all__ = ["Cost", "Example", "Preview", "Safeguard", "Survey", "shown", "size_text"]

_FEW = 10
_MANY_DELETED = 0.10  # of what is there
_GB = 1e9
_PART = 5 * 1024**3  # what one CopyObject copies at most; above it, parts of half a GiB
_PART_SIZE = 512 * 1024**2
_CHANGES_PER_S = 500.0
_BYTES_PER_S = 500e6
_ASSUMED = (
    "16 workers, 500 changes/s and 500 MB/s, as measured; S3 takes 3,500 writes a second for each prefix"
)


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
        Documents that the next sync finds; ``None``: not known.
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
            return "no documents are deleted"
        share = "" if self.percent is None else f", {self.percent:.1f} % of what the next sync compares"
        deletions = f"{self.deletions:,} documents are deleted{share}; "
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
        return f"{deletions}{limit}: they go through"


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
    assumed: str = _ASSUMED

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

        rows = [
            (action, f"{count:,} items, {size_text(self.bytes.get(action, 0))}")
            for action, count in self.counts.items()
        ]
        rows += [(f"BLOCKED: {code}", f"{count:,} items") for code, count in self.blocked.items()]
        if not any(self.counts.get(action) for action in CHANGES):
            return rows
        if self.largest:
            rows.append(("largest", "; ".join(map(example, self.largest[:3]))))
            rows.append(("oldest", "; ".join(map(example, self.oldest[:3]))))
        if self.outside:
            rows.append(
                (
                    "no effect on the index",
                    f"{self.outside:,} keys: {names(self.outside_first, self.outside)}",
                )
            )
        if self.acl:
            rows.append(("access control files", names(self.acl, len(self.acl))))
        if self.metadata:
            rows.append(("metadata files", f"{self.metadata:,}: {names(self.metadata_first, self.metadata)}"))
        again = f"{self.reindexed:,} documents are indexed again, {self.removed:,} deleted"
        beside = f", and those of {self.metadata:,} metadata files" if self.metadata else ""
        requests = ", ".join(f"{count:,} {kind}" for kind, count in self.cost.requests.items())
        return [
            *rows,
            ("next sync", again + beside),
            ("deletion safeguard", self.safeguard.text),
            ("requests", requests),
            (
                "cost, estimated",
                f"{self.cost.once:,.2f} USD, and {self.cost.month:,.2f} USD a month for the new versions "
                f"({self.cost.source})",
            ),
            ("time, estimated", f"{duration(timedelta(seconds=self.seconds))} ({self.assumed})"),
        ]

    def lines(self, mask: Callable[[str], str] = str) -> list[str]:
        """:meth:`rows` for a terminal."""
        rows = self.rows(mask)
        width = max((len(name) for name, _ in rows), default=0)
        return [f"{name:<{width}}  {value}" for name, value in rows]


class Survey:
    """Adds a plan's items up, one by one, in little memory.

    Parameters
    ----------
    crawl:
        What the connector crawls; ``None``: not known.
    """

    def __init__(self, crawl: CrawlScope | None = None) -> None:
        self._crawl = crawl or CrawlScope()
        self._tally: dict[tuple[str, str], list[int]] = {}
        self._largest: list[tuple[int, int, Example]] = []
        self._oldest: list[tuple[str, int, Example]] = []
        self._outside: list[str] = []
        self._acl: list[str] = []
        self._metadata: list[str] = []
        self._kinds: Counter[str] = Counter()
        self._classes: dict[str, list[int]] = {}
        self._number = 0

    def add(self, item: Item) -> None:
        """The next item."""
        action, target = item.action, item.target
        size = (target if target.there else item.current).size
        tally = self._tally.setdefault((action, item.code), [0, 0])
        tally[0] += 1
        tally[1] += size
        if action not in CHANGES:
            return
        self._number += 1
        if action != "DELETE":
            self._copied(item)
        if item.document:
            self._kinds["removed" if action == "DELETE" else "reindexed"] += 1
            # A document that was not there is new to the next sync's scan; one that goes is not scanned.
            self._kinds["fewer"] += action == "DELETE"
            self._kinds["more"] += action == "UNDELETE"
        elif item.key == self._crawl.acl_key:
            self._acl.append(item.key)
        elif item.key.endswith(METADATA_SUFFIX):
            self._kinds["metadata"] += 1
            if len(self._metadata) < _FEW:
                self._metadata.append(item.key)
        else:
            self._kinds["outside"] += 1
            if len(self._outside) < _FEW:
                self._outside.append(item.key)

    def _copied(self, item: Item) -> None:
        target, number = item.target, self._number
        totals = self._classes.setdefault(target.storage_class, [0, 0, 0])
        totals[0] += 1
        totals[1] += target.size
        if target.size > _PART:
            totals[2] += -(-target.size // _PART_SIZE) + 1
        full = len(self._largest) == _FEW
        if not full or -target.size < self._largest[-1][0]:
            insort(self._largest, (-target.size, number, _example(item)))
            del self._largest[_FEW:]
        if not full or target.at < self._oldest[-1][0]:
            insort(self._oldest, (target.at, number, _example(item)))
            del self._oldest[_FEW:]

    @property
    def counts(self) -> dict[str, int]:
        """Items by action."""
        return self._by_action(0)

    @property
    def bytes(self) -> dict[str, int]:
        """Bytes by action."""
        return self._by_action(1)

    @property
    def blocked(self) -> dict[str, int]:
        """BLOCKED items by code."""
        return {
            code: tally[0] for (action, code), tally in sorted(self._tally.items()) if action == "BLOCKED"
        }

    def _by_action(self, which: int) -> dict[str, int]:
        sums = Counter[str]()
        for (action, _), tally in self._tally.items():
            sums[action] += tally[which]
        return {one: sums[one] for one in ("COPY", "UNDELETE", "DELETE", "SKIP", "BLOCKED") if one in sums}

    def preview(self, seen: Seen | None = None) -> Preview:
        """What came of it.

        Parameters
        ----------
        seen:
            The planner's count: the deletion safeguard is worked out from it.
        """
        copied = sum(totals[1] for totals in self._classes.values())
        changes = self._number
        return Preview(
            counts=self.counts,
            bytes=self.bytes,
            blocked=self.blocked,
            largest=tuple(one for *_, one in self._largest),
            oldest=tuple(one for *_, one in self._oldest),
            outside=self._kinds["outside"],
            outside_first=tuple(self._outside),
            acl=tuple(self._acl),
            metadata=self._kinds["metadata"],
            metadata_first=tuple(self._metadata),
            reindexed=self._kinds["reindexed"],
            removed=self._kinds["removed"],
            safeguard=self._safeguard(seen),
            cost=self._cost(seen),
            seconds=round(max(changes / _CHANGES_PER_S, copied / _BYTES_PER_S), 1),
        )

    def _safeguard(self, seen: Seen | None) -> Safeguard:
        deletions = self._kinds["removed"]
        rule = self._crawl.safeguard
        on, threshold = (rule.on, rule.threshold) if rule else (None, None)
        if seen is None:
            return Safeguard(deletions, None, None, threshold, on, False if on is False else None)
        scanned = max(0, seen.documents - self._kinds["fewer"] + self._kinds["more"])
        percent = 100 * deletions / (scanned + deletions) if deletions else 0.0
        holds_back = None if rule is None else rule.holds_back(deletions, scanned)
        return Safeguard(deletions, scanned, percent, threshold, on, holds_back)

    def _cost(self, seen: Seen | None) -> Cost:
        pages = (
            -(-seen.listed // 1000) * 3 if seen else 0
        )  # to plan, to check again before writing, to verify
        once = pages * PRICES.listing / 1000
        month = 0.0
        requests = Counter(list=pages, head=0, copy=0, delete=self.counts.get("DELETE", 0))
        for name, (count, size, parts) in self._classes.items():
            price = PRICES.of(name)
            requests["head"] += count
            requests["copy"] += count + parts
            once += (count + parts) * price.write / 1000 + count * price.read / 1000
            once += size / _GB * price.retrieval
            month += size / _GB * price.month
        return Cost(round(once, 6), round(month, 6), dict(requests))

    def warnings(self, seen: Seen | None = None) -> tuple[str, ...]:
        """What a person should read before approving: the worst first."""
        made = self.preview(seen)
        deletions = self.counts.get("DELETE", 0)
        found: list[str] = []
        if seen is not None and not seen.keys:
            found.append("No key was found in this scope: is the bucket, the prefix, the key right?")
        if deletions and seen is not None:
            share = deletions / max(seen.there, 1)
            if deletions >= seen.there:
                found.append(
                    f"EVERY object in scope ({deletions:,}) would be deleted: none was there at the target. "
                    "Is the time right?"
                )
            elif share > _MANY_DELETED:
                found.append(
                    f"{deletions:,} of {seen.there:,} objects ({100 * share:.0f} %) would be deleted: "
                    "they were not there at the target."
                )
        if made.safeguard.holds_back:
            found.append(f"Deletion safeguard: {made.safeguard.text}.")
        if made.acl:
            found.append(
                "The access control file changes: a prefix that it does not name is open to everyone. "
                "Compare its versions first."
            )
        blocked = self.blocked
        for code, text in _HELD.items():
            if count := blocked.get(code, 0):
                found.append(text.format(count=f"{count:,}"))
        others = sum(count for code, count in blocked.items() if code not in _HELD)
        if others:
            found.append(f"{others:,} keys are held back; each says why.")
        return tuple(found)


_HELD = {
    "ambiguous": "{count} keys changed within the very second of the target and are held back until a person decides.",
    "unknown": "{count} keys are held back because what was there at the target cannot be known.",
    "suspended": "Versioning is suspended: {count} changes are held back, since they could not be undone.",
}


def _example(item: Item) -> Example:
    return Example(item.key, item.action, item.target.size, item.target.at)
