"""One key is brought back, by one request, under its condition: what is there afterwards, and what is never touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from support.one_key import Shelf, shelf_in, shelf_on
from support.s3_servers import S3Server

from vmqlib.runbook.rollback.items import CHANGES, Item
from vmqlib.runbook.rollback.objects import Objects

SERVERS = ["simulator", pytest.param("seaweedfs", marks=pytest.mark.slow)]

KEYS = {
    "spaces": "two  words .md",
    "plus and percent": "a+b%2Bc%.md",
    "hash and question": "a#b?versionId=c&d=e.md",
    "not ASCII": "Ärger/日本語/e\u0301.md",
    "emoji": "😀/🏳️‍🌈.md",
    "newline and control characters": "a\nb\tc\x7f.md",
    "leading slash": "/lead.md",
    "two leading slashes": "//lead.md",
    "trailing slash": "folder/",
    "double slash": "a//b.md",
    "dots": "a/../b/./c.md",
    "quotes and markup": "<a href='x'>\"&amp;.md",
    "1,024 bytes": "ü" * 500 + "x" * 24,
}
# What SeaweedFS does not keep apart or does not take.
NOT_ON_SEAWEEDFS = {
    "leading slash": "drops a leading slash",
    "two leading slashes": "drops leading slashes",
    "double slash": "makes one slash of two",
    "dots": "refuses such keys",
    "trailing slash": "keeps no versions of folders",
}


@pytest.fixture(scope="module")
def simulator_once(start_local_aws: Callable[..., Any]) -> Shelf:
    return shelf_in(start_local_aws(None))


@pytest.fixture(scope="module")
def seaweedfs_once(seaweedfs: S3Server) -> Shelf:
    return shelf_on(seaweedfs)


@pytest.fixture
def simulator_shelf(simulator_once: Shelf) -> Shelf:
    return simulator_once.empty()


@pytest.fixture
def seaweedfs_shelf(seaweedfs_once: Shelf) -> Shelf:
    return seaweedfs_once.empty()


@pytest.fixture(params=SERVERS)
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return request.getfixturevalue(f"{request.param}_shelf")


def test_a_copy_a_delete_and_an_undelete_are_one_request_each(shelf: Shelf) -> None:
    first = shelf.put("k", b"one")
    second = shelf.put("k", b"two")
    item = shelf.inspected("k")
    shelf.s3.asked.clear()
    copied = shelf.objects.apply(item)
    assert shelf.s3.asked == ["PUT key"]
    assert (copied.result, shelf.get("k")) == ("done", b"one")
    assert shelf.history("k") == [copied.version_id, second, first]

    item = shelf.item("k", "DELETE")
    shelf.s3.asked.clear()
    deleted = shelf.objects.apply(item)
    assert shelf.s3.asked == ["DELETE key"]
    assert deleted.result == "done"
    assert shelf.history("k") == [deleted.version_id, copied.version_id, second, first]

    item = shelf.inspected("k", "UNDELETE", back=2)
    shelf.s3.asked.clear()
    back = shelf.objects.apply(item)
    assert shelf.s3.asked == ["PUT key"]
    assert (back.result, shelf.get("k")) == ("done", b"two")
    assert shelf.history("k") == [back.version_id, deleted.version_id, copied.version_id, second, first]


@pytest.mark.parametrize("kind", KEYS)
def test_every_kind_of_key(shelf: Shelf, kind: str) -> None:
    if shelf.server == "seaweedfs" and kind in NOT_ON_SEAWEEDFS:
        pytest.skip(f"SeaweedFS {NOT_ON_SEAWEEDFS[kind]}")
    key = KEYS[kind]
    shelf.put(key, b"one")
    shelf.put(key + ("" if len(key.encode()) == 1024 else "-neighbour"), b"not this one")
    shelf.put(key, b"two!")
    item = shelf.inspected(key, back=len(shelf.history(key)) - 1)
    assert shelf.objects.still_planned([item]) == {key}
    assert shelf.objects.apply(item).result == "done"
    assert shelf.get(key) == b"one"
    assert shelf.objects.still_planned([item]) == set()
    assert shelf.objects.apply(item).result == "found"
    assert shelf.objects.apply(shelf.item(key, "DELETE")).result == "done"
    undelete = shelf.inspected(key, "UNDELETE", back=2)
    assert shelf.objects.still_planned([undelete]) == {key}
    assert shelf.objects.apply(undelete).result == "done"
    assert shelf.get(key) == b"two!"


# A marker that somebody else put on the planned version cannot be told from ours, and nothing is left to do then.
THEIRS = [
    (action, theirs)
    for action in sorted(CHANGES)
    for theirs in ("overwritten", "overwritten twice", "deleted")
    if (action, theirs) != ("DELETE", "deleted")
]


@pytest.mark.parametrize(("action", "theirs"), THEIRS)
def test_what_somebody_else_changed_is_left_alone(shelf: Shelf, action: Any, theirs: str) -> None:
    item = _planned(shelf, action)
    if theirs == "deleted":
        shelf.put("k", b"theirs")
        shelf.delete("k")
    for number in range(theirs.count("overwritten") + theirs.count("twice")):
        shelf.put("k", b"theirs %d" % number)
    before = shelf.history("k")
    assert shelf.objects.still_planned([item]) == set()
    outcome = shelf.objects.apply(item, in_doubt=True)
    assert outcome.result == "changed"
    assert theirs.split(maxsplit=1)[0] in outcome.problem
    assert outcome.version_id == before[0]
    if not (action == "UNDELETE" and theirs == "deleted"):  # a marker again: If-None-Match is met
        assert shelf.objects.apply(item).result == "changed"
        assert shelf.history("k") == before


def _planned(shelf: Shelf, action: Any) -> Item:
    shelf.put("k", b"one")
    if action == "UNDELETE":
        shelf.delete("k")
    else:
        shelf.put("k", b"two")
    return shelf.item("k", "DELETE") if action == "DELETE" else shelf.inspected("k", action)


def test_a_new_version_of_equal_content_is_seen_by_its_id(shelf: Shelf) -> None:
    shelf.put("k", b"one")
    shelf.put("k", b"two")
    item = shelf.inspected("k")
    theirs = shelf.put("k", b"two")  # If-Match cannot see this one
    assert shelf.objects.still_planned([item]) == set()
    outcome = shelf.objects.apply(item, in_doubt=True)
    assert (outcome.result, outcome.version_id) == ("changed", theirs)


@pytest.mark.parametrize("action", sorted(CHANGES))
def test_in_doubt_it_looks_first(shelf: Shelf, action: Any) -> None:
    item = _planned(shelf, action)
    done = shelf.objects.apply(item, in_doubt=True)  # nothing had been done
    assert done.result == "done"
    found = shelf.objects.apply(item, in_doubt=True)
    assert (found.result, found.version_id) == ("found", done.version_id)
    assert (found.etag, len(shelf.history("k"))) == (done.etag, 3)


def test_applied_twice_at_once_it_is_done_once(shelf: Shelf) -> None:
    from concurrent.futures import ThreadPoolExecutor

    item = _planned(shelf, "COPY")
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: shelf.objects.apply(item).result, range(4)))
    assert sorted(results) == ["done", "found", "found", "found"]
    assert len(shelf.history("k")) == 3


def test_what_nobody_has_looked_at_is_looked_at_first(shelf: Shelf) -> None:
    shelf.put("k", b"one", ContentType="text/plain")
    shelf.put("k", b"two")
    item = shelf.item("k", "COPY")
    assert item.properties is None
    shelf.s3.asked.clear()
    assert shelf.objects.apply(item).result == "done"
    assert shelf.s3.asked == ["HEAD key", "PUT key"]
    assert shelf.head("k")["ContentType"] == "text/plain"


def test_a_target_that_expired_meanwhile(shelf: Shelf) -> None:
    first = shelf.put("k", b"one")
    shelf.put("k", b"two")
    item = shelf.inspected("k")
    shelf.client.delete_object(Bucket=shelf.name, Key="k", VersionId=first)
    outcome = shelf.objects.apply(item)
    assert (outcome.result, outcome.code) == ("failed", "missing")
    looked = shelf.objects.inspect(item)
    assert (looked.action, looked.code) == ("BLOCKED", "missing")
    assert shelf.get("k") == b"two"


def test_a_key_of_which_nothing_is_left(shelf: Shelf) -> None:
    item = _planned(shelf, "COPY")
    for version in shelf.history("k"):
        shelf.client.delete_object(Bucket=shelf.name, Key="k", VersionId=version)
    outcome = shelf.objects.apply(item)
    assert outcome.result == "changed"
    assert shelf.history("k") == []


def test_a_null_version_comes_back(shelf: Shelf) -> None:
    if shelf.server == "seaweedfs":
        pytest.skip("SeaweedFS has no null version of what was there before versioning")
    shelf = shelf_in(shelf.local, versioning="")
    shelf.client.put_object(Bucket=shelf.name, Key="k", Body=b"before")
    shelf.versioning("Enabled")
    assert shelf.history("k") == ["null"]
    shelf.put("k", b"after")
    item = shelf.inspected("k")
    assert item.target.version_id == "null"
    assert shelf.objects.apply(item).result == "done"
    assert shelf.get("k") == b"before"


def test_a_null_version_that_was_overwritten_meanwhile(simulator_shelf: Shelf) -> None:
    """Versioning was off for a moment: the id is the same, the content is not."""
    shelf = shelf_in(simulator_shelf.local, versioning="")
    shelf.client.put_object(Bucket=shelf.name, Key="k", Body=b"before")
    shelf.versioning("Enabled")
    shelf.put("k", b"after")
    item = shelf.inspected("k")
    shelf.versioning("Suspended")
    shelf.put("k", b"null again")
    shelf.versioning("Enabled")
    last = shelf.put("k", b"after")
    assert shelf.objects.still_planned([item]) == set()
    current = shelf.objects.look("k")[0]
    assert current.version_id == last
    outcome = shelf.objects.apply(replace(item, current=current))
    assert (outcome.result, outcome.code) == ("failed", "missing")
    assert shelf.get("k") == b"after"
    assert shelf.objects.inspect(item).code == "missing"


def test_nothing_that_changes_nothing_is_applied(simulator_shelf: Shelf) -> None:
    simulator_shelf.put("k")
    item = Item("k", "SKIP", simulator_shelf.objects.look("k")[0])
    with pytest.raises(ValueError, match="SKIP"):
        simulator_shelf.objects.apply(item)
    assert simulator_shelf.objects.inspect(item) is item


def test_no_request_of_the_package_destroys_a_version(project: Path) -> None:
    """A DELETE with a version id is the one request that does: it must not be written anywhere."""
    folder = project / "vmqlib" / "runbook" / "rollback"
    for path in folder.glob("*.py"):
        text = path.read_text()
        for start in _calls(text, '"DELETE"'):
            assert "versionId" not in text[start : start + 200], path
        assert "delete_object" not in text, path  # boto3's, which takes a VersionId
        assert "DeleteObjectVersion" not in text, path
        assert 'query={"delete"' not in text, path  # DeleteObjects


def _calls(text: str, word: str) -> Iterator[int]:
    start = text.find(word)
    while start >= 0:
        yield start
        start = text.find(word, start + 1)


def test_it_asks_for_deletes_without_a_version_only(simulator_shelf: Shelf) -> None:
    """What goes over the wire, whatever is done: never a DELETE that names a version."""
    sent: list[tuple[str, Any]] = []
    send = simulator_shelf.s3.send

    def watching(method: str, key: str = "", **more: Any) -> Any:
        sent.append((method, dict(more.get("query") or {})))
        return send(method, key, **more)

    with patch.object(simulator_shelf.s3, "send", watching):
        simulator_shelf.objects = Objects(simulator_shelf.s3, multipart_above=1)
        item = _planned(simulator_shelf, "COPY")
        simulator_shelf.objects.apply(item)
        simulator_shelf.objects.apply(simulator_shelf.item("k", "DELETE"))
    deletes = [query for method, query in sent if method == "DELETE"]
    assert deletes
    assert not any("versionId" in query for query in deletes)
