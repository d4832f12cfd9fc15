"""What a look found that somebody has to know: of the triggers (``vmq detect``) and of the wiring (``vmq doctor``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Level"]

Level = Literal["problem", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be, or that a verdict does not say by itself.

    Parameters
    ----------
    kind:
        Kebab-case, for programs: ``alarm-disagrees``, ``blind-alarm`` …
    level:
        ``problem``: to be mended; ``warning``: may lead astray; ``note``: good to know.
    text:
        What is so, in a sentence, with the figures.
    remedy:
        What to do about it, in a sentence or a command; empty where there is nothing to be done.
    source:
        The observation that says so; empty where it is several.
    """

    kind: str
    level: Level
    text: str
    remedy: str = ""
    source: str = ""
