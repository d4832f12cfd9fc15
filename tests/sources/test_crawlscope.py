"""Which keys a connector takes for documents."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmqlib.sources.crawlscope import CrawlScope, crawl_scope

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
        wanted = not include or any(fnmatchcase(name, pattern) for pattern in include)
        assert is_document == (wanted and not any(fnmatchcase(name, pattern) for pattern in exclude))


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
