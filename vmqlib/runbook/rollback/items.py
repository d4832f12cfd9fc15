"""What a rollback is made of: where it goes back to, in which keys, and what becomes of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

__all__ = [
    "ACTIONS",
    "CHANGES",
    "NOTHING",
    "Action",
    "Ambiguous",
    "Entry",
    "Item",
    "Scope",
    "Target",
    "TargetKind",
]

Action = Literal["COPY", "UNDELETE", "DELETE", "SKIP", "BLOCKED"]
"""COPY: an old version is copied on top of the current one. UNDELETE: the same on top of a delete marker (the marker
stays in the history). DELETE: a new delete marker. SKIP: changed since, but of the same content. BLOCKED: cannot or
must not be done now; the item's ``code`` and ``reason`` say why and ``remedy`` what to do."""

ACTIONS: tuple[Action, ...] = ("COPY", "UNDELETE", "DELETE", "SKIP", "BLOCKED")
"""Every action, in the order in which people are told."""

CHANGES: frozenset[Action] = frozenset({"COPY", "UNDELETE", "DELETE"})
"""The actions that change the bucket."""

TargetKind = Literal["as-of", "last-good", "previous", "undo", "touch"]

Ambiguous = Literal["hold", "include", "exclude"]
"""What is done with keys that changed within the very second of the target: held back (BLOCKED, code ``ambiguous``), or
the change counts as made by then (``include``) or after it (``exclude``). A person decides."""


@dataclass(frozen=True)
class Scope:
    """The keys that a rollback looks at.

    Parameters
    ----------
    bucket:
        The bucket.
    prefix:
        Only keys that begin with it; empty: all.
    exclude:
        Keys that begin with one of these are left out.
    keys:
        Only these keys; empty: all.
    """

    bucket: str
    prefix: str = ""
    exclude: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """Where a rollback goes back to.

    Parameters
    ----------
    kind:
        ``as-of``: each key as it was at ``at``. ``last-good``: the same, ``at`` being the start of the last sync that
        succeeded before the incident. ``previous``: each key's latest previous version. ``undo``: what was there before
        a rollback. ``touch``: the current version, copied onto itself with new metadata.
    at:
        The moment (UTC). For ``previous``: only keys whose current version came after it; ``None`` when keys are named.
        ``None`` for ``undo`` and ``touch``.
    why:
        One sentence for people: which sync, which incident.
    """

    kind: TargetKind
    at: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One version or delete marker, as far as a rollback needs it (API: ObjectVersion, DeleteMarkerEntry).

    Parameters
    ----------
    version_id:
        ``null`` where versioning was not on; empty: the key was not there at all.
    at:
        LastModified as :func:`vmqlib.times.iso` writes it; empty when there is none.
    is_delete_marker:
        Whether it stands for a deletion.
    size:
        Bytes; 0 for a marker.
    etag:
        Without quotes; empty for a marker.
    storage_class:
        ``STANDARD`` …; empty for a marker.
    """

    version_id: str = ""
    at: str = ""
    is_delete_marker: bool = False
    size: int = 0
    etag: str = ""
    storage_class: str = ""

    @property
    def there(self) -> bool:
        """Whether an object could be read here."""
        return bool(self.version_id) and not self.is_delete_marker


NOTHING = Entry()
"""The key was never there."""


@dataclass(frozen=True, slots=True)
class Item:
    """What becomes of one key.

    Parameters
    ----------
    key:
        The object's key, decoded.
    action:
        See :data:`Action`.
    current:
        What is there now; the item is applied only if it still is.
    target:
        What is to be visible afterwards: the version that is copied, or :data:`NOTHING` / a marker where the key is to
        be gone.
    code:
        For BLOCKED, in one word for programs: ``ambiguous``, ``unknown`` (what was there at the target cannot be
        known), ``suspended``, ``no-previous``, ``archived``, ``sse-c``, ``no-permission``, ``missing`` …
    reason, remedy:
        For BLOCKED (and where useful else): one sentence each, for people.
    properties:
        Request headers that a copy needs so that the new version is like the old one (storage class, encryption,
        checksum algorithm, website redirect …), in lower case, found by looking at the target when planning. ``None``:
        nobody has looked yet.
    document:
        Whether the connector takes this key for a document, so that the change shows in the index.
    """

    key: str
    action: Action
    current: Entry
    target: Entry = NOTHING
    code: str = ""
    reason: str = ""
    remedy: str = ""
    properties: Mapping[str, str] | None = field(default=None, hash=False)
    document: bool = True
