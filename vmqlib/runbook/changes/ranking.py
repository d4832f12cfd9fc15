"""Which change to look at first: each is given points, part by part, and every part says why.

The parts are when it came, what it touched, who made it, and whether a sync has succeeded since. The points order what
to look at; they are no likelihood, and no guess is a finding: a suspect's sentence says only what was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from vmqlib.runbook.changes.bursts import documents_of
from vmqlib.runbook.changes.model import Area, Change
from vmqlib.runbook.changes.signs import Sign
from vmqlib.times import duration, show_time

__all__ = ["MOST_ACTOR", "MOST_TIME", "MOST_TOUCHED", "SEEN_WELL", "Part", "Ranking", "Suspicion", "rank"]

MOST_TIME: Final = 30
MOST_TOUCHED: Final = 50
MOST_ACTOR: Final = 20
SEEN_WELL: Final = -40
"""Points that each part has at most; the last is for a change that a sync has taken in and SUCCEEDED."""

_TIMES: Final = (
    (timedelta(hours=1), 30),
    (timedelta(hours=6), 20),
    (timedelta(days=1), 12),
    (timedelta(days=3), 6),
    (timedelta(days=7), 3),
)
_SUPPORTED: Final = 25
"""Points for what it touched from which on there is more than a coincidence in time."""
_ROUTINE_DAYS: Final = 3

_REACH: Final[Mapping[str, Mapping[Area, int]]] = {
    "sync-failed": {"connector": 25, "permissions": 25, "acl": 15, "application": 10},
    "no-sync": {"schedule": 50, "connector": 25, "permissions": 10, "application": 10},
    "guardrail": {"guardrails": 50, "application": 10},
    "content": {"connector": 50, "acl": 25, "application": 10},
}
"""What each area can bring about, without further evidence. Objects are judged by the documents in question."""
_SAID: Final[Mapping[Area, str]] = {
    "connector": "it changed the connector, which decides what is read and indexed",
    "permissions": "it changed who may read what",
    "acl": "it changed the access control file",
    "application": "it changed the application, its index or its retriever",
    "schedule": "it changed the schedule, which starts the syncs",
    "guardrails": "it changed the guardrails, which decide what is blocked",
}
_BY_SYNC: Final[frozenset[Area]] = frozenset({"objects", "acl", "connector", "permissions", "schedule"})
"""Areas that a sync takes in: one that SUCCEEDED since has seen the change, and did well."""


@dataclass(frozen=True)
class Part:
    """One part of a suspect's points.

    Parameters
    ----------
    name:
        ``time``, ``touched``, ``actor`` or ``since``.
    points, most:
        How many, and how many this part has at most.
    text:
        Why, in a few words.
    """

    name: str
    points: int
    most: int
    text: str


@dataclass(frozen=True)
class Suspicion:
    """A change that came before the first bad sign, or after it, with what speaks for looking at it.

    Parameters
    ----------
    change:
        The change.
    parts:
        Its points, part by part.
    distance:
        From its end to the sign (the start of the sync that showed it); negative where it came after.
    after:
        Whether it came after the first bad sign, and so cannot have begun it.
    documents:
        How many documents in question are among what it changed; ``None`` where that is not known.
    asked:
        How many documents are in question.
    """

    change: Change
    parts: tuple[Part, ...]
    distance: timedelta
    after: bool = False
    documents: int | None = None
    asked: int = 0

    @property
    def points(self) -> int:
        """All parts together; never below zero."""
        return max(0, sum(one.points for one in self.parts))

    @property
    def is_supported(self) -> bool:
        """Whether more than a coincidence in time speaks for it."""
        cleared = any(one.name == "since" and one.points < 0 for one in self.parts)
        return not self.after and not cleared and self._touched >= _SUPPORTED

    @property
    def _touched(self) -> int:
        return next((one.points for one in self.parts if one.name == "touched"), 0)

    @property
    def title(self) -> str:
        """What it is, with who and when: ``UpdateDataSource by marco.silva, 2026-11-23 06:44:03 UTC``."""
        change = self.change
        by = f" by {change.who}" if change.who else ""
        name = change.what.partition(":")[0].partition(";")[0]
        if change.kind == "objects":
            name = f"S3 changes ({change.where})"
        return f"{name}{by}, {show_time(change.at)}"

    @property
    def why(self) -> str:
        """One sentence: what was seen of it, and no more."""
        said = [one.text for one in self.parts if one.name in ("time", "touched") and one.text]
        said += [f"but {one.text}" for one in self.parts if one.name == "since" and one.points < 0]
        text = f"{self.title}: {', and '.join(said[:2])}{''.join(f', {one}' for one in said[2:])}"
        # What touched nothing in question has its time, and perhaps its actor, against it, and no more.
        alone = not self.after and len(said) < 3 and not self._touched
        return f"{text}; nothing but its time speaks for it." if alone else f"{text}."


@dataclass(frozen=True)
class Ranking:
    """The suspects, first to be looked at first.

    Parameters
    ----------
    sign:
        The first bad sign that they are ranked by; ``None`` where nothing is wrong.
    suspects:
        Changes before it, supported ones first, each by points; then those after it, by time.
    """

    sign: Sign | None = None
    suspects: tuple[Suspicion, ...] = ()

    @property
    def supported(self) -> tuple[Suspicion, ...]:
        """Those for which more than their time speaks."""
        return tuple(one for one in self.suspects if one.is_supported)

    @property
    def first(self) -> Suspicion | None:
        """The one to look at first; ``None`` where no change that was seen has more than its time against it."""
        return next(iter(self.supported), None)


def rank(changes: Iterable[Change], sign: Sign | None) -> Ranking:
    """Puts the changes in the order in which to look at them. Pure; the order of ``changes`` does not matter.

    Parameters
    ----------
    changes:
        All that changed; syncs, alarms and refused calls are left out by themselves.
    sign:
        The first bad sign; without one there is nothing to suspect anything of.
    """
    if sign is None:
        return Ranking()
    causes = sorted((one for one in changes if one.is_cause), key=lambda one: one.order)
    judged = [_judge(one, sign, causes) for one in causes]
    return Ranking(sign, tuple(sorted(judged, key=_order)))


def _order(one: Suspicion) -> tuple[object, ...]:
    points = 0 if one.after else -one.points
    return one.after, not one.is_supported, points, abs(one.distance), one.change.order


def _judge(change: Change, sign: Sign, causes: Sequence[Change]) -> Suspicion:
    after = change.at > sign.latest
    target = sign.began_at or sign.at
    distance = target - change.until if not after else target - change.at
    touched, documents = _touched(change, sign)
    parts = [_time(sign, distance, after), touched, _actor(change, causes)]
    if (cleared := _cleared(change, sign)) is not None:
        parts.append(cleared)
    return Suspicion(change, tuple(parts), distance, after, documents, len(sign.documents or ()))


# -- when it came


def _time(sign: Sign, distance: timedelta, after: bool) -> Part:
    part = partial(Part, "time", most=MOST_TIME)
    if after:
        return part(
            points=0,
            text=f"it came {duration(-distance)} after {_beginning(sign)}, so it cannot have begun it",
        )
    points = next((points for span, points in _TIMES if distance <= span), 0)
    if distance > timedelta():
        return part(points=points, text=f"it came {duration(distance)} before {_beginning(sign)}")
    if sign.began_at is not None:
        return part(points=points, text=f"it came while {sign.words} ran")
    if sign.within:
        span = "hour" if sign.within == timedelta(hours=1) else duration(sign.within)
        text = f"it came within the {span} in which {sign.words} began"
        return part(points=points, text=text)
    return part(points=points, text=f"it came at the time of {sign.words}")


def _beginning(sign: Sign) -> str:
    return sign.words if sign.trigger == "no-sync" else f"{sign.words} began"


# -- what it touched


def _touched(change: Change, sign: Sign) -> tuple[Part, int | None]:
    """The most telling of: the documents in question among what it wrote, its name in an error, what it can reach."""
    told, documents = _by_documents(change, sign)
    found = [told, _by_errors(change, sign), _by_reach(change, sign)]
    best = max((one for one in found if one is not None), key=lambda one: one.points, default=None)
    if best is None:
        best = Part("touched", 0, MOST_TOUCHED, "it touched nothing that is known to bring this about")
    if change.kind == "commit" and best.points:
        best = Part(
            "touched", best.points // 2, MOST_TOUCHED, f"{best.text}; a commit alone changes nothing in AWS"
        )
    return best, documents


def _by_documents(change: Change, sign: Sign) -> tuple[Part | None, int | None]:
    if change.kind not in ("objects", "promotion", "commit") or not change.areas & {"objects", "acl"}:
        return None, None
    if sign.documents is None:
        return Part("touched", 0, MOST_TOUCHED, f"which documents are the {sign.noun} was not seen"), None
    if change.kind == "promotion" and change.count is None:
        return Part("touched", 0, MOST_TOUCHED, "what was written during it was not seen"), None
    if not sign.documents:
        return None, 0
    asked = len(sign.documents)
    hit = len(documents_of(_document_keys(change, sign.documents), sign.documents))
    among = {"promotion": "what was written during it", "commit": "its paths"}.get(
        change.kind, "what was changed then"
    )
    text = f"{hit:,} of {asked:,} {sign.noun} are among {among}"
    if not hit:
        text = f"none of the {asked:,} {sign.noun} is among {among}"
    return Part("touched", round(MOST_TOUCHED * hit / asked), MOST_TOUCHED, text), hit


def _document_keys(change: Change, documents: frozenset[str]) -> frozenset[str]:
    """What it wrote, as keys. A commit's paths may have folders of the repo before the key."""
    if change.kind != "commit":
        return change.keys
    tails = {tail for path in change.keys for tail in _tails(path)}
    return frozenset(tails & documents)


def _tails(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[place:]) for place in range(len(parts)))


def _by_errors(change: Change, sign: Sign) -> Part | None:
    """Whether an error names what was changed; for permissions, whether the errors are of being refused at all."""
    if not change.areas & {"permissions", "connector", "acl"}:
        return None
    named = [name for name in _names(change) if any(name in text for text in sign.errors)]
    fits = sign.speaks_of_access or "permissions" not in change.areas
    if named and fits and sign.trigger in ("sync-failed", "content"):
        return Part("touched", MOST_TOUCHED, MOST_TOUCHED, f"the errors name what it changed ({named[0]})")
    return None


def _names(change: Change) -> list[str]:
    """Names that an error might quote. The bucket's is in every one, and tells nothing."""
    if change.kind not in ("aws-call", "schedule") or change.name.startswith(
        ("aws-call:PutBucket", "aws-call:DeleteBucket")
    ):
        return []
    return sorted(
        {part.strip() for part in change.target.split(",") if len(part.strip()) > 7}, key=len, reverse=True
    )


def _by_reach(change: Change, sign: Sign) -> Part | None:
    reach = _REACH.get(sign.trigger, {})
    areas = sorted((area for area in change.areas if area in reach), key=lambda area: -reach[area])
    if not areas:
        return None
    area, points = areas[0], reach[areas[0]]
    text = _SAID[area]
    if not change.is_sure:
        points, text = points // 2, text.replace("it changed", "it may have changed", 1)
    if area in ("connector", "schedule") and change.target and sign.data_source_id not in change.target:
        return Part("touched", 0, MOST_TOUCHED, "it changed another connector")
    if area == "permissions" and sign.speaks_of_access is not None:
        if not sign.speaks_of_access:
            return Part("touched", 0, MOST_TOUCHED, f"{text}, but no error is of anybody being refused")
        points, text = points + 15, f"{text}, and the errors are of being refused"
    detail = change.what.partition(": ")[2]
    return Part(
        "touched",
        points,
        MOST_TOUCHED,
        f"{text}{f' ({detail})' if detail and change.kind != 'commit' else ''}",
    )


# -- who made it


def _actor(change: Change, causes: Sequence[Change]) -> Part:
    part = partial(Part, "actor", most=MOST_ACTOR)
    who = change.arn or change.who
    if not who:
        return part(points=0, text="who made it is not known")
    same = [
        one
        for one in causes
        if one.name == change.name and (one.arn or one.who) == who and one.at < change.at
    ]
    days = len({one.at.date() for one in same})
    if days >= _ROUTINE_DAYS:
        return part(points=0, text=f"routine: {change.who} did the like on {days} days before")
    before = (
        "had not done the like before, as far as was seen"
        if not same
        else f"did the like on {days} day{'s' if days > 1 else ''} before"
    )
    if _is_person(change):
        return part(points=MOST_ACTOR, text=f"{change.who}, a person or their key, {before}")
    return part(points=MOST_ACTOR // 2, text=f"{change.who}, an automation, {before}")


def _is_person(change: Change) -> bool:
    """A user, or a role that single sign-on gave a person; a role of anything else is an automation's."""
    if change.kind == "commit":
        return "[bot]" not in change.who
    return ":user/" in change.arn or ":root" in change.arn or "AWSReservedSSO_" in change.arn


# -- what has gone well since


def _cleared(change: Change, sign: Sign) -> Part | None:
    if sign.good_at is None or change.until >= sign.good_at or not change.areas & _BY_SYNC:
        return None
    text = f"a sync that began after it SUCCEEDED ({show_time(sign.good_at)})"
    return Part("since", SEEN_WELL, 0, text)
