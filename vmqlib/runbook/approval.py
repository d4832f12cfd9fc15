"""Does an approval name this plan? One rule for everything that is shown first and done only when it was approved."""

from __future__ import annotations

from typing import Final

from vmqlib.errors import BadInput, WorldChanged

__all__ = ["SHORTEST_DIGEST", "check_digest"]

SHORTEST_DIGEST: Final = 8
"""So many characters of a digest name a plan."""


def check_digest(given: str, digest: str, *, changed: str, hint: str) -> None:
    """Whether ``given`` names the plan of that ``digest``.

    Parameters
    ----------
    given:
        A digest, or its beginning, as somebody approved it.
    digest:
        The plan's own.
    changed, hint:
        What to say where it is another plan's: ``{seen}`` and ``{now}`` are the beginnings of the two.

    Raises
    ------
    BadInput
        It is too short to name a plan.
    WorldChanged
        It names another one.
    """
    seen = given.strip().lower()
    if len(seen) < SHORTEST_DIGEST:
        raise BadInput(
            f"{given!r} is too short to name a plan.",
            hint=f"Give at least {SHORTEST_DIGEST} characters of the digest that the plan shows.",
        )
    if not digest.startswith(seen):
        raise WorldChanged(changed.format(seen=seen[:12], now=digest[:12]), hint=hint)
