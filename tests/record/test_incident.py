"""The incident: opened once, observed concurrently, read back from disk alone."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from support.records import ARN, FakeAws, MovingClock, source

from vmqlib.errors import AccessDenied, BadInput, CorruptRecord, StorageError, UnknownIncident, Unreachable
from vmqlib.record.incident import Incident
from vmqlib.record.schema import journal_schema
from vmqlib.record.state import fold
from vmqlib.settings import Settings
from vmqlib.sources import REGISTRY
from vmqlib.sources.base import Progress, Reading, Source

Open = Callable[..., Incident]
ROWS = [{"at": "2026-11-22T09:00:00Z", "key": "docs/a.md", "count": 3}, {"at": None, "key": "docs/b.md"}]
DENIED = AccessDenied(
    "dana may not read the log group.",
    hint="Grant logs:FilterLogEvents.",
    operation="logs:FilterLogEvents",
    code="403",
)


def test_an_incident_is_opened_with_its_folder_identity_and_first_event(
    open_incident: Open, root: Path
) -> None:
    incident = open_incident(title="Stale answers", severity="SEV1", data_source_id="d" * 36)
    assert incident.id == "INC-20261123-001"
    assert incident.dir == root / "INC-20261123-001"
    written = json.loads((incident.dir / "incident.json").read_text())
    assert written["opened_at"] == "2026-11-23T09:00:00.000000Z"
    assert (written["title"], written["severity"], written["account"]) == (
        "Stale answers",
        "SEV1",
        "123456789012",
    )
    (opened,) = incident.journal.events()
    assert (opened.kind, opened.actor.caller, opened.data.model_extra["region"]) == (
        "opened",
        ARN,
        "eu-west-1",
    )  # type: ignore[index]
    assert (incident.state.severity, incident.state.phase) == ("SEV1", "open")


def test_ids_count_within_a_day(open_incident: Open, clock: MovingClock) -> None:
    ids = [open_incident().id for _ in range(3)]
    clock.forward(hours=20)
    assert [*ids, open_incident().id] == [f"INC-20261123-{n:03}" for n in (1, 2, 3)] + ["INC-20261124-001"]


def _open(root: str, barrier: Any, ids: Any) -> None:
    settings = Settings.load(incidents=root)
    barrier.wait()
    for _ in range(5):
        ids.put(Incident.open(settings, None, trigger="no-sync").id)


@pytest.mark.slow
def test_two_processes_that_open_at_once_get_two_ids(root: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    barrier, ids = spawn.Barrier(2), spawn.Queue()
    processes = [spawn.Process(target=_open, args=(str(root), barrier, ids)) for _ in range(2)]
    for process in processes:
        process.start()
    found = {ids.get(timeout=60) for _ in range(10)}
    for process in processes:
        process.join()
        process.close()
    ids.close()
    ids.join_thread()
    assert len(found) == 10
    assert {entry.id for entry in Incident.list(root)} == found
    assert not any(entry.problem for entry in Incident.list(root))


def test_threads_that_open_at_once_get_an_id_each(open_incident: Open, root: Path) -> None:
    threads = [threading.Thread(target=open_incident) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Incident.list(root)) == 12


def test_it_opens_while_aws_cannot_be_reached(open_incident: Open, aws: FakeAws) -> None:
    aws.problem = Unreachable("No answer from sts.")
    incident = open_incident()
    incident.note("still here")
    assert {event.actor.caller for event in incident.journal.events()} == {"unknown"}
    assert aws.asked == 1, "a dead endpoint is asked once"


@pytest.mark.parametrize("given", [{"severity": "SEV9"}, {"severity": "high"}])
def test_a_severity_that_is_none_opens_nothing(
    open_incident: Open, root: Path, given: dict[str, str]
) -> None:
    with pytest.raises(BadInput, match="Choose one of SEV1, SEV2, SEV3"):
        open_incident(**given)
    assert not root.exists()


def test_what_was_seen_is_evidence_an_event_and_a_table(open_incident: Open) -> None:
    incident = open_incident(source("sync-jobs", ROWS))
    told: list[str] = []
    seen = incident.observe(progress=told.append)["sync-jobs"]
    assert told == ["sync-jobs"]
    assert seen.available
    assert list(seen.frame["count"]) == [3, pd.NA]
    event = list(incident.journal.events())[-1]
    assert (event.kind, event.data.model_dump()["rows"], event.evidence) == ("observed", 2, (seen.evidence,))
    header = incident.evidence.open(event.evidence[0]).header
    assert (header.question.caller, header.question.account) == (ARN, "123456789012")
    assert header.question.parameters["window"]["until"] == "2026-11-23T09:00:00.000000Z"


def test_what_one_cell_writes_into_a_table_no_other_sees(open_incident: Open) -> None:
    incident = open_incident(source("sync-jobs", ROWS))
    mine = incident.observe()["sync-jobs"].frame
    mine["count"] = 0
    mine.loc[0, "key"] = "changed"
    other = incident.observed("sync-jobs").frame
    assert list(other["count"]) == [3, pd.NA]
    assert "changed" not in set(other["key"])


def test_one_source_that_fails_leaves_the_others_alone(open_incident: Open) -> None:
    incident = open_incident(
        source("alarms", ROWS), source("logs", DENIED), source("metrics", ZeroDivisionError("by zero"))
    )
    seen = incident.observe()
    assert seen["alarms"].available
    assert (seen["logs"].available, seen["logs"].problem, seen["logs"].hint) == (
        False,
        DENIED.message,
        DENIED.hint,
    )
    assert list(seen["logs"].frame.columns) == ["at", "key", "count"]
    assert seen["logs"].frame.empty
    assert "ZeroDivisionError: by zero" in seen["metrics"].problem
    assert "bug of the kit" in seen["metrics"].hint
    (failed,) = [e for e in incident.journal.events() if e.kind == "failed" and e.data.source == "logs"]
    assert (failed.data.operation, failed.data.code, failed.data.error) == (
        "logs:FilterLogEvents",
        "403",
        "AccessDenied",
    )


def test_what_came_before_a_refusal_is_kept_and_not_taken_for_the_whole(open_incident: Open) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield ROWS[0]
        raise DENIED

    incident = open_incident(source("logs", rows))
    seen = incident.observe()["logs"]
    assert not seen.available
    assert seen.frame.empty
    assert seen.evidence
    kept = incident.evidence.open(seen.evidence)
    assert (kept.header.rows, kept.header.complete, kept.header.stopped) == (1, False, DENIED.message)
    assert incident.verify().ok


def test_a_look_that_stopped_says_so(open_incident: Open) -> None:
    progress = Progress()

    def rows() -> Iterator[dict[str, Any]]:
        yield ROWS[0]
        progress.stop("after 1,000 pages")

    incident = open_incident(source("logs", rows, progress=progress))
    seen = incident.observe()["logs"]
    assert (seen.available, seen.complete, seen.stopped) == (True, False, "after 1,000 pages")
    assert "incomplete: after 1,000 pages" in repr(seen)


def test_which_data_source_was_not_seen_is_kept_with_the_look(
    open_incident: Open, settings: Settings
) -> None:
    """A record that is rendered later tells of the others what they said, and of this one why it said nothing."""
    why = {"ds-2": "Data source ds-2 does not exist."}
    incident = open_incident(
        source("sync-jobs", lambda: iter(ROWS), complete=False, stopped=why["ds-2"], missing=why)
    )
    incident.observe()
    for seen in (
        incident.observed("sync-jobs"),
        Incident.load(incident.id, settings=settings, sources=incident.sources).observed("sync-jobs"),
        incident.first_seen(["sync-jobs"])["sync-jobs"],
    ):
        assert (seen.available, seen.complete, dict(seen.missing)) == (True, False, why)
        assert (seen.missing_of("ds-1"), seen.missing_of("ds-2"), seen.missing_of("")) == (
            "", why["ds-2"], why["ds-2"],
        )  # fmt: skip


def test_what_is_on_disk_is_not_asked_for_again(open_incident: Open, clock: MovingClock) -> None:
    looks: list[int] = []

    def rows() -> list[dict[str, Any]]:
        looks.append(1)
        return [{"key": str(len(looks))}]

    incident = open_incident(source("alarms", rows), source("logs", DENIED))
    assert not incident.was_observed
    incident.observe()
    assert incident.was_observed
    incident.observe()
    assert len(looks) == 1
    assert sum(e.kind == "failed" for e in incident.journal.events()) == 2, "what failed is tried again"
    clock.forward(minutes=5)
    assert incident.observe(["alarms"], refresh=True)["alarms"].frame["key"].tolist() == ["2"]
    assert incident.observed("alarms").at == clock.at


def test_an_older_look_stands_when_a_newer_one_fails(
    open_incident: Open, settings: Settings, aws: FakeAws
) -> None:
    incident = open_incident(source("logs", ROWS))
    incident.observe()
    again = Incident.load(incident.id, settings=settings, aws=aws, sources={"logs": source("logs", DENIED)})  # type: ignore[arg-type]
    seen = again.observe(refresh=True)["logs"]
    assert seen.available
    assert seen.problem == f"A newer look failed: {DENIED.message}"
    assert seen.at == datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_offline_everything_is_as_it_was_seen(
    open_incident: Open, settings: Settings, clock: MovingClock
) -> None:
    sources = [source("alarms", ROWS), source("logs", DENIED)]
    incident = open_incident(*sources)
    online = incident.observe()
    seen_at = clock.at
    clock.forward(days=90)
    registry = {s.name: source(s.name, AssertionError("offline, and yet asked")) for s in sources}
    offline = Incident.load(incident.id, settings=settings, clock=clock, sources=registry)
    assert offline.offline
    assert offline.as_of == seen_at
    assert offline.observe(refresh=True)["logs"].problem == online["logs"].problem
    assert_frame_equal(offline.observed("alarms").frame, online["alarms"].frame)
    assert offline.summary().open_for == timedelta(0)


def test_a_source_nobody_looked_at_says_so(open_incident: Open) -> None:
    seen = open_incident(source("alarms", ROWS)).observed("alarms")
    assert (seen.available, seen.problem) == (False, "Nobody has looked yet.")


def test_an_unknown_source_is_refused(open_incident: Open) -> None:
    incident = open_incident(source("alarms", ROWS))
    for look in (incident.observed, lambda name: incident.observe([name])):
        with pytest.raises(BadInput, match="Did you mean 'alarms'"):
            look("alarm")


def test_changed_evidence_is_not_shown(open_incident: Open, settings: Settings) -> None:
    incident = open_incident(source("alarms", ROWS))
    incident.observe()
    (path,) = incident.evidence.files()
    path.unlink()
    path.write_bytes(b"better news")
    again = Incident.load(incident.id, settings=settings, sources=incident.sources)
    seen = again.observed("alarms")
    assert not seen.available
    assert "was changed after it was written" in seen.problem


def test_ctrl_c_keeps_what_was_finished(open_incident: Open) -> None:
    release = threading.Event()

    def never() -> list[dict[str, Any]]:
        release.wait(30)
        return ROWS

    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    incident = open_incident(source("alarms", ROWS), source("logs", never))
    with pytest.raises(KeyboardInterrupt):
        incident.observe(progress=interrupt)
    release.set()
    note = list(incident.journal.events())[-1]
    assert note.data.model_dump()["not_seen"] == ["logs"]
    assert incident.observed("alarms").available
    assert incident.journal.verify().ok


def test_sources_are_read_side_by_side(open_incident: Open) -> None:
    barrier = threading.Barrier(4, timeout=60)

    def meet() -> list[dict[str, Any]]:
        barrier.wait()
        return ROWS

    seen = open_incident(*(source(f"s-{n}", meet) for n in range(4))).observe(threads=4)
    assert all(observation.available for observation in seen.values())


def test_the_data_source_in_question_is_passed_on(open_incident: Open) -> None:
    asked: list[str] = []

    def read(aws: Any, settings: Any, window: Any, *, data_source_id: str = "") -> Reading:
        asked.append(data_source_id)
        return Reading("alarms", "x:Y", {}, [])

    open_incident(Source("alarms", "Alarms", read, {}), data_source_id="d" * 36).observe()
    assert asked == ["d" * 36]


def test_the_state_is_a_fold_over_the_journal(
    open_incident: Open, settings: Settings, clock: MovingClock
) -> None:
    incident = open_incident()
    clock.forward(minutes=3)
    incident.acknowledge("on it")
    incident.acknowledge()
    incident.set_severity("SEV1", "customers are affected")
    incident.set_phase("resync")
    incident.applying("resync", "Starting.", {"action": "sync"})
    incident.applied("resync", "Started.", {"action": "sync", "digest": "d1"})
    incident.applied("rollback", "Copied back.", {"action": "rollback", "digest": "d2"})
    incident.undone("rollback", "Taken back.", {"action": "rollback", "digest": "d2"})
    clock.forward(minutes=10)
    incident.notified("Told everyone.", channel="#ops-escalations")
    for handle in (incident, Incident.load(incident.id, settings=settings, sources={})):
        state = handle.state
        assert (state.severity, state.phase) == ("SEV1", "resync")
        assert state.acknowledged_at == datetime(2026, 11, 23, 9, 3, tzinfo=UTC)
        assert [(action.action, action.undone) for action in state.applied] == [
            ("sync", False),
            ("rollback", True),
        ]
        assert state.next_update_due == clock.at + timedelta(minutes=30)
    incident.close("All is well", cause="A broken promotion")
    assert incident.state.phase == "closed"
    assert incident.state.next_update_due is None
    summary = incident.summary()
    assert (summary.open_for, summary.actions, summary.updates) == (timedelta(minutes=13), 2, 1)
    assert summary.problems == ()


def test_items_are_undone_one_by_one_or_all_together(open_incident: Open) -> None:
    incident = open_incident()
    for item in ("a", "b", "a"):
        incident.applied("rollback", f"Copied {item}.", {"action": "copy", "digest": "d1", "item": item})
    incident.undone("rollback", "Took a back.", {"action": "copy", "digest": "d1", "item": "a"})
    assert [action.undone for action in incident.state.applied] == [False, False, True]
    incident.undone("rollback", "Nothing of that plan.", {"action": "copy", "digest": "d2"})
    incident.applied("resync", "Started.", {"action": "sync"})
    incident.undone("rollback", "Took all back.", {"digest": "d1"})
    incident.applied("rollback", "Copied again.", {"action": "copy", "digest": "d1", "item": "a"})
    assert [action.undone for action in incident.state.applied] == [True, True, True, False, False]


def test_folding_in_pieces_is_folding_at_once(open_incident: Open) -> None:
    incident = open_incident(source("alarms", ROWS), source("logs", DENIED))
    incident.observe()
    incident.acknowledge()
    incident.applied("resync", "Started.", {"action": "sync"})
    incident.undone("resync", "Stopped.", {"action": "sync"})
    incident.close()
    events = list(incident.journal.events())
    whole = fold(events)
    for cut in range(len(events)):
        assert fold(events[cut:], fold(events[:cut])) == whole


def test_a_disk_that_refuses_evidence_stops_the_look(open_incident: Open) -> None:
    incident = open_incident(source("alarms", ROWS))
    (incident.dir / "evidence").write_text("in the way")
    with pytest.raises(StorageError):
        incident.observe()
    assert not incident.was_observed


def test_the_first_update_is_due_half_an_hour_after_the_opening(
    open_incident: Open, clock: MovingClock
) -> None:
    assert open_incident().state.next_update_due == clock.at + timedelta(minutes=30)


def test_another_process_is_seen(open_incident: Open, settings: Settings) -> None:
    ours = open_incident()
    theirs = Incident.load(ours.id, settings=settings, sources={})
    assert ours.state.severity == "SEV2"
    theirs.set_severity("SEV3")
    assert ours.state.severity == "SEV3"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda incident: incident.note("  "),
        lambda incident: incident.set_severity("SEV0"),
        lambda incident: incident.set_severity("SEV2"),
        lambda incident: incident.set_phase("panic"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_no_trace(
    open_incident: Open, wrong: Callable[[Incident], object]
) -> None:
    incident = open_incident()
    with pytest.raises(BadInput):
        wrong(incident)
    assert incident.journal.verify().events == 1


def test_secrets_in_notes_and_titles_are_masked(open_incident: Open) -> None:
    incident = open_incident(title="Report by jane@example.org")
    incident.note("password=hunter2, ask security@vaultmesh.io", {"from": "jane@example.org"})
    everything = b"".join(path.read_bytes() for path in incident.dir.rglob("*") if path.is_file()).decode()
    assert "jane" not in everything
    assert "hunter2" not in everything
    assert "security@vaultmesh.io" in everything


def test_timeline_and_marks_are_tables(open_incident: Open, clock: MovingClock) -> None:
    promotion = source(
        "promotions",
        [
            {"at": "2026-11-20T10:00:00Z", "ci_sha": "0123456789ab"},
            {
                "at": "2026-11-20T11:00:00Z",
                "ci_sha": "a" * 9,
                "performed_by": "arn:aws:sts::1:assumed-role/ci/run-7",
            },
            {"at": "2026-11-20T12:00:00Z", "ci_sha": "b" * 9, "performed_by": "Ada"},
            {"ci_sha": "x"},
        ],
    )
    incident = open_incident(replace(promotion, columns=REGISTRY["promotions"].columns))
    incident.observe()
    clock.forward(minutes=1)
    incident.applied("resync", "Started.", {"action": "sync"})
    timeline = incident.timeline()
    assert timeline.columns.tolist() == ["seq", "at", "kind", "step", "actor", "summary"]
    assert timeline["kind"].tolist() == ["opened", "observed", "applied"]
    assert str(timeline["at"].dtype) == "datetime64[us, UTC]"
    marks = incident.marks()
    assert marks["kind"].tolist() == ["promotion"] * 3 + ["opened", "applied"]
    assert marks["label"].tolist() == [
        "promotion 01234567", "promotion aaaaaaaa by run-7", "promotion bbbbbbbb by Ada", "opened", "sync",
    ]  # fmt: skip
    assert str(marks["at"].dtype) == "datetime64[us, UTC]"


def test_the_closing_words_are_part_of_the_state_and_the_summary(
    open_incident: Open, clock: MovingClock
) -> None:
    incident = open_incident()
    assert incident.summary().closing is None
    clock.forward(minutes=3)
    incident.close("Forced: late", impact="None.", cause="A promotion.", remediation="Restored.")
    closing = incident.summary().closing
    assert closing == incident.state.closing is not None
    assert (closing.impact, closing.cause, closing.remediation) == ("None.", "A promotion.", "Restored.")
    assert (closing.outcome, closing.at) == ("Forced: late", incident.state.closed_at)
    assert closing.by == incident.actor().user


def test_a_closed_incident_is_sealed(open_incident: Open, clock: MovingClock) -> None:
    incident = open_incident(source("alarms", ROWS))
    incident.observe()
    (incident.dir / "incident.html").write_text("<p>")
    incident.close("done")
    report = incident.verify()
    assert (report.ok, report.sealed, report.findings) == (True, True, ())
    incident.note("an afterthought")
    assert incident.verify().findings == (), "the journal may grow"
    (incident.dir / "incident.html").write_text("<p>again")
    (incident.dir / "retro.ipynb").write_text("{}")
    report = incident.verify()
    assert not report.ok, "a page that is rendered again is sealed again; this one was not"
    assert {(found.path, found.serious) for found in report.findings} == {
        ("incident.html", True), ("retro.ipynb", False)
    }  # fmt: skip
    incident.seal()
    assert incident.verify().findings == ()
    with pytest.raises(BadInput, match="closed already"):
        incident.close()


@pytest.mark.parametrize(
    ("spoil", "path"),
    [
        (lambda d: (d / "incident.json").write_text("{}"), "incident.json"),
        (lambda d: (d / "incident.json").unlink(), "incident.json"),
        (lambda d: (d / "journal.jsonl").unlink(), "journal.jsonl"),
        (lambda d: change(d / "journal.jsonl", b"alarms", b"alarmz"), "journal.jsonl"),
        (lambda d: cut_last_line(d / "journal.jsonl"), "journal.jsonl"),
        (lambda d: next((d / "evidence").iterdir()).unlink(), "evidence/"),
        (lambda d: shutil.rmtree(d / "evidence"), "evidence/"),
        (lambda d: (d / "MANIFEST.json").write_text("{]"), "MANIFEST.json"),
        (lambda d: change(d / "MANIFEST.json", b'"events": 3', b'"events": 2'), "journal.jsonl"),
    ],
)
def test_verify_finds_what_was_done_to_a_folder(
    open_incident: Open, spoil: Callable[[Path], object], path: str
) -> None:
    incident = open_incident(source("alarms", ROWS))
    incident.observe()
    incident.close()
    assert incident.verify().ok
    spoil(incident.dir)
    report = incident.verify()
    assert not report.ok
    assert any(found.path.startswith(path) and found.problem for found in report.findings)
    assert path in str(report)


def change(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def cut_last_line(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"\n", 0, -1) + 1])


SPOILT: dict[str, Callable[[Path], object]] = {
    "no identity": lambda d: (d / "incident.json").unlink(),
    "identity is no JSON": lambda d: (d / "incident.json").write_text("{"),
    "identity is no object": lambda d: (d / "incident.json").write_text("[]"),
    "identity lacks fields": lambda d: (d / "incident.json").write_text('{"id": "INC-20261123-001"}'),
    "identity of another": lambda d: change(d / "incident.json", b"INC-20261123-001", b"INC-20261123-007"),
    "no journal": lambda d: (d / "journal.jsonl").unlink(),
    "empty journal": lambda d: (d / "journal.jsonl").write_bytes(b""),
    "journal is binary": lambda d: (d / "journal.jsonl").write_bytes(bytes(range(256)) * 9),
    "journal of another kind": lambda d: (d / "journal.jsonl").write_bytes(b'{"kind": "guess"}\n[]\n'),
    "journal is a folder": lambda d: ((d / "journal.jsonl").unlink(), (d / "journal.jsonl").mkdir()),
    "nothing in it": lambda d: (shutil.rmtree(d), d.mkdir()),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_broken_folder_is_listed_and_refused_with_a_sentence(
    open_incident: Open, settings: Settings, root: Path, kind: str
) -> None:
    broken, good = open_incident(), open_incident()
    SPOILT[kind](broken.dir)
    entries = {entry.id: entry for entry in Incident.list(root)}
    assert entries[broken.id].problem
    assert not entries[good.id].problem
    with pytest.raises((CorruptRecord, Exception)) as caught:
        Incident.load(broken.id, settings=settings, sources={})
    assert caught.type.__name__ in {"CorruptRecord", "StorageError"}
    assert caught.value.hint  # type: ignore[attr-defined]


def test_a_missing_id_is_explained(open_incident: Open, settings: Settings) -> None:
    with pytest.raises(UnknownIncident, match="none at all"):
        Incident.load("INC-20261123-001", settings=settings)
    incident = open_incident()
    with pytest.raises(UnknownIncident, match=f"Did you mean {incident.id}"):
        Incident.load("INC-20261123-010", settings=settings)
    for name in ("../etc", "", "/", "zebra"):
        with pytest.raises(UnknownIncident, match=r"vmq list|Did you mean"):
            Incident.load(name, settings=settings)


def test_the_published_schema_is_the_models(project: Path) -> None:
    published = json.loads((project / "docs" / "journal.schema.json").read_text())
    assert published == journal_schema(), (
        "write it again: python -c 'from pathlib import Path; from vmqlib.record.schema import write_schema; "
        'write_schema(Path("docs/journal.schema.json"))\''
    )


def test_a_journal_obeys_the_published_schema(open_incident: Open, project: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    incident = open_incident(source("alarms", ROWS), source("logs", DENIED))
    incident.observe()
    incident.acknowledge()
    incident.set_severity("SEV1")
    incident.notified("x", channel="#y")
    incident.close()
    schema = json.loads((project / "docs" / "journal.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    for line in incident.journal.path.read_text().splitlines():
        validator.validate(json.loads(line))


def test_what_was_masked_is_counted_by_kind(open_incident: Open) -> None:
    """The kinds' names (password, aws-secret) are telling names themselves: their counts are no secrets."""
    rows = [
        {"key": "password=hunter2-hunter2"},
        {"key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzKEY"},
        {"key": "https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXXXXXX"},
    ]
    incident = open_incident(source("trail", rows))
    assert incident.observe()["trail"].available
    noted = [event for event in incident.journal.events() if event.kind == "observed"]
    assert noted[0].data.redactions == {"password": 1, "aws-secret": 1, "slack-webhook": 1}
    assert incident.verify().ok


class TestJudgedAsOfTheLastLook:
    def test_a_remark_does_not_move_it(self, open_incident: Open, clock: MovingClock) -> None:
        incident = open_incident(source("alarms", [{"key": "a"}]))
        clock.forward(minutes=1)
        incident.observe()
        seen_at = clock.now()
        clock.forward(minutes=5)
        incident.note("A message went out.")
        assert incident.seen_at == seen_at
        clock.forward(minutes=5)
        incident.observe(refresh=True)
        assert incident.seen_at == incident.summary().seen_at == clock.now()

    def test_nothing_moves_it_once_the_incident_is_closed(
        self, open_incident: Open, clock: MovingClock
    ) -> None:
        incident = open_incident(source("alarms", [{"key": "a"}]))
        incident.observe()
        seen_at = clock.now()
        clock.forward(minutes=5)
        incident.close()
        closed_at = clock.now()
        clock.forward(days=14)
        incident.note("An action.", {"retro": "action", "owner": "dana"})
        incident.observe(refresh=True)
        later = Incident.load(incident.id, settings=incident.settings)
        assert (later.seen_at, later.as_of) == (seen_at, closed_at)
        incident.reopen("Again.")
        incident.observe(refresh=True)
        assert incident.seen_at == clock.now()

    def test_it_is_the_opening_while_nothing_was_seen(self, open_incident: Open, clock: MovingClock) -> None:
        incident = open_incident(source("alarms", DENIED))
        opened = clock.now()
        clock.forward(minutes=5)
        incident.observe()
        assert incident.seen_at == opened


class TestJudgedByItsOwnSettings:
    OWN: ClassVar[dict[str, Any]] = {
        "ds_id": "d" * 36,
        "forbidden": ("hr/",),
        "connectors": ({"name": "docs", "data_source_id": "d" * 36, "bucket": "docs-kb", "script": "scripts/x.sh",
                        "script_args": ["--token", "abc"], "script_env": ["WIKI_TOKEN"]},),
        "detection": {"no_sync_hours": 48},
        "contacts": {"knowledge_ops": "kb@vaultmesh.io"},
        "update_minutes": 45,
    }  # fmt: skip

    @pytest.fixture
    def own(self, root: Path) -> Settings:
        return Settings.load(incidents=root, **self.OWN)

    def test_without_any_settings(self, root: Path, own: Settings, aws: FakeAws, settings: Settings) -> None:
        made = Incident.open(own, aws, trigger="content", sources={})  # type: ignore[arg-type]
        later = Incident.load(made.id, settings=settings)
        assert later.settings.connectors == ()
        judged = later.judged_by
        assert [(one.name, one.bucket) for one in judged.connectors] == [("docs", "docs-kb")]
        assert (judged.forbidden, judged.detection.no_sync_hours) == (("hr/",), 48)
        assert later.state.update_every == timedelta(minutes=45)
        assert later.redactor.text("Ask kb@vaultmesh.io") == "Ask kb@vaultmesh.io"

    def test_what_may_be_secret_is_not_kept(self, own: Settings, aws: FakeAws) -> None:
        made = Incident.open(own, aws, trigger="content", sources={})  # type: ignore[arg-type]
        written = made.journal.path.read_text()
        assert "--token" not in written
        assert "WIKI_TOKEN" not in written

    def test_others_are_told_before_the_look_that_goes_by_them(
        self, own: Settings, aws: FakeAws, root: Path
    ) -> None:
        sources = {"alarms": source("alarms", [{"key": "a"}])}
        made = Incident.open(own, aws, trigger="content", sources=sources)  # type: ignore[arg-type]
        made.observe()
        assert [event.kind for event in made.journal.events()] == ["opened", "observed"]
        other = own.model_copy(update={"forbidden": ("hr/", "legal/")})
        later = Incident.load(made.id, settings=other, aws=aws, sources=sources)  # type: ignore[arg-type]
        assert later.judged_by.forbidden == ("hr/",)
        later.observe(refresh=True)
        told = [event.summary for event in later.journal.events() if event.kind == "noted"]
        assert len(told) == 1
        assert "forbidden" in told[0]
        assert Incident.load(made.id, settings=own).judged_by.forbidden == ("hr/", "legal/")

    def test_one_of_an_older_kit_has_its_ids(self, own: Settings, aws: FakeAws, settings: Settings) -> None:
        made = Incident.open(own, aws, trigger="content", sources={})  # type: ignore[arg-type]
        made.journal.path.unlink()
        plain = made.identity.model_dump(mode="json")
        old = Incident(made.dir, made.identity, own, None, made.clock)
        old.journal.append("opened", "Opened.", step="triage", data=plain)
        assert Incident.load(made.id, settings=settings).judged_by.ds_id == "d" * 36
