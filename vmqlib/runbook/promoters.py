"""Which promotion a version belongs to, as far as that can be told.

S3 does not keep who wrote a version. What there is: the audit record of a promotion (``aws s3 sync _staging/ -> root
--delete``, then ``audit/promotions/promotion-<ts>.json``) and the times of versions. So the most that can be said is
that a version was written *during* a promotion, or shortly before or after it: never that the promotion wrote it.

A promotion's span reaches from its record's ``ts`` to the moment when S3 got the record, which is written right after
the last copy. Where these two lie within 10 seconds of each other, ``ts`` may be its end as well as its beginning: then
the span reaches back over writes that follow each other within 10 seconds, as far as they are known, an hour at most.
Where it is not known when S3 got the record, the span reaches on over such writes, too.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from vmqlib.times import duration, parse_iso

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HOUSEKEEPING", "RULE", "Promoted", "Promoters", "Promotion"]

HOUSEKEEPING = ("_staging/", "ci/", "audit/")
"""Keys that no promotion writes: production's own housekeeping."""

RULE = (
    "S3 does not keep who wrote a version. “During the promotion” means: written between the time of its audit record "
    "and the moment when that record was stored, or in the unbroken run of writes next to it."
)
"""The rule in one breath, for whoever reads a table."""

_PATH = re.compile(r"^arn:\S*[:/](?=[^:/])")
_SKEW = timedelta(seconds=5)  # `ts` is the CI runner's clock in whole seconds, LastModified is S3's
_PAUSE = timedelta(seconds=10)
_REACH = timedelta(hours=1)
_NEAR = timedelta(minutes=15)


@dataclass(frozen=True)
class Promotion:
    """One promotion, from its audit record.

    Parameters
    ----------
    at:
        The record's ``ts``, UTC.
    written_at:
        When S3 got the record; ``None`` where that is not known.
    ci_sha, performed_by, source_prefix:
        As the record says; empty where it does not.
    record:
        The record's key.
    problem:
        What is wrong with the record; empty when nothing is.
    """

    at: datetime
    written_at: datetime | None = None
    ci_sha: str = ""
    performed_by: str = ""
    source_prefix: str = ""
    record: str = ""
    problem: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Promotion | None:
        """A row of the source ``promotions``, from AWS (times as text) or from a frame; ``None`` without a time."""
        at = _time(row.get("at"))
        if at is None:
            return None
        texts = {
            name: _text(row.get(name)) for name in ("ci_sha", "performed_by", "source_prefix", "problem")
        }
        return cls(at=at, written_at=_time(row.get("written_at")), record=_text(row.get("key")), **texts)

    @property
    def name(self) -> str:
        """``9c1f2ab4 by ci-deploy``: the commit and the last part of who did it; the record's key without a commit."""
        who = _PATH.sub("", self.performed_by)
        return (self.ci_sha[:8] or self.record.rsplit("/", 1)[-1] or "without a name") + (
            f" by {who}" if who else ""
        )

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "at": self.at,
            "ci_sha": self.ci_sha,
            "performed_by": self.performed_by,
            "source_prefix": self.source_prefix,
            "record": self.record,
        }


@dataclass(frozen=True)
class Promoted:
    """What can be said of a version and promotions.

    Parameters
    ----------
    relation:
        ``during``: it was written within the promotion's span. ``near``: up to 15 minutes before or after.
    promotions:
        Which; several where their spans overlap.
    distance:
        For ``near``: from the promotion's span to the version; negative when the version came first.
    """

    relation: Literal["during", "near"]
    promotions: tuple[Promotion, ...]
    distance: timedelta = timedelta()

    @property
    def words(self) -> str:
        """``during the promotion of 9c1f2ab4 by ci-deploy``, ``4 min before that of 9c1f2ab4 by ci-deploy``."""
        names = " and ".join(one.name for one in self.promotions)
        if self.relation == "during":
            return f"during the promotion{'s' if len(self.promotions) > 1 else ''} of {names}"
        when = "before" if self.distance < timedelta() else "after"
        return f"{duration(abs(self.distance))} {when} the promotion of {names}"

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "relation": self.relation,
            "distance_s": self.distance.total_seconds(),
            "words": self.words,
            "promotions": [one.to_json() for one in self.promotions],
        }


@dataclass(frozen=True)
class _Span:
    promotion: Promotion
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Promoters:
    """Finds the promotion that a version belongs to.

    Parameters
    ----------
    promotions:
        The promotions that are known.
    problem:
        Why they are not known; empty when they are.
    writes:
        Times at which anything outside housekeeping was written, as far as known: a promotion's span is read off them.
    """

    promotions: tuple[Promotion, ...] = ()
    problem: str = ""
    writes: Sequence[datetime] = field(default=(), repr=False)

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]], problem: str = "") -> Promoters:
        """From rows of the source ``promotions``."""
        return cls(tuple(found for row in rows if (found := Promotion.of(row)) is not None), problem)

    @classmethod
    def of_frame(cls, frame: pd.DataFrame) -> Promoters:
        """From a frame of the source ``promotions``."""
        names = [str(name) for name in frame.columns]
        columns = (frame[name].tolist() for name in names)
        return cls.of_rows(dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))

    def near(self, at: datetime) -> bool:
        """Whether a write at ``at`` could tell something about a promotion's span."""
        times = self._times
        place = bisect_left(times, at - _REACH)
        return place < len(times) and times[place] <= at + _REACH

    def knowing(self, writes: Iterable[datetime]) -> Promoters:
        """The same, with these write times."""
        return Promoters(self.promotions, self.problem, sorted({at for at in writes if self.near(at)}))

    def of(self, key: str, at: datetime) -> Promoted | None:
        """The promotion of a version of ``key`` written at ``at`` (UTC); ``None`` where no record is near, and for keys
        that promotions do not write."""
        if not self.promotions or key.startswith(HOUSEKEEPING):
            return None
        spans = self._spans
        within = tuple(span.promotion for span in spans if span.first <= at <= span.last)
        if within:
            return Promoted("during", within)
        closest = min(spans, key=lambda span: abs(_distance(span, at)))
        apart = _distance(closest, at)
        return Promoted("near", (closest.promotion,), apart) if abs(apart) <= _NEAR else None

    @cached_property
    def _times(self) -> list[datetime]:
        return sorted(one.at for one in self.promotions)

    @cached_property
    def _spans(self) -> tuple[_Span, ...]:
        return tuple(_span(one, self.writes) for one in self.promotions)


def _distance(span: _Span, at: datetime) -> timedelta:
    """From the span to ``at``: negative before it."""
    return at - span.first if at < span.first else max(at - span.last, timedelta())


def _span(promotion: Promotion, writes: Sequence[datetime]) -> _Span:
    known_end = promotion.written_at is not None and promotion.written_at >= promotion.at - _SKEW
    end = max(promotion.at, promotion.written_at) if known_end and promotion.written_at else promotion.at
    # LastModified has whole seconds: what was written in the record's own second may have come before it.
    first, last = promotion.at - _SKEW, end + timedelta(seconds=1) if known_end else end + _SKEW
    if known_end and end - promotion.at > _PAUSE:
        return _Span(promotion, first, last)
    place = bisect_left(writes, first)
    for at in reversed(writes[:place]):
        if first - at > _PAUSE or promotion.at - at > _REACH:
            break
        first = at
    if not known_end:
        for at in writes[bisect_left(writes, last) :]:
            if at - last > _PAUSE or at - promotion.at > _REACH:
                break
            last = at
    return _Span(promotion, first, last)


def _time(value: Any) -> datetime | None:
    if value is None or str(value) in {"", "NaT", "<NA>", "nan"}:
        return None
    if isinstance(value, str):
        return parse_iso(value)
    found: datetime = value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
    return found


def _text(value: Any) -> str:
    return "" if value is None or str(value) in {"<NA>", "nan"} else str(value)
