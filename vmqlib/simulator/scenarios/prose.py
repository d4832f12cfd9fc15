"""Reads ``prose.toml``: the names, figures and sentences of the knowledge base."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["Figure", "Kind", "Prose", "RootPage", "Sections", "prose"]

Sections = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Figure:
    """A number that edits change.

    Parameters
    ----------
    low, high, step:
        Its values: from ``low`` to ``high``, ``step`` apart.
    unit:
        What it counts.
    """

    low: int
    high: int
    step: int
    unit: str


@dataclass(frozen=True)
class Kind:
    """One of the pages that every service has.

    Parameters
    ----------
    suffix:
        Its name in the service's folder.
    title, question:
        As in a page, with slots.
    sections:
        Headings with their sentences, with slots.
    """

    suffix: str
    title: str
    question: str
    sections: Sections


@dataclass(frozen=True)
class RootPage:
    """A page at the root of the knowledge base.

    Parameters
    ----------
    key, title, question:
        As in a page.
    sentences:
        What it says, with slots.
    """

    key: str
    title: str
    question: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Prose:
    """Everything in ``prose.toml``.

    Parameters
    ----------
    services:
        What each does, and which team runs it.
    figures:
        By name, as slots name them.
    kinds:
        The pages of every service.
    root:
        The pages at the root.
    decisions, policies, guides:
        What there are decision records, policies and guides about.
    notes:
        What change notes end with.
    mirage:
        The body of ``phases-mirage.md``.
    """

    services: dict[str, tuple[str, str]]
    figures: dict[str, Figure]
    kinds: tuple[Kind, ...]
    root: tuple[RootPage, ...]
    decisions: tuple[str, ...]
    policies: tuple[str, ...]
    guides: tuple[str, ...]
    notes: tuple[str, ...]
    mirage: str


@cache
def prose() -> Prose:
    """The prose, read once."""
    data = tomllib.loads(files("vmqlib.simulator.scenarios").joinpath("prose.toml").read_text("utf-8"))
    return Prose(
        services={name: (does, team) for name, (does, team) in data["services"].items()},
        figures={name: Figure(*values) for name, values in data["figures"].items()},
        kinds=tuple(_kind(kind) for kind in data["kinds"]),
        root=tuple(
            RootPage(page["key"], page["title"], page["question"], tuple(page["sentences"]))
            for page in data["root"]
        ),
        decisions=tuple(data["decisions"]),
        policies=tuple(data["policies"]),
        guides=tuple(data["guides"]),
        notes=tuple(data["notes"]),
        mirage=data["mirage"],
    )


def _kind(kind: dict[str, Any]) -> Kind:
    sections = tuple((section["heading"], tuple(section["sentences"])) for section in kind["sections"])
    return Kind(kind["suffix"], kind["title"], kind["question"], sections)
