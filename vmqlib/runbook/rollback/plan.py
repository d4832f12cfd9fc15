"""A rollback that was worked out and written down, for people to read and to approve."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.rollback.items import ACTIONS, CHANGES, Ambiguous, Item, Scope, Target
from vmqlib.runbook.rollback.preview import Preview, shown
from vmqlib.runbook.rollback.purposes import PurposeName
from vmqlib.times import iso, parse_iso, show_time

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "Plan", "PlanHead"]

VERSION = 1

COLUMNS = {
    "key": ("str", "the object's key, exactly"),
    "action": ("str", "COPY, UNDELETE, DELETE, SKIP or BLOCKED"),
    "code": ("str", "BLOCKED: why, in one word; empty else"),
    "reason": ("str", "why, in a sentence; often empty"),
    "remedy": ("str", "what to do about it; often empty"),
    "document": ("bool", "whether the connector takes the key for a document"),
    "current_version_id": ("str", "what is there now; empty: nothing"),
    "current_at": ("datetime64[us, UTC]", "its LastModified"),
    "current_deleted": ("bool", "whether it is a delete marker"),
    "current_size": ("int64", "bytes"),
    "current_etag": ("str", "without quotes"),
    "target_version_id": ("str", "what is to be visible afterwards; empty: nothing"),
    "target_at": ("datetime64[us, UTC]", "its LastModified"),
    "target_deleted": ("bool", "whether it is a delete marker"),
    "target_size": ("int64", "bytes"),
    "target_etag": ("str", "without quotes"),
    "target_storage_class": ("str", "STANDARD …"),
}
"""The columns of :attr:`Plan.items`: dtype and meaning."""


@dataclass(frozen=True)
class PlanHead:
    """What a plan says of itself as a whole.

    Parameters
    ----------
    incident:
        The incident's id.
    scope, target:
        Which keys, and where they go back to.
    made_at:
        When (UTC).
    region, account, caller:
        Where, and the ARN that listed the bucket.
    listed:
        Versions and delete markers that were read.
    keys:
        Keys that were seen.
    unchanged:
        Keys that need no item: they are as the target has them.
    counts:
        Items by action.
    blocked:
        BLOCKED items by code.
    bytes:
        Bytes by action: of the target version where there is one, of the current one for DELETE and BLOCKED.
    preview:
        What would come of it.
    warnings:
        Sentences that a person should read before approving.
    ambiguous:
        What was decided of changes within the very second of the target.
    of:
        For an undo: the digest of the plan that it takes back.
    purpose:
        What it is for; an undo has the purpose of what it takes back.
    items:
        How many lines follow the head in the file.
    items_sha256:
        The SHA-256 of those lines: through it the plan's digest covers every item.
    version:
        Of the file's format.
    """

    incident: str
    scope: Scope
    target: Target
    made_at: datetime
    region: str = ""
    account: str = ""
    caller: str = ""
    listed: int = 0
    keys: int = 0
    unchanged: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    blocked: Mapping[str, int] = field(default_factory=dict)
    bytes: Mapping[str, int] = field(default_factory=dict)
    preview: Preview = field(default_factory=Preview)
    warnings: tuple[str, ...] = ()
    ambiguous: Ambiguous = "hold"
    of: str = ""
    purpose: PurposeName = "rollback"
    items: int = 0
    items_sha256: str = ""
    version: int = VERSION

    def to_json(self) -> dict[str, Any]:
        """In JSON types."""
        raw = dict(vars(self))
        raw["scope"] = {
            **vars(self.scope),
            "exclude": list(self.scope.exclude),
            "keys": list(self.scope.keys),
        }
        raw["target"] = {**vars(self.target), "at": iso(self.target.at) if self.target.at else None}
        raw["made_at"] = iso(self.made_at)
        raw["preview"] = self.preview.to_json()
        raw["warnings"] = list(self.warnings)
        return raw

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> PlanHead:
        """What :meth:`to_json` gave.

        Raises
        ------
        ValueError, KeyError, TypeError, AttributeError
            It is something else.
        """
        scope, target = raw["scope"], raw["target"]
        return cls(
            **{
                **raw,
                "scope": Scope(
                    scope["bucket"], scope["prefix"], tuple(scope["exclude"]), tuple(scope["keys"])
                ),
                "target": Target(
                    target["kind"], parse_iso(target["at"]) if target["at"] else None, target["why"]
                ),
                "made_at": parse_iso(raw["made_at"]),
                "preview": Preview.from_json(raw["preview"]),
                "warnings": tuple(raw["warnings"]),
            }
        )


@dataclass(frozen=True)
class Plan:
    """A plan, in a file that says what it holds. Read it with :func:`vmqlib.runbook.rollback.planfile.read`.

    Parameters
    ----------
    head:
        What it says of itself.
    digest:
        SHA-256 in hexadecimal, over the head and, through it, every item: what an approval approves.
    path:
        Its file.
    opened:
        Streams the items from the file.
    """

    head: PlanHead
    digest: str
    path: Path
    opened: Callable[[], Iterator[Item]] = field(repr=False, compare=False)

    @property
    def scope(self) -> Scope:
        """Which keys."""
        return self.head.scope

    @property
    def target(self) -> Target:
        """Where they go back to."""
        return self.head.target

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should read before approving."""
        return self.head.warnings

    @property
    def changes(self) -> int:
        """How many items change the bucket."""
        return sum(self.head.counts.get(action, 0) for action in CHANGES)

    def iter_items(self) -> Iterator[Item]:
        """Every item, in the plan's order, streamed.

        Raises
        ------
        CorruptRecord
            The file is not what it was: at the latest after the last item.
        """
        return self.opened()

    @cached_property
    def items(self) -> pd.DataFrame:
        """Every item in a frame of :data:`COLUMNS`. Raises as :meth:`iter_items` does."""
        import pandas as pd

        frame = pd.DataFrame(map(_row, self.iter_items()), columns=list(COLUMNS))
        times = {
            name: pd.to_datetime(frame[name].replace("", None), utc=True, format="ISO8601")
            for name, (dtype, _) in COLUMNS.items()
            if dtype.startswith("datetime")
        }
        dtypes: dict[str, Any] = {name: dtype for name, (dtype, _) in COLUMNS.items()}
        return frame.assign(**times).astype(dtypes)

    @property
    def summary(self) -> str:
        """One sentence."""
        return summary(self.head)

    def copy_to(self, path: Path) -> Plan:
        """Copies the plan's file to ``path``, of any name, for this user's eyes only. What was there is replaced.

        Raises
        ------
        StorageError
            When the disk refuses.
        CorruptRecord, BadInput
            The file is no longer what it was.
        """
        from vmqlib.runbook.rollback import planfile

        return planfile.copy(self, path)

    def __repr__(self) -> str:
        return f"Plan {self.digest[:12]}: {self.summary}"

    def _repr_html_(self) -> str:
        """Everything in it is data: keys may hold markup, and what a notebook may not keep."""
        from vmqlib.record.redaction import Redactor

        lines = [f"<p><b>Plan {_text(self.digest[:12])}</b>: {_text(self.summary)}</p>"]
        if self.warnings:
            lines.append(f"<ul>{''.join(f'<li><b>{_text(one)}</b></li>' for one in self.warnings)}</ul>")
        rows = "".join(
            f"<tr><th style='text-align:left'>{_text(name)}</th><td style='text-align:left'>{_text(value)}</td></tr>"
            for name, value in self.head.preview.rows(mask=Redactor().text)
        )
        return "\n".join([*lines, f"<table>{rows}</table>"])


def summary(head: PlanHead) -> str:
    """What a plan does, in one sentence."""
    where = f"s3://{head.scope.bucket}/{head.scope.prefix}"
    parts = [f"{head.counts[action]:,} {action}" for action in ACTIONS if head.counts.get(action)]
    what = ", ".join(parts) or "nothing to do"
    when = {
        "previous": "to the previous version",
        "undo": f"undo of {head.of[:12]}",
        "touch": "copied onto itself with new metadata",
    }.get(head.target.kind, head.target.kind)
    if head.target.kind in {"as-of", "last-good"} and head.target.at is not None:
        when += f" {show_time(head.target.at)}"
    if head.ambiguous != "hold":
        when += f" ({head.ambiguous} changes within that second)"
    rest = f"; {head.unchanged:,} of {head.keys:,} keys unchanged" if head.keys else ""
    return f"{shown(where)}, {when}: {what}{rest}."


def _text(value: str) -> str:
    return html.escape(shown(value), quote=True)


def _row(item: Item) -> tuple[Any, ...]:
    now, then = item.current, item.target
    return (
        item.key, item.action, item.code, item.reason, item.remedy, item.document,
        now.version_id, now.at, now.is_delete_marker, now.size, now.etag,
        then.version_id, then.at, then.is_delete_marker, then.size, then.etag, then.storage_class,
    )  # fmt: skip
