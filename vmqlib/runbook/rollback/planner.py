"""What a rollback would do to each key, worked out from the listing of its versions (runbook step 3). Pure; streams.

S3 dates a version to the second. So a time without a fraction stands for its whole second, and a change is *unsure*
when its second is the target's: it may have been made before or after. Where a server gives fractions, and the target
has one, they decide.

What cannot be known is not guessed: such keys are BLOCKED with the reason (the codes ``ambiguous`` and ``unknown``).
What leaves no trace cannot be noticed: a version or marker that somebody destroyed, or an object that was deleted
before versioning was on, counts as never made. A bucket that was listed while others wrote is as the listing says; each
change is checked again when it is applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from vmqlib.errors import BadInput
from vmqlib.runbook.rollback.items import NOTHING, Ambiguous, Item, Scope, Target
from vmqlib.runbook.rollback.keyplan import KeyPlanner, Moment, switch_on

if TYPE_CHECKING:
    from vmqlib.sources.versionlisting import ObjectVersion

__all__ = ["Seen", "Versioning", "plan_items"]

Versioning = Literal["Enabled", "Suspended", ""]
"""The bucket's versioning now (API: GetBucketVersioning); empty: it was never on."""


@dataclass
class Seen:
    """What the planner has read so far. It is written while the items are used up, and final after the last.

    Parameters
    ----------
    listed:
        Versions and delete markers in scope.
    keys:
        Keys in scope.
    unchanged:
        Keys that need no item: they are as the target has them.
    there:
        Keys that hold an object now.
    documents:
        Keys that hold an object now which the connector takes for a document.
    """

    listed: int = 0
    keys: int = 0
    unchanged: int = 0
    there: int = 0
    documents: int = 0


def plan_items(
    versions: Iterable[ObjectVersion],
    target: Target,
    scope: Scope,
    *,
    ambiguous: Ambiguous = "hold",
    versioning: Versioning,
    documents: Callable[[str], bool],
    copies: Mapping[str, str] = MappingProxyType({}),
    seen: Seen | None = None,
) -> Iterator[Item]:
    """The items of a plan, in the listing's order of keys. Keys that are as the target has them give none.

    As of a time (``as-of``, ``last-good``): the newest version or marker at or before it.

    - A change within the very second of the target is ``ambiguous``: BLOCKED, unless the key was gone either way, or
      ``ambiguous`` says what to make of it.
    - A ``null`` version or marker that came after the target may have replaced, for good, the one that was there at the
      target: BLOCKED, code ``unknown``.
    - The current version may carry an earlier time than another (a multipart upload may be dated by its start): it
      came after that other one. Where this does not tell on which side of the target it came: BLOCKED, ``unknown``.
    - Content is the same when ETag and size are: SKIP. ETags of multipart or KMS-encrypted objects differ for the same
      content; what ``copies`` knows is told by it. Any other such object is copied once more, which does no harm.

    ``previous``: the newest version, not counting markers, below the current version or marker. Of a named key always;
    with ``target.at`` of those keys whose current version or marker came after it.

    Parameters
    ----------
    versions:
        A key's entries one after the other, newest first, as :func:`vmqlib.sources.versionlisting.list_versions`
        gives them. What is out of scope is left out.
    target, scope:
        Where to go back to, in which keys. A named key of which there is no version gives a BLOCKED item, code
        ``missing``, after all others.
    ambiguous:
        What to do with a change within the very second of the target.
    versioning:
        The bucket's versioning now. ``Suspended``: every change is BLOCKED, code ``suspended``, since it would replace
        the ``null`` version for good.
    documents:
        Whether the connector takes a key for a document.
    copies:
        Version ids of copies, each with that of what it is a copy of (:func:`vmqlib.runbook.rollback.copied.copies`).
    seen:
        Where to count what was read.

    Raises
    ------
    BadInput
        At the call: the bucket never had versioning on; ``previous`` for every key; a target without its time.
    """
    _check(target, scope, versioning)
    moment = None if target.at is None else Moment(target.at)
    planner = KeyPlanner(target, ambiguous, moment, versioning == "Suspended", scope.bucket, copies)
    reader = _Reader(
        inside=_inside(scope),
        long_ago=moment.begins if moment else "",
        documents=documents,
        seen=Seen() if seen is None else seen,
        named=set(scope.keys),
    )
    return _items(versions, planner, reader)


def _check(target: Target, scope: Scope, versioning: Versioning) -> None:
    if not versioning:
        raise BadInput(
            f"Bucket {scope.bucket} never had versioning on: what was overwritten or deleted is gone.",
            hint=f"Upload good copies, and switch versioning on for the next time: {switch_on(scope.bucket)}",
        )
    if target.kind == "undo":
        raise BadInput(
            "An undo is not planned from a listing.",
            hint="Undo the plan that was applied: vmq rollback undo.",
        )
    if target.at is None and target.kind not in {"previous", "touch"}:
        raise BadInput(f"The target {target.kind} has no time.", hint="Give a time: --to 2026-11-20T10:00Z.")
    if target.kind == "touch" and not scope.keys:
        raise BadInput(
            "No key is named.", hint="Name the objects to touch (--key), or those that failed (--failed)."
        )
    if target.at is None and not scope.keys:
        raise BadInput(
            "The previous version of every key would also take back what was fine.",
            hint="Name the keys (--key), or say since when a key must have changed (--since 6h).",
        )


def _inside(scope: Scope) -> Callable[[str], bool] | None:
    """Whether a key is in scope; ``None``: every key is."""
    prefix, exclude, named = scope.prefix, scope.exclude, frozenset(scope.keys)
    if not (prefix or exclude or named):
        return None
    if not named:
        return lambda key: key.startswith(prefix) and not key.startswith(exclude)
    return lambda key: key in named and key.startswith(prefix) and not key.startswith(exclude)


@dataclass(frozen=True)
class _Reader:
    """How the listing is read.

    Parameters
    ----------
    inside:
        Whether a key is in scope.
    long_ago:
        A key whose newest entry is older than this (and current) has not changed.
    documents, seen:
        As for :func:`plan_items`.
    named:
        Named keys that were not met yet.
    """

    inside: Callable[[str], bool] | None
    long_ago: str
    documents: Callable[[str], bool]
    seen: Seen
    named: set[str]

    def changed(self, versions: Iterable[ObjectVersion]) -> Iterator[list[ObjectVersion]]:
        """The entries of each key that may need an item. Most keys have not changed: their newest entry says so, and
        they are only counted. This loop meets every version of the bucket, so it does little."""
        inside, long_ago, documents, named = self.inside, self.long_ago, self.documents, self.named
        last: str | None = None
        group: list[ObjectVersion] = []
        listed = keys = unchanged = there = known = 0
        try:
            for entry in versions:
                key = entry[0]
                if key == last:
                    listed += 1
                    if group:
                        group.append(entry)
                    continue
                if group:
                    yield group
                    group = []
                if inside is not None and not inside(key):
                    continue
                last = key
                listed += 1
                keys += 1
                if named:
                    named.discard(key)
                if entry[2] and entry[4] < long_ago:
                    unchanged += 1
                    if not entry[3]:
                        there += 1
                        known += documents(key)
                else:
                    group = [entry]
            if group:
                yield group
        finally:
            seen = self.seen
            seen.listed += listed
            seen.keys += keys
            seen.unchanged += unchanged
            seen.there += there
            seen.documents += known


def _items(versions: Iterable[ObjectVersion], planner: KeyPlanner, reader: _Reader) -> Iterator[Item]:
    seen, documents, decide = reader.seen, reader.documents, planner.item
    for group in reader.changed(versions):
        current = next((entry for entry in group if entry.is_latest), None)
        document = documents(group[0].key)
        if current is not None and not current.is_delete_marker:
            seen.there += 1
            seen.documents += document
        item = decide(group, current, document)
        if item is None:
            seen.unchanged += 1
        else:
            yield item
    for key in sorted(reader.named):
        yield Item(
            key,
            "BLOCKED",
            NOTHING,
            code="missing",
            reason="There is no version of this key.",
            remedy="Look for its right name: vmq versions.",
            document=documents(key),
        )
