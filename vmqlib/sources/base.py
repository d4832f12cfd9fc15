"""A look at AWS: a :class:`Source` says how, a :class:`Reading` what was seen, :func:`frame` types it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar

from vmqlib.errors import AwsError
from vmqlib.sources.crew import Crew
from vmqlib.times import Window, iso

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    import pandas as pd

    from vmqlib.aws import Aws
    from vmqlib.settings import Settings

__all__ = [
    "COUNT",
    "FLAG",
    "NUMBER",
    "TEXT",
    "TIME",
    "Column",
    "Progress",
    "Read",
    "Reading",
    "Row",
    "Source",
    "as_time",
    "count",
    "data_source_ids",
    "frame",
    "gather",
    "gather_by_source",
    "moment",
    "not_asked",
    "shortened",
]

Row = Mapping[str, Any]
T = TypeVar("T")

TIME: Final = "datetime64[us, UTC]"
COUNT: Final = "Int64"
NUMBER: Final = "float64"
TEXT: Final = "str"
FLAG: Final = "boolean"
DType = Literal["datetime64[us, UTC]", "Int64", "float64", "str", "boolean"]


@dataclass(frozen=True)
class Column:
    """One column of a source.

    Parameters
    ----------
    dtype:
        Its pandas dtype.
    unit:
        The unit of its values: ``s``, ``bytes``, ``documents`` …; ``""`` where there is none.
    meaning:
        What it says, for people, and where AWS calls it something else, that name.
    """

    dtype: DType
    unit: str
    meaning: str


@dataclass
class Progress:
    """How far a stream of rows came. The generator writes it; it is final once the rows are used up."""

    complete: bool = True
    stopped: str = ""

    def stop(self, why: str) -> None:
        """Notes that something is missing, and why."""
        self.complete = False
        self.stopped = f"{self.stopped}; {why}" if self.stopped else why


@dataclass(frozen=True)
class Reading:
    """What one look said, before it is written down.

    Parameters
    ----------
    source:
        The source's name.
    call:
        The AWS operation, ``service:Operation``.
    parameters:
        What it was asked with, JSON types only.
    rows:
        JSON-able rows. May be a generator that can be used once and asks AWS as it goes: then it may raise
        :class:`vmqlib.errors.AwsError` on the way.
    complete:
        Whether everything that was asked for is there. For a generator see :meth:`outcome`.
    stopped:
        Where and why it stopped when it is not complete.
    progress:
        Set where ``rows`` is a generator.
    missing:
        Why a data source was not seen, by its id: it could not be, or only another one was asked for. Where there are
        some, everything is there of each other one.
    """

    source: str
    call: str
    parameters: Mapping[str, Any]
    rows: Iterable[Row]
    complete: bool = True
    stopped: str = ""
    progress: Progress | None = field(default=None, compare=False)
    missing: Mapping[str, str] = field(default_factory=dict)

    def outcome(self) -> tuple[bool, str]:
        """``(complete, stopped)``, true to the last row. For a generator: ask after the rows are used up."""
        if self.progress is None:
            return self.complete, self.stopped
        return self.complete and self.progress.complete, self.stopped or self.progress.stopped


class Read(Protocol):
    """How a source is read. Read-only; goes to the last page; raises :class:`vmqlib.errors.AwsError`, or
    :class:`vmqlib.errors.SettingsError` where an id that it needs is not set."""

    def __call__(
        self, aws: Aws, settings: Settings, window: Window, /, *, data_source_id: str = ""
    ) -> Reading:
        """One look.

        Parameters
        ----------
        aws, settings:
            Whom to ask, about what.
        window:
            The span that is asked about. Sources of things without a time (resources, documents) ignore it.
        data_source_id:
            One data source; ``""`` means every one in the settings.
        """
        ...


def _always(_: Settings) -> bool:
    return True


@dataclass(frozen=True)
class Source:
    """One thing that can be observed.

    Parameters
    ----------
    name:
        Kebab-case; also the evidence file's name.
    title:
        For people.
    read:
        Looks at AWS.
    columns:
        Documented columns, in order.
    order:
        Columns that a frame is sorted by; a leading ``-`` means descending. Empty: as AWS gave it.
    reach:
        How far back it looks at most, unless it is given a window of its own; ``None``: as far as it is told to.
    wanted:
        Whether the settings let it be observed. What they do not is neither asked nor missed.
    asks_aws:
        Whether it is AWS that answers.
    routine:
        Whether an incident looks at it by itself. Else it is looked at only where somebody names it (``vmq doctor``).
    """

    name: str
    title: str
    read: Read
    columns: Mapping[str, Column]
    order: tuple[str, ...] = ()
    reach: timedelta | None = None
    wanted: Callable[[Settings], bool] = _always
    asks_aws: bool = True
    routine: bool = True

    def within(self, window: Window) -> Window:
        """``window``, or its end where that reaches further back than this source looks by itself."""
        if self.reach is None or window.length <= self.reach:
            return window
        return Window(window.until - self.reach, window.until)


def frame(source: Source, rows: Iterable[Row]) -> pd.DataFrame:
    """``rows`` as a DataFrame typed by the source's columns and sorted by its order (stable).

    Columns that no row has are there and NA; no rows give an empty frame that has all columns.
    """
    import pandas as pd

    kept: Sequence[Row] = rows if isinstance(rows, Sequence) else list(rows)
    table = pd.DataFrame(
        {
            name: _series([row.get(name) for row in kept], column.dtype)
            for name, column in source.columns.items()
        }
    )
    if source.order and len(table):
        names = [name.removeprefix("-") for name in source.order]
        ascending = [not name.startswith("-") for name in source.order]
        table = table.sort_values(names, ascending=ascending, kind="stable", ignore_index=True)
    return table


def _series(values: list[Any], dtype: DType) -> pd.Series[Any]:
    import pandas as pd

    if dtype == TIME:
        times = pd.to_datetime(pd.Series(values, dtype="object"), utc=True, format="ISO8601")
        return times.astype(TIME)
    return (
        pd.Series(values, dtype="object").astype(dtype) if dtype == NUMBER else pd.Series(values, dtype=dtype)
    )


def as_time(value: Any) -> datetime | None:
    """A cell of a time column, or ``None`` where it is missing."""
    import pandas as pd

    if value is None or pd.isna(value):
        return None
    found: datetime = value.to_pydatetime(warn=False)
    return found


def moment(value: datetime | None) -> str | None:
    """A time of boto3's as text for a row; ``None`` stays."""
    return None if value is None else iso(value)


def count(value: str | float | None) -> int | None:
    """A count as an integer. Q Business sends counts as strings; ``None`` and ``""`` mean not there."""
    if value is None or value == "":
        return None
    return int(float(value)) if isinstance(value, str) and not value.lstrip("-").isdigit() else int(value)


def shortened(text: str, most: int) -> str:
    """``text``, or where it has more than ``most`` characters its beginning, cut between words: half of a secret is one
    that nobody recognises, and so nobody masks."""
    if len(text) <= most:
        return text
    words = text[: most + 1].rsplit(maxsplit=1)
    return f"{words[0].rstrip()} …" if len(words) > 1 else "…"


def data_source_ids(settings: Settings, data_source_id: str = "") -> list[str]:
    """The data sources to look at: the one that was named, else all of the settings.

    Raises
    ------
    SettingsError
        Where none is set.
    """
    if data_source_id:
        return [data_source_id]
    ids = [connector.data_source_id for connector in settings.data_sources if connector.data_source_id]
    if not ids:
        settings.require("ds_id")
    return list(dict.fromkeys(ids))


def not_asked(settings: Settings, ids: Sequence[str]) -> dict[str, str]:
    """The data sources of the settings that are not among those that are looked at, each with a sentence for that."""
    others = (one.data_source_id for one in settings.data_sources)
    why = f"Only the data source {' and '.join(ids)} was looked at."
    return {one: why for one in others if one and one not in ids}


def gather_by_source(
    ids: Sequence[str], look: Callable[[str], Sequence[Row]]
) -> tuple[list[Row], dict[str, str]]:
    """Looks at each data source: the rows of those that could be seen, and why each other one could not.

    Raises
    ------
    AwsError
        Where none could be seen: the first one's.
    """

    def one(data_source_id: str) -> Sequence[Row] | AwsError:
        try:
            return look(data_source_id)
        except AwsError as error:
            return error

    found = gather([partial(one, each) for each in ids])
    errors = {each: said for each, said in zip(ids, found, strict=True) if isinstance(said, AwsError)}
    if errors and len(errors) == len(ids):
        raise errors[ids[0]]
    rows = [row for said in found if not isinstance(said, AwsError) for row in said]
    return rows, {each: error.message for each, error in errors.items()}


def gather(calls: Sequence[Callable[[], T]], *, workers: int = 8) -> list[T]:
    """Makes the calls, at most ``workers`` at a time; their results in order, or the first error.

    Ctrl-C does not wait for those that are under way.
    """
    if len(calls) < 2:
        return [call() for call in calls]
    with Crew(min(workers, len(calls)), "vmq-source") as pool:
        futures = [pool.submit(call) for call in calls]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
