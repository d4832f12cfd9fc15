"""The journal: a chain that several may write to and nobody can change unnoticed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmqlib.errors import BadInput, CorruptRecord, LockHeld
from vmqlib.record.events import Noted
from vmqlib.record.journal import Entry, Journal

APPENDER = Path(__file__).with_name("appender.py")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def appender(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(APPENDER), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_each_event_is_chained_to_the_one_before(journal: Journal) -> None:
    for n in range(3):
        journal.append("noted", f"remark {n}", step="triage", data={"n": n})
    lines = journal.path.read_bytes().splitlines()
    previous = "0" * 64
    for n, line in enumerate(lines, 1):
        event = json.loads(line)
        assert (event["seq"], event["prev"], event["at"]) == (n, previous, "2026-11-23T09:00:00.000000Z")
        claimed = event.pop("hash")
        body = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(body.encode()).hexdigest() == claimed
        previous = claimed
    report = journal.verify()
    assert (report.ok, report.events, report.last_hash) == (True, 3, previous)


def test_events_come_back_typed(journal: Journal) -> None:
    journal.append("failed", "no", data={"source": "sync-jobs", "problem": "denied", "more": [1, None]})
    (event,) = journal.events()
    assert event.kind == "failed"
    assert event.data.source == "sync-jobs"
    assert event.data.model_extra == {"more": [1, None]}


@given(st.lists(st.tuples(st.text(), st.dictionaries(st.text(), JSON, max_size=3)), min_size=1, max_size=5))
def test_whatever_is_appended_is_read_back_and_verifies(
    tmp_path_factory: pytest.TempPathFactory, remarks: list[tuple[str, dict[str, object]]]
) -> None:
    journal = Journal(tmp_path_factory.mktemp("j") / "journal.jsonl")
    remarks = [(text, {f"x{key}": value for key, value in data.items()}) for text, data in remarks]
    written = journal.append_many(Entry("noted", text, data=data) for text, data in remarks)
    assert list(journal.events()) == written
    assert [(event.summary, event.data.model_extra) for event in written] == remarks
    assert journal.verify().ok
    assert Journal(journal.path).append("noted", "and another").seq == len(remarks) + 1


def test_text_that_utf8_cannot_hold_is_kept(journal: Journal) -> None:
    journal.append("noted", "half a character: \ud83d", data={"x": "\udc00"})
    assert journal.verify().ok
    (event,) = journal.events()
    assert event.summary.endswith("\ud83d")


@pytest.mark.parametrize("data", [{"torn": "no list"}, {"x": object()}])
def test_data_that_the_kind_does_not_take_is_refused(journal: Journal, data: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        journal.append("noted", "x", data=data)
    assert not journal.path.exists() or not journal.path.read_bytes()


def test_an_unknown_kind_is_refused(journal: Journal) -> None:
    with pytest.raises(BadInput, match="Kinds are opened, observed"):
        journal.append("guessed", "x")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def three_events(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    journal = Journal(tmp_path_factory.mktemp("three") / "journal.jsonl")
    journal.append("noted", "first ü", data={"text": 'quotes " and \\ and \n'})
    journal.append("phase", "second", data={"phase": "triage"})
    journal.append("noted", "third")
    return journal.path.read_bytes()


@given(st.data())
def test_no_byte_can_be_changed_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, three_events: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(three_events) - 1))
    new = data.draw(st.integers(0, 255).filter(lambda value: value != three_events[at]))
    report = changed_journal(
        tmp_path_factory, three_events[:at] + bytes([new]) + three_events[at + 1 :]
    ).verify()
    assert not report.ok
    assert report.bad_seq == three_events[:at].count(b"\n") + 1
    assert report.reason


@given(st.data())
def test_no_line_can_be_removed_repeated_or_moved_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, three_events: bytes, data: st.DataObject
) -> None:
    lines = three_events.splitlines(keepends=True)
    order = data.draw(st.lists(st.sampled_from(range(3)), min_size=1, max_size=5))
    if order not in (
        [0],
        [0, 1],
        [0, 1, 2],
    ):  # a shorter chain is a chain: the manifest of a closed incident tells
        assert not changed_journal(tmp_path_factory, b"".join(lines[n] for n in order)).verify().ok


def changed_journal(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> Journal:
    path = tmp_path_factory.mktemp("changed") / "journal.jsonl"
    path.write_bytes(content)
    return Journal(path)


def test_every_torn_last_line_is_set_aside_whole_and_noted(tmp_path: Path, three_events: bytes) -> None:
    kept = three_events[: three_events.rindex(b"\n", 0, -1) + 1]
    for length in range(1, len(three_events) - len(kept)):
        folder = tmp_path / str(length)
        folder.mkdir()
        journal = Journal(folder / "journal.jsonl")
        torn = three_events[len(kept) : len(kept) + length]
        journal.path.write_bytes(kept + torn)
        assert not journal.verify().ok
        assert journal.torn() == length
        assert [event.seq for event in journal.events()] == [1, 2]
        assert journal.append("noted", "go on").seq == 4
        assert (folder / "journal.torn-1").read_bytes() == torn
        *_, note, _ = journal.events()
        assert isinstance(note, Noted)
        assert note.data.torn == ["journal.torn-1"]
        assert journal.path.read_bytes().startswith(kept)
        assert journal.verify().ok


@pytest.mark.parametrize(
    "rubbish", [b"\0" * 5000, b"\0\0\n", b"{}\n", b'"text"\n', b"\xff\xfe\n\xff", b"\n\n"]
)
def test_rubbish_at_the_end_is_set_aside(journal: Journal, rubbish: bytes) -> None:
    journal.append("noted", "good")
    good = journal.path.read_bytes()
    journal.path.write_bytes(good + rubbish)
    assert Journal(journal.path).append("noted", "next").seq == 3
    assert journal.path.with_name("journal.torn-1").read_bytes() == rubbish
    assert journal.verify().ok


def test_a_second_torn_line_gets_its_own_file(journal: Journal) -> None:
    for n in (1, 2):
        journal.append("noted", "good")
        with journal.path.open("ab") as file:
            file.write(b'{"torn":' + b"x" * n)
    journal.append("noted", "good")
    torn = sorted(path.name for path in journal.path.parent.glob("journal.torn-*"))
    assert torn == ["journal.torn-1", "journal.torn-2"]
    assert [
        event.data.torn for event in journal.events() if isinstance(event, Noted) and event.data.torn
    ] == [
        ["journal.torn-1"],
        ["journal.torn-2"],
    ]


def test_a_crash_between_setting_aside_and_noting_is_made_good(journal: Journal) -> None:
    journal.append("noted", "good")
    journal.path.with_name("journal.torn-1").write_bytes(b'{"to')
    assert Journal(journal.path).append("noted", "next").seq == 3
    assert list(journal.events())[1].data.torn == ["journal.torn-1"]  # type: ignore[union-attr]


def test_a_file_that_is_no_journal_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"dear diary\ntoday\n")
    with pytest.raises(CorruptRecord, match="not a journal"):
        Journal(path).append("noted", "x")
    assert path.read_bytes() == b"dear diary\ntoday\n"


def test_a_changed_last_event_stops_the_next_append(journal: Journal) -> None:
    journal.append("noted", "it was him")
    journal.path.write_bytes(journal.path.read_bytes().replace(b"him", b"her"))
    for again in (journal, Journal(journal.path)):
        with pytest.raises(CorruptRecord, match="was changed"):
            again.append("noted", "next")


def test_a_journal_that_was_cut_or_replaced_behind_us_is_refused(tmp_path: Path) -> None:
    ours, other = Journal(tmp_path / "journal.jsonl"), Journal(tmp_path / "other.jsonl")
    for n in range(4):
        ours.append("noted", f"ours {n}")
        other.append("noted", f"other {n}")
    whole = ours.path.read_bytes()
    ours.path.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 1])
    with pytest.raises(CorruptRecord, match="became shorter"):
        ours.append("noted", "next")
    ours.path.write_bytes(other.path.read_bytes() * 2)
    with pytest.raises(CorruptRecord, match="changed behind"):
        ours.append("noted", "next")
    ours.path.unlink()
    with pytest.raises(CorruptRecord, match="is gone"):
        ours.append("noted", "next")


def test_who_holds_the_lock_is_named(journal: Journal) -> None:
    journal.append("noted", "x")
    impatient = Journal(journal.path, patience=0.0)
    with journal.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(LockHeld, match="Another process is writing") as caught:
            impatient.append("noted", "y")
    assert caught.value.exit_code == 4
    if Path("/proc/locks").exists():
        assert "(process " in caught.value.message
    assert impatient.append("noted", "y").seq == 2


def test_threads_of_one_process_take_turns(journal: Journal) -> None:
    def work() -> None:
        for _ in range(20):
            journal.append("noted", "x")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.verify().events == 80
    assert journal.verify().ok


def test_two_processes_append_to_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    ours = Journal(path)
    ours.append("noted", "from the test")
    acknowledged: list[int] = []
    with appender(path) as one, appender(path) as two:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until both stand at the door
            for process in (one, two):
                assert process.stdin
                assert process.stdout
                process.stdin.write("20 200\n")
                process.stdin.flush()
                assert process.stdout.readline().startswith("pid")
        for process in (one, two):
            output, _ = process.communicate(timeout=60)
            acknowledged += [int(line.split()[1]) for line in output.splitlines() if line.startswith("ack")]
    assert sorted(acknowledged) == list(range(2, 402))
    assert ours.append("noted", "and again").seq == 402
    writers = [event.summary for event in ours.events()][1:-1]
    assert sum(a != b for a, b in pairwise(writers)) > 1, "they took turns"
    assert ours.verify().ok


def test_nothing_acknowledged_is_lost_when_a_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    with appender(path) as process:
        for kill in range(36):
            last = append_until_killed(process, size=(50, 5_000, 400_000)[kill % 3], acknowledged=kill % 7)
            events = list(journal.events())
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert len(events) >= last
    journal.append("noted", "after all that")
    assert journal.verify().ok


def append_until_killed(process: subprocess.Popen[str], size: int, acknowledged: int) -> int:
    """Kills the child at some moment after so many events; gives the last one that it was sure of."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{size} 0\n")
    process.stdin.flush()
    pid = int(process.stdout.readline().split()[1])
    last = count = 0
    while (line := process.stdout.readline()) != "ended\n":
        last, count = int(line.split()[1]), count + 1
        if count == acknowledged + 1:
            os.kill(pid, signal.SIGKILL)
    return last
