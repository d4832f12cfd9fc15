"""What changed in the ops repo: the commits of its clone on this machine that touch guardrails, connectors, documents
or scripts (runbook, step 1: what changed)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vmqlib.sources.base import COUNT, TEXT, TIME, Column, Reading, Row, Source, moment, shortened
from vmqlib.sources.gitlog import Commit, clone_of, log_of
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["MOST_COMMITS", "MOST_PATHS", "SOURCE", "area_of", "read"]

MOST_COMMITS = 2_000
MOST_PATHS = 200
"""Paths of one commit that are kept; ``path_count`` says how many there were."""

_MOST_TEXT = 300
# The first that fits. A commit is of the first area that one of its paths is of.
_AREAS = (
    (
        "guardrails",
        re.compile(r"(?:^|/)guardrails?/|topic-controls|chat-controls|blocked-phrases", re.IGNORECASE),
    ),
    ("connectors", re.compile(r"connector|data-?source|acl\.json$", re.IGNORECASE)),
    ("docs", re.compile(r"^docs/|\.md$", re.IGNORECASE)),
    ("other", re.compile(r"^(?:scripts|02-qbusiness)/|^\.env$|^Makefile$")),
)

_COLUMNS = {
    "at": Column(TIME, "", "when it was committed"),
    "sha": Column(TEXT, "", "the commit"),
    "author": Column(TEXT, "", "who wrote it, by name"),
    "subject": Column(TEXT, "", "the first line of its message"),
    "paths": Column(
        TEXT,
        "",
        "what it changed of guardrails, connectors, documents and scripts, as a JSON list; a rename is both names",
    ),
    "area": Column(TEXT, "", "guardrails, connectors, docs or other: the first of these that it touches"),
    "path_count": Column(COUNT, "paths", "how many such paths it changed, where not all of them are listed"),
}


def read(aws: Aws, settings: Settings, window: Window, **_: str) -> Reading:  # noqa: ARG001 - AWS is not asked
    """The commits of the window in the clone that ``ops_repo`` names, oldest first (``git log``, without a network).

    What nobody has pulled into it is not seen. Where there is no ops repo, nothing is there, and the reading says so.

    Raises
    ------
    SettingsError
        ``ops_repo`` is no Git work tree, Git does not trust it, or there is no Git.
    VmqError
        Git cannot read it, or not in time.
    """
    parameters = {"since": moment(window.since), "until": moment(window.until)}
    if settings.ops_repo is None:
        said = "no ops repo is known, so commits were not looked at; say ops_repo in vmq.toml"
        return Reading("commits", "git:log", parameters, (), complete=False, stopped=said)
    clone = clone_of(settings.ops_repo)
    log = log_of(clone, window, most=MOST_COMMITS)
    # Where a history was cut off, its last commit seems to bring everything there is.
    edges = [one for one in log.commits if clone.shallow and one.is_root]
    whole = [one for one in log.commits if one not in edges]
    stopped = f"{log.cut}; older ones were not read" if log.cut else ""
    if edges:
        edge = show_time(datetime.fromtimestamp(max(one.at for one in edges), UTC))
        stopped = f"the clone is shallow: of {edge} and before it knows nothing (git fetch --unshallow)"
    return Reading(
        source="commits",
        call="git:log",
        parameters=parameters | {"repo": str(clone.folder), "head": clone.head},
        rows=list(_rows(reversed(whole))),
        complete=not stopped,
        stopped=stopped,
    )


SOURCE = Source("commits", "Commits in this clone of the ops repo", read, _COLUMNS, ("at",), asks_aws=False)


def area_of(path: str) -> str:
    """The area of a path in the ops repo; empty where it has nothing to do with the knowledge base."""
    return next((name for name, pattern in _AREAS if pattern.search(path)), "")


def _rows(commits: Iterable[Commit]) -> Iterable[Row]:
    order = [name for name, _ in _AREAS]
    for commit in commits:
        areas = {path: area for path in commit.paths if (area := area_of(path))}
        if not areas:
            continue
        yield {
            "at": moment(datetime.fromtimestamp(commit.at, UTC)),
            "sha": commit.sha,
            "author": _printable(commit.author),
            "subject": _printable(commit.subject),
            "paths": json.dumps(list(areas)[:MOST_PATHS], ensure_ascii=False),
            "area": min(areas.values(), key=order.index),
            "path_count": len(areas),
        }


def _printable(text: str) -> str:
    """One line that a terminal takes as it is: no control characters, no marks that turn writing round."""
    return shortened(" ".join("".join(c if c.isprintable() else " " for c in text).split()), _MOST_TEXT)
