"""Sending again: what certainly did not arrive is sent again, what may have arrived is looked for first."""

from __future__ import annotations

import time
from collections.abc import Callable

from vmqlib.errors import DeliveryFailed
from vmqlib.runbook.communicate.receipts import Receipt

__all__ = ["NotYet", "Unknown", "Waits", "keep_trying"]

_PATIENCE_S = 90.0
_ROUNDS = 3
_FIRST_PAUSE_S = 2.0
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
    told:
        Told what is waited for, a line each time.
    """

    def __init__(
        self,
        sleep: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        patience: float = _PATIENCE_S,
        told: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._sleep, self._monotonic, self._told, self.patience = sleep, monotonic, told, patience
        self._until = monotonic() + patience

    def begin(self) -> None:
        """A delivery begins."""
        self._until = self._monotonic() + self.patience

    def allow(self, seconds: float, what: str = "") -> bool:
        """Whether there is time to wait so long; says ``what`` and waits if so."""
        if self._monotonic() + seconds > self._until:
            return False
        if what:
            self._told(what)
        self._sleep(seconds)
        return True


def keep_trying(
    post: Callable[[], Receipt],
    waits: Waits,
    where: str,
    find: Callable[[], Receipt | None],
    *,
    can_look: bool = True,
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
    can_look:
        Whether ``find`` ever can: where not, it is not waited for.

    Raises
    ------
    DeliveryFailed
        When it did not go out, or that is not known. Ctrl-C between two tries is one of the reasons: nobody has to wait
        for a channel that is dead, and what was not sent goes another way.
    """
    why = ""
    for tried in range(1, _ROUNDS + 1):
        try:
            return post()
        except NotYet as error:
            why = str(error)
            if tried == _ROUNDS or not _waited(waits, where, error, tried):
                break
        except Unknown as error:
            why = str(error)
            found = _found(find, waits, where, why, can_look=can_look)
            if found is not None:
                return found
    raise DeliveryFailed(f"Not sent to {where}: {why}.", hint=_AGAIN, why=_sentence(why))


_AGAIN = "Run it again; until then tell people in another way."


def _waited(waits: Waits, where: str, error: NotYet, tried: int) -> bool:
    """Waits before the next try, if there is time for that, and says so."""
    # A little more than was asked for: whole seconds are rounded.
    seconds = error.after + 0.1 if error.after else _FIRST_PAUSE_S * 2 ** (tried - 1)
    what = f"{where}: not reached ({error}), trying again in {seconds:.0f} s ({tried + 1} of {_ROUNDS})"
    try:
        return waits.allow(seconds, what)
    except KeyboardInterrupt:
        why = f"{error}; interrupted before it was tried again"
        raise DeliveryFailed(
            f"Not sent to {where}: {why}.", hint=_AGAIN, why=_sentence(why), stopped=True
        ) from None


def _found(
    find: Callable[[], Receipt | None], waits: Waits, where: str, why: str, *, can_look: bool
) -> Receipt | None:
    """Looks more than once: what was sent may take a moment to show.

    Raises
    ------
    DeliveryFailed
        When the channel cannot be looked through, or nobody wants to wait for that.
    """
    for _ in range(_LOOKS):
        try:
            if can_look:
                waits.allow(
                    _LOOK_PAUSE_S, f"{where}: {why}; looking in {_LOOK_PAUSE_S:.0f} s whether it arrived"
                )
            found = find()
        except DeliveryFailed as error:
            raise _nobody_knows(where, f"{why}. {error.message}", error.code) from None
        except KeyboardInterrupt:
            raise _nobody_knows(
                where, f"{why}. Interrupted before it was looked for.", stopped=True
            ) from None
        if found is not None:
            return found
    return None


def _nobody_knows(where: str, why: str, code: str = "", *, stopped: bool = False) -> DeliveryFailed:
    return DeliveryFailed(
        f"It may have arrived in {where}, or not: {why}",
        hint="Look there. If it is not there, run it again; if it is, `vmq update ID --posted` says so.",
        maybe=True,
        code=code,
        why=_sentence(why),
        stopped=stopped,
    )


def _sentence(words: str) -> str:
    """As a sentence of its own."""
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."
