"""The apply log on a disk: what it promises, and what it does when it was torn, is locked, or is full."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.apply_fake import FakeObjects, items_of

from vmqlib.errors import BadInput, CorruptRecord, LockHeld, StorageError
from vmqlib.record.storage import sync_file
from vmqlib.runbook.rollback import applylog
from vmqlib.runbook.rollback.applylog import ApplyLog, Head
from vmqlib.runbook.rollback.engine import run
from vmqlib.runbook.rollback.items import Entry, Item
from vmqlib.runbook.rollback.objects import Outcome

HEAD = Head("a" * 64, "INC-20261123-001", "me")
_names = itertools.count()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "apply-aaaaaaaaaaaa.jsonl"


def written(path: Path, count: int = 10) -> bytes:
    """A log of so many items, all of them done; its bytes."""
    items = items_of(count)
    with ApplyLog(path, HEAD) as log:
        log.intend(enumerate(items))
        for number in range(count):
            log.outcome(number, Outcome("done", f"v{number}"))
    return path.read_bytes()


def test_what_was_written_is_read(path: Path) -> None:
    items = items_of(5)
    outcomes = {
        0: Outcome("done", "v0", "e0"),
        1: Outcome("found", "v1"),
        2: Outcome("changed", problem='It was "deleted".\n'),
        3: Outcome("failed", code="archived", problem="p", hint="ü"),
    }
    with ApplyLog(path, HEAD) as log:
        log.intend(enumerate(items))
        for number, outcome in outcomes.items():
            log.outcome(number, outcome)
        log.outcome(9, Outcome("changed"))
        assert (log.state(4), log.state(5), log.state(77)) == ("in-doubt", "none", "none")
        digest = log.digest()
    read = applylog.read(path)
    assert dict(read.outcomes()) == {**outcomes, 9: Outcome("changed")}
    assert read.counts == {"in-doubt": 1, "done": 1, "found": 1, "changed": 2, "failed": 1}
    assert read.outcome(3) == outcomes[3]
    assert read.outcome(4) is None
    assert (read.head.plan, read.head.incident, read.head.actor) == (HEAD.plan, HEAD.incident, "me")
    assert read.sha256 == digest == hashlib.sha256(path.read_bytes()).hexdigest()
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert {"intent": 0, "key": items[0].key, "action": "COPY", "was": "now-0"} in lines


@given(st.lists(st.text(st.characters()), min_size=1, max_size=20))
def test_keys_of_any_kind(tmp_path_factory: pytest.TempPathFactory, keys: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / f"keys-{os.getpid()}-{next(_names)}.jsonl"
    items = [Item(key, "COPY", Entry("v")) for key in keys]
    with ApplyLog(path, HEAD, sync=lambda descriptor: None) as log:
        log.intend(enumerate(items))
        for number in range(len(keys)):
            log.outcome(number, Outcome("done"))
    lines = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    assert [line["key"] for line in lines if "intent" in line] == keys
    assert applylog.read(path).counts == {"done": len(keys)}
    path.unlink()


@pytest.mark.slow
def test_a_log_may_end_at_any_byte(path: Path) -> None:
    """Whatever a kill leaves: reading and going on lose no whole line, and the rest is set aside."""
    whole = written(path, 2)
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        kept = whole[: whole.rfind(b"\n", 0, end) + 1]
        if kept:
            read = applylog.read(path)
            assert read.torn == end - len(kept)
            assert read.counts.get("in-doubt", 0) + read.counts.get("done", 0) == kept.count(b'"intent"')
            assert read.counts.get("done", 0) == kept.count(b'"outcome"')
        else:
            with pytest.raises(CorruptRecord):
                applylog.read(path)
        with ApplyLog(path, HEAD) as log:
            assert log.counts.get("done", 0) == kept.count(b'"outcome"')
        assert path.read_bytes().startswith(kept)
        assert not applylog.read(path).torn
        aside = path.with_name(f"{path.name}.torn-1")
        assert (aside.read_bytes() if aside.exists() else b"") == whole[len(kept) : end]
        aside.unlink(missing_ok=True)


def test_zeros_of_a_file_system_that_lost_its_power(path: Path) -> None:
    whole = written(path, 4)
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + bytes(100) + b"".join(lines[5:]))
    assert applylog.read(path).torn > 0
    with ApplyLog(path, HEAD) as log:
        assert log.counts == {"in-doubt": 2}


@pytest.mark.parametrize("line", [b"{}", b"nonsense", b'{"outcome":1,"result":"perhaps"}', b'{"at":1}'])
def test_a_damaged_line_is_not_passed_over(path: Path, line: bytes) -> None:
    lines = written(path).splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], line + b"\n", *lines[3:]]))
    with pytest.raises(CorruptRecord):
        applylog.read(path)
    with pytest.raises(CorruptRecord):
        ApplyLog(path, HEAD)
    applylog.unlocked(path.parent)


def test_another_plan_or_incident(path: Path) -> None:
    written(path)
    for head in (replace(HEAD, plan="b" * 64), replace(HEAD, incident="INC-2")):
        with pytest.raises(BadInput, match="another plan"):
            ApplyLog(path, head)
    with ApplyLog(path, replace(HEAD, actor="you")):
        pass
    assert [who for who, _ in applylog.read(path).resumed] == ["you"]


_HOLD = """
import sys
from pathlib import Path
from vmqlib.runbook.rollback.applylog import ApplyLog, Head
with ApplyLog(Path(sys.argv[1]), Head("p")):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_apply_at_a_time(path: Path) -> None:
    """Of the same plan, or of any other in the incident; a process that is killed holds nothing."""
    other = path.with_name("apply-bbbbbbbbbbbb.jsonl")
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        for one in (path, other):
            with pytest.raises(LockHeld) as raised:
                ApplyLog(one, Head("p"))
            assert raised.value.exit_code == 4
        with pytest.raises(LockHeld):
            applylog.unlocked(path.parent)
        assert applylog.read(path).head.plan == "p"  # reading needs no lock
    finally:
        holder.kill()
        holder.communicate()
    applylog.unlocked(path.parent)
    with ApplyLog(path, Head("p")):
        pass


def test_a_full_disk_stops_it_and_nothing_leaves_without_an_intent(path: Path) -> None:
    room = [3]

    def sync(descriptor: int) -> None:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= 1
        sync_file(descriptor)

    items = items_of(1000)
    objects = FakeObjects(items, takes=0.0005)
    with ApplyLog(path, HEAD, sync=sync) as log:
        tally = run(items, objects, log)
        assert isinstance(tally.error, StorageError)
        assert "full" in tally.error.message
        assert tally.done == len(objects.applied) > 0
        assert tally.left > 0
        room[0] = 1  # what was in flight can be told after all
    read = applylog.read(path)
    intended = {json.loads(line).get("key") for line in path.read_bytes().splitlines()}
    assert set(objects.sent) <= intended
    assert read.counts["done"] == tally.done
    with ApplyLog(path, HEAD) as log:
        assert run(items, objects, log).left == 0
    assert set(objects.applied.values()) == {1}


_LIMITED = """
import resource, signal, sys
from pathlib import Path
from support.apply_fake import FakeObjects, items_of
from vmqlib.runbook.rollback.applylog import ApplyLog, Head
from vmqlib.runbook.rollback.engine import run

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
items = items_of(500)
objects = FakeObjects(items, takes=0.0005)
with ApplyLog(Path(sys.argv[1]), Head("p")) as log:
    tally = run(items, objects, log)
print(tally.done, tally.left, len(objects.applied), type(tally.error).__name__)
"""


@pytest.mark.parametrize("room", [20_000, 33_333])
def test_a_write_that_only_half_fits_is_taken_back(path: Path, project: Path, room: int) -> None:
    """The operating system writes what fits of a group, then refuses: none of it counts, nothing was sent for it."""
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(path), str(room)],
        env={**os.environ, "PYTHONPATH": str(project / "tests")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    finished, left, applied, error = done.stdout.split()
    assert error == "StorageError"
    assert int(finished) == int(applied) > 0
    assert int(left) > 0
    assert path.stat().st_size <= room
    read = applylog.read(path)
    assert read.torn == 0
    # Outcomes that found no room any more are in doubt: a resume looks.
    assert read.counts["done"] <= int(finished) <= read.counts["done"] + read.counts.get("in-doubt", 0)


def test_a_disk_without_room_for_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "apply-x.jsonl"
    with pytest.raises(StorageError):
        ApplyLog(path, HEAD, sync=_full)
    assert path.read_bytes() == b""
    with ApplyLog(path, HEAD):
        pass


def _full(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_outcomes_that_the_disk_refuses_at_the_end_are_told(path: Path) -> None:
    full: list[bool] = []
    log = ApplyLog(path, HEAD, sync=lambda descriptor: _full(descriptor) if full else None)
    log.intend([(0, items_of(1)[0])])
    log.outcome(0, Outcome("done"))
    full.append(True)
    with pytest.raises(StorageError):
        log.close()
    applylog.unlocked(path.parent)
    assert applylog.read(path).counts == {"in-doubt": 1}


def test_many_threads_share_a_write(path: Path) -> None:
    """Group commit: while one waits for the disk, the others' lines gather, and the next takes all of them."""
    first, go, syncs = threading.Event(), threading.Event(), []

    def sync(descriptor: int) -> None:
        syncs.append(os.fstat(descriptor).st_size)
        if len(syncs) == 2:
            first.set()
            go.wait(60)

    items = items_of(50)
    with ApplyLog(path, HEAD, sync=sync) as log:
        threads = [threading.Thread(target=log.intend, args=([(n, item)],)) for n, item in enumerate(items)]
        threads[0].start()
        assert first.wait(60)
        for thread in threads[1:]:
            thread.start()
        while log.counts["in-doubt"] < 50:
            time.sleep(0.001)
        go.set()
        for thread in threads:
            thread.join()
        assert len(syncs) <= 4  # the head, the first, and all the others
    assert applylog.read(path).counts == {"in-doubt": 50}


def test_when_the_shared_write_fails_every_one_of_them_is_told(path: Path) -> None:
    first, go, calls = threading.Event(), threading.Event(), itertools.count()

    def sync(descriptor: int) -> None:
        if next(calls) == 1:
            first.set()
            go.wait(60)
            raise OSError(errno.EIO, "input/output error")

    items = items_of(20)
    told: list[Exception] = []

    def intend(number: int) -> None:
        try:
            log.intend([(number, items[number])])
        except StorageError as error:
            told.append(error)

    with ApplyLog(path, HEAD, sync=sync) as log:
        threads = [threading.Thread(target=intend, args=(n,)) for n in range(20)]
        threads[0].start()
        assert first.wait(60)
        for thread in threads[1:]:
            thread.start()
        go.set()
        for thread in threads:
            thread.join()
    assert len(told) == 20
    assert applylog.read(path).counts == {}


def test_no_log(path: Path) -> None:
    with pytest.raises(StorageError):
        applylog.read(path)
    path.write_bytes(b"")
    with pytest.raises(CorruptRecord):
        applylog.read(path)
    path.write_bytes(b'{"seq":1}\n')
    with pytest.raises(CorruptRecord):
        ApplyLog(path, HEAD)
