"""A plan on the disk: what is read is what was written, or a clear error."""

from __future__ import annotations

import gzip
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmqlib.errors import BadInput, CorruptRecord, StorageError
from vmqlib.runbook.rollback import planfile
from vmqlib.runbook.rollback.items import ACTIONS, NOTHING, Entry, Item, Scope, Target
from vmqlib.runbook.rollback.plan import COLUMNS, Plan, PlanHead

AT = datetime(2026, 11, 20, 10, 0, 0, 250_000, tzinfo=UTC)
HEAD = PlanHead(
    "INC-20261123-001",
    Scope("bucket", "docs/", ("docs/ci/",), ("docs/a", "docs/é")),
    Target("last-good", AT, "As it was when the last good sync began."),
    made_at=AT,
    region="eu-west-1",
    account="012345678901",
    caller="arn:aws:iam::012345678901:user/oncall",
)
NOW = Entry("v2", "2026-11-20T11:00:00.000000Z", False, 7, "e2", "STANDARD")
THEN = Entry("v1", "2026-11-19T11:00:00.000000Z", False, 5, "e1", "STANDARD_IA")
MARKER = Entry("m", "2026-11-20T11:00:00.000000Z", True)
ITEMS = [
    Item("docs/a\n\"<b>'", "COPY", NOW, THEN, properties={"x-amz-storage-class": "STANDARD_IA", "é": "ü"}),
    Item("docs/\x00\u202e😀", "UNDELETE", MARKER, THEN, document=False),
    Item("docs/new", "DELETE", NOW),
    Item("docs/gone", "DELETE", NOW, MARKER),
    Item("docs/same", "SKIP", NOW, THEN, reason="The same content."),
    Item("docs/held", "BLOCKED", NOW, code="ambiguous", reason="Within the second.", remedy="Decide."),
    Item("docs/missing", "BLOCKED", NOTHING, code="missing", reason="Not there.", properties={}),
]

text = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
some = text.filter(bool)
entries = st.one_of(
    st.just(NOTHING),
    st.builds(Entry, some, text, st.just(True)),
    st.builds(Entry, some, text, st.just(False), st.integers(0, 2**50), text, text),
)
any_items = st.builds(
    Item,
    key=text,
    action=st.sampled_from(ACTIONS),
    current=entries,
    target=entries,
    code=text,
    reason=text,
    remedy=text,
    properties=st.none() | st.dictionaries(text, text, max_size=2),
    document=st.booleans(),
)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return planfile.write(tmp_path / "rollback", HEAD, iter(ITEMS))


def test_what_is_read_is_what_was_written(plan: Plan) -> None:
    read = planfile.read(plan.path)
    assert (read.head, read.digest) == (plan.head, plan.digest)
    assert list(read.iter_items()) == ITEMS
    assert read.summary == plan.summary
    assert read.head.counts == {"COPY": 1, "UNDELETE": 1, "DELETE": 2, "SKIP": 1, "BLOCKED": 2}
    assert read.head.blocked == {"ambiguous": 1, "missing": 1}
    assert read.head.bytes == {"COPY": 5, "UNDELETE": 5, "DELETE": 14, "SKIP": 5, "BLOCKED": 7}
    assert read.changes == 4
    assert read.head.scope == HEAD.scope
    assert read.head.target == HEAD.target


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(any_items, max_size=4))
def test_any_item_survives(tmp_path: Path, items: list[Item]) -> None:
    made = planfile.write(tmp_path, HEAD, items)
    assert list(planfile.read(made.path).iter_items()) == items


def test_equal_plans_have_equal_bytes_and_any_change_another_digest(tmp_path: Path, plan: Plan) -> None:
    again = planfile.write(tmp_path / "again", HEAD, ITEMS)
    assert again.path.read_bytes() == plan.path.read_bytes()
    assert again.path.name == plan.path.name == f"plan-{plan.digest[:12]}.jsonl.gz"
    decided = planfile.write(tmp_path, replace(HEAD, ambiguous="include"), ITEMS)
    assert decided.digest != plan.digest
    assert "(include changes within that second)" in planfile.read(decided.path).summary
    assert planfile.write(tmp_path, HEAD, []).summary.endswith(": nothing to do.")
    others = [
        planfile.write(tmp_path, replace(HEAD, of="0" * 64), ITEMS),
        planfile.write(tmp_path, HEAD, ITEMS[1:]),
        planfile.write(tmp_path, HEAD, ITEMS[::-1]),
        planfile.write(tmp_path, HEAD, [replace(ITEMS[0], current=THEN), *ITEMS[1:]]),
        planfile.write(tmp_path, HEAD, []),
    ]
    assert len({one.digest for one in [plan, *others]}) == 6


def test_the_file_is_for_its_owner_only(plan: Plan, tmp_path: Path) -> None:
    elsewhere = plan.copy_to(tmp_path / "plan.gz")
    for path in (plan.path, elsewhere.path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_plan_can_be_carried_about(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("an older one")
    carried = plan.copy_to(tmp_path / "mine")
    assert carried.path == tmp_path / "mine"
    read = planfile.read(tmp_path / "mine")
    assert (read.digest, list(read.iter_items())) == (plan.digest, ITEMS)
    with pytest.raises(BadInput, match="is a folder"):
        plan.copy_to(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["mine"]


def test_items_as_a_frame(plan: Plan) -> None:
    frame = plan.items
    assert list(frame.columns) == list(COLUMNS)
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        name: dtype for name, (dtype, _) in COLUMNS.items()
    }
    assert list(frame["key"]) == [item.key for item in ITEMS]
    assert frame.loc[0, "target_at"].isoformat() == "2026-11-19T11:00:00+00:00"
    assert frame["current_deleted"].tolist() == [False, True, False, False, False, False, False]
    empty = planfile.write(plan.path.parent, HEAD, []).items
    assert empty.dtypes.astype(str).to_dict() == frame.dtypes.astype(str).to_dict()


def test_a_page_shows_keys_as_text(tmp_path: Path) -> None:
    key = "<img src=x onerror=alert(1)>\x1b[2J\u202e"
    scope = replace(HEAD.scope, bucket="<i>b", prefix="<u>")
    items = [Item(name, "COPY", NOW, THEN, document=False) for name in (key, "anna.muster@example.com.md")]
    page = planfile.write(tmp_path, replace(HEAD, scope=scope), items)._repr_html_()
    assert "&lt;img src=x onerror=alert(1)&gt;\\x1b[2J\\u202e" in page
    assert not any(bad in page for bad in ("<img", "<i>", "<u>", "\x1b", "\u202e", "muster"))


# What goes wrong


def test_no_file_is_left_when_the_listing_breaks_off(tmp_path: Path) -> None:
    def broken() -> Iterator[Item]:
        yield ITEMS[0]
        raise OSError("the connection was reset")

    with pytest.raises(OSError, match="connection was reset"):
        planfile.write(tmp_path / "rollback", HEAD, broken())
    assert list((tmp_path / "rollback").iterdir()) == []


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        planfile.write(tmp_path / "file", HEAD, ITEMS)


def unpacked(plan: Plan) -> list[bytes]:
    return gzip.decompress(plan.path.read_bytes()).splitlines(keepends=True)


def edited(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Plan], bytes]:
    return lambda plan: gzip.compress(b"".join(change(unpacked(plan))))


def with_head(change: Callable[[dict[str, object]], object]) -> Callable[[Plan], bytes]:
    def edit(plan: Plan) -> bytes:
        head, *lines = unpacked(plan)
        raw = json.loads(head)
        change(raw)
        return gzip.compress(json.dumps(raw).encode() + b"\n" + b"".join(lines))

    return edit


@pytest.mark.parametrize(
    ("content", "error", "match"),
    [
        (lambda plan: b"", BadInput, "no plan of a rollback"),
        (lambda plan: b"key,action\na,COPY\n", BadInput, "no plan of a rollback"),
        (lambda plan: os.urandom(4096), BadInput, "no plan of a rollback"),
        (lambda plan: gzip.compress(b""), BadInput, "no plan of a rollback"),
        (lambda plan: gzip.compress(b"\x00\xff" * 99), BadInput, "no plan of a rollback"),
        (lambda plan: gzip.compress(b"[" * 100_000), BadInput, "no plan of a rollback"),
        (lambda plan: gzip.compress(b'{"vmq_evidence":1}\n'), BadInput, "no plan of a rollback"),
        (lambda plan: gzip.compress(b"[1]\n"), BadInput, "no plan of a rollback"),
        (lambda plan: gzip.compress(b'{"vmq_plan":1}\n'), CorruptRecord, "no readable head"),
        (with_head(lambda raw: raw.update(vmq_plan=2)), BadInput, "format 2"),
        (with_head(lambda raw: raw.update(digest="0" * 64)), CorruptRecord, "was edited"),
        (with_head(lambda raw: raw["head"].update(incident="other")), CorruptRecord, "was edited"),
        (with_head(lambda raw: raw["head"].pop("scope")), CorruptRecord, "no readable head"),
        (with_head(lambda raw: raw["head"].update(more=1)), CorruptRecord, "no readable head"),
        (with_head(lambda raw: raw["head"].update(made_at="then")), CorruptRecord, "no readable head"),
        (edited(lambda lines: lines[:-1]), CorruptRecord, "7 items"),
        (edited(lambda lines: [*lines, lines[-1]]), CorruptRecord, "7 items"),
        (edited(lambda lines: [lines[0], *lines[:0:-1]]), CorruptRecord, "7 items"),
        (edited(lambda lines: [line.replace(b"v1", b"v3") for line in lines]), CorruptRecord, "7 items"),
        (edited(lambda lines: [*lines[:-1], b"\n"]), CorruptRecord, "7 items"),
        (lambda plan: plan.path.read_bytes()[:-30], CorruptRecord, "cut short"),
        (lambda plan: plan.path.read_bytes()[:20], CorruptRecord, "cut short"),
        (lambda plan: plan.path.read_bytes() + b"more", CorruptRecord, "cut short or damaged"),
    ],
)
def test_anything_else_is_told_apart(
    plan: Plan, tmp_path: Path, content: Callable[[Plan], bytes], error: type[Exception], match: str
) -> None:
    path = tmp_path / "given"
    path.write_bytes(content(plan))
    with pytest.raises(error, match=match) as told:
        planfile.read(path)
    assert told.value.hint


def test_a_cut_anywhere_is_noticed(plan: Plan, tmp_path: Path) -> None:
    whole = plan.path.read_bytes()
    path = tmp_path / "cut"
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        with pytest.raises((BadInput, CorruptRecord)):
            planfile.read(path)


def test_a_flipped_byte_anywhere_is_noticed(plan: Plan, tmp_path: Path) -> None:
    """Except in what gzip itself ignores: such a file still says the same."""
    whole = plan.path.read_bytes()
    path = tmp_path / "flipped"
    for place in range(1, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            read = planfile.read(path)
        except (BadInput, CorruptRecord):
            continue
        assert (read.digest, list(read.iter_items())) == (plan.digest, ITEMS)


def test_a_path_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no plan"):
        planfile.read(tmp_path / "nothing")
    with pytest.raises(BadInput, match="no plan of a rollback"):
        planfile.read(tmp_path)


def test_a_file_that_changes_after_it_was_read(plan: Plan) -> None:
    read = planfile.read(plan.path)
    head, first, *others = unpacked(plan)
    plan.path.write_bytes(gzip.compress(head + b"".join([first, *others[:-1]])))
    with pytest.raises(CorruptRecord, match="7 items"):
        list(read.iter_items())
    with pytest.raises(CorruptRecord):
        read.copy_to(plan.path.parent / "copy")
    assert not (plan.path.parent / "copy").exists()
