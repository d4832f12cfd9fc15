"""Object versions keep the order in which S3 stored them, and answer what was there at a moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from support.stub_aws import Answer, Asked, StubAws, error

from vmqlib.aws import Aws
from vmqlib.errors import AwsError, ResourceMissing, Unreachable
from vmqlib.settings import Settings
from vmqlib.sources import frame, versions
from vmqlib.times import Window, iso

T0 = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
Entry = tuple[str, str, int, bool]  # key, version, seconds after T0, delete marker


def listing(
    entries: list[Entry], *, page: int = 1000, encode: bool = True
) -> Callable[[Asked], Answer | str]:
    """ListObjectVersions over entries in S3's order: keys ascending, newest first; the first of a key is latest."""
    latest: dict[str, str] = {}
    for key, version, _, _ in entries:
        latest.setdefault(key, version)

    def answer(asked: Asked) -> str:
        marker = asked.values.get("key-marker", ""), asked.values.get("version-id-marker", "")
        keys = [one for one in entries if one[0].startswith(asked.values.get("prefix", ""))]
        start = 0
        if marker[0]:
            behind = [i for i, one in enumerate(keys) if one[0] > marker[0]]
            start = behind[0] if behind else len(keys)
            if marker[1]:
                start = 1 + next(i for i, one in enumerate(keys) if (one[0], one[1]) == marker)
        here, more = keys[start : start + page], len(keys) > start + page
        text = quote_plus if encode else escape
        parts = ["<ListVersionsResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"]
        parts.append(f"<IsTruncated>{str(more).lower()}</IsTruncated>")
        if encode:
            parts.append("<EncodingType>url</EncodingType>")
        if more:
            parts.append(f"<NextKeyMarker>{text(here[-1][0])}</NextKeyMarker>")
            parts.append(f"<NextVersionIdMarker>{here[-1][1]}</NextVersionIdMarker>")
        for key, version, seconds, deleted in here:
            tag = "DeleteMarker" if deleted else "Version"
            at = (T0 + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            more_fields = "" if deleted else f'<ETag>"e-{version}"</ETag><Size>{len(version)}</Size>'
            parts.append(
                f"<{tag}><Key>{text(key)}</Key><VersionId>{version}</VersionId><LastModified>{at}</LastModified>"
                f"<IsLatest>{str(latest[key] == version).lower()}</IsLatest>{more_fields}</{tag}>"
            )
        return "".join([*parts, "</ListVersionsResult>"])

    return answer


def rows(aws: Aws, **scope: Any) -> list[tuple[str, str, int]]:
    return [
        (row["key"], row["version_id"], row["order"])
        for row in versions.iter_versions(aws, "bucket", **scope)
    ]


ENTRIES: list[Entry] = [
    ("a b.md", "v3", 5, False),
    ("a b.md", "v2", 5, True),
    ("a b.md", "v1", 5, False),
    ("ci/jobs.json", "c1", 1, False),
    ("ci0", "n1", 1, False),
    ("gone.md", "d2", 9, True),
    ("gone.md", "d1", 2, False),
    ("ü+1.md", "u1", 3, False),
]


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
def test_ties_within_a_second_keep_the_order_of_the_listing(stub: StubAws, aws: Aws, page: int) -> None:
    stub.on["ListObjectVersions"] = listing(ENTRIES, page=page)
    assert rows(aws) == [
        ("a b.md", "v3", 0),
        ("a b.md", "v2", 1),
        ("a b.md", "v1", 2),
        ("ci/jobs.json", "c1", 0),
        ("ci0", "n1", 0),
        ("gone.md", "d2", 0),
        ("gone.md", "d1", 1),
        ("ü+1.md", "u1", 0),
    ]


def test_the_current_version_is_the_newest_of_its_second(stub: StubAws, aws: Aws) -> None:
    # A server that lists versions first and markers afterwards (and says rightly which is latest).
    body = listing([("k", "marker", 5, True), ("k", "v2", 5, False), ("k", "v1", 4, False)])
    text = body(Asked("", {}, "", {}))
    assert isinstance(text, str)
    marker = text[text.index("<DeleteMarker>") : text.index("<Version>")]
    stub.on["ListObjectVersions"] = lambda asked: text.replace(marker, "").replace(
        "</ListVersionsResult>", marker + "</ListVersionsResult>"
    )
    assert [version for _, version, _ in rows(aws)] == ["marker", "v2", "v1"]


def test_every_column(stub: StubAws, aws: Aws, settings: Settings, window: Window) -> None:
    stub.on["ListObjectVersions"] = listing([("gone.md", "d2", 9, True), ("gone.md", "d1", 2, False)])
    reading = versions.read(aws, settings, window)
    table = frame(versions.SOURCE, reading.rows)
    assert table.to_dict("records") == [
        {
            "key": "gone.md",
            "version_id": "d2",
            "is_latest": True,
            "is_delete_marker": True,
            "at": pd.Timestamp(T0 + timedelta(seconds=9)),
            "size": None,
            "etag": "",
            "storage_class": "",
            "order": 0,
        },
        {
            "key": "gone.md",
            "version_id": "d1",
            "is_latest": False,
            "is_delete_marker": False,
            "at": pd.Timestamp(T0 + timedelta(seconds=2)),
            "size": 2,
            "etag": "e-d1",
            "storage_class": "STANDARD",
            "order": 1,
        },
    ]
    assert reading.outcome() == (True, "")
    assert reading.parameters == {
        "bucket": "vaultmesh-knowledge-base",
        "prefix": "",
        "exclude": ["_staging/", "ci/", "audit/"],
    }
    assert stub.asked[0].path.startswith("/vaultmesh-knowledge-base")


def test_excluded_prefixes_are_jumped_over(stub: StubAws, aws: Aws) -> None:
    many: list[Entry] = [("a.md", "a", 1, False)]
    many += [(f"audit/{i:04d}", f"v{i}", 1, False) for i in range(500)]
    many += [("auditor.md", "b", 1, False), ("z.md", "c", 1, False)]
    stub.on["ListObjectVersions"] = listing(many, page=10)
    assert [key for key, _, _ in rows(aws, exclude=("audit/",))] == ["a.md", "auditor.md", "z.md"]
    assert len(stub.asked) == 2


def test_a_bucket_of_delete_markers_alone(stub: StubAws, aws: Aws) -> None:
    stub.on["ListObjectVersions"] = listing([(f"{i}", f"m{i}", i, True) for i in range(5)], page=2)
    assert len(rows(aws)) == 5


def test_a_server_that_does_not_encode(stub: StubAws, aws: Aws) -> None:
    stub.on["ListObjectVersions"] = listing([("a+b %41.md", "v", 1, False)], encode=False)
    assert rows(aws) == [("a+b %41.md", "v", 0)]


def test_an_empty_bucket(stub: StubAws, aws: Aws, settings: Settings, window: Window) -> None:
    stub.on["ListObjectVersions"] = listing([])
    table = frame(versions.SOURCE, versions.read(aws, settings, window).rows)
    assert list(table.columns) == list(versions.SOURCE.columns)
    assert versions.bucket_summary(table) == versions.BucketSummary(0, 0, 0, 0)
    assert versions.changed_since(table, T0).empty
    assert versions.state_at(table, T0).empty


def test_a_listing_that_does_not_advance(stub: StubAws, aws: Aws) -> None:
    text = listing(ENTRIES, page=1)(Asked("", {}, "", {}))
    stub.on["ListObjectVersions"] = lambda asked: text
    with pytest.raises(AwsError, match="does not get beyond"):
        rows(aws)


def test_an_answer_that_is_cut_short(stub: StubAws, aws: Aws) -> None:
    stub.on["ListObjectVersions"] = lambda asked: "<ListVersionsResult><Version><Key>a"
    with pytest.raises(Unreachable):  # boto3 takes it for a failure of S3's, and tries again
        rows(aws)
    with pytest.raises(AwsError, match="cannot be read"):
        versions.parse_page(b"<ListVersionsResult><Version>")


def test_a_bucket_that_is_not_there(stub: StubAws, aws: Aws) -> None:
    stub.on["ListObjectVersions"] = lambda asked: error("NoSuchBucket", 404)
    with pytest.raises(ResourceMissing, match="Bucket bucket does not exist"):
        rows(aws)


# Questions to the frame, against a model that replays what happened

changes = st.lists(
    st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 3)), max_size=14
)  # key, deleted?, seconds since the change before


def history(steps: list[tuple[str, bool, int]]) -> tuple[pd.DataFrame, list[tuple[int, str, str, bool]]]:
    """A frame as S3 would list it, and the changes in the order in which they were made."""
    now, made = 0, []
    for number, (key, deleted, later) in enumerate(steps):
        now += later
        made.append((now, key, f"v{number}", deleted))
    listed: list[dict[str, Any]] = []
    for key in sorted({key for _, key, _, _ in made}):
        newest_first = [one for one in made if one[1] == key][::-1]
        for order, (at, _, version, deleted) in enumerate(newest_first):
            listed.append(
                {
                    "key": key,
                    "version_id": version,
                    "is_latest": order == 0,
                    "is_delete_marker": deleted,
                    "at": iso(T0 + timedelta(seconds=at)),
                    "size": None if deleted else 1,
                    "etag": "" if deleted else version,
                    "storage_class": "",
                    "order": order,
                }
            )
    return frame(versions.SOURCE, listed), made


def replay(made: list[tuple[int, str, str, bool]], until: float) -> dict[str, tuple[str, bool]]:
    state: dict[str, tuple[str, bool]] = {}
    for at, key, version, deleted in made:
        if at <= until:
            state[key] = (version, deleted)
    return state


@examples(max_examples=40)
@given(changes, st.integers(-1, 30))
def test_the_state_at_a_moment_is_what_a_replay_gives(
    steps: list[tuple[str, bool, int]], second: int
) -> None:
    table, made = history(steps)
    then = versions.state_at(table, T0 + timedelta(seconds=second))
    there = {key: version for key, (version, deleted) in replay(made, second).items() if not deleted}
    assert dict(zip(then["key"], then["version_id"], strict=True)) == there
    unsure = {key for at, key, _, _ in made if at == second}
    assert set(then.loc[then["ambiguous"], "key"]) == unsure & set(there)


@examples(max_examples=40)
@given(changes, st.integers(-1, 30))
def test_what_changed_since_a_moment_is_what_a_replay_gives(
    steps: list[tuple[str, bool, int]], second: int
) -> None:
    table, made = history(steps)
    found = versions.changed_since(table, T0 + timedelta(seconds=second))
    before, after = replay(made, second), replay(made, 10_000)
    expected = {}
    for key, (version, deleted) in after.items():
        old, was_deleted = before.get(key, ("", True))
        if old == version or (deleted and was_deleted):
            continue
        expected[key] = (
            "added" if not old else "restored" if was_deleted else "deleted" if deleted else "rewritten"
        )
    assert dict(zip(found["key"], found["action"], strict=True)) == expected
    counts = {key: sum(1 for at, k, _, _ in made if k == key and at > second) for key in expected}
    assert dict(zip(found["key"], found["changes"], strict=True)) == counts


def test_a_copy_of_the_old_content_is_told_from_new_content() -> None:
    table, _ = history([("a", False, 0), ("a", False, 5), ("b", False, 0), ("b", False, 5)])
    table.loc[table["key"] == "a", "etag"] = "same"
    found = versions.changed_since(table, T0 + timedelta(seconds=2)).set_index("key")
    assert found["same_content"].to_dict() == {"a": True, "b": False}
    assert found["changes"].dtype == "Int64"
    assert found["then_at"].dtype == "datetime64[us, UTC]"


def test_the_summary_counts_what_is_there_now() -> None:
    table, _ = history([("a", False, 0), ("a", False, 1), ("b", False, 0), ("b", True, 1), ("c", False, 0)])
    assert versions.bucket_summary(table) == versions.BucketSummary(2, 2, 4, 1)
    assert versions.bucket_summary(table, exclude=("c",)) == versions.BucketSummary(1, 1, 3, 1)


def test_what_had_changed_at_the_opening_is_told_with_what_became_of_it() -> None:
    steps = [(key, False, 0) for key in "abcdef"]
    steps += [("a", True, 5), *((key, False, 0) for key in "bcdgh")]
    steps += [("a", False, 4), *((key, key == "g", 0) for key in "bdeg")]
    table, _ = history(steps)
    opening = T0 + timedelta(seconds=6)
    first = table[table["at"] <= T0].set_index("key")
    brought = (table["order"] == 0) & table["key"].isin(["a", "b"])
    table.loc[brought, "etag"] = table.loc[brought, "key"].map(first["etag"])
    table["size"] = table["size"].where(table["is_delete_marker"], 7)
    found = versions.changed_between(table, T0 + timedelta(seconds=2), opening).set_index("key")
    assert found["action"].to_dict() == {
        "a": "deleted", "b": "rewritten", "c": "rewritten", "d": "rewritten", "g": "added", "h": "added",
    }  # fmt: skip
    assert found["now"].to_dict() == {
        "a": "back", "b": "back", "c": "still changed", "d": "same size", "g": "back", "h": "still changed",
    }  # fmt: skip
    assert versions.changed_between(table, opening, T0 + timedelta(seconds=8)).empty
