"""The planner's rules, one by one: what is easy to get wrong and hard to hit by chance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vmqlib.errors import BadInput
from vmqlib.runbook.rollback.items import NOTHING, Item, Scope, Target
from vmqlib.runbook.rollback.planner import Seen, plan_items
from vmqlib.sources.versionlisting import ObjectVersion
from vmqlib.times import iso

T = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)


def one(
    key: str, version_id: str, at: datetime | float, *, marker: bool = False, **given: Any
) -> ObjectVersion:
    """An entry; ``at`` may be seconds from the target."""
    moment = at if isinstance(at, datetime) else T + timedelta(seconds=at)
    values = {
        "size": 0 if marker else 5,
        "etag": "" if marker else version_id,
        "storage_class": "STANDARD",
    } | given
    return ObjectVersion(key, version_id, False, marker, iso(moment), checksum="", **values)


def key(*entries: ObjectVersion, latest: int = 0) -> list[ObjectVersion]:
    return [entry._replace(is_latest=number == latest) for number, entry in enumerate(entries)]


def items(rows: list[ObjectVersion], at: datetime | None = T, **given: Any) -> list[Item]:
    options: dict[str, Any] = {"versioning": "Enabled", "documents": lambda _: True} | given
    kind = options.pop("kind", "as-of")
    return list(plan_items(rows, Target(kind, at), options.pop("scope", Scope("bucket")), **options))


def item(rows: list[ObjectVersion], at: datetime | None = T, **given: Any) -> Item:
    (found,) = items(rows, at, **given)
    return found


# What becomes of a key


def test_an_overwritten_object_is_copied_back() -> None:
    made = item(
        key(
            one("k", "bad", 60),
            one("k", "good", -60, size=9, storage_class="GLACIER_IR"),
            one("k", "old", -90),
        )
    )
    assert (made.action, made.current.version_id, made.current.etag) == ("COPY", "bad", "bad")
    assert (made.target.version_id, made.target.size, made.target.storage_class) == ("good", 9, "GLACIER_IR")


@pytest.mark.parametrize(
    ("current", "target", "copies", "action"),
    [
        ("copy", "good", {}, "COPY"),
        ("copy", "good", {"copy": "good"}, "SKIP"),
        ("copy", "good", {"copy": "bad"}, "COPY"),
        ("copy", "good", {"other": "good"}, "COPY"),
        # The target is a copy itself: both go back to the same.
        ("second", "first", {"first": "good", "second": "good"}, "SKIP"),
        ("second", "first", {"first": "good", "second": "bad"}, "COPY"),
        # A null version is overwritten under its id: what was once copied says nothing.
        ("copy", "null", {"copy": "null"}, "COPY"),
    ],
)
def test_what_is_known_to_be_a_copy_of_the_target_is_not_copied_again(
    current: str, target: str, copies: dict[str, str], action: str
) -> None:
    rows = key(one("k", current, 60), one("k", target, -60))
    assert item(rows, copies=copies).action == action
    longer = key(one("k", current, 60, size=6), one("k", target, -60))
    assert item(longer, copies=copies).action == "COPY"


def test_a_deleted_object_is_brought_back_from_below_its_markers() -> None:
    rows = key(one("k", "m2", 70, marker=True), one("k", "m1", 60, marker=True), one("k", "good", -60))
    made = item(rows)
    assert (made.action, made.current.version_id, made.current.there) == ("UNDELETE", "m2", False)
    assert made.target.version_id == "good"


def test_a_new_object_is_deleted_and_so_is_one_that_was_deleted_then() -> None:
    assert item(key(one("k", "new", 60))).target == NOTHING
    made = item(key(one("k", "back", 60), one("k", "gone", -60, marker=True), one("k", "was", -90)))
    assert (made.action, made.target.version_id, made.target.there) == ("DELETE", "gone", False)


@pytest.mark.parametrize(
    "rows",
    [
        key(one("k", "v", -1)),
        key(one("k", "m", 60, marker=True)),
        key(one("k", "m", 60, marker=True), one("k", "v", 30)),
        key(one("k", "m", 60, marker=True), one("k", "m0", -60, marker=True), one("k", "v", -90)),
        key(one("k", "m", -60, marker=True), one("k", "n", -90, marker=True)),
    ],
)
def test_nothing_to_do(rows: list[ObjectVersion]) -> None:
    seen = Seen()
    assert items(rows, seen=seen) == []
    assert (seen.keys, seen.unchanged) == (1, 1)


def test_the_same_content_is_skipped_by_etag_and_size_together() -> None:
    again = one("k", "copy", 60, etag="e")
    assert item(key(again, one("k", "v", -60, etag="e"))).action == "SKIP"
    assert item(key(again, one("k", "v", -60, etag="e", size=6))).action == "COPY"
    assert item(key(one("k", "b", 60, etag=""), one("k", "v", -60, etag=""))).action == "COPY"
    assert item(key(one("k", "m", 60, marker=True), one("k", "v", -60, etag="e"))).action == "UNDELETE"


# Time


@pytest.mark.parametrize("fraction", [0, 1, 400_000, 999_999])
def test_the_very_second_of_the_target_is_held_back(fraction: int) -> None:
    at = T.replace(microsecond=fraction)
    made = item(key(one("k", "b", 0), one("k", "a", -1)), at)
    assert (made.action, made.code) == ("BLOCKED", "ambiguous")
    assert "2026-11-20 10:00:00 UTC" in made.reason
    assert item(key(one("k", "b", 1), one("k", "a", -1)), at).action == "COPY"
    assert items(key(one("k", "b", -1), one("k", "a", -2)), at) == []


def test_a_person_decides_on_the_second() -> None:
    rows = key(one("k", "c", 60), one("k", "b2", 0), one("k", "b1", 0), one("k", "a", -1))
    assert item(rows, ambiguous="include").target.version_id == "b2"
    assert item(rows, ambiguous="exclude").target.version_id == "a"
    assert items(key(one("k", "b", 0), one("k", "a", -1)), ambiguous="include") == []
    assert item(key(one("k", "b", 0)), ambiguous="exclude").action == "DELETE"


def test_a_key_that_was_gone_either_way_needs_no_decision() -> None:
    rows = key(one("k", "c", 60), one("k", "m2", 0, marker=True), one("k", "m1", -5, marker=True))
    assert item(rows).action == "DELETE"
    assert items(key(one("k", "m", 0, marker=True))) == []
    null = key(one("k", "c", 60), one("k", "null", 0, marker=True))
    assert item(null).code == "ambiguous"


@pytest.mark.parametrize(
    ("entry", "target", "code"),
    [
        (300_000, 500_000, ""),  # milliseconds: before
        (700_000, 500_000, "after"),
        (300_000, 0, "ambiguous"),  # a whole second stands for all of it
        (0, 300_000, "ambiguous"),
        (300_000, 300_000, "ambiguous"),  # somewhere within that millisecond, both of them
        (300_000, 300_400, "ambiguous"),
        (300_400, 300_000, "ambiguous"),
        (300_400, 300_400, ""),  # microseconds: at the target is by then
        (300_401, 300_400, "after"),
    ],
)
def test_servers_that_date_within_the_second(entry: int, target: int, code: str) -> None:
    rows = key(one("k", "b", T.replace(microsecond=entry)), one("k", "a", -1))
    found = items(rows, T.replace(microsecond=target))
    if code == "ambiguous":
        assert found[0].code == code
    else:
        assert [made.action for made in found] == (["COPY"] if code else [])


def test_the_listing_order_decides_within_a_second() -> None:
    made = item(key(one("k", "c", 60), one("k", "b2", -1), one("k", "b1", -1)))
    assert made.target.version_id == "b2"


def test_a_current_version_of_an_earlier_time_came_last_all_the_same() -> None:
    """A multipart upload that was begun before the others and completed after them."""
    begun = one("k", "parts", -600)
    rows = key(one("k", "b", 60), one("k", "a", -60), begun, latest=2)
    assert item(rows).target.version_id == "a"
    assert item(rows).current.version_id == "parts"
    unknown = item(key(one("k", "a", -60), begun, latest=1))
    assert (unknown.action, unknown.code, unknown.current.version_id) == ("BLOCKED", "unknown", "parts")


def test_a_key_without_a_current_version_is_left_alone() -> None:
    made = item(key(one("k", "b", -60), one("k", "a", -90), latest=-1))
    assert (made.action, made.code) == ("BLOCKED", "unknown")


# Versioning


def test_what_a_null_version_replaced_cannot_be_known() -> None:
    assert item(key(one("k", "null", 60), one("k", "a", -60))).code == "unknown"
    assert item(key(one("k", "null", 60, marker=True), one("k", "a", -60))).code == "unknown"
    assert item(key(one("k", "c", 90), one("k", "null", 60), one("k", "a", -60))).code == "unknown"
    assert item(key(one("k", "b", 60), one("k", "null", -60))).target.version_id == "null"
    assert item(key(one("k", "null", 0), one("k", "a", -60))).code == "ambiguous"
    assert item(key(one("k", "null", 0), one("k", "a", -60)), ambiguous="exclude").code == "unknown"
    assert items(key(one("k", "null", 0), one("k", "a", -60)), ambiguous="include") == []


def test_suspended_versioning_holds_every_change_back_and_says_how_to_go_on() -> None:
    rows = [
        *key(one("a", "b", 60), one("a", "a", -60)),
        *key(one("b", "new", 60)),
        *key(one("c", "copy", 60, etag="e"), one("c", "v", -60, etag="e")),
    ]
    copy, delete, skip = items(rows, versioning="Suspended")
    assert {copy.code, delete.code} == {"suspended"}
    assert (copy.target.version_id, delete.target) == ("a", NOTHING)
    assert "put-bucket-versioning --bucket bucket --versioning-configuration Status=Enabled" in copy.remedy
    assert skip.action == "SKIP"


def test_a_bucket_that_never_had_versioning_is_refused_at_once() -> None:
    with pytest.raises(BadInput, match="never had versioning on") as refused:
        plan_items([], Target("as-of", T), Scope("bucket"), versioning="", documents=bool)
    assert "put-bucket-versioning" in refused.value.hint


# Previous


def test_previous_goes_one_version_back_whatever_its_age() -> None:
    named = {"at": None, "kind": "previous", "scope": Scope("bucket", keys=("k",))}
    made = item(key(one("k", "c", 60), one("k", "m", 30, marker=True), one("k", "b", -60)), **named)
    assert (made.action, made.target.version_id) == ("COPY", "b")
    made = item(key(one("k", "m", 60, marker=True), one("k", "b", 30), one("k", "a", -60)), **named)
    assert (made.action, made.target.version_id) == ("UNDELETE", "b")
    made = item(key(one("k", "c", -60)), **named)
    assert (made.action, made.code) == ("BLOCKED", "no-previous")


def test_previous_since_takes_only_what_changed_since() -> None:
    since = {"kind": "previous"}
    assert items(key(one("k", "b", -1), one("k", "a", -60)), **since) == []
    assert item(key(one("k", "b", 1), one("k", "a", -60)), **since).action == "COPY"
    within = key(one("k", "b", 0), one("k", "a", -60))
    assert item(within, **since).code == "ambiguous"
    assert items(within, ambiguous="include", **since) == []
    assert item(within, ambiguous="exclude", **since).action == "COPY"


def test_previous_of_every_key_is_refused() -> None:
    with pytest.raises(BadInput, match="every key"):
        items([], None, kind="previous")


@pytest.mark.parametrize("target", [Target("as-of"), Target("undo", T)])
def test_targets_that_cannot_be_planned(target: Target) -> None:
    with pytest.raises(BadInput):
        plan_items([], target, Scope("bucket"), versioning="Enabled", documents=bool)


# Scope


def test_what_is_out_of_scope_is_not_even_counted() -> None:
    rows = [row for name in ("_staging/a", "a", "b/ci", "b/x", "c") for row in key(one(name, "new", 60))]
    seen = Seen()
    found = items(rows, scope=Scope("bucket", exclude=("_staging/", "b/c")), seen=seen)
    assert [made.key for made in found] == ["a", "b/x", "c"]
    assert (seen.listed, seen.keys) == (3, 3)
    assert [made.key for made in items(rows, scope=Scope("bucket", prefix="b/"))] == ["b/ci", "b/x"]


def test_a_named_key_that_is_not_there_is_told() -> None:
    rows = [*key(one("a", "new", 60)), *key(one("b", "new", 60))]
    found = items(rows, scope=Scope("bucket", keys=("z", "b", "A")))
    assert [(made.key, made.code or made.action) for made in found] == [
        ("b", "DELETE"),
        ("A", "missing"),
        ("z", "missing"),
    ]


def test_documents_are_told_from_what_is_none() -> None:
    rows = [row for name in ("a.md", "b.png") for row in key(one(name, "new", 60))]
    rows += key(one("c.md", "old", -60))
    seen = Seen()
    found = items(rows, documents=lambda name: name.endswith(".md"), seen=seen)
    assert [made.document for made in found] == [True, False]
    assert (seen.there, seen.documents) == (3, 2)


def test_it_streams() -> None:
    """The first item is there before the second key was listed to its end."""
    read = []

    def rows() -> Any:
        for number in range(1000):
            read.append(number)
            yield from key(one(f"{number:04d}", "new", 60))

    stream = plan_items(rows(), Target("as-of", T), Scope("bucket"), versioning="Enabled", documents=bool)
    assert next(stream).key == "0000"
    assert len(read) == 2
