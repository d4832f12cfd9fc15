"""A change, and all changes as one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from vmqlib.sources.base import COUNT, TEXT, TIME, Column

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.events import EvidenceRef

__all__ = ["COLUMNS", "KINDS", "Area", "Call", "Change", "Kind", "Unseen", "WhatChanged"]

Kind = Literal["objects", "promotion", "aws-call", "schedule", "commit", "sync", "alarm"]

KINDS: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        "promotion": "promotions",
        "objects": "other S3 changes",
        "aws-call": "AWS calls",
        "schedule": "schedule",
        "commit": "ops repo commits",
        "sync": "syncs",
        "alarm": "alarms",
    }
)
"""The kinds of change, as people call them, in the order of a plot's lanes."""

Area = Literal["objects", "acl", "connector", "schedule", "permissions", "guardrails", "application", "other"]
"""What a change touches: that says what it could bring about."""

COLUMNS: Final[Mapping[str, Column]] = MappingProxyType(
    {
        "at": Column(TIME, "", "when it began"),
        "until": Column(TIME, "", "when it ended; the same as at for a moment"),
        "kind": Column(TEXT, "", "objects, promotion, aws-call, schedule, commit, sync or alarm"),
        "what": Column(TEXT, "", "what was done, in a few words"),
        "who": Column(TEXT, "", "whoever did it, as the source says; empty where it does not"),
        "where": Column(TEXT, "", "folders, resources or paths"),
        "count": Column(
            COUNT, "objects", "how many objects, or paths of a commit; missing where it counts none"
        ),
        "outcome": Column(
            TEXT, "", "a sync's status, an alarm's state, a refused call's error; empty otherwise"
        ),
        "name": Column(TEXT, "", "promotion, objects, commit, sync, alarm, or aws-call: and the call's name"),
        "reference": Column(
            TEXT, "", "audit record, event id, commit or execution id: where it can be looked up"
        ),
        "source": Column(TEXT, "", "the observation that says so"),
        "evidence": Column(TEXT, "", "its evidence file; empty for a look that was not kept"),
    }
)
"""The columns of :attr:`WhatChanged.frame`."""


@dataclass(frozen=True)
class Call:
    """The AWS call that a change was made by, as CloudTrail has it.

    Parameters
    ----------
    event, service:
        The operation, and ``qbusiness``, ``s3``, ``iam`` or ``kms``.
    who:
        Whoever called.
    event_id:
        The event's id in CloudTrail; empty where it has none.
    parameters:
        ``requestParameters`` as JSON text, long parts left out; empty where there are none.
    """

    event: str
    service: str
    who: str = ""
    event_id: str = ""
    parameters: str = field(default="", repr=False)


@dataclass(frozen=True)
class Change:
    """Something that changed, or a sign that something did.

    Parameters
    ----------
    at, until:
        When it began and ended, UTC.
    kind:
        Which kind; a sync and an alarm are signs, and never causes.
    what:
        What was done, in a few words. Of objects: what was written at that time, since S3 does not keep who wrote.
    name:
        As in :data:`COLUMNS`: what programs know it by.
    who, arn:
        Whoever did it, for people and as ARN; empty where nobody knows.
    where:
        Folders, resources or paths, shortened.
    count:
        Objects or paths; ``None`` where it counts none, or they were not seen.
    keys:
        The keys that were written or deleted; of a commit its paths.
    areas:
        What it touches.
    is_sure:
        Whether that is known; else it is what it may have touched.
    target:
        What a call was made on, as CloudTrail names it; of objects that are ours the event that says so.
    outcome:
        A sync's status, an alarm's state, a refused call's error.
    reference:
        Where it can be looked up.
    source, evidence:
        What says so, and the file.
    call:
        The AWS call itself; ``None`` for other kinds, and where CloudTrail was not seen.
    ours:
        Whether this incident did it: then it brought nothing about.
    """

    at: datetime
    until: datetime
    kind: Kind
    what: str
    name: str
    who: str = ""
    arn: str = ""
    where: str = ""
    count: int | None = None
    keys: frozenset[str] = field(default=frozenset(), repr=False)
    areas: frozenset[Area] = frozenset()
    is_sure: bool = True
    target: str = ""
    outcome: str = ""
    reference: str = ""
    source: str = ""
    evidence: EvidenceRef | None = field(default=None, repr=False, compare=False)
    call: Call | None = field(default=None, repr=False, compare=False)
    ours: bool = False

    @property
    def refused(self) -> bool:
        """Whether AWS refused it, so that nothing changed."""
        return self.kind in ("aws-call", "schedule") and bool(self.outcome)

    @property
    def is_cause(self) -> bool:
        """Whether it could have brought anything about."""
        return self.kind not in ("sync", "alarm") and not self.refused and not self.ours

    @property
    def order(self) -> tuple[datetime | str, ...]:
        """Oldest first, and always the same."""
        told = self.kind, self.name, self.reference, self.what, self.who, self.arn, self.target, self.outcome
        return self.at, self.until, *told


@dataclass(frozen=True)
class Unseen:
    """Changes that nobody can know of, or not of all.

    Parameters
    ----------
    what:
        Which, in a few words.
    why:
        Why not, in a sentence.
    hint:
        What to do about it; may be empty.
    whole:
        Whether none was seen; else only some may be missing.
    """

    what: str
    why: str
    hint: str = ""
    whole: bool = True


@dataclass(frozen=True)
class WhatChanged:
    """Everything that changed in a span, oldest first.

    Parameters
    ----------
    since, until:
        The span, UTC.
    changes:
        The changes.
    unseen:
        What cannot be known, because it was not seen.
    limits:
        What never can, however much is seen: a sentence each.
    """

    since: datetime
    until: datetime
    changes: tuple[Change, ...]
    unseen: tuple[Unseen, ...] = ()
    limits: tuple[str, ...] = ()

    @property
    def causes(self) -> tuple[Change, ...]:
        """Those that could have brought something about."""
        return tuple(one for one in self.changes if one.is_cause)

    @property
    def frame(self) -> pd.DataFrame:
        """One row a change, with the columns of :data:`COLUMNS`."""
        import pandas as pd

        rows = [
            (
                one.at, one.until, one.kind, one.what, one.who, one.where, one.count, one.outcome, one.name,
                one.reference, one.source, one.evidence.file if one.evidence else "",
            )
            for one in self.changes
        ]  # fmt: skip
        made = pd.DataFrame(rows, columns=list(COLUMNS))
        for name, column in COLUMNS.items():
            if column.dtype == TIME:
                made[name] = pd.to_datetime(made[name], utc=True).astype(TIME)
            else:
                made[name] = made[name].astype(column.dtype)
        return made
