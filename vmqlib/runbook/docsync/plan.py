"""An upload that was worked out, for people to read and to approve."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vmqlib.record.canonical import canonical, digest
from vmqlib.runbook.objectcontent import Content
from vmqlib.runbook.rollback.items import NOTHING, Entry
from vmqlib.runbook.rollback.preview import shown, size_text
from vmqlib.runbook.wording import many

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CHANGES", "COLUMNS", "MOST_DELETED", "Action", "DocItem", "DocPlan"]

Action = Literal["ADD", "UPDATE", "DELETE", "HELD"]
CHANGES: tuple[Action, ...] = ("ADD", "UPDATE", "DELETE")
MOST_DELETED = 0.15
"""The share of the documents in the scope that may be deleted without saying so twice: as the connector's safeguard."""

COLUMNS = {
    "key": ("str", "the object's key"),
    "action": ("str", "ADD, UPDATE, DELETE or HELD"),
    "path": ("str", "the file, within the folder; empty for DELETE"),
    "size": ("int64", "bytes of the file; 0 where it is not read"),
    "sha256": ("str", "of the file; empty where it is not read"),
    "current_version_id": ("str", "what is there now; empty: nothing"),
    "current_at": ("datetime64[us, UTC]", "its LastModified"),
    "current_size": ("int64", "bytes"),
    "reason": ("str", "HELD: why"),
}
"""The columns of :attr:`DocPlan.items_frame`: dtype and meaning."""


@dataclass(frozen=True, slots=True)
class DocItem:
    """What is to become of one key.

    Parameters
    ----------
    key:
        The object's.
    action:
        ``ADD``: nothing is there now. ``UPDATE``: something else is. ``DELETE``: the folder has no such file.
        ``HELD``: left alone.
    path:
        The file within the folder; empty for ``DELETE``.
    content:
        What is in the file; None where it is not read.
    current:
        What is there now, as S3 lists it.
    reason:
        Why it is held.
    """

    key: str
    action: Action
    path: str = ""
    content: Content | None = None
    current: Entry = NOTHING
    reason: str = ""


@dataclass(frozen=True)
class DocPlan:
    """An upload, before anything is uploaded.

    Parameters
    ----------
    folder:
        Where the files are.
    connector:
        The connector's name.
    bucket, prefix, exclude:
        Which keys: those that begin with ``prefix`` and with none of ``exclude``.
    delete:
        Whether documents that the folder does not have are deleted.
    items:
        By key; what is the same already has none.
    unchanged:
        Documents that are the same already.
    in_scope:
        Documents that the bucket has in the scope now.
    gone:
        Keys that the folder does not have, where they are not deleted.
    warnings:
        Sentences that a person should read before approving.
    """

    folder: Path
    connector: str
    bucket: str
    prefix: str
    exclude: tuple[str, ...]
    delete: bool
    items: tuple[DocItem, ...]
    unchanged: int = 0
    in_scope: int = 0
    gone: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @cached_property
    def counts(self) -> dict[str, int]:
        """Items by action."""
        found = Counter(item.action for item in self.items)
        return {action: found[action] for action in (*CHANGES, "HELD") if found[action]}

    @property
    def changes(self) -> tuple[DocItem, ...]:
        """The items that change something: what is written before what is deleted."""
        order = {action: place for place, action in enumerate(CHANGES)}
        return tuple(
            sorted((one for one in self.items if one.action in order), key=lambda one: one.action == "DELETE")
        )

    @property
    def bytes(self) -> int:
        """How much is uploaded."""
        return sum(one.content.size for one in self.changes if one.content is not None)

    @property
    def deletes_most(self) -> bool:
        """Whether so much of the scope would be deleted that it has to be said twice."""
        deleted = self.counts.get("DELETE", 0)
        return deleted > MOST_DELETED * self.in_scope

    @cached_property
    def digest(self) -> str:
        """What an approval names: the SHA-256 of the scope and of every item."""
        return digest(
            canonical(
                {
                    "bucket": self.bucket,
                    "prefix": self.prefix,
                    "exclude": list(self.exclude),
                    "delete": self.delete,
                    "items": [_line(item) for item in self.items],
                }
            )
        )

    @property
    def summary(self) -> str:
        """The plan in a sentence."""
        words = {"ADD": "to add", "UPDATE": "to update", "DELETE": "to delete", "HELD": "held back"}
        told = [f"{self.counts[action]:,} {word}" for action, word in words.items() if action in self.counts]
        size = f" ({size_text(self.bytes)})" if self.bytes else ""
        where = shown(f"s3://{self.bucket}/{self.prefix}")
        return f"{where}: {', '.join(told) or 'nothing to do'}{size}; {many(self.unchanged, 'document')} unchanged."

    @cached_property
    def items_frame(self) -> pd.DataFrame:
        """The items as :data:`COLUMNS` describes them."""
        import pandas as pd

        frame = pd.DataFrame([_row(item) for item in self.items], columns=list(COLUMNS))
        return frame.assign(
            current_at=pd.to_datetime(frame["current_at"], utc=True, format="ISO8601")
        ).astype({name: kind for name, (kind, _) in COLUMNS.items()})

    def rows(self) -> list[dict[str, Any]]:
        """The items in JSON types."""
        return [_line(item) for item in self.items]


def _line(item: DocItem) -> dict[str, Any]:
    content, current = item.content, item.current
    return {
        "key": item.key,
        "action": item.action,
        "path": item.path,
        "size": content.size if content else 0,
        "sha256": content.sha256 if content else "",
        "current_version_id": current.version_id,
        "current_at": current.at,
        "current_etag": current.etag,
        "current_size": current.size,
        "reason": item.reason,
    }


def _row(item: DocItem) -> tuple[Any, ...]:
    line = _line(item) | {"current_at": item.current.at or None}
    return tuple(line[name] for name in COLUMNS)
