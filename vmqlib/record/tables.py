"""Tables of the record: the journal as a timeline, what plots mark, and a source's rows."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.record.events import Event, EvidenceRef
from vmqlib.record.evidence import EvidenceStore
from vmqlib.record.observation import Observation

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.sources.base import Source

__all__ = ["SourceTables", "marks", "source_table", "timeline"]

_PATH = re.compile(r"^arn:\S*[:/](?=[^:/])")


def timeline(events: Iterable[Event]) -> pd.DataFrame:
    """Every event: ``seq`` (Int64), ``at`` (UTC), ``kind``, ``step``, ``actor``, ``summary``. A look that did not find
    all as it should be, or could not tell, is of the kind ``not verified`` here."""
    import pandas as pd

    rows = [
        (event.seq, event.at, _kind(event), event.step, str(event.actor), event.summary) for event in events
    ]
    frame = pd.DataFrame(rows, columns=["seq", "at", "kind", "step", "actor", "summary"])
    types = {"seq": "Int64", "kind": "str", "step": "str", "actor": "str", "summary": "str"}
    return frame.astype(types).assign(at=_utc(frame["at"]))


def _kind(event: Event) -> str:
    return "not verified" if event.kind == "verified" and event.data.ok is not True else event.kind


def marks(events: Iterable[Event], promotions: Observation | None) -> pd.DataFrame:
    """What plots mark: ``at`` (UTC), ``label``, ``kind``: ``opened``, ``promotion``, ``applied``, ``undone``,
    ``failed``, ``closed``, ``reopened``; oldest first."""
    import pandas as pd

    rows = [*_promotions(promotions)] if promotions is not None and promotions.available else []
    closed = False
    for event in events:
        action = getattr(event.data, "action", "")
        if event.kind in {"opened", "closed"}:
            rows.append((event.at, event.kind, event.kind))
            closed = event.kind == "closed"
        elif closed and event.kind == "phase":
            rows.append((event.at, "reopened", "reopened"))
            closed = False
        elif action and event.kind in {"applied", "undone", "failed"}:
            label = action if event.kind == "applied" else f"{action} {event.kind}"
            rows.append((event.at, label, event.kind))
    frame = pd.DataFrame(rows, columns=["at", "label", "kind"]).astype({"label": "str", "kind": "str"})
    return frame.assign(at=_utc(frame["at"])).sort_values("at", kind="stable", ignore_index=True)


def source_table(
    source: Source | None, rows: Callable[[], Iterable[Mapping[str, Any]]]
) -> Callable[[], pd.DataFrame]:
    """What makes the table when it is asked for; untyped where no source says what its columns are."""

    def table() -> pd.DataFrame:
        import pandas as pd

        from vmqlib.sources.base import frame

        return frame(source, rows()) if source else pd.DataFrame(list(rows()))

    return table


class SourceTables:
    """The tables of an incident's sources. Each evidence file is read once, however often a cell asks for it.

    Parameters
    ----------
    store:
        Where the evidence is.
    """

    def __init__(self, store: EvidenceStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._made: dict[str, tuple[str, pd.DataFrame]] = {}

    def table(self, name: str, source: Source | None, ref: EvidenceRef) -> Callable[[], pd.DataFrame]:
        """What makes the table when it is asked for. Everybody gets one of their own: what they write into it
        nobody else sees (pandas copies what is written to)."""
        path = self._store.folder / ref.file
        make = source_table(source, lambda: self._store.open_path(path).rows())

        def table() -> pd.DataFrame:
            with self._lock:
                sha, made = self._made.get(name, ("", None))
                if made is None or sha != ref.sha256:
                    made = make()
                    self._made[name] = ref.sha256, made
                return made.copy(deep=False)

        return table


def _promotions(seen: Observation) -> Iterator[tuple[datetime, str, str]]:
    known = seen.frame.dropna(subset=["at"])
    names = (known[name].fillna("") for name in ("ci_sha", "performed_by"))
    for at, sha, who in zip(known["at"], *names, strict=True):
        # An ARN is told by its last part; whole, it would fill the plot's key.
        by = f" by {_PATH.sub('', who)}" if who else ""
        yield at.to_pydatetime(), f"promotion {sha[:8]}".strip() + by, "promotion"


def _utc(times: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    return pd.to_datetime(times, utc=True).astype("datetime64[us, UTC]")
