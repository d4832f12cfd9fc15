"""A capture brings every event of the window once, in order, whatever pages look like and whatever interrupts it."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from support.stub_aws import Answer, Asked, StubAws, error
from support.stub_logs import StubLogs, event, events

from vmqlib.aws import Aws, InvalidRequest
from vmqlib.errors import AccessDenied, BadInput, LockHeld, ResourceMissing, StorageError, Throttled
from vmqlib.settings import Settings
from vmqlib.sources.logs import Capture, CaptureProgress, LogQuery, capture, default_out
from vmqlib.times import Window

GROUP = "/aws/qbusiness/0c7e6f0a-91b2-4d5e-8f3a-b6c4d2e1f0a9"
SOURCE = "9d1f4a7c-3b2e-4f6a-8c5d-e0b1a2c3d4f5"
SINCE = datetime(2026, 11, 22, 12, tzinfo=UTC)
FIRST = int(SINCE.timestamp() * 1000)
REPORT = f"SYNC_RUN_HISTORY_REPORT/{SOURCE}/a1b2c3d4-0000-4000-8000-000000000001"


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def ids(path: Path) -> list[str]:
    return [line["event_id"] for line in lines(path)]


def in_order(*streams: list[dict[str, Any]]) -> list[str]:
    return [one["eventId"] for one in sorted(chain(*streams), key=lambda one: one["timestamp"])]


@pytest.fixture
def grab(aws: Aws, settings: Settings, window: Window, tmp_path: Path) -> Callable[..., Capture]:
    def run(
        query: LogQuery | None = None, out: Path = tmp_path / "out", redact: Any = str, **more: Any
    ) -> Capture:
        query = query or LogQuery.of_data_source(settings, SOURCE, window)
        return capture(aws, settings, query, out, redact, **({"patience_s": (0, 0)} | more))

    return run


def three_streams() -> dict[str, list[dict[str, Any]]]:
    """Three streams, interleaved in time, each longer than a page."""
    return {f"{SOURCE}/{i}": events(f"{SOURCE}/{i}", 350, FIRST + i, start=1000 * i) for i in range(3)}


@pytest.mark.parametrize(
    "pages",
    [
        {},
        {"empty_every": 1},
        {"empty_every": 2, "page": 7},
        {"overlap": 13},
        {"shuffle": 3},
        {"shuffle": 5, "overlap": 40, "empty_every": 1},
        {"page": 10_000},
    ],
    ids=str,
)
def test_every_event_once_and_in_order(stub: StubAws, grab: Callable[..., Capture], pages: Any) -> None:
    logs = StubLogs(stub, three_streams(), group=GROUP, **pages)
    found = grab()
    path = found.out / "connector-log.jsonl.gz"
    assert ids(path) == in_order(*logs.streams.values())
    assert found.complete
    assert found.events == 1050
    assert (found.first, found.last) == (SINCE, SINCE + timedelta(milliseconds=3490 + 2))
    assert not (found.out / ".partial").exists()


def test_a_line_has_all_that_aws_said(stub: StubAws, grab: Callable[..., Capture]) -> None:
    stream = f"{SOURCE}/ä b"
    text = 'a "quoted"\tline\\ with \x07 and 🙈 and \ud800'
    StubLogs(stub, {stream: [event(7, FIRST + 5, stream, text)]}, group=GROUP)
    found = grab()
    assert lines(found.out / "connector-log.jsonl.gz") == [
        {
            "at": "2026-11-22T12:00:00.005000Z",
            "event_id": f"{7:056d}",
            "stream": stream,
            "ingested_at": "2026-11-22T12:00:00.705000Z",
            "message": text,
        }
    ]


def test_only_this_data_sources_streams_within_the_window(
    stub: StubAws, grab: Callable[..., Capture]
) -> None:
    other = "ffffffff-3b2e-4f6a-8c5d-e0b1a2c3d4f5/x"
    mine = f"{SOURCE}/x"
    last = FIRST + 24 * 3_600_000
    StubLogs(
        stub,
        {
            mine: [event(i, at, mine) for i, at in enumerate([FIRST - 1, FIRST, last, last + 1])],
            other: events(other, 5, FIRST, start=100),
            "EVENT_LOGS/a": events("EVENT_LOGS/a", 5, FIRST, start=200),
        },
        group=GROUP,
    )
    found = grab()
    assert ids(found.out / "connector-log.jsonl.gz") == [f"{1:056d}", f"{2:056d}"]
    assert not (found.out / "conversation-log.jsonl.gz").exists()


def test_the_conversation_log_only_when_it_is_asked_for(
    stub: StubAws, grab: Callable[..., Capture], settings: Settings, window: Window
) -> None:
    StubLogs(stub, {"EVENT_LOGS/a": events("EVENT_LOGS/a", 5, FIRST)}, group=GROUP)
    found = grab(LogQuery.of_data_source(settings, SOURCE, window, conversation=True))
    assert len(lines(found.out / "conversation-log.jsonl.gz")) == 5


def test_two_events_of_one_millisecond_are_two(stub: StubAws, grab: Callable[..., Capture]) -> None:
    stream = f"{SOURCE}/x"
    StubLogs(stub, {stream: [event(i, FIRST, stream, "same") for i in range(250)]}, group=GROUP, overlap=30)
    found = grab()
    assert ids(found.out / "connector-log.jsonl.gz") == [f"{i:056d}" for i in range(250)]
    assert found.parts[0].duplicates == 60


def test_a_server_without_event_ids(stub: StubAws, grab: Callable[..., Capture]) -> None:
    stream = f"{SOURCE}/x"
    rows = [event(i, FIRST + i // 2, stream, f"line {i // 2}") for i in range(20)]
    for row in rows:
        del row["eventId"]
    logs = StubLogs(stub, {stream: rows}, group=GROUP)
    logs.filter = lambda asked: Answer({"events": rows if asked.values["startTime"] <= FIRST else []})  # type: ignore[method-assign]
    stub.on["FilterLogEvents"] = logs.filter
    first, again = grab(), grab()
    assert len(lines(first.out / "connector-log.jsonl.gz")) == 20
    assert ids(first.out / "connector-log.jsonl.gz") == ids(again.out / "connector-log.jsonl.gz")


def test_thousands_of_streams_take_few_calls(stub: StubAws, grab: Callable[..., Capture]) -> None:
    names = [f"{SOURCE}/{i:05d}" for i in range(2500)]
    logs = StubLogs(
        stub, {name: events(name, 2, FIRST + i, start=2 * i) for i, name in enumerate(names)}, group=GROUP
    )
    found = grab()
    assert sorted(ids(found.out / "connector-log.jsonl.gz")) == sorted(in_order(*logs.streams.values()))
    asked = [one for one in stub.asked if one.operation == "FilterLogEvents"]
    assert len(asked) < 100
    assert max(len(one.values["logStreamNames"]) for one in asked) <= 100
    assert found.parts[0].streams == 2500


def test_every_message_is_redacted_before_it_reaches_the_disk(
    stub: StubAws, grab: Callable[..., Capture], tmp_path: Path
) -> None:
    stream = f"{SOURCE}/x"
    held = threading.Event()

    def stop_after_some(asked: Asked) -> Answer | None:
        if asked.values.get("nextToken") == "300":
            held.set()
            return error("AccessDeniedException")
        return None

    rows = [event(i, FIRST + i, stream, f"password hunter2 {i}") for i in range(400)]
    StubLogs(stub, {stream: rows}, group=GROUP, before=stop_after_some)
    found = grab(redact=lambda text: text.replace("hunter2", "[password]"))
    assert held.is_set()
    assert not found.complete
    assert (found.out / ".partial").exists()
    for path in found.out.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"hunter2" not in (gzip.decompress(data) if path.suffix == ".gz" else data)


def test_failing_documents_are_grouped(stub: StubAws, grab: Callable[..., Capture]) -> None:
    def report(number: int, document: str, status: str, said: str = "") -> dict[str, Any]:
        message = {
            "LogLevel": "Error" if said else "Info",
            "DocumentId": document,
            "SourceUri": f"https://bucket/{document}",
            "ConnectorDocumentStatus": {"Status": status},
        }
        message |= {"ErrorCode": "InvalidEncoding", "ErrorMsg": said} if said else {}
        return event(number, FIRST + number * 1000, REPORT, json.dumps(message))

    rows = [
        report(0, "a.md", "FAILED", "a.md is not UTF-8 (byte 17)"),
        report(1, "b.md", "FAILED", "b.md is not UTF-8 (byte 4)"),
        report(2, "c.md", "SUCCESS"),
        report(3, "a.md", "FAILED", "a.md is not UTF-8 (byte 17)"),
        report(4, "d.md", "FAILED", "d.md is empty"),
    ]
    StubLogs(stub, {REPORT: rows}, group=GROUP)
    found = grab()
    encoding, empty = found.failures
    assert (encoding.error, encoding.documents, encoding.reports) == (
        "InvalidEncoding: <name> is not UTF-8 (byte N)",
        2,
        3,
    )
    assert (encoding.first_seen, encoding.last_seen) == (
        "2026-11-22T12:00:00.000000Z",
        "2026-11-22T12:00:03.000000Z",
    )
    assert encoding.examples == ("https://bucket/a.md", "https://bucket/b.md")
    assert empty.documents == 1
    summary = json.loads((found.out / "summary.json").read_text())
    assert [one["documents"] for one in summary["failing_documents"]] == [2, 1]
    assert (summary["events"], summary["complete"]) == (5, True)


# What AWS may refuse


def test_a_missing_log_group_says_how_it_comes_to_be(stub: StubAws, grab: Callable[..., Capture]) -> None:
    StubLogs(stub, {}, group="/another")
    with pytest.raises(ResourceMissing, match=f"Log group {GROUP} does not exist") as caught:
        grab()
    assert "SYNC_JOB_LOGS" in caught.value.hint


def test_a_further_group_that_is_missing_does_not_keep_the_rest_away(
    stub: StubAws, grab: Callable[..., Capture], window: Window
) -> None:
    settings = Settings.load(
        app_id=GROUP.rsplit("/", 1)[-1], ds_id=SOURCE, log_groups=("/aws/lambda/no-sync",)
    )
    StubLogs(stub, three_streams(), group=GROUP)
    found = grab(LogQuery.of_data_source(settings, SOURCE, window))
    assert {part.name: part.complete for part in found.parts} == {
        "connector-log": True,
        "document-report": True,
        "aws-lambda-no-sync": False,
    }
    assert isinstance(found.problem, ResourceMissing)
    assert "/aws/lambda/no-sync" in found.parts[2].stopped
    assert not found.complete


def test_a_denial(stub: StubAws, grab: Callable[..., Capture]) -> None:
    streams = three_streams() | {REPORT: events(REPORT, 3, FIRST)}
    StubLogs(stub, streams, group=GROUP, before=lambda asked: error("AccessDeniedException"))
    with pytest.raises(AccessDenied, match="logs:FilterLogEvents"):
        grab()


def test_a_bad_filter_pattern(
    stub: StubAws, grab: Callable[..., Capture], settings: Settings, window: Window
) -> None:
    StubLogs(
        stub,
        three_streams() | {REPORT: events(REPORT, 3, FIRST)},
        group=GROUP,
        before=lambda asked: error("InvalidParameterException", 400, f"bad {asked.values['filterPattern']}"),
    )
    with pytest.raises(InvalidRequest, match=r"bad \{"):
        grab(LogQuery.of_data_source(settings, SOURCE, window, pattern="{ $.x"))


def test_throttling_is_waited_out(stub: StubAws, grab: Callable[..., Capture]) -> None:
    turn = iter(range(10_000))
    StubLogs(
        stub,
        three_streams(),
        group=GROUP,
        # Two of three requests are throttled; a page that came resets the patience of two.
        before=lambda asked: error("ThrottlingException") if next(turn) % 3 else None,
    )
    assert len(ids(grab(workers=1).out / "connector-log.jsonl.gz")) == 1050


def test_throttling_without_end_keeps_what_was_read_and_goes_on_later(
    stub: StubAws, grab: Callable[..., Capture]
) -> None:
    logs = StubLogs(stub, three_streams(), group=GROUP)
    logs.before = lambda asked: (
        error("ThrottlingException") if int(asked.values.get("nextToken", 0)) >= 200 else None
    )
    found = grab()
    assert isinstance(found.problem, Throttled)
    assert not found.complete
    assert "throttling" in found.parts[0].stopped
    assert 0 < len(ids(found.out / "connector-log.jsonl.gz")) < 1050

    logs.before = lambda asked: None
    stub.asked.clear()
    again = grab()
    assert again.complete
    assert again.resumed
    assert ids(again.out / "connector-log.jsonl.gz") == in_order(*logs.streams.values())
    # What had begun goes on. A stream whose first page was still under way when the others gave up begins again.
    assert any("nextToken" in one.values for one in stub.asked if one.operation == "FilterLogEvents")


def test_a_token_that_aws_has_forgotten(stub: StubAws, grab: Callable[..., Capture]) -> None:
    logs = StubLogs(stub, three_streams(), group=GROUP)
    logs.before = lambda asked: error("AccessDeniedException") if "nextToken" in asked.values else None
    assert not grab().complete

    refused: list[str] = []

    def forget(asked: Asked) -> Answer | None:
        stream = asked.values["logStreamNames"][0]
        if "nextToken" in asked.values and stream not in refused:
            refused.append(stream)
            return error("InvalidParameterException", 400, "The specified nextToken is invalid.")
        return None

    logs.before = forget
    found = grab(workers=1)
    assert refused
    assert ids(found.out / "connector-log.jsonl.gz") == in_order(*logs.streams.values())


def test_a_server_that_never_ends_does_not_hold_us(stub: StubAws, grab: Callable[..., Capture]) -> None:
    StubLogs(
        stub,
        three_streams() | {REPORT: events(REPORT, 3, FIRST)},
        group=GROUP,
        before=lambda asked: Answer({"events": [], "nextToken": "again"}),
    )
    with pytest.raises(Exception, match="the same empty page"):
        grab()


# Interruptions


def test_a_page_that_was_cut_short_on_disk_is_read_again(stub: StubAws, grab: Callable[..., Capture]) -> None:
    logs = StubLogs(stub, three_streams(), group=GROUP)
    logs.before = lambda asked: (
        error("AccessDeniedException") if int(asked.values.get("nextToken", 0)) >= 200 else None
    )
    found = grab()
    folder = found.out / ".partial" / "connector-log"
    spill = next(path for path in folder.glob("*.spill") if path.stat().st_size)
    with spill.open("ab") as file:
        file.write(b"half a li")
    with (folder / "pages.jsonl").open("ab") as file:
        file.write(b'{"unit": 0, "size": 99')
    logs.before = lambda asked: None
    assert ids(grab().out / "connector-log.jsonl.gz") == in_order(*logs.streams.values())


CHILD = """
import signal, sys
from pathlib import Path
from vmqlib.aws import Aws
from vmqlib.settings import Settings
from vmqlib.sources.logs import LogQuery, capture
from vmqlib.times import Window, parse_iso

settings = Settings.load()
query = LogQuery.of_data_source(settings, settings.ds_id, Window(parse_iso(sys.argv[2]), parse_iso(sys.argv[3])))
try:
    capture(Aws(settings), settings, query, Path(sys.argv[1]), str, workers=2)
except Exception as error:
    print(type(error).__name__, error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_what_a_signal_interrupts_goes_on_to_the_same_bytes(
    stub: StubAws, window: Window, tmp_path: Path, blow: signal.Signals
) -> None:
    half, gate = threading.Event(), threading.Event()
    logs = StubLogs(stub, three_streams(), group=GROUP, page=50)

    def hold(asked: Asked) -> Answer | None:
        if int(asked.values.get("nextToken", 0)) >= 150:
            half.set()
            gate.wait(30)
        return None

    command = [sys.executable, "-c", CHILD, "", window.since.isoformat(), window.until.isoformat()]
    environment = os.environ | {"APP_ID": GROUP.rsplit("/", 1)[-1], "DS_ID": SOURCE}

    def start(out: str) -> subprocess.Popen[str]:
        command[3] = str(tmp_path / out)
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    with start("whole") as whole:
        assert whole.wait(60) == 0

    logs.before = hold
    with start("cut") as child:
        assert half.wait(60)
        child.send_signal(blow)
        said = child.stdout.read() if child.stdout else ""
        gate.set()
        assert child.wait(60) == (130 if blow is signal.SIGINT else -blow)
    assert ("the same command goes on" in said) == (blow is signal.SIGINT)
    assert not (tmp_path / "cut" / "connector-log.jsonl.gz").exists()

    logs.before = lambda asked: None
    stub.asked.clear()
    with start("cut") as again:
        assert again.wait(60) == 0
    assert any("nextToken" in one.values for one in stub.asked if one.operation == "FilterLogEvents")
    name = "connector-log.jsonl.gz"
    assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_same_words_later_cover_both_windows(
    stub: StubAws, grab: Callable[..., Capture], settings: Settings, tmp_path: Path
) -> None:
    logs = StubLogs(stub, three_streams(), group=GROUP)
    late = f"{SOURCE}/late"
    begin = SINCE + timedelta(seconds=1)

    def query(until: datetime) -> LogQuery:
        since = max(begin, until - timedelta(seconds=3600))
        return LogQuery.of_data_source(settings, SOURCE, Window(since, until), asked="2h")

    logs.before = lambda asked: error("AccessDeniedException") if "nextToken" in asked.values else None
    first = query(SINCE + timedelta(seconds=3))
    out = default_out(tmp_path / "logs", first)
    assert not grab(first, out).complete

    logs.before = lambda asked: None
    logs.streams[late] = events(late, 20, FIRST + 10_000, start=9000)
    second = query(SINCE + timedelta(seconds=60))
    assert default_out(tmp_path / "logs", second) == out
    found = grab(second, out)
    expected = [one for one in chain(*logs.streams.values()) if one["timestamp"] >= FIRST + 1000]
    assert ids(out / "connector-log.jsonl.gz") == in_order(expected)
    assert found.query.window == Window(begin, SINCE + timedelta(seconds=60))

    # A finished one is not taken up again.
    assert default_out(tmp_path / "logs", query(SINCE + timedelta(seconds=90))) != out


def test_an_unfinished_capture_of_something_else_is_not_touched(
    stub: StubAws, grab: Callable[..., Capture], settings: Settings, window: Window
) -> None:
    logs = StubLogs(stub, three_streams(), group=GROUP)
    logs.before = lambda asked: error("AccessDeniedException") if "nextToken" in asked.values else None
    grab()
    with pytest.raises(BadInput, match="unfinished capture of something else"):
        grab(LogQuery.of_data_source(settings, SOURCE, window, pattern="ERROR"))
    logs.before = lambda asked: None
    assert grab().complete


def test_the_same_words_a_day_later_start_anew_and_lose_nothing(
    stub: StubAws, grab: Callable[..., Capture], settings: Settings, tmp_path: Path
) -> None:
    logs = StubLogs(stub, three_streams(), group=GROUP)

    def query(day: int) -> LogQuery:
        begin = SINCE + timedelta(days=day)
        return LogQuery.of_data_source(
            settings, SOURCE, Window(begin, begin + timedelta(hours=2)), asked="2h"
        )

    logs.before = lambda asked: error("AccessDeniedException") if "nextToken" in asked.values else None
    assert not grab(query(0)).complete
    logs.before = lambda asked: None
    found = grab(query(1))
    assert found.complete
    assert not found.resumed
    assert list((found.out / "unfinished-20261122T120000Z" / "connector-log").glob("*.spill"))


def test_a_start_that_read_nothing_leaves_nothing(stub: StubAws, grab: Callable[..., Capture]) -> None:
    logs = StubLogs(stub, three_streams(), group="/another")
    with pytest.raises(ResourceMissing):
        grab()
    logs.group = GROUP
    found = grab()
    assert found.complete
    assert not found.resumed


def test_further_groups_have_files_of_their_own(window: Window) -> None:
    settings = Settings.load(
        app_id=GROUP.rsplit("/", 1)[-1], log_groups=("/a/b", "a-b", "connector-log", "/../..")
    )
    parts = LogQuery.of_data_source(settings, SOURCE, window).parts
    assert [part.name for part in parts[2:]] == ["a-b", "a-b-2", "connector-log-2", "logs"]
    assert [part.group for part in parts[2:]] == list(settings.log_groups)


def test_two_captures_into_one_folder(stub: StubAws, grab: Callable[..., Capture]) -> None:
    inside, gate = threading.Event(), threading.Event()

    def hold(asked: Asked) -> Answer | None:
        inside.set()
        gate.wait(30)
        return None

    StubLogs(stub, three_streams(), group=GROUP, before=hold)
    done: list[Capture] = []
    thread = threading.Thread(target=lambda: done.append(grab()))
    thread.start()
    try:
        assert inside.wait(30)
        with pytest.raises(LockHeld):
            grab()
    finally:
        gate.set()
        thread.join()
    assert done[0].complete


def test_a_folder_that_cannot_be_written(stub: StubAws, grab: Callable[..., Capture], tmp_path: Path) -> None:
    StubLogs(stub, three_streams(), group=GROUP)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written") as caught:
        grab(out=tmp_path / "file" / "out")
    assert caught.value.exit_code == 2


def test_progress_ends_with_everything(stub: StubAws, grab: Callable[..., Capture]) -> None:
    StubLogs(stub, three_streams(), group=GROUP)
    seen: list[CaptureProgress] = []
    grab(progress=seen.append)
    last = seen[-1]
    assert (last.events, last.streams_done, last.streams_total) == (
        1050,
        last.streams_total,
        last.streams_total,
    )
    assert last.size > 100_000
    assert last.latest == SINCE + timedelta(milliseconds=3492)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_events(project: Path) -> None:
    """The bench's own clients, small: twice the events must not take twice the memory."""
    code = (
        "import sys, json, tempfile; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import bench_logs; "
        "sizes = [bench_logs.measure('vmq_unmasked', n, Path(tempfile.mkdtemp(dir='.'))) for n in (60_000, 180_000)]; "
        "print(json.dumps([one['memory_growth_mb'] for one in sizes]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(project / "scripts")], check=True, capture_output=True, text=True
    )
    small, large = json.loads(done.stdout)
    assert large < 200
    assert large - small < 40
