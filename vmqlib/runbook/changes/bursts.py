"""Object versions in bursts: what was written at about the same time, and the promotions among them.

S3 does not keep who wrote a version. What was written during one promotion is that promotion's; the rest is grouped by
its gaps, and cut where a sync began: what was written before that, the sync has seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from vmqlib.runbook.changes.model import Area, Change, Kind
from vmqlib.runbook.promoters import Promoters, Promotion
from vmqlib.sources.crawlscope import METADATA_SUFFIX

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.events import EvidenceRef

__all__ = [
    "GAP",
    "Own",
    "bursts",
    "counted",
    "documents_of",
    "folders",
    "of_promotion",
    "promoted",
    "written",
]

GAP: Final = timedelta(minutes=5)
"""Writes further apart than this belong to different bursts."""

_FOLDERS = 3
_ACTIONS = ("rewritten", "added", "deleted", "restored")


@dataclass(frozen=True)
class Own:
    """Something that the kit itself changed, in this incident.

    Parameters
    ----------
    at, until:
        When it began and ended, UTC.
    step, who:
        Which step, and by whom.
    kind:
        What was changed: ``objects``, ``schedule``, or a ``sync`` that was started.
    summary:
        What was done, in the journal's words.
    target:
        The data source of a schedule, a sync's execution id.
    seq:
        The journal's event.
    ours:
        False for a sync that somebody else had started, and that was joined.
    versions:
        The versions and delete markers that it made, as far as they are known.
    exact:
        Whether these are all that it made: then nothing else is its own, whenever it was written.
    """

    at: datetime
    until: datetime
    step: str
    who: str
    kind: Kind = "objects"
    summary: str = ""
    target: str = ""
    seq: int = 0
    ours: bool = True
    versions: frozenset[str] = field(default=frozenset(), repr=False)
    exact: bool = False

    @property
    def told(self) -> str:
        """How a change of its is known as its own."""
        return f"event {self.seq} of the journal"


def written(versions: pd.DataFrame, since: datetime, until: datetime) -> pd.DataFrame:
    """Versions and markers of a span, oldest first: ``key``, ``version_id``, ``at``, ``action``.

    ``action`` is what each did to its key: ``rewritten``, ``added`` (the key's first), ``deleted``, ``restored``.
    """
    inside = versions["at"].notna() & (versions["at"] >= since) & (versions["at"] <= until)
    known = versions[versions["key"].isin(versions.loc[inside, "key"].unique())]
    known = known.sort_values(["key", "order"], kind="stable")
    marker = known["is_delete_marker"].fillna(False).astype(bool)
    older = marker.astype(object).groupby(known["key"], sort=False).shift(-1)
    action = older.isna().map({True: "added", False: "rewritten"})
    action = action.mask(older.eq(True), "restored").mask(marker, "deleted")
    table = known.assign(action=action.astype("str"))[["key", "version_id", "at", "action", "order"]]
    table = table[inside.reindex(table.index)]
    # Within a second the listing knows the order of one key's versions; of two keys nobody does.
    return table.sort_values(
        ["at", "key", "order"], ascending=[True, True, False], kind="stable", ignore_index=True
    )


def promoted(table: pd.DataFrame, promoters: Promoters) -> tuple[dict[Promotion, pd.DataFrame], pd.DataFrame]:
    """Parts :func:`written` into what was written during each promotion, and the rest.

    During two promotions at once nobody can say which it was: that is left in the rest.
    """
    times = table["at"].drop_duplicates()
    known = promoters.knowing(at.to_pydatetime(warn=False) for at in times)
    during = {}
    for at in times:
        moment = at.to_pydatetime(warn=False)
        found = known.of("", moment) if known.near(moment) else None
        if found is not None and found.relation == "during" and len(found.promotions) == 1:
            during[at] = found.promotions[0]
    owner = table["at"].map(during).astype(object)
    mine = owner.notna()
    groups = {one: table[mine & owner.map(lambda each, one=one: each == one)] for one in set(during.values())}
    return groups, table[~mine]


def bursts(
    table: pd.DataFrame,
    cuts: Iterable[datetime],
    *,
    own: Sequence[Own] = (),
    acl: str = "",
    evidence: EvidenceRef | None = None,
) -> Iterator[Change]:
    """What is left of :func:`written`, as one change for each burst.

    Parameters
    ----------
    table:
        The rows; each is in exactly one burst.
    cuts:
        Moments at which a burst is cut, whatever its gaps: the starts of syncs.
    own:
        What the kit did meanwhile. The versions that it is known to have made are its own; where not all of them are
        known, so is what was written while it was at it: bursts are cut there, too.
    acl:
        The key of the access control file.
    evidence:
        The file that the rows come from.
    """
    if table.empty:
        return
    import numpy as np
    import pandas as pd

    owner = {version: number for number, one in enumerate(own) for version in one.versions}
    known = table["version_id"].map(owner)
    # LastModified has whole seconds: what was written in the second of a beginning may seem to come before it.
    ours = [
        (one.at.replace(microsecond=0) - timedelta(seconds=1), one.until, one) for one in own if not one.exact
    ]
    moments = {*cuts, *(edge for begin, end, _ in ours for edge in (begin, end))}
    edges = pd.DatetimeIndex(sorted(moments), tz="UTC").as_unit("us")

    def parted(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
        at = pd.DatetimeIndex(rows["at"])
        # A sync that began within a version's second may or may not have seen it: it counts as seen.
        epoch = np.searchsorted(edges.asi8, at.as_unit("us").asi8, side="left")
        new = (rows["at"].diff() > GAP) | (np.diff(epoch, prepend=epoch[0]) != 0)
        yield from (part for _, part in rows.groupby(new.cumsum().to_numpy(), sort=True))

    told: list[tuple[pd.DataFrame, Own | None, str]] = []
    for number, rows in table[known.notna()].groupby(known[known.notna()], sort=True):
        by = own[int(number)]
        told += [(part, by, f"by this incident's {by.step}: ") for part in parted(rows)]
    rest = table[known.isna()]
    for rows in parted(rest) if len(rest) else ():
        first, last = _ends(rows)
        near = next((one for begin, end, one in ours if begin < first and last <= end), None)
        told.append((rows, near, f"while this incident's {near.step} was applied: " if near else ""))
    for rows, deed, how in told:
        keys = frozenset(rows["key"])
        first, last = _ends(rows)
        yield Change(
            at=first,
            until=last,
            kind="objects",
            what=f"{how}{counted(rows)}",
            name="objects",
            who=deed.who if deed else "",
            ours=deed is not None,
            where=folders(keys),
            count=len(keys),
            keys=keys,
            areas=areas_of(keys, acl),
            target=deed.told if deed else "",
            reference=_reference(keys),
            source="versions",
            evidence=evidence,
        )


def of_promotion(
    promotion: Promotion, rows: pd.DataFrame | None, *, acl: str = "", evidence: EvidenceRef | None = None
) -> Change:
    """A promotion as a change, with what was written during it where the bucket was seen."""
    keys = frozenset(rows["key"]) if rows is not None else frozenset()
    ends = [promotion.at, *([promotion.written_at] if promotion.written_at else [])]
    if rows is not None and len(rows):
        ends += _ends(rows)
    what = "what it wrote was not seen" if rows is None else f"during it: {counted(rows)}"
    return Change(
        at=min(ends),
        until=max(ends),
        kind="promotion",
        what=f"promotion of {promotion.ci_sha[:8] or 'an unknown commit'}; {what}",
        name="promotion",
        who=(promotion.performed_by.rpartition(":")[2] or promotion.performed_by).removeprefix(
            "assumed-role/"
        ),
        arn=promotion.performed_by,
        where=folders(keys),
        count=len(keys) if rows is not None else None,
        keys=keys,
        areas=areas_of(keys, acl) | {"objects"},
        reference=promotion.record,
        source="promotions",
        evidence=evidence,
    )


def areas_of(keys: Iterable[str], acl: str) -> frozenset[Area]:
    """Objects are objects; the access control file is more."""
    named: set[Area] = {"acl" if acl and key == acl else "objects" for key in keys}
    return frozenset(named)


def counted(rows: pd.DataFrame) -> str:
    """``94 objects rewritten, 19 deleted``: keys, each by what became of it in the end."""
    last = rows.drop_duplicates("key", keep="last")["action"].value_counts()
    parts = [f"{int(last[name]):,} {name}" for name in _ACTIONS if name in last.index]
    if not parts:
        return "no object written"
    number, _, rest = parts[0].partition(" ")
    parts[0] = f"{number} object{'' if number == '1' else 's'} {rest}"
    return ", ".join(parts)


def folders(keys: Iterable[str]) -> str:
    """``guides/ 43, services/ 20, (top) 3 and 2 more``: the first folders, with most keys first."""
    counts: dict[str, int] = {}
    for key in keys:
        head, slash, _ = key.partition("/")
        folder = head + slash if slash else "(top)"
        counts[folder] = counts.get(folder, 0) + 1
    if len(counts) == 1 and sum(counts.values()) == 1:
        return next(iter(keys))
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = ", ".join(f"{folder} {number:,}" for folder, number in ranked[:_FOLDERS])
    return shown + (f" and {len(ranked) - _FOLDERS} more folders" if len(ranked) > _FOLDERS else "")


def documents_of(keys: frozenset[str], documents: frozenset[str]) -> frozenset[str]:
    """The documents that are among the keys, or whose metadata file (``<prefix>/<key>.metadata.json``) is."""
    found = set(keys & documents)
    for key in keys:
        if key.endswith(METADATA_SUFFIX):
            parts = key.removesuffix(METADATA_SUFFIX).split("/")
            found.update(
                name for place in range(len(parts)) if (name := "/".join(parts[place:])) in documents
            )
    return frozenset(found)


def _ends(rows: pd.DataFrame) -> Sequence[datetime]:
    first: datetime = rows["at"].iloc[0].to_pydatetime(warn=False)
    last: datetime = rows["at"].iloc[-1].to_pydatetime(warn=False)
    return first, last


def _reference(keys: frozenset[str]) -> str:
    return f"{min(keys)}" + (f" and {len(keys) - 1:,} more" if len(keys) > 1 else "")
