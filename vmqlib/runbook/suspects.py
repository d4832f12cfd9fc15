"""Which objects to look at first in an incident: those that changed since the last good sync, and fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, zip_longest
from typing import TYPE_CHECKING
from urllib.parse import unquote

from vmqlib.errors import BadInput
from vmqlib.runbook.keptversions import histories_of, kept_changes, kept_last_good
from vmqlib.runbook.keychanges import KeyChange, Since
from vmqlib.runbook.keyhistory import KeyHistory, Version
from vmqlib.sources.documents import error_kind

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.incident import Incident

__all__ = ["Suspect", "Suspects", "suspects"]

_RANK = {"deleted": 0, "rewritten": 1, "added": 2, "restored": 3, "came and went": 4}
_METADATA = ".metadata.json"


@dataclass(frozen=True)
class Suspect:
    """One object.

    Parameters
    ----------
    change:
        What became of it between the last good sync and the opening of the incident.
    history:
        All of its versions.
    error:
        Why the document fails, in the connector's words without names; empty where it does not.
    document:
        The failing document, where this is its metadata file; else empty.
    """

    change: KeyChange
    history: KeyHistory
    error: str = ""
    document: str = ""

    @property
    def key(self) -> str:
        """The object's key."""
        return self.change.key

    @property
    def good(self) -> Version | None:
        """What was there at the last good sync; ``None`` where nothing was."""
        return self.change.then


@dataclass(frozen=True)
class Suspects:
    """The objects to look at first.

    Parameters
    ----------
    found:
        Failing ones first, of each kind of error one before a second of any; then deleted, rewritten, added ones.
    since, until:
        The last good sync, and the opening of the incident.
    changed, failing:
        How many keys changed in that time in all, and how many of these fail (or are a failing document's metadata).
    source:
        The evidence file.
    problem, hint:
        Why there is nothing to show and what to do; empty where there is.
    incomplete:
        What is missing in the evidence; empty when nothing.
    """

    found: tuple[Suspect, ...] = ()
    since: Since | None = None
    until: datetime | None = None
    changed: int = 0
    failing: int = 0
    source: str = ""
    problem: str = ""
    hint: str = ""
    incomplete: str = ""


def suspects(incident: Incident, *, limit: int = 5) -> Suspects:
    """The objects to look at first, from the incident's evidence. Where evidence is missing, the answer says so.

    Parameters
    ----------
    limit:
        How many.
    """
    try:
        since = kept_last_good(incident)
        until = incident.state.opened_at or incident.seen_at
        changes = kept_changes(incident, since, max(until, since.at))
    except BadInput as error:
        return Suspects(problem=error.message, hint=error.hint)
    report = incident.observed("document-report")
    errors = _errors(report.frame, since.at) if report.available else {}
    told = {one.key: _failing(one.key, errors) for one in changes.keys}

    def order(one: KeyChange) -> tuple[bool, bool, int]:
        # Of a document and its metadata file, the one that its error is about comes first.
        about = told[one.key]
        blamed = one.key.endswith(_METADATA) and about is not None and "metadata" in about[0].lower()
        return one.same_content, not blamed, _RANK.get(one.what, 9)

    ordered = sorted(changes.keys, key=order)
    picked = [*_one_of_each(ordered, told), *(one for one in ordered if told[one.key] is None)]
    known = histories_of(incident, [one.key for one in picked[:limit]])
    missing = changes.incomplete or ("" if report.available else f"{report.title}: {report.problem}")
    return Suspects(
        found=tuple(_suspect(one, known[one.key], told[one.key]) for one in picked[:limit]),
        since=since,
        until=until,
        changed=len(changes.keys),
        failing=sum(bool(one) for one in told.values()),
        source=changes.source,
        incomplete=missing,
    )


_Told = tuple[str, str]  # error, document


def _suspect(change: KeyChange, history: KeyHistory, told: _Told | None) -> Suspect:
    error, document = told or ("", "")
    return Suspect(change, history, error, "" if document == change.key else document)


def _errors(report: pd.DataFrame, since: datetime) -> dict[str, str]:
    """Each failing document's key, and why it failed last."""
    bad = report[report["status"].eq("FAILED").fillna(False) & (report["at"] > since)].sort_values(
        "at", kind="stable"
    )
    columns = [bad[name].fillna("").tolist() for name in ("uri", "document_id", "error_code", "message")]
    return {
        unquote((uri or name).split("/", 3)[-1] if "://" in (uri or name) else uri or name): error_kind(
            code, message
        )
        for uri, name, code, message in zip(*columns, strict=True)
    }


def _failing(key: str, errors: Mapping[str, str]) -> _Told | None:
    """The error of a document, or of the one whose metadata file this is (``<prefix>/<key>.metadata.json``)."""
    if key in errors:
        return errors[key], key
    if not key.endswith(_METADATA):
        return None
    parts = key.removesuffix(_METADATA).split("/")
    names = ("/".join(parts[place:]) for place in range(len(parts)))
    return next(((errors[name], name) for name in names if name in errors), None)


def _one_of_each(ordered: Sequence[KeyChange], told: Mapping[str, _Told | None]) -> Iterator[KeyChange]:
    """Failing keys, of each kind of error one before a second of any; kinds with most keys first."""
    kinds: dict[str, list[KeyChange]] = {}
    for one in ordered:
        if (failing := told[one.key]) is not None:
            kinds.setdefault(failing[0], []).append(one)
    by_size = sorted(kinds.values(), key=len, reverse=True)
    return (one for one in chain.from_iterable(zip_longest(*by_size)) if one is not None)
