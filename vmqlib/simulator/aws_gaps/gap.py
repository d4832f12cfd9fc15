"""What a gap is, how one is closed, and the one way the patches tell the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import moto
import moto.core.utils

__all__ = ["PINNED_MOTO", "Gap", "close", "now", "replace", "to_aware", "to_naive"]

#: The version whose internals the patches hang on.
PINNED_MOTO = "5.2.5"


@dataclass(frozen=True)
class Gap:
    """One place where moto would make us lie, and the patch for it.

    Parameters
    ----------
    name:
        Kebab-case, beginning with the service; the test of the gap has the same name.
    service:
        The service as IAM spells it, for example ``logs``.
    what_moto_does:
        What plain moto answers, one sentence.
    what_aws_does:
        What AWS documents, one sentence.
    install:
        Sets the patch on moto's classes. Several gaps may share one; it runs once.
    """

    name: str
    service: str
    what_moto_does: str
    what_aws_does: str
    install: Callable[[], None]


def close(gaps: Iterable[Gap]) -> None:
    """Runs every ``install`` that has not run in this process; moto itself, which is changed, remembers.

    Raises
    ------
    RuntimeError
        When moto is not the version that the patches were written for.
    """
    if moto.__version__ != PINNED_MOTO:
        raise RuntimeError(f"The repairs of moto are for {PINNED_MOTO}; this is {moto.__version__}.")
    done: set[Callable[[], None]] = moto.__dict__.setdefault("_vmq_closed_gaps", set())
    for gap in gaps:
        if gap.install not in done:
            gap.install()
            done.add(gap.install)


def replace(owner: type, **members: Any) -> None:
    """Sets ``members`` on a class of moto's.

    moto looks operations up on the response class for every call, so this is all it takes.
    """
    for name, member in members.items():
        setattr(owner, name, member)


def now() -> datetime:
    """What moto takes for the present, timezone-aware UTC.

    Looked up afresh each time: the simulator's clock moves ``utcnow``, which is naive in moto 5.2.5.
    """
    return to_aware(moto.core.utils.utcnow())


def to_aware(moment: datetime) -> datetime:
    """``moment`` as aware UTC; moto's naive datetimes are UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def to_naive(moment: datetime) -> datetime:
    """``moment`` as the naive UTC datetimes that moto keeps."""
    return to_aware(moment).replace(tzinfo=None)
