"""Which keys a connector takes for documents."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmqlib.simulator.qbusiness.connector import S3Connector
from vmqlib.sources.crawlscope import CrawlScope, DeletionSafeguard, crawl_scope

keys = st.lists(st.text("ab./*?[]\n", min_size=1, max_size=8), max_size=6)
patterns = st.lists(st.sampled_from(["*.md", "a/*", "b?", "[ab]*", "*", "a.b"]), max_size=3).map(tuple)


def resources(**config: object) -> pd.DataFrame:
    text = json.dumps({"additionalProperties": config})
    return pd.DataFrame({"kind": ["index", "data-source"], "id": ["i", "d"], "config": [None, text]})


@given(keys, patterns, patterns)
def test_exclusion_wins_and_no_inclusion_means_every_key(
    names: list[str], include: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    found = CrawlScope(include, exclude).documents(pd.Series(names, dtype="str"))
    for name, is_document in zip(names, found, strict=True):
        wanted = not include or any(matches(name, pattern) for pattern in include)
        assert is_document == (wanted and not any(matches(name, pattern) for pattern in exclude))


def matches(key: str, pattern: str) -> bool:
    """Folder by folder; a pattern without a slash is for the file's name."""
    parts, wanted = key.split("/"), pattern.split("/")
    if len(wanted) == 1:
        parts = parts[-1:]
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("ci/*", {"ci/a.md"}),
        ("ci/**", {"ci/a.md", "ci/logs/b.json"}),
        ("*.json", {"ci/logs/b.json"}),
        ("**/*.{json,txt}", {"ci/logs/b.json"}),
        ("*", {"ci/a.md", "ci/logs/b.json"}),
        ("ci/[a-b].md", {"ci/a.md"}),
        ("ci/[z-a].md", set()),
        ("{a,b}.*", {"ci/a.md", "ci/logs/b.json"}),
    ],
)
def test_a_star_stops_at_a_slash(pattern: str, matched: set[str]) -> None:
    """An exclusion that is read as wider than it is would call documents left out that every sync takes in."""
    scope = CrawlScope(include=(pattern,))
    assert {key for key in ("ci/a.md", "ci/logs/b.json") if scope.is_document(key)} == matched


@given(
    keys, st.lists(st.sampled_from(["*.md", "a/*", "a/**", "**/b", "b?", "*", "a.b", "**/*.*"]), max_size=3)
)
def test_the_simulated_connector_reads_them_in_the_same_way(names: list[str], exclude: list[str]) -> None:
    scope = CrawlScope(exclude=tuple(exclude))
    connector = S3Connector("bucket", exclusion_patterns=tuple(exclude))
    for name in names:
        if not name.endswith("/"):
            assert scope.is_document(name) == connector.is_document(name)


@given(
    keys, patterns, patterns, st.sampled_from([(), ("a/",), ("b", "*")]), st.sampled_from([(), ("a/b", "[")])
)
def test_one_key_is_judged_as_many_are(
    names: list[str],
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    include_prefixes: tuple[str, ...],
    exclude_prefixes: tuple[str, ...],
) -> None:
    scope = CrawlScope(
        include, exclude, "a.b", include_prefixes=include_prefixes, exclude_prefixes=exclude_prefixes
    )
    names = [*names, "a.b", "a/b.md.metadata.json"]
    found = list(scope.documents(pd.Series(names, dtype="str")))
    assert found == [scope.is_document(name) for name in names]


def test_prefixes() -> None:
    scope = crawl_scope(resources(inclusionPrefixes=["docs/", ""], exclusionPrefixes=["docs/ci/"]))
    names = ["docs/a.md", "docs/ci/a.md", "a.md", "doc"]
    assert [name for name in names if scope.is_document(name)] == ["docs/a.md"]


@pytest.mark.parametrize(
    ("config", "safeguard"),
    [
        ({}, DeletionSafeguard(on=False, threshold=15)),
        ({"enableDeletionProtection": "true"}, DeletionSafeguard(on=True, threshold=15)),
        ({"enableDeletionProtection": True, "deletionProtectionThreshold": 7}, DeletionSafeguard(True, 7)),
        (
            {"enableDeletionProtection": "false", "deletionProtectionThreshold": "30"},
            DeletionSafeguard(False, 30),
        ),
        ({"enableDeletionProtection": "true", "deletionProtectionThreshold": "many"}, None),
    ],
)
def test_the_deletion_safeguard(config: dict[str, object], safeguard: DeletionSafeguard | None) -> None:
    assert crawl_scope(resources(**config)).safeguard == safeguard


def test_the_deletion_safeguard_beside_the_additional_properties() -> None:
    text = json.dumps({"enableDeletionProtection": "true", "additionalProperties": {}})
    frame = pd.DataFrame({"kind": ["data-source"], "id": ["d"], "config": [text]})
    assert crawl_scope(frame).safeguard == DeletionSafeguard(on=True)


def test_acl_and_metadata_files_are_no_documents() -> None:
    scope = crawl_scope(resources(aclConfigurationFilePath="s3://bucket/conf/acl.json"))
    found = scope.documents(pd.Series(["conf/acl.json", "metadata/a.md.metadata.json", "a.md"]))
    assert list(found) == [False, False, True]


@pytest.mark.parametrize("config", ["{}", "[]", "no json", '{"additionalProperties": 3}'])
def test_a_configuration_that_says_nothing_restricts_nothing(config: str) -> None:
    frame = pd.DataFrame({"kind": ["data-source"], "id": ["d"], "config": [config]})
    assert crawl_scope(frame) == CrawlScope()


def test_the_data_source_that_is_meant() -> None:
    first = resources(inclusionPatterns=["*.md"])
    second = resources(inclusionPatterns=["*.txt"]).assign(id=["i", "e"])
    both = pd.concat([first, second], ignore_index=True)
    assert crawl_scope(both, "e").include == ("*.txt",)
    assert crawl_scope(both).include == ("*.md",)
    assert crawl_scope(both, "nobody") == CrawlScope()
