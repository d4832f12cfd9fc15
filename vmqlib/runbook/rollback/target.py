"""Where a rollback goes back to: a time, the last good sync, or each key's previous version (runbook step 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.errors import BadInput
from vmqlib.runbook.rollback.items import Target
from vmqlib.sources import syncjobs
from vmqlib.times import parse_iso, parse_when, show_time

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.runbook.lastgood import CameIn

    Jobs = pd.DataFrame | Sequence[Mapping[str, Any]]

__all__ = ["as_of", "last_good", "parse_to", "previous"]

_ASK = "Give a time: --to 2026-11-20T10:00Z, or an age such as --to 6h."


def as_of(at: datetime, why: str = "", *, now: datetime | None = None) -> Target:
    """Each key as it was at ``at``: its newest version or delete marker at or before then; absent where there was none.

    Parameters
    ----------
    at:
        The moment, timezone-aware. Without a fraction of a second it stands for that whole second: S3 dates versions to
        the second, and so do people.
    why:
        One sentence for people.
    now:
        The present. When given, ``at`` must not be later.

    Raises
    ------
    BadInput
        ``at`` is in the future. (A rollback to the future would find every key unchanged and say that all is well.)
    """
    if now is not None and at > now:
        raise BadInput(
            f"{show_time(at)} is in the future: it is {show_time(now)}.",
            hint="Times are UTC unless they say otherwise. " + _ASK,
        )
    return Target("as-of", at, why or f"As it was at {show_time(at)}.")


def last_good(
    jobs: Jobs, before: datetime, *, data_source_id: str = "", came_in: CameIn | None = None, doubt: str = ""
) -> Target:
    """As it was when the last sync that SUCCEEDED before the incident began.

    Its start, not its end: what changed while it ran may or may not have been crawled.

    Parameters
    ----------
    jobs:
        The source ``sync-jobs``, as a frame or as its rows.
    before:
        When the incident was opened. A job that ended later has not succeeded before it.
    data_source_id:
        Only jobs of this data source.
    came_in:
        When what is unauthorized came in: a sync that began then or later is not good, though it SUCCEEDED.
    doubt:
        Why that sync may be no good one (:func:`vmqlib.runbook.lastgood.doubt`); then it is not called good.

    Raises
    ------
    BadInput
        No sync succeeded before then, so there is no last good state: a person has to give a time.
    """
    if came_in is not None:
        before = min(before, came_in.at)
    if isinstance(jobs, Sequence):
        row = syncjobs.last_good_row(jobs, before, data_source_id=data_source_id, ended=True)
        good = (str(row["execution_id"]), parse_iso(row["started_at"])) if row else None
    else:
        ended = jobs["ended_at"]
        known = jobs[ended.isna() | (ended <= before)]
        found = syncjobs.last_good(known, before=before, data_source_id=data_source_id)
        good = None if found is None else (found["execution_id"], found["started_at"].to_pydatetime())
    if good is None:
        whose = f" of data source {data_source_id}" if data_source_id else ""
        raise BadInput(
            f"No sync{whose} ever succeeded before {show_time(before)}, so there is no last good state.",
            hint=_ASK,
        )
    job, at = good
    which = f"last sync that SUCCEEDED, {job}," if doubt else f"last good sync {job}"
    why = f"As it was when the {which} began, {show_time(at)}."
    more = came_in.sentence if came_in else f"{doubt} {_ASK}" if doubt else ""
    return Target("last-good", at, f"{why} {more}" if more else why)


def previous(since: datetime | None = None, *, now: datetime | None = None) -> Target:
    """Each key's latest previous version: of named keys (``since`` is ``None``), or of those changed after ``since``.

    Raises
    ------
    BadInput
        ``since`` is in the future.
    """
    if since is None:
        return Target("previous", None, "The latest previous version of each named key.")
    if now is not None and since > now:
        raise BadInput(
            f"{show_time(since)} is in the future: it is {show_time(now)}.", hint="Give an earlier --since."
        )
    return Target(
        "previous", since, f"The latest previous version of each key that changed since {show_time(since)}."
    )


def parse_to(
    text: str,
    *,
    now: datetime,
    jobs: Callable[[], Jobs],
    before: datetime,
    since: str = "",
    data_source_id: str = "",
    came_in: CameIn | None = None,
    doubt: str = "",
) -> Target:
    """The target that ``--to`` names: ``last-good``, ``previous``, or a time (:func:`vmqlib.times.parse_when`).

    Parameters
    ----------
    text:
        What was typed.
    now:
        The present; targets must not be later.
    jobs:
        Gives the source ``sync-jobs``, as a frame or as its rows; only called for ``last-good``.
    before:
        When the incident was opened.
    since:
        For ``previous``: the time after which a key must have changed; empty when keys are named.
    data_source_id:
        For ``last-good``: whose jobs.
    came_in:
        For ``last-good``: when what is unauthorized came in.
    doubt:
        For ``last-good``: why that may be no good sync.

    Raises
    ------
    BadInput
        It is none of these, in the future, ``since`` is given for another target, or no sync ever succeeded.
    """
    text = text.strip()
    if since and text != "previous":
        raise BadInput(
            f"--since says which keys go back to their previous version; it means nothing with --to {text}.",
            hint="Leave --since out, or use --to previous.",
        )
    if text == "previous":
        return previous(parse_when(since, now) if since else None, now=now)
    if text == "last-good":
        return last_good(jobs(), before, data_source_id=data_source_id, came_in=came_in, doubt=doubt)
    try:
        at = parse_when(text, now)
    except BadInput as error:
        raise BadInput(
            f"{text!r} is no target for a rollback.",
            hint="Write last-good, previous, an age such as 6h, or a UTC time such as 2026-11-20T10:00Z.",
        ) from error
    return as_of(at, now=now)
