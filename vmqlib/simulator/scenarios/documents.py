"""The knowledge base's documents: Markdown, generated, the same for the same seed.

A document is edited by revisions: each changes one figure and adds a line to the change notes, so that
versions differ as real edits do. No document mentions a date: the same seed gives the same bytes on every day.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vmqlib.simulator.scenarios.prose import Sections, prose

__all__ = ["ACL_KEY", "METADATA_PREFIX", "SECURITY_GROUP", "Page", "acl_file", "corpus", "metadata_key"]

ACL_KEY = "acl.json"
METADATA_PREFIX = "metadata/"
SECURITY_GROUP = "security@vaultmesh.io"
_CLOSED = {"security/": SECURITY_GROUP}
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Page:
    """One document of the knowledge base.

    Parameters
    ----------
    key:
        Where it is in the bucket.
    title:
        Its first heading.
    question:
        What somebody asks whom it can answer.
    category:
        For its metadata file.
    body:
        Markdown with slots for words and figures.
    words:
        What fills the slots that are not figures.
    seed:
        Of its figures and edits.
    has_metadata:
        Whether a metadata file goes with it.
    """

    key: str
    title: str
    question: str
    category: str
    body: str
    words: tuple[tuple[str, str], ...]
    seed: int
    has_metadata: bool

    def render(self, revision: int) -> bytes:
        """The document's bytes after ``revision`` edits (0: as first written)."""
        figures, notes = self._history(revision)
        values = dict(self.words) | {
            name: f"{value} {prose().figures[name].unit}" for name, value in figures.items()
        }
        text = _SLOT.sub(lambda slot: values[slot.group(1)], self.body)
        if notes:
            text += "\n## Change notes\n\n" + "".join(f"- {note}\n" for note in reversed(notes))
        return text.encode()

    def metadata(self, revision: int) -> bytes:
        """The bytes of its metadata file after ``revision`` edits."""
        value = {
            "Title": self.title,
            "ContentType": "MD",
            "Attributes": {"_category": self.category, "_version": f"r{revision}", "owner": "knowledge-ops"},
        }
        return (json.dumps(value, indent=2) + "\n").encode()

    @cached_property
    def _used(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name in _SLOT.findall(self.body) if name in prose().figures))

    def _history(self, revision: int) -> tuple[dict[str, int], list[str]]:
        rng = random.Random(f"{self.seed}/{self.key}")
        figures = {name: _draw(rng, name) for name in self._used}
        notes = []
        for number in range(1, revision + 1):
            note = rng.choice(prose().notes)
            if figures:
                name = rng.choice(self._used)
                before, figures[name] = figures[name], _draw(rng, name, other_than=figures[name])
                note = f"{name.capitalize()} {before} to {figures[name]} {prose().figures[name].unit}. {note}"
            notes.append(f"Revision {number}: {note}")
        return figures, notes


def corpus(seed: int) -> tuple[Page, ...]:
    """Every document of the knowledge base, in key order: about 300."""
    return tuple(sorted(_pages(seed), key=lambda page: page.key))


def metadata_key(key: str) -> str:
    """Where the metadata file of the document ``key`` is."""
    return f"{METADATA_PREFIX}{key}.metadata.json"


def acl_file(bucket: str, closed: Mapping[str, str] = _CLOSED) -> bytes:
    """The connector's ACL file: it closes folders; what it does not name is open to everyone.

    Parameters
    ----------
    bucket:
        The bucket of the documents.
    closed:
        The group that may read, by folder.
    """

    def rule(prefix: str, *groups: str) -> dict[str, Any]:
        entries = [{"Name": group, "Type": "GROUP", "Access": "ALLOW"} for group in groups]
        return {"keyPrefix": f"s3://{bucket}/{prefix}", "aclEntries": entries}

    return (json.dumps([rule(prefix, group) for prefix, group in closed.items()], indent=2) + "\n").encode()


def _pages(seed: int) -> Iterator[Page]:
    yield _page(seed, "phases-mirage.md", "MIRAGE phases", "What is MIRAGE?", "procedure", prose().mirage)
    for root in prose().root:
        body = _markdown(root.title, (("In short", root.sentences),))
        yield _page(seed, root.key, root.title, root.question, "general", body)
    for name in prose().services:
        yield from _service_pages(seed, name)
    for number, decision in enumerate(prose().decisions, start=1):
        yield _decision(seed, number, decision)
    for policy in prose().policies:
        yield _policy(seed, policy)
    for guide in prose().guides:
        yield _guide(seed, guide)
    for name in prose().services:
        yield _threat_model(seed, name)


def _page(
    seed: int,
    key: str,
    title: str,
    question: str,
    category: str,
    body: str,
    words: dict[str, str] | None = None,
    *,
    has_metadata: bool = False,
) -> Page:
    return Page(key, title, question, category, body, tuple((words or {}).items()), seed, has_metadata)


def _markdown(title: str, sections: Sections) -> str:
    parts = [f"# {title}\n"]
    parts += [f"\n## {heading}\n\n" + "\n\n".join(sentences) + "\n" for heading, sentences in sections]
    return "".join(parts)


def _service_words(name: str) -> dict[str, str]:
    does, team = prose().services[name]
    names = list(prose().services)
    at = names.index(name)
    return {
        "name": name,
        "Name": name.capitalize(),
        "does": does,
        "team": team,
        "other": names[(at + 3) % len(names)],
        "another": names[(at + 7) % len(names)],
    }


def _service_pages(seed: int, name: str) -> Iterator[Page]:
    words = _service_words(name)
    for kind in prose().kinds:
        title = kind.title.format(**words)
        yield _page(
            seed,
            f"services/{name}/{kind.suffix}.md",
            title,
            kind.question.format(**words),
            "service",
            _markdown(title, kind.sections),
            words,
            has_metadata=kind.suffix in ("runbook", "recovery"),
        )


def _decision(seed: int, number: int, decision: str) -> Page:
    title = f"ADR {number:04d}: {decision}"
    names = list(prose().services)
    first, second = names[number % len(names)], names[(number * 7 + 3) % len(names)]
    sections: Sections = (
        ("Status", ("Accepted.",)),
        ("Context", (
            f"{first.capitalize()} and {second} had solved one problem in two ways; an incident showed it.",
            "Recovery took {recovery}, most of it spent on finding out which way applied.",
        )),
        ("Decision", (f"We decide for {decision}. Exceptions need a decision record of their own.",)),
        ("Consequences", (
            f"{first.capitalize()} changes first, {second} follows within {{rotation}}.",
            "The limit of {throughput} is reviewed after that.",
        )),
    )  # fmt: skip
    key = f"decisions/adr-{number:04d}-{_slug(decision)}.md"
    question = f"Why did we decide for {decision}?"
    return _page(seed, key, title, question, "decision", _markdown(title, sections))


def _policy(seed: int, policy: str) -> Page:
    title = f"Policy: {policy}"
    sections: Sections = (
        ("Scope", (f"This policy on {policy} binds everybody with an account at VaultMesh.",)),
        ("Rules", (
            f"Deviations from the {policy} rules are recorded and expire after {{rotation}}.",
            "Evidence is kept for {retention}.",
            "Whoever finds a breach tells Security Engineering within {recovery}.",
        )),
        ("Review", (f"Governance reviews the {policy} policy twice a year and after each SEV1.",)),
    )  # fmt: skip
    key = f"policies/{_slug(policy)}.md"
    question = f"What are the rules of the {policy} policy?"
    return _page(seed, key, title, question, "policy", _markdown(title, sections), has_metadata=True)


def _guide(seed: int, guide: str) -> Page:
    title = f"How to {guide}"
    sections: Sections = (
        ("Before you begin", ("You need the operator role, and {recovery} of quiet.",)),
        ("Steps", (
            f"1. Read this page to its end before you {guide}.",
            "2. Do it in the sandbox first: limits there are {throughput}.",
            f"3. Then {guide} in production, and look at the result with somebody else.",
        )),
        ("If it goes wrong", ("Undo the last step, wait {timeout}, and ask in #ask-vaultmesh.",)),
    )  # fmt: skip
    return _page(
        seed, f"guides/{_slug(guide)}.md", title, f"How do I {guide}?", "guide", _markdown(title, sections)
    )


def _threat_model(seed: int, name: str) -> Page:
    words = _service_words(name)
    title = f"{words['Name']} threat model"
    sections: Sections = (
        ("Assets", ("What {name} protects: the integrity of what it does, that is, it {does}.",)),
        ("Main threats", (
            "A stolen operator credential: limited by rotation every {rotation} and by quorum.",
            "A lying replica: found by anchor's digests within {recovery}.",
        )),
        ("Residual risk", ("Accepted by the {team} lead and Security Engineering.",)),
    )  # fmt: skip
    question = f"What are the main threats to {name}?"
    key, body = f"security/threat-model-{name}.md", _markdown(title, sections)
    return _page(seed, key, title, question, "security", body, words, has_metadata=True)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _draw(rng: random.Random, name: str, other_than: int | None = None) -> int:
    figure = prose().figures[name]
    while True:
        value = rng.randrange(figure.low, figure.high + 1, figure.step)
        if value != other_than:
            return value
