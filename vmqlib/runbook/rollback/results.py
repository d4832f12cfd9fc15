"""What came of a rollback: the apply, the verification, and where the whole thing stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vmqlib.runbook.rollback.items import TargetKind
from vmqlib.times import show_time

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.runbook.rollback.plan import Plan

__all__ = [
    "DIFFERENCE_COLUMNS",
    "Applied",
    "Difference",
    "Ending",
    "Problem",
    "Status",
    "Verification",
    "leads_forward",
]

Ending = Literal["applied", "changed", "failed", "interrupted", "unfinished"]
"""``applied``: every item was carried out. ``changed``: the same, but for those that were changed meanwhile, which
were left alone. ``failed``: AWS refused some, or the run as a whole. ``interrupted``: it was stopped.
``unfinished``: begun, and nothing was heard of it since (it is still under way, or it was killed)."""

DIFFERENCE_COLUMNS = ("key", "problem", "planned", "found", "since", "detail")


@dataclass(frozen=True)
class Problem:
    """One item that was not carried out.

    Parameters
    ----------
    key:
        The object's key.
    result:
        ``failed``, or ``changed`` (it was not as planned any more; it was left alone).
    code:
        AWS's error code, or one of the kit's; ``own`` where this incident itself had changed it.
    problem, hint:
        A sentence each: what happened, what to do.
    """

    key: str
    result: str
    code: str = ""
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Applied:
    """How an apply ended.

    Parameters
    ----------
    digest:
        Of the plan.
    kind:
        Where the plan went back to; ``undo`` for one that takes a rollback back.
    ending:
        See :data:`Ending`.
    done, found:
        Items that were carried out, and that had been already (by a run that was killed before it could say so).
    changed, failed, left:
        Items that were not as planned any more, that AWS refused, that were not come to.
    unknown:
        Items that were asked for, and S3 did not answer, or nobody was there to hear it: a resume finds out.
    counted:
        Whether these numbers are known: not, where an apply did not end and its log cannot be read.
    own:
        How many of the changed ones this incident itself had changed since: by a touch, an undo, an upload, another
        plan.
    seconds:
        How long its last run took.
    at:
        When it ended; for an unfinished one, when it began.
    begun_at:
        When its first run began: it may have been stopped, and resumed.
    by:
        The user who did it.
    log:
        The apply log, a file in the incident's folder ``rollback/``.
    log_sha256:
        Its SHA-256 when it ended; empty when it has not.
    problems:
        The first items that were changed or failed.
    undone:
        Whether it was taken back later.
    of:
        For an undo: the digest of the plan that it takes back.
    """

    digest: str
    kind: TargetKind
    ending: Ending
    done: int = 0
    found: int = 0
    changed: int = 0
    own: int = 0
    failed: int = 0
    left: int = 0
    unknown: int = 0
    seconds: float = 0.0
    at: datetime | None = None
    begun_at: datetime | None = None
    by: str = ""
    log: str = ""
    log_sha256: str = ""
    problems: tuple[Problem, ...] = ()
    undone: bool = False
    of: str = ""
    counted: bool = True

    @property
    def ok(self) -> bool:
        """Whether every item was carried out."""
        return self.ending == "applied"

    @property
    def others(self) -> int:
        """Items that somebody else had changed meanwhile."""
        return self.changed - self.own

    @property
    def restored(self) -> int:
        """Items that are as planned now: done and found."""
        return self.done + self.found

    @property
    def sentence(self) -> str:
        """One sentence for people."""
        verb = {"undo": "Taken back", "touch": "Touched"}.get(self.kind, "Restored")
        if not self.counted:
            return f"{verb}: how many objects is not known, since its log cannot be read. It has not ended."
        parts = [f"{verb}: {_objects(self.restored)}"]
        parts += [f"{self.others} changed by somebody else and left alone"] * bool(self.others)
        parts += [f"{self.own} changed since by this incident itself and left alone"] * bool(self.own)
        parts += [f"{self.failed} refused"] * bool(self.failed)
        parts += [f"{self.left} not come to"] * bool(self.left)
        parts += [f"{self.unknown} asked for, of which nobody knows whether it was done"] * bool(self.unknown)
        begun = {"interrupted": " Interrupted.", "unfinished": " It has not ended."}.get(self.ending, "")
        return f"{', '.join(parts)}.{begun}"


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that is not as it should be after the rollback.

    Parameters
    ----------
    key:
        The object's key.
    problem:
        ``not applied``; ``changed by somebody else``; ``changed by this incident itself``; ``other content``;
        ``missing``; ``changed in between`` (somebody wrote it between planning and applying, and our version lies on
        top of theirs).
    planned:
        The version that was to be visible, or ``gone``.
    found:
        The version that is there now, ``deleted``, or ``nothing``.
    since:
        Its LastModified, as :func:`vmqlib.times.iso` writes it; empty where there is none. Who it was S3 does not say.
    detail:
        One sentence for people.
    """

    key: str
    problem: str
    planned: str
    found: str
    since: str
    detail: str = ""


@dataclass(frozen=True)
class Verification:
    """The bucket after a rollback, compared with its plan.

    Parameters
    ----------
    digest:
        Of the plan.
    at:
        When the bucket was listed.
    ok:
        Whether there is no difference.
    checked:
        Keys of the plan that were compared.
    matching:
        How many of them are as planned.
    counts:
        Differences by problem.
    first:
        The first differences; all of them are in :attr:`differences`.
    held:
        Keys that the plan held back (BLOCKED): not restored, by code. No difference from the plan, but told.
    held_first:
        The first of them.
    outside:
        Keys within the scope, but not in the plan, that changed since it was made.
    outside_first:
        The first of them.
    path:
        The file with all differences.
    """

    digest: str
    at: datetime
    ok: bool
    checked: int
    matching: int
    counts: Mapping[str, int] = field(default_factory=dict)
    first: tuple[Difference, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    held_first: tuple[str, ...] = ()
    outside: int = 0
    outside_first: tuple[Difference, ...] = ()
    path: Path | None = None

    @property
    def differences(self) -> pd.DataFrame:
        """Every difference: the columns of :class:`Difference`."""
        import pandas as pd

        rows: Any = [[getattr(each, name) for name in DIFFERENCE_COLUMNS] for each in self.first]
        if self.path is not None and sum(self.counts.values()) > len(self.first):
            rows = json.loads(self.path.read_bytes())["differences"]
        return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS), dtype="str")

    @property
    def sentence(self) -> str:
        """One sentence for people."""
        if self.ok:
            said = f"{_objects(self.matching)} as planned"
        else:
            wrong = ", ".join(f"{count} {problem}" for problem, count in self.counts.items())
            said = f"{self.matching} of {_objects(self.checked)} as planned; {wrong}"
        if held := sum(self.held.values()):
            said += f"; {held} held back and not restored"
        if self.outside and self.ok:
            said += f"; {self.outside} outside the plan changed since"
        return f"Verified at {show_time(self.at)}: {said}."


@dataclass(frozen=True)
class Status:
    """Where the rollback of an incident stands; from its journal and folder alone.

    Parameters
    ----------
    state:
        ``none``: nothing was planned. ``planned``: the newest plan was not applied. ``stale``: nor can it be as it is,
        since this incident itself changed objects of it. ``unfinished`` and ``interrupted``:
        an apply did not come to its end. ``failed``, ``changed``: it did, but for some items. ``applied``: as planned.
        ``differs``: a look afterwards found differences. ``verified``: it found none. ``undone``: all was taken back.
    plan:
        The newest plan (of an undo, too); ``None`` where there is none or it cannot be read.
    applied:
        The newest apply, of that plan or an earlier one.
    applies:
        Every apply, oldest first: one entry for each plan.
    verification:
        The newest verification of what was applied, and made after that.
    problem:
        Why the plan cannot be read; empty when it can.
    command:
        What to type next; empty when nothing remains of step 3.
    stale:
        How many objects of the newest plan this incident itself changed since, where it was not applied.
    """

    state: str = "none"
    plan: Plan | None = None
    applied: Applied | None = None
    applies: tuple[Applied, ...] = ()
    verification: Verification | None = None
    problem: str = ""
    command: str = ""
    stale: int = 0

    @property
    def restored(self) -> bool:
        """Whether objects are restored now: something was applied and not taken back (or back, and forth again)."""
        standing = [each for each in self.applies if each.restored and not each.undone]
        return any(leads_forward(each, self.applies) for each in standing)


def leads_forward(apply: Applied, applies: Iterable[Applied]) -> bool:
    """Whether an apply led to the target of a rollback, and not back from it: the undo of an undo does, too."""
    before = {each.digest: each for each in applies}
    steps, here = 0, apply
    while here.kind == "undo" and here.of in before and steps <= len(before):
        steps, here = steps + 1, before[here.of]
    return here.kind != "undo" and steps % 2 == 0


def _objects(count: int) -> str:
    return f"{count:,} object{'' if count == 1 else 's'}"
