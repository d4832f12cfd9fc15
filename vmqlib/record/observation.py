"""What was seen of one source: a table with its provenance, or the reason why there is none."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.record.events import EvidenceRef
from vmqlib.times import show_time

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Observation"]

_SHOWN = 20


class _Table:
    """The field ``frame``: a table, or what makes it. It is made when somebody first looks (pandas takes a
    third of a second to import, and who only asks whether a source was available need not wait for it)."""

    def __get__(self, instance: Observation | None, owner: type[Observation]) -> pd.DataFrame:
        if instance is None:
            return None  # type: ignore[return-value]  # the default: no table
        table = instance.__dict__["_frame"]
        if table is None or not hasattr(table, "columns"):
            if table is None:
                import pandas as pd

                table = pd.DataFrame()
            else:
                table = table()
            instance.__dict__["_frame"] = table
        return table  # type: ignore[no-any-return]

    def __set__(self, instance: Observation, value: pd.DataFrame | Callable[[], pd.DataFrame] | None) -> None:
        instance.__dict__["_frame"] = value


@dataclass(frozen=True, eq=False, repr=False)
class Observation:
    """One source as it was seen.

    Parameters
    ----------
    name:
        The source's name.
    title:
        The source's title, for people.
    frame:
        The rows, typed by the source's columns; empty, with all columns, when nothing was seen. A function
        that makes it may be given instead: it is called when the table is first looked at.
    available:
        Whether the source could be read.
    problem:
        Why not, in a sentence. Set as well where an old look stands because a newer one failed.
    hint:
        What to do about it.
    at:
        When AWS was asked; ``None`` when it was not.
    complete:
        Whether the rows are all there was.
    stopped:
        Where and why it stopped when they are not.
    evidence:
        The file that the rows come from.
    missing:
        Why a data source was not seen, by its id: it could not be, or was not asked for. Of each other one everything
        is there.
    gone:
        Whether the newest look failed because AWS says that there is no such thing.
    """

    name: str
    title: str
    frame: _Table = _Table()
    available: bool = True
    problem: str = ""
    hint: str = ""
    at: datetime | None = None
    complete: bool = True
    stopped: str = ""
    evidence: EvidenceRef | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    gone: bool = False

    def missing_of(self, data_source_id: str) -> str:
        """Where and why the look at that data source (``""``: at any) stopped; empty where all of it was seen."""
        if self.missing and data_source_id:
            return self.missing.get(data_source_id, "")
        if not self.complete:
            return self.stopped or "the look stopped early"
        return " ".join(dict.fromkeys(self.missing.values()))

    def __repr__(self) -> str:
        if not self.available:
            return f"<{self.name}: unavailable: {self.problem} {self.hint}>".replace(" >", ">")
        rows = f"{self.evidence.rows} rows" if self.evidence else "rows"
        when = f" seen {show_time(self.at)}" if self.at else ""
        return f"<{self.name}: {rows}{when}{'' if self.complete else ', incomplete: ' + self.stopped}>"

    def _repr_html_(self) -> str:
        escape = html.escape
        if not self.available:
            return (
                f"<p><strong>{escape(self.title)}: evidence unavailable.</strong> "
                f"{escape(self.problem)} {escape(self.hint)}</p>"
            )
        notes = [f"{len(self.frame)} rows"]
        if self.at:
            notes.append(f"seen {show_time(self.at)}")
        if not self.complete:
            notes.append(f"incomplete: {self.stopped}")
        if self.problem:
            notes.append(self.problem)
        if self.evidence:
            notes.append(self.evidence.file)
        table = self.frame.to_html(index=False, escape=True, max_rows=_SHOWN, border=0)
        return f"<p><strong>{escape(self.title)}</strong> ({escape('; '.join(notes))})</p>{table}"
