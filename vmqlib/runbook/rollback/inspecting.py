"""Looking at the versions that a plan would copy, many at a time, without changing the items' order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future

from vmqlib.runbook.rollback.items import Action, Item
from vmqlib.sources.crew import Crew

__all__ = ["INSPECTED", "inspected"]

INSPECTED: frozenset[Action] = frozenset({"COPY", "UNDELETE"})
"""Actions that read an old version: whether they may, and what the copy must be told, a look at it says."""

_AHEAD = 8  # items in the air for each thread: enough that a slow answer does not make the others wait


def inspected(
    items: Iterable[Item],
    inspect: Callable[[Item], Item],
    *,
    workers: int = 16,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Item]:
    """The items in their order, those that copy something as ``inspect`` gives them back.

    Memory is bounded, however many there are: no more are taken than are in the air.

    Parameters
    ----------
    inspect:
        :meth:`vmqlib.runbook.rollback.objects.Objects.inspect`. Called from several threads.
    workers:
        How many at a time.
    progress:
        Told how many were inspected so far.

    Raises
    ------
    AwsError
        What ``inspect`` raises; no further item is looked at then.
    """
    waiting: deque[Item | Future[Item]] = deque()
    done = 0

    def first() -> Item:
        nonlocal done
        head = waiting.popleft()
        if isinstance(head, Item):
            return head
        found = head.result()
        done += 1
        progress(done)
        return found

    with Crew(workers, "vmq-inspect") as pool:
        for item in items:
            waiting.append(pool.submit(inspect, item) if item.action in INSPECTED else item)
            if len(waiting) >= workers * _AHEAD:
                yield first()
        while waiting:
            yield first()
