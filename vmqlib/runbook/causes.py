"""One incident for one cause, however often and by however many it is seen.

The cause stands in the incident's identity and in the journal's first event. Whoever opens an incident for a cause
does so under a lock in the incidents folder, and looks first whether there is one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmqlib.errors import AlreadyOpen, LockHeld, VmqError
from vmqlib.record.identity import Identity, folders, read_identity
from vmqlib.record.storage import storage_errors
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.runbook.pages import Page
    from vmqlib.runbook.triggers import Verdict

__all__ = ["Cause", "check", "incident_of", "once"]

_LOCK = ".opening.lock"
_PATIENCE = 60.0  # seconds: who holds it asks STS who it is, which may be slow to answer
_ROUND = 0.05
_UNKNOWN = ("/from-the-beginning", "/none")


@dataclass(frozen=True)
class Cause:
    """What an incident is opened for.

    Parameters
    ----------
    trigger:
        The runbook's trigger.
    key:
        The same at every look for as long as it lasts.
    since:
        Since when, UTC; ``None`` where that is not known.
    data_source_id:
        The connector; empty where it is not one's own.
    event:
        What was delivered, where a page set it off: kept in the journal's first event.
    remarks:
        What is to be known of that page, a sentence each: written into the journal.
    """

    trigger: str
    key: str
    since: datetime | None = None
    data_source_id: str = ""
    event: Mapping[str, Any] | None = field(default=None, repr=False)
    remarks: tuple[str, ...] = ()

    @classmethod
    def of_verdict(cls, verdict: Verdict) -> Cause:
        """The cause of something that fires."""
        return cls(verdict.trigger, verdict.cause, verdict.since, verdict.data_source_id)

    @classmethod
    def of_page(cls, page: Page, remarks: tuple[str, ...] = ()) -> Cause:
        """The cause of a page, with what is to be known of it (:meth:`vmqlib.runbook.pages.Page.remarks`)."""
        return cls(page.trigger, page.cause, page.since, page.data_source_id, page.event, remarks)


@contextlib.contextmanager
def once(root: Path, cause: Cause) -> Iterator[None]:
    """For opening an incident for a cause: within the block nobody else does.

    Raises
    ------
    AlreadyOpen
        When there is an incident for it.
    LockHeld
        When somebody else opens one, and takes too long.
    StorageError
        When the disk refuses.
    """
    with storage_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(descriptor, root)
        check(root, cause)
        yield
    finally:
        os.close(descriptor)  # which gives the lock back, as the process's end would


def check(root: Path, cause: Cause) -> None:
    """Makes sure that there is no incident for that cause yet.

    Raises
    ------
    AlreadyOpen
        When there is one.
    """
    there = incident_of(root, cause)
    if there is not None and (closed := _closed_at(root / there.id)) is not None:
        raise AlreadyOpen(
            f"{there.id} was for it, and is closed since {show_time(closed)}: {there.title}.",
            hint=f"If it goes on: `vmq reopen {there.id} --reason …`.",
            incident_id=there.id,
            closed=True,
        )
    if there is not None:
        raise AlreadyOpen(
            f"{there.id} is there for it already, opened at {show_time(there.opened_at)}: {there.title}.",
            hint=f"`vmq show {there.id}` says how it stands.",
            incident_id=there.id,
        )


def incident_of(root: Path, cause: Cause) -> Identity | None:
    """The newest incident that is about that cause; ``None`` where there is none.

    That is one with the same cause, open or closed. It is also one of the same trigger and connector that was opened
    after the trouble began (by hand, or by an alarm before the syncs could be seen); and an open one, unless both name
    what exactly set them off and that differs.
    """
    for folder in folders(root):
        try:
            identity = read_identity(folder)
        except VmqError:
            continue  # one that is being made, or is broken: `vmq list` shows it
        if identity.cause == cause.key or _is_about(folder, identity, cause):
            return identity
    return None


def _is_about(folder: Path, identity: Identity, cause: Cause) -> bool:
    # Without a sync for a day because all of them failed: that is about sync-failed, too.
    if identity.trigger not in (cause.trigger, cause.key.partition("/")[0]):
        return False
    if identity.data_source_id and cause.data_source_id and identity.data_source_id != cause.data_source_id:
        return False
    if _is_exact(identity.cause) and _is_exact(cause.key):
        return False
    if cause.since is not None and identity.opened_at >= cause.since:
        return True
    return _closed_at(folder) is None


def _is_exact(key: str) -> bool:
    """Whether a cause is one sync job, and not an alarm's state, a share, or something whose beginning is not known."""
    kind, _, rest = key.partition("/")
    return (
        kind in ("sync-failed", "no-sync") and not rest.startswith("alarm/") and not rest.endswith(_UNKNOWN)
    )


def _closed_at(folder: Path) -> datetime | None:
    from vmqlib.record.journal import Journal
    from vmqlib.record.manifest import JOURNAL
    from vmqlib.record.state import fold

    try:
        return fold(Journal(folder / JOURNAL).events()).closed_at
    except VmqError:
        return None


def _take(descriptor: int, root: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= end:
                raise LockHeld(
                    f"Somebody else is opening an incident in {root}, and has not come to an end.",
                    hint="Look whether another vmq hangs; run this again.",
                ) from error
            time.sleep(_ROUND)
