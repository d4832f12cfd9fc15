"""A closed incident that goes on: what was closed is kept, and `verify` tells the truth at every point."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.records import MovingClock, source

from vmqlib.errors import BadInput, CorruptRecord
from vmqlib.record import manifest as manifests
from vmqlib.record.incident import Incident
from vmqlib.record.state import fold

Open = Callable[..., Incident]


@pytest.fixture
def closed(open_incident: Open, clock: MovingClock) -> Incident:
    incident = open_incident(source("alarms", [{"key": "a"}]))
    incident.observe()
    (incident.dir / "incident.html").write_text("<p>first")
    clock.forward(minutes=10)
    incident.close("done", impact="Some answers.", cause="A promotion.")
    return incident


def findings(incident: Incident) -> set[tuple[str, bool]]:
    return {(found.path, found.serious) for found in incident.verify().findings}


def test_it_goes_on_and_the_clock_with_it(closed: Incident, clock: MovingClock) -> None:
    closed_at = clock.now()
    clock.forward(hours=5)
    event = closed.reopen("It broke again.")
    state = closed.state
    assert (state.phase, state.closed_at, state.closing) == ("triage", None, None)
    assert [(one.at, one.impact) for one in state.closings] == [(closed_at, "Some answers.")]
    assert [(one.at, one.reason) for one in state.reopenings] == [(event.at, "It broke again.")]
    assert state.next_update_due == clock.now() + timedelta(minutes=30)
    summary = closed.summary()
    assert summary.closed_at is None
    assert summary.open_for == timedelta(minutes=10), "closed it was not open"
    closed.set_phase("resync")
    assert closed.state.phase == "resync"
    assert len(closed.state.reopenings) == 1, "a further phase is no further reopening"


def test_verify_is_right_at_every_point(closed: Incident, clock: MovingClock) -> None:
    first = (closed.dir / manifests.FILE).read_bytes()
    assert (closed.verify().ok, closed.verify().sealed) == (True, True)
    closed.reopen("not over")
    report = closed.verify()
    assert (report.ok, report.sealed, report.findings) == (True, False, ())
    assert (closed.dir / "closings" / "MANIFEST-1.json").read_bytes() == first
    (closed.dir / "incident.html").write_text("<p>second")
    assert findings(closed) == set(), "an open incident's page may be written again"
    clock.forward(minutes=1)
    closed.close("done again", cause="Another promotion.")
    report = closed.verify()
    assert (report.ok, report.sealed, report.findings) == (True, True, ())
    assert [one.cause for one in closed.state.closings] == ["A promotion.", "Another promotion."]
    closed.reopen("and again")
    closed.close()
    assert closed.verify().ok
    assert {path.name for path in (closed.dir / "closings").iterdir()} == {
        "MANIFEST-1.json",
        "MANIFEST-2.json",
    }


@pytest.mark.parametrize("when", ["open", "closed again"])
def test_what_was_closed_once_cannot_be_changed_unseen(closed: Incident, when: str) -> None:
    closed.reopen("not over")
    if when == "closed again":
        closed.close()
    aside = closed.dir / "closings" / "MANIFEST-1.json"
    aside.write_bytes(aside.read_bytes().replace(b'"events": 3', b'"events": 2'))
    assert ("closings/MANIFEST-1.json", True) in findings(closed)
    aside.unlink()
    assert ("closings/MANIFEST-1.json", True) in findings(closed)


def test_killed_before_the_manifest_was_taken_away(closed: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(manifests, "remove", lambda folder: None)
        closed.reopen("not over")
    (closed.dir / "incident.html").write_text("<p>second")
    report = closed.verify()
    assert (report.ok, report.sealed) == (True, False)
    assert findings(closed) == {("MANIFEST.json", False)}
    closed.close()
    assert closed.verify().findings == ()


def test_killed_before_the_journal_knew(closed: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(closed, "_append", lambda *_: (_ for _ in ()).throw(RuntimeError))
        with pytest.raises(RuntimeError):
            closed.reopen("not over")
    assert closed.state.closed_at is not None
    assert findings(closed) == {("closings/MANIFEST-1.json", False)}
    closed.reopen("not over")
    assert closed.verify().findings == ()


def test_a_journal_cut_back_to_before_its_closing_is_not_open(closed: Incident) -> None:
    path = closed.journal.path
    path.write_bytes(path.read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[0] + b"\n")
    assert ("journal.jsonl", True) in findings(closed)


def test_only_a_closed_one_with_a_reason(open_incident: Open, closed: Incident) -> None:
    with pytest.raises(BadInput, match="reason"):
        closed.reopen("  ")
    with pytest.raises(BadInput, match="not closed"):
        open_incident().reopen("why not")
    with pytest.raises(BadInput, match="is closed") as raised:
        closed.set_phase("resync")
    assert "vmq reopen" in raised.value.hint
    assert closed.state.closed_at is not None
    assert closed.verify().findings == ()


def test_folding_in_pieces_is_folding_at_once(closed: Incident) -> None:
    closed.reopen("not over")
    closed.acknowledge()
    closed.close()
    events = list(closed.journal.events())
    whole = fold(events)
    for cut in range(len(events)):
        assert fold(events[cut:], fold(events[:cut])) == whole


STEPS = st.lists(st.sampled_from(["close", "reopen", "phase", "note", "ack", "page"]), max_size=8)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_whatever_is_done_in_whatever_order(
    open_incident: Open, clock: MovingClock, steps: list[str]
) -> None:
    incident, closings, reopenings = open_incident(), 0, 0
    for step in steps:
        clock.forward(minutes=1)
        is_closed = closings > reopenings
        if (step == "close") == is_closed and step in ("close", "reopen"):
            with pytest.raises(BadInput):
                incident.close() if step == "close" else incident.reopen("why")
        elif step == "close":
            incident.close(impact=str(closings))
            closings += 1
        elif step == "reopen":
            incident.reopen("why")
            reopenings += 1
        elif step == "phase" and not is_closed:
            incident.set_phase("resync")
        elif step == "note":
            incident.note("said")
        elif step == "ack":
            incident.acknowledge()
        elif step == "page" and not is_closed:
            (incident.dir / "incident.html").write_text(str(clock.now()))
        state, report = incident.state, incident.verify()
        assert (state.closed_at is not None) == (closings > reopenings) == report.sealed
        assert (state.phase == "closed") == (state.closed_at is not None)
        assert (state.next_update_due is None) == (state.closed_at is not None)
        assert [one.impact for one in state.closings] == [str(n) for n in range(closings)]
        assert len(state.reopenings) == reopenings
        assert report.findings == ()


def test_a_plot_marks_both(closed: Incident) -> None:
    closed.reopen("not over")
    closed.set_phase("resync")
    closed.close()
    assert list(closed.marks()["label"]) == ["opened", "closed", "reopened", "closed"]


class TestResealing:
    def test_takes_up_what_was_written_on_purpose_and_nothing_else(self, closed: Incident) -> None:
        (closed.dir / "incident.html").write_text("<p>tampered")
        (closed.dir / "stray.txt").write_text("?")
        (closed.dir / "retro.html").write_text("<p>review")
        closed.reseal([closed.dir / "retro.html"])
        assert findings(closed) == {("incident.html", True), ("stray.txt", False)}

    def test_takes_up_evidence_that_the_journal_names(self, closed: Incident) -> None:
        closed.observe(refresh=True)
        assert {serious for _, serious in findings(closed)} <= {False}
        closed.reseal([])
        assert findings(closed) == set()

    def test_refuses_a_journal_that_is_another(self, closed: Incident) -> None:
        path = closed.journal.path
        path.write_bytes(path.read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[0] + b"\n")
        before = (closed.dir / manifests.FILE).read_bytes()
        with pytest.raises(CorruptRecord):
            Incident.load(closed.id, settings=closed.settings, sources={}).reseal([])
        assert (closed.dir / manifests.FILE).read_bytes() == before


def test_on_the_command_line(
    closed: Incident, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from vmqlib.cli.main import run, vmq

    monkeypatch.setenv("VMQ_INCIDENTS", str(root))

    def said(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        assert run(vmq, list(words)) == code
        return str(capsys.readouterr().out)

    assert run(vmq, ["reopen", closed.id]) == 2, "no reason"
    made = json.loads(said("reopen", closed.id, "--reason", "It \x1b[31mbroke again", "--json"))
    assert (made["phase"], made["closings"]) == ("triage", 1)
    assert made["next_update_due"]
    assert run(vmq, ["reopen", closed.id, "--reason", "twice"]) == 2
    (listed,) = json.loads(said("list", "--json"))
    assert (listed["phase"], listed["closed_at"]) == ("triage", None)
    shown = said("show", closed.id)
    assert "reopened at" in shown
    assert "\x1b" not in shown
    (again,) = json.loads(said("show", closed.id, "--json"))["reopenings"]
    assert "broke again" in again["reason"]
    said("verify", closed.id)
