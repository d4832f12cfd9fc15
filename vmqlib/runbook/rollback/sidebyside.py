"""Plan, apply log and listing side by side, key by key: what verifying and undoing look at."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from vmqlib.runbook.rollback.items import Entry, Item
from vmqlib.runbook.rollback.story import folder, log_name

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback.logreading import Logged
    from vmqlib.runbook.rollback.outcome import Outcome
    from vmqlib.runbook.rollback.plan import Plan
    from vmqlib.sources.versionlisting import ObjectVersion

__all__ = ["Place", "joined", "log_of"]


def log_of(incident: Incident, plan: Plan) -> Logged | None:
    """The apply log of a plan; ``None`` when nobody has begun to apply it."""
    from vmqlib.runbook.rollback import applylog

    path = folder(incident) / log_name(plan.digest)
    return applylog.read(path) if path.exists() else None


@dataclass(frozen=True, slots=True)
class Place:
    """One key of plan and bucket side by side.

    Parameters
    ----------
    key:
        The key.
    number, item:
        Its item and the item's number in the plan; ``-1`` and ``None`` for a key that is not in the plan.
    outcome:
        What came of the item; ``None`` when nothing was tried, or nobody knows.
    versions:
        The key's versions and markers now, the current one first, then by age; empty where there are none.
    """

    key: str
    number: int
    item: Item | None
    outcome: Outcome | None
    versions: Sequence[ObjectVersion]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The versions, as far as a rollback needs them."""
        return tuple(map(entry_of, self.versions))


def joined(plan: Plan, log: Logged | None, versions: Iterable[ObjectVersion]) -> Iterator[Place]:
    """Plan, apply log and listing side by side, in the order of keys. Streams: one key's versions at a time."""
    outcomes = iter(log.outcomes()) if log is not None else iter(())
    items = _numbered(plan, outcomes)
    with closing(items):
        ahead = next(items, None)
        for key, group in groupby(versions, key=attrgetter("key")):
            # The current one may be dated earlier than another (a multipart upload, by its start): sorts are stable.
            entries = sorted(group, key=_not_current)
            while ahead is not None and _order(ahead[1].key) < _order(key):
                yield Place(ahead[1].key, ahead[0], ahead[1], ahead[2], ())
                ahead = next(items, None)
            if ahead is not None and ahead[1].key == key:
                yield Place(key, ahead[0], ahead[1], ahead[2], entries)
                ahead = next(items, None)
            else:
                yield Place(key, -1, None, None, entries)
        while ahead is not None:
            yield Place(ahead[1].key, ahead[0], ahead[1], ahead[2], ())
            ahead = next(items, None)


def _numbered(
    plan: Plan, outcomes: Iterator[tuple[int, Outcome]]
) -> Generator[tuple[int, Item, Outcome | None], None, None]:
    known = next(outcomes, None)
    for number, item in enumerate(plan.iter_items()):
        while known is not None and known[0] < number:
            known = next(outcomes, None)
        yield number, item, known[1] if known is not None and known[0] == number else None


def _order(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _not_current(version: ObjectVersion) -> bool:
    return not version.is_latest


def entry_of(version: ObjectVersion) -> Entry:
    """A row of the listing as an entry."""
    return Entry(
        version.version_id,
        version.at,
        version.is_delete_marker,
        version.size,
        version.etag,
        version.storage_class,
    )
