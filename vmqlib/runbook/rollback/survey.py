"""A plan's items added up while they stream past: its preview, and what to be warned of."""

from __future__ import annotations

from bisect import insort
from collections import Counter

from vmqlib.runbook.rollback.items import ACTIONS, CHANGES, Item, Scope
from vmqlib.runbook.rollback.planner import Seen
from vmqlib.runbook.rollback.preview import Cost, Example, Preview, Safeguard
from vmqlib.runbook.rollback.prices import PRICES
from vmqlib.sources.crawlscope import METADATA_SUFFIX, CrawlScope

__all__ = ["Survey"]

_FEW = 10
_MANY_DELETED = 0.10  # of what is there
_GB = 1e9
_PART = 5 * 1024**3  # what one CopyObject copies at most; above it, parts of half a GiB
_PART_SIZE = 512 * 1024**2
_CHANGES_PER_S = 500.0
_BYTES_PER_S = 500e6
_ASSUMED = "at 500 changes and 500 MB a second; S3 itself takes 3,500 writes a second for each prefix"


class Survey:
    """Adds a plan's items up, one by one, in little memory.

    Parameters
    ----------
    crawl:
        What the connector crawls; ``None``: not known.
    scope:
        The plan's; ``None``: all that the connector crawls.
    """

    def __init__(self, crawl: CrawlScope | None = None, scope: Scope | None = None) -> None:
        self._crawl = crawl or CrawlScope()
        self._scope = scope or Scope("")
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
        return {action: sums[action] for action in ACTIONS if action in sums}

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
            assumed=_ASSUMED,
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
        if not self._whole:
            # The next sync compares more than this scope: its percentage is at most ours.
            return Safeguard(deletions, None, None, threshold, on, None if holds_back else holds_back)
        return Safeguard(deletions, scanned, percent, threshold, on, holds_back)

    @property
    def _whole(self) -> bool:
        """Whether the scope holds all that the connector crawls."""
        prefix = self._scope.prefix
        return not self._scope.keys and (not prefix or self._crawl.include_prefixes == (prefix,))

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
        if deletions and seen is not None and not self._scope.keys:
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
                found.append(text.format(count=count))
        others = sum(count for code, count in blocked.items() if code not in _HELD)
        if others:
            found.append(f"Held back for other reasons, which each one says: {others:,}.")
        return tuple(found)


_HELD = {
    "ambiguous": "Held back until a person decides, since changed within the very second of the target: {count:,}.",
    "unknown": "Held back because what was there at the target cannot be known: {count:,}.",
    "suspended": "Versioning is suspended: changes held back, since they could not be undone: {count:,}.",
}


def _example(item: Item) -> Example:
    return Example(item.key, item.action, item.target.size, item.target.at)
