"""A key's history and what changed, from AWS and from evidence."""

from __future__ import annotations

import itertools
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from support.versioned import NOW, VersionedBucket, at, row

from vmqlib.errors import BadInput, ResourceMissing
from vmqlib.record.incident import Incident
from vmqlib.record.redaction import Redactor
from vmqlib.runbook import history
from vmqlib.runbook.keychanges import changed_keys, key_change
from vmqlib.runbook.keyhistory import KeyHistory, versions_of
from vmqlib.runbook.promoters import Promoters
from vmqlib.runbook.versiondiff import compare
from vmqlib.settings import Connector, Settings
from vmqlib.sources import frame
from vmqlib.sources.versions import SOURCE, changed_between


def test_what_came_back_names_the_version_that_it_is_like() -> None:
    rows = [row("a", 4, 40, etag="e1"), row("a", 3, 30, marker=True), row("a", 2, 20), row("a", 1, 10)]
    assert [one.same_as for one in versions_of(rows)] == ["v1", "", "", ""]


def test_equal_etags_of_different_sizes_are_not_the_same() -> None:
    rows = [row("a", 2, 20, etag="e", size=11), row("a", 1, 10, etag="e")]
    assert versions_of(rows)[0].same_as == ""


HISTORY = KeyHistory(
    "b",
    "k",
    versions_of([row("k", 30, 30, marker=True), row("k", 21, 20), row("k", 20, 20), row("k", 10, 10)]),
    NOW,
)


@pytest.mark.parametrize(
    ("name", "version"),
    [("current", "v30"), ("previous", "v21"), ("v21", "v21"), ("v1", "v10"), ("v3", "v30"),
     ("@2026-11-20T10:00:15Z", "v10"), ("@2026-11-20T10:00:20Z", "v21"), ("@2026-11-20T09:00Z", None), ("@1h", "v30")],
)  # fmt: skip
def test_a_version_by_name_beginning_or_time(name: str, version: str | None) -> None:
    found = HISTORY.pick(name).version
    assert (found and found.version_id) == version


@pytest.mark.parametrize("name", ["v2", "x", "", "@soon", "last-good"])
def test_a_name_that_means_none_or_several(name: str) -> None:
    with pytest.raises(BadInput) as told:
        HISTORY.pick(name)
    assert told.value.hint


def test_a_change_within_the_very_second_is_doubtful() -> None:
    assert "very second" in HISTORY.pick("@2026-11-20T10:00:20Z").warning
    assert HISTORY.pick("@2026-11-20T10:00:21Z").warning == ""


def test_a_null_version_since_is_doubtful() -> None:
    known = KeyHistory("b", "k", versions_of([row("k", 2, 20, version_id="null"), row("k", 1, 10)]), NOW)
    assert "null version" in known.pick("@2026-11-20T10:00:15Z").warning


def test_markers_alone_have_no_previous_version() -> None:
    known = KeyHistory(
        "b", "k", versions_of([row("k", 2, 20, marker=True), row("k", 1, 10, marker=True)]), NOW
    )
    assert known.previous is None
    with pytest.raises(BadInput, match="no previous version"):
        known.pick("previous")


def test_a_history_as_a_frame() -> None:
    table = HISTORY.frame
    assert table["version_id"].tolist() == ["v30", "v21", "v20", "v10"]
    assert table["size"].isna().tolist() == [True, False, False, False]
    assert str(table["at"].dtype) == "datetime64[us, UTC]"
    assert KeyHistory("b", "k", (), NOW).frame.empty


ENTRIES = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 12), st.booleans(), st.integers(1, 2)), max_size=12
)


@examples(max_examples=30)
@given(entries=ENTRIES, since=st.integers(0, 12), length=st.integers(0, 12))
def test_changes_are_those_that_the_frame_of_versions_tells(
    entries: list[tuple[str, int, bool, int]], since: int, length: int
) -> None:
    rows = []
    for key, group in itertools.groupby(sorted(entries, key=lambda one: one[0]), key=lambda one: one[0]):
        newest = sorted(group, key=lambda one: one[1], reverse=True)
        for order, (_, seconds, marker, content) in enumerate(newest):
            number = len(rows)
            rows.append(
                row(key, number, seconds, marker=marker, latest=not order, order=order)
                | ({} if marker else {"etag": f"e{content}"})
            )
    first, last = at(since), at(since + length)
    found, listed, keys = changed_keys(rows, first, last, Promoters())
    assert (listed, keys) == (len(rows), len({one["key"] for one in rows}))
    mine = {
        one.key: (one.what, one.changes, one.same_content, one.doubt != "")
        for one in found
        if one.what not in ("came and went", "unchanged")
    }
    table = changed_between(frame(SOURCE, rows), first, last)
    names = ["key", "action", "changes", "same_content", "ambiguous"]
    theirs = {key: rest for key, *rest in zip(*(table[name].tolist() for name in names), strict=True)}
    assert mine == {key: tuple(rest) for key, rest in theirs.items()}


def test_a_key_that_is_older_than_the_listing_needs_is_counted_and_left_out() -> None:
    rows = [row("a", 1, -90_000), row("b", 1, -90_000), row("b", 2, 0)]
    rows = [rows[0], rows[2], rows[1]]
    found, listed, keys = changed_keys(rows, at(-10), at(10), Promoters())
    assert ([one.key for one in found], listed, keys) == (["b"], 3, 2)
    every, _, _ = changed_keys(rows, at(-10), at(10), Promoters(), every=True)
    assert [(one.key, one.what) for one in every] == [("b", "rewritten"), ("a", "unchanged")]


def test_nothing_by_then_is_no_change() -> None:
    assert key_change("a", versions_of([row("a", 1, 100)]), at(0), at(50)) is None


def look(bucket: VersionedBucket, key: str) -> KeyHistory:
    return history.read_history(bucket.aws, bucket.settings, bucket.name, key)


def test_a_history_from_aws_with_who_promoted_it(bucket: VersionedBucket) -> None:
    first = bucket.put("guides/a.md", "one", 0)
    bucket.put("guides/a.md.metadata.json", "{}", 1)  # a longer key that begins with it
    second = bucket.put("guides/a.md", "two", 100)
    bucket.promotion(90, 130)
    marker = bucket.delete("guides/a.md", 700)
    known = look(bucket, "guides/a.md")
    assert [one.version_id for one in known.versions] == [marker, second, first]
    assert [one.promoted.words if one.promoted else "" for one in known.versions] == [
        "9 min 29 s after the promotion of 9c1f2ab4 by ci-deploy",
        "during the promotion of 9c1f2ab4 by ci-deploy",
        "1 min 25 s before the promotion of 9c1f2ab4 by ci-deploy",
    ]
    assert known.age(known.versions[1]) == timedelta(days=3, seconds=-100)
    assert known.current is not None
    assert known.current.is_delete_marker
    assert known.previous == known.versions[1]


def test_audit_records_that_cannot_be_read_leave_the_history(bucket: VersionedBucket) -> None:
    bucket.put("a.md", "one")
    bucket.promotion(0, 10)
    bucket.local.faults.add("s3", "GetObject", path="audit", code="AccessDenied", status=403)
    known = look(bucket, "a.md")
    assert len(known.versions) == 1
    assert "Access denied" in known.problem


def test_records_far_from_every_version_are_not_read(bucket: VersionedBucket) -> None:
    bucket.put("a.md", "one", 0)
    bucket.promotion(5 * 86_400, 5 * 86_400)
    bucket.local.faults.add("s3", "GetObject", status=500)
    assert look(bucket, "a.md").problem == ""


def test_another_bucket_than_that_of_the_records(bucket: VersionedBucket) -> None:
    bucket.put("a.md", "one")
    settings = Settings.load(bucket_name="elsewhere")
    known = history.read_history(bucket.aws, settings, bucket.name, "a.md")
    assert "elsewhere" in known.problem


KEYS = ["a b+c%2F#?.md", "tab\tnew\nline.md", "ünï/東京🎉.md", "/lead//trail/", "x" * 1000, "<b>&amp;\"'.md"]


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_any_kind(bucket: VersionedBucket, key: str) -> None:
    made = bucket.put(key, "one")
    assert look(bucket, key).versions[0].version_id == made


def test_an_unknown_key_names_those_that_are_alike(bucket: VersionedBucket) -> None:
    bucket.put("guides/backup.md", "x")
    bucket.delete("guides/backup.md", 1)
    bucket.put("other/setup.md", "x")
    for typed in ("guides/bakup.md", "guide/backup.md", "backup.md"):
        with pytest.raises(BadInput) as told:
            look(bucket, typed)
        assert "'guides/backup.md'" in told.value.hint
    with pytest.raises(BadInput) as told:
        look(bucket, "zzz")
    assert "vmq versions --all" in told.value.hint


def test_no_such_bucket(bucket: VersionedBucket) -> None:
    with pytest.raises(ResourceMissing):
        history.read_history(bucket.aws, bucket.settings, "nobodys-bucket", "a")


def test_never_versioned_has_one_null_version(empty: Any, point_at: Any) -> None:
    point_at(empty)
    plain = VersionedBucket.made(empty, "kb-plain", versioning="")
    plain.put("a.md", "one", 0)
    plain.put("a.md", "two", 60)
    known = look(plain, "a.md")
    assert [one.version_id for one in known.versions] == ["null"]
    with pytest.raises(BadInput, match="one version only"):
        compare(plain.aws, known, Redactor())


def changes(bucket: VersionedBucket, since: float, prefix: str = "", **more: Any) -> history.Changes:
    connector = Connector(name="s3", bucket=bucket.name)
    moment = history.Since(at(since), "a time")
    return history.changes(bucket.aws, bucket.settings, connector, moment, NOW, prefix=prefix, **more)


def test_what_changed_newest_first_with_its_promotion(bucket: VersionedBucket) -> None:
    for key in ("kept.md", "lost.md", "new/old.md", "twice.md"):
        bucket.put(key, "one", 0)
    bucket.delete("new/old.md", 10)
    for n, key in enumerate(("twice.md", "added.md", "new/old.md")):
        bucket.put(key, "two", 1000 + 8 * n)
    bucket.delete("lost.md", 1024)
    bucket.put("_staging/twice.md", "two", 1025)
    bucket.promotion(1024, 1025)
    found = changes(bucket, 500)
    assert [(one.key, one.what) for one in found.keys] == [
        ("lost.md", "deleted"), ("new/old.md", "restored"), ("added.md", "added"), ("twice.md", "rewritten"),
    ]  # fmt: skip
    assert {one.promoted and one.promoted.relation for one in found.keys} == {"during"}
    assert (found.seen, found.listed) == (5, 9)
    assert found.exclude == ("_staging/", "ci/", "audit/")
    staged = changes(bucket, 500, "_staging/")
    assert [(one.key, one.promoted) for one in staged.keys] == [("_staging/twice.md", None)]
    assert [one.key for one in changes(bucket, 500, every=True).keys][-1] == "kept.md"


def test_an_empty_bucket_and_markers_alone(bucket: VersionedBucket) -> None:
    assert (changes(bucket, 0).keys, changes(bucket, 0).seen) == ((), 0)
    bucket.delete("never.md", 5)
    (one,) = changes(bucket, 0).keys
    assert (one.what, one.versions, one.markers) == ("came and went", 0, 1)


def test_the_last_good_sync_or_why_there_is_none(
    bucket: VersionedBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = history.last_good(bucket.aws, bucket.settings, "", NOW)
    assert found.at == NOW - timedelta(days=7)
    assert "sync history cannot be seen" in found.never
    assert found.never in found.why


# From evidence


@pytest.fixture
def example(project: Path, tmp_path: Path) -> Incident:
    """The example's evidence, offline."""
    root = tmp_path / "incidents"
    (name,) = (one.name for one in (project / "notebooks" / "examples").glob("INC-*") if one.is_dir())
    shutil.copytree(project / "notebooks" / "examples" / name, root / name)
    return Incident.load(name, settings=Settings.load(incidents=root))


def test_suspects_are_what_changed_and_fails_first(example: Incident) -> None:
    found = history.suspects(example, limit=4)
    assert found.problem == ""
    assert len(found.found) == 4
    assert found.failing > 0
    assert len({one.error for one in found.found[:3]}) == 3  # of each kind of error one
    for one in found.found:
        assert one.error
        assert one.change.promoted is not None
        assert one.history.key == one.key
        assert one.good is None or one.good.at <= (found.since.at if found.since else NOW)


def test_suspects_with_more_room_hold_what_was_deleted_too(example: Incident) -> None:
    found = history.suspects(example, limit=1000)
    assert len(found.found) == found.changed
    first_calm = next(n for n, one in enumerate(found.found) if not one.error)
    assert all(not one.error for one in found.found[first_calm:])
    assert found.found[first_calm].change.what == "deleted"
    assert len({one.key for one in found.found}) == found.changed


def test_suspects_say_why_there_are_none() -> None:
    incident = Incident.open(Settings.load(), None, trigger="sync-failed")
    found = history.suspects(incident)
    assert found.found == ()
    assert "Nobody has looked yet" in found.problem
    assert found.hint


def test_a_history_offline_is_the_same_at_every_time(example: Incident) -> None:
    key = history.suspects(example, limit=1).found[0].key
    known = history.key_history(example, key)
    assert known == history.key_history(example, f"s3://{known.bucket}/{key}")
    assert known.source.startswith("versions-")
    assert known.as_of == example.seen_at
    with pytest.raises(BadInput, match="There is no key") as told:
        history.kept_history(example, key + "x")
    assert repr(key) in told.value.hint
    with pytest.raises(BadInput, match="Offline"):
        history.diff(example, key)


def test_what_the_evidence_leaves_out_is_not_said_to_be_empty(example: Incident) -> None:
    since = history.kept_last_good(example)
    with pytest.raises(BadInput, match="leaves out"):
        history.kept_changes(example, since, since.at, prefix="_staging/guides")
