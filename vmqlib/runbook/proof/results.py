"""What a proof says: a verdict for each key, checks, and one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.checks import CheckResult, worst
from vmqlib.sources.base import shortened
from vmqlib.times import show_time

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AGREE",
    "COLUMNS",
    "FAILED",
    "GONE",
    "INDEXED",
    "LEFT_OUT",
    "SYNCED",
    "UNWANTED",
    "Later",
    "Proof",
]

COLUMNS: Mapping[str, tuple[str, str]] = {
    "key": ("str", "the object's key"),
    "want": ("str", "restored, touched or deleted by this incident; present or absent in the bucket"),
    "verdict": ("str", "indexed, unchanged, gone, failed, not seen, not synced, held back, cannot tell …"),
    "ok": ("boolean", "whether it is as it should be; missing where that cannot be told or does not matter"),
    "finding": ("str", "why, in a sentence"),
    "mend": ("str", "what to do about it; often empty"),
    "stuck": ("bool", "failed, and the connector did not look at it again, since it did not change"),
    "error": ("str", "what the connector or the index says went wrong; often empty"),
    "document_id": ("str", "the document's id in the index; empty where it has none"),
    "index_status": ("str", "its status in the index (ListDocuments); empty where it is not listed"),
    "indexed_at": ("datetime64[us, UTC]", "when the index last updated it"),
    "execution_id": ("str", "the sync whose report speaks of it last; empty where none does"),
    "action": ("str", "CrawlAction there: ADD, MODIFY, DELETE, UNMODIFIED"),
    "report_status": ("str", "ConnectorDocumentStatus there: SUCCESS, FAILED, SKIPPED"),
    "since": ("datetime64[us, UTC]", "since when the object is what it is"),
}
"""The columns of :attr:`Proof.keys`: dtype and meaning."""

_SENTENCE = 600  # characters: a line of the journal
SYNCED, INDEXED, GONE, AGREE, UNWANTED = (
    "A sync has taken place",
    "Restored documents are indexed",
    "Deleted documents are gone",
    "Index and bucket agree",
    "Nothing is indexed that must not be",
)
"""The checks that say it in a sentence."""
FAILED = "failed"
LEFT_OUT = frozenset({"out of scope", "newer"})
"""Verdicts that neither prove nor disprove: the connector does not look at the key, or that sync could not yet."""


@dataclass(frozen=True)
class Later:
    """What changed after the sync began that a proof rests on: no part of the proof, and not in the index either.

    Parameters
    ----------
    began:
        When that sync began (UTC).
    lacking:
        Keys that the index certainly does not have as they are, in order.
    unsure:
        Those that the sync may have read after they changed; and files that it reads with documents (metadata, ACL).
    running:
        Whether a sync runs that may take them over.
    """

    began: datetime
    lacking: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    running: bool = False


@dataclass(frozen=True)
class Proof:
    """Whether a sync took over what is in the bucket.

    Parameters
    ----------
    incident:
        The incident's id; empty without one.
    data_source_id, bucket:
        What was looked at.
    at:
        When (UTC).
    executions:
        The sync jobs that it rests on, newest first.
    rollback:
        Whether it is about what this incident's rollback and touches did; else about the bucket as it is.
    keys:
        A row of :data:`COLUMNS` for each key: what fails first. With a rollback, its keys and whatever else is not as
        it should be; without one, every key.
    checks:
        What was checked, and how it is.
    seen:
        Whether anything could be seen at all.
    stale:
        What was done after it, where it was read from disk: a proof says nothing of that. Empty: nothing.
    later:
        What changed in the bucket after its sync began; ``None`` where nothing did, or it was read from disk.
    unseen:
        Why what changed since could not be seen, or not all of it; empty where it was.
    """

    incident: str
    data_source_id: str
    bucket: str
    at: datetime
    executions: tuple[str, ...]
    rollback: bool
    keys: pd.DataFrame = field(repr=False, compare=False)
    checks: tuple[CheckResult, ...] = ()
    seen: bool = True
    stale: str = ""
    later: Later | None = field(default=None, repr=False, compare=False)
    unseen: str = field(default="", repr=False, compare=False)

    @property
    def ok(self) -> bool | None:
        """True: proved. False: something is not as it should be. None: that cannot be told."""
        return worst(self.checks)

    @property
    def failed(self) -> tuple[str, ...]:
        """Keys of documents that failed, in order."""
        return tuple(sorted(self.keys.loc[self.keys["verdict"].eq(FAILED), "key"]))

    @property
    def stuck(self) -> tuple[str, ...]:
        """Those of them that the connector will not read again before they change."""
        return tuple(sorted(self.keys.loc[self.keys["stuck"], "key"]))

    @property
    def counts(self) -> dict[str, int]:
        """Keys by verdict, most first."""
        return {str(name): int(count) for name, count in self.keys["verdict"].value_counts().items()}

    @property
    def sentence(self) -> str:
        """One sentence for people."""
        begun = {True: "Proved", False: "Not proved", None: "Cannot tell"}[self.ok]
        if self.ok is True:
            telling = [one for one in self.checks if one.name in (INDEXED, GONE, AGREE)]
            said = " ".join(one.finding for one in telling) or "Nothing was checked."
        else:
            telling = [one for one in self.checks if one.ok is self.ok]
            said = telling[0].finding
            if more := len(telling) - 1:
                said += f" And {more} more {'checks' if more > 1 else 'check'} of {len(self.checks)}."
        return f"{begun} at {show_time(self.at)}: {shortened(said, _SENTENCE)}"

    def as_dict(self) -> dict[str, Any]:
        """JSON types, without the keys."""
        return {
            "id": self.incident,
            "data_source_id": self.data_source_id,
            "bucket": self.bucket,
            "at": self.at,
            "ok": self.ok,
            "summary": self.sentence,
            "executions": list(self.executions),
            "rollback": self.rollback,
            "stale": self.stale,
            "counts": self.counts,
            "failed": list(self.failed),
            "stuck": list(self.stuck),
            "checks": [dict(one.as_dict()) for one in self.checks],
        }
