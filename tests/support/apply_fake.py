"""A bucket in memory for the apply engine: versions, conditions, and whatever goes wrong, as a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from vmqlib.runbook.rollback.items import Entry, Item
from vmqlib.runbook.rollback.objects import Outcome

__all__ = ["FakeObjects", "items_of"]

Fault = Callable[[Item, int], Exception | Outcome | None]


def items_of(count: int, prefix: str = "docs/") -> list[Item]:
    """Copies, with some that change nothing among them."""
    made = [
        Item(
            f"{prefix}{n:07d}",
            "COPY",
            Entry(f"now-{n}", size=2, etag=f"e-now-{n}"),
            Entry(f"old-{n}", size=1, etag=f"e-old-{n}"),
            properties={},
        )
        for n in range(count)
    ]
    return [replace(item, action="SKIP") if n % 11 == 5 else item for n, item in enumerate(made)]


class FakeObjects:
    """What :class:`vmqlib.runbook.rollback.objects.Objects` does, to dictionaries.

    Parameters
    ----------
    items:
        The plan; what is there now is what they say.
    before, after:
        Called with the item and how often it was sent before; what they return is raised, or is the outcome. ``after``
        is called when the work is done: the answer is lost.
    takes:
        Seconds that a request takes.
    """

    def __init__(
        self,
        items: Sequence[Item],
        *,
        before: Fault | None = None,
        after: Fault | None = None,
        takes: float = 0.0,
    ) -> None:
        self._takes = takes
        self.top = {item.key: item.current.version_id for item in items}
        self.applied: dict[str, int] = {}
        self.sent: list[str] = []
        self.most = 0
        self._now = 0
        self._before, self._after = before, after
        self._lock = threading.Lock()
        self._tries: dict[str, int] = {}

    def still_planned(self, items: Sequence[Item]) -> set[str]:
        with self._lock:
            return {item.key for item in items if self.top[item.key] == item.current.version_id}

    def apply(self, item: Item, *, in_doubt: bool = False) -> Outcome:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.sent.append(item.key)
            tries = self._tries[item.key] = self._tries.get(item.key, -1) + 1
        try:
            time.sleep(self._takes)
            return self._apply(item, tries)
        finally:
            with self._lock:
                self._now -= 1

    def _apply(self, item: Item, tries: int) -> Outcome:
        if (wrong := self._before and self._before(item, tries)) is not None:
            if isinstance(wrong, Outcome):
                return wrong
            raise wrong
        ours = f"ours-{item.key}"
        with self._lock:
            top = self.top[item.key]
            if top == ours:
                return Outcome("found", ours)
            if top != item.current.version_id:
                return Outcome("changed", top, problem="somebody else")
            self.top[item.key] = ours
            self.applied[item.key] = self.applied.get(item.key, 0) + 1
        if (wrong := self._after and self._after(item, tries)) is not None:
            assert isinstance(wrong, Exception)
            raise wrong
        return Outcome("done", ours, "etag")
