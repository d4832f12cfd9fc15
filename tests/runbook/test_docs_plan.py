"""Folder against bucket, the rules alone: for any tree and any bucket, what is planned makes the one like the other."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from vmqlib.runbook.docsync.plan import DocPlan
from vmqlib.runbook.docsync.planning import HOUSEKEEPING, decide
from vmqlib.runbook.docsync.walking import Document, Walk, hidden
from vmqlib.runbook.objectcontent import Content
from vmqlib.runbook.rollback.items import Entry

NAMES = st.sampled_from(
    [
        "a.md",
        "b.md",
        "g/a.md",
        "g/b c.md",
        "ci/x.md",
        "audit/y.md",
        "_staging/z.md",
        "hr/pay.md",
        "link/p.md",
        "é.md",
    ]
)
BODIES = st.sampled_from([b"", b"one", b"two"])
PREFIXES = st.sampled_from(["", "docs/", "docs/deep/"])
MARKER = b"deleted"


def entry(body: bytes, number: int) -> Entry:
    if body == MARKER:
        return Entry(f"v{number}", "2026-11-23T10:00:00.000000Z", is_delete_marker=True)
    content = Content.of(body)
    return Entry(f"v{number}", "2026-11-23T10:00:00.000000Z", False, content.size, content.md5, "STANDARD")


@given(
    tree=st.dictionaries(NAMES, BODIES, min_size=1),
    broken=st.sets(NAMES),
    bucket=st.dictionaries(NAMES, st.one_of(BODIES, st.just(MARKER))),
    prefix=PREFIXES,
    delete=st.booleans(),
)
def test_after_the_plan_the_scope_is_like_the_folder(
    tree: dict[str, bytes], broken: set[str], bucket: dict[str, bytes], prefix: str, delete: bool
) -> None:
    problems = dict.fromkeys(broken, "a link that leads out of the folder")
    documents = tuple(
        Document(name, None if name in problems else Content.of(body), problems.get(name, ""))
        for name, body in sorted(tree.items())
    )
    exclude = HOUSEKEEPING
    there = {
        prefix + name: entry(body, number)
        for number, (name, body) in enumerate(sorted(bucket.items()))
        if not (prefix + name).startswith(exclude) and not hidden(name)
    }
    same: dict[str, bool | None] = {
        prefix + one.path: found.etag == one.content.md5
        for one in documents
        if one.content and (found := there.get(prefix + one.path)) and not found.is_delete_marker
    }
    items, unchanged, gone = decide(
        Walk(Path("/"), documents, ("link/",)),
        there,
        same,
        prefix=prefix,
        exclude=exclude,
        forbids=lambda key: "hr/" if key.startswith(f"{prefix}hr/") else "",
        delete=delete,
    )
    after = {key: found.etag for key, found in there.items() if not found.is_delete_marker}
    before = dict(after)
    for item in items:
        assert item.key.startswith(prefix)
        assert item.current == there.get(item.key, Entry())
        if item.action in ("ADD", "UPDATE"):
            assert item.content is not None
            assert (item.action == "ADD") == (item.key not in after)
            assert after.get(item.key) != item.content.md5, "what is the same is not written again"
            after[item.key] = item.content.md5
        elif item.action == "DELETE":
            assert delete
            del after[item.key]
        else:
            assert item.reason
    held = {item.key for item in items if item.action == "HELD"}
    may = {
        prefix + one.path: one.content.md5
        for one in documents
        if one.content and prefix + one.path not in held
    }
    untouchable = {key for key in before if key in held}
    expected = may | {key: before[key] for key in untouchable}
    if not delete:
        expected |= {key: before[key] for key in gone}
    assert after == expected
    assert unchanged == sum(1 for key, md5 in may.items() if before.get(key) == md5)
    # Never housekeeping, never what is forbidden, never what may be behind a link.
    touched = {item.key for item in items if item.action != "HELD"}
    assert not [key for key in touched if key.startswith(exclude)]
    assert not [item.key for item in items if item.action in ("ADD", "UPDATE") and "hr/" in item.key]
    assert not [item.key for item in items if item.action == "DELETE" and f"{prefix}link/" in item.key]


def test_deleting_more_than_15_percent_is_most() -> None:
    def made(deleted: int, in_scope: int) -> DocPlan:
        from vmqlib.runbook.docsync.plan import DocItem

        items = tuple(DocItem(f"{number}.md", "DELETE") for number in range(deleted))
        return DocPlan(Path("/"), "docs", "b", "", (), True, items, in_scope=in_scope)

    assert not made(0, 0).deletes_most
    assert not made(15, 100).deletes_most
    assert made(16, 100).deletes_most
    assert made(1, 1).deletes_most


def test_the_frame_and_the_digest() -> None:
    from vmqlib.runbook.docsync.plan import COLUMNS, DocItem

    items = (
        DocItem("a.md", "ADD", "a.md", Content.of(b"x")),
        DocItem("b.md", "DELETE", current=entry(b"y", 1)),
    )
    made = DocPlan(Path("/"), "docs", "b", "", (), True, items, in_scope=9)
    frame = made.items_frame
    assert list(frame.columns) == list(COLUMNS)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        name: kind for name, (kind, _) in COLUMNS.items()
    }
    other = DocPlan(Path("/elsewhere"), "docs", "b", "", (), True, items, in_scope=9)
    assert made.digest == other.digest, "where the files lie is not what is approved"
    changed = DocPlan(Path("/"), "docs", "b", "", (), True, items[:1], in_scope=9)
    assert made.digest != changed.digest
