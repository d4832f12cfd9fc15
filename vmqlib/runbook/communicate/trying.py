"""Sending again: what certainly did not arrive is sent again, what may have arrived is looked for first."""

from __future__ import annotations

import time
from collections.abc import Callable

from vmqlib.errors import DeliveryFailed
from vmqlib.runbook.communicate.receipts import Receipt

__all__ = ["NotYet", "Unknown", "Waits", "keep_trying"]

_PATIENCE_S = 90.0
_ROUNDS = 4
_LOOKS, _LOOK_PAUSE_S = 2, 2.0


class Unknown(Exception):
    """Nobody knows whether it arrived; carries why."""


class NotYet(Exception):
    """It did not arrive, and may be sent again; carries why, and after how many seconds (0: as one likes)."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


class Waits:
    """How long one delivery may take, and how it waits.

    Parameters
    ----------
    sleep, monotonic:
        Waits so many seconds; tells the time.
    patience:
        Seconds after which no new try is begun.
    """

    def __init__(
        self,
        sleep: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        patience: float = _PATIENCE_S,
    ) -> None:
        self._sleep, self._monotonic, self.patience = sleep, monotonic, patience
        self._until = monotonic() + patience

    def begin(self) -> None:
        """A delivery begins."""
        self._until = self._monotonic() + self.patience

    def allow(self, seconds: float) -> bool:
        """Whether there is time to wait so long; waits if so."""
        if self._monotonic() + seconds > self._until:
            return False
        self._sleep(seconds)
        return True


def keep_trying(
    post: Callable[[], Receipt], waits: Waits, where: str, find: Callable[[], Receipt | None]
) -> Receipt:
    """Sends, and again as long as it certainly is not there.

    Parameters
    ----------
    post:
        Sends once; raises :class:`NotYet` or :class:`Unknown`, or :class:`DeliveryFailed` where another try is no use.
    waits:
        How long to keep at it.
    where:
        Where to, for people.
    find:
        Looks whether it is there; raises :class:`DeliveryFailed` where that cannot be told.

    Raises
    ------
    DeliveryFailed
        When it did not go out, or that is not known.
    """
    why = ""
    for tried in range(_ROUNDS):
        try:
            return post()
        except NotYet as error:
            why = str(error)
            # A little more than was asked for: whole seconds are rounded.
            if not waits.allow(error.after + 0.1 if error.after else 2.0**tried):
                break
        except Unknown as error:
            why = str(error)
            found = _found(find, waits, where, why)
            if found is not None:
                return found
    raise DeliveryFailed(
        f"Not sent to {where}: {why}.", hint="Run it again; until then tell people in another way."
    )


def _found(find: Callable[[], Receipt | None], waits: Waits, where: str, why: str) -> Receipt | None:
    """Looks more than once: what was sent may take a moment to show.

    Raises
    ------
    DeliveryFailed
        When the channel cannot be looked through.
    """
    for _ in range(_LOOKS):
        waits.allow(_LOOK_PAUSE_S)
        try:
            found = find()
        except DeliveryFailed as error:
            raise DeliveryFailed(
                f"It may have arrived in {where}, or not: {why}. {error.message}",
                hint="Look there. If it is not there, run it again; if it is, `vmq update ID --posted` says so.",
                maybe=True,
                code=error.code,
            ) from None
        if found is not None:
            return found
    return None
