"""Closing: what holds it up, what it leaves behind, and that nothing of that is lost where it is killed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.records import FakeAws, MovingClock

from vmqlib.cli.main import run, vmq
from vmqlib.errors import BadInput, CheckFailed, RunFailed, StorageError, VmqError, WorldChanged
from vmqlib.record.incident import Incident
from vmqlib.record.notebook import RECORD_MIME
from vmqlib.runbook import close, operationsrunbook
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.opening import Record
from vmqlib.runbook.validation import Validation, essential
from vmqlib.runbook.validation.names import ALARM, HALF, PROMPT, QUESTION_CHECK, SCHEDULE, SYNC, WEB
from vmqlib.settings import Settings

GOOD = CheckResult(SYNC, True, "It SUCCEEDED.", "docs")


class Killed(BaseException):
    """The process is no more."""


@pytest.fixture
def incident(tmp_path: Path) -> Incident:
    clock = MovingClock()
    settings = Settings.load(incidents=tmp_path / "incidents")
    made = Incident.open(settings, FakeAws(clock), trigger="sync-failed", clock=clock)  # type: ignore[arg-type]
    clock.forward(minutes=40)
    return made


@pytest.fixture(autouse=True)
def quick_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record without running a notebook: what is tested here is when it is written, and what is sealed."""

    def write(incident: Incident) -> Record:
        path, page = incident.dir / "incident.ipynb", incident.dir / "incident.html"
        told = {RECORD_MIME: {"events": incident.state.events}}
        cell = {"cell_type": "code", "id": "record", "metadata": {}, "source": "", "execution_count": 1,
                "outputs": [{"output_type": "display_data", "metadata": {}, "data": told}]}  # fmt: skip
        path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
        page.write_text(f"<p>{incident.state.events}</p>")
        if incident.state.closed_at:
            incident.reseal([path, page])
        return Record(incident, None, page)  # type: ignore[arg-type]

    monkeypatch.setattr(close, "write_record", write)


@dataclass
class Validating:
    """What the next validation finds."""

    checks: tuple[CheckResult, ...] = (GOOD,)

    def __call__(self, incident: Incident, **_: Any) -> Validation:
        event = incident.conclude(
            "validate", "Looked.", {"checks": [dict(one.as_dict()) for one in self.checks]}
        )
        return Validation(event.at, self.checks, event.seq)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Validating:
    made = Validating()
    monkeypatch.setattr(close, "validate", made)
    return made


def closed(incident: Incident, **options: Any) -> close.Afterwards:
    close.close(
        incident, close.ready(incident, **options), close.Words("Some", "A promotion", "Restored", "none")
    )
    return close.afterwards(incident)


def events(incident: Incident, kind: str) -> list[Any]:
    return [event for event in incident.journal.events() if event.kind == kind]


class TestHeld:
    @pytest.mark.parametrize("name", [QUESTION_CHECK, PROMPT, ALARM, SYNC, SCHEDULE, HALF, WEB])
    def test_a_check_that_failed_keeps_it_open(
        self, incident: Incident, found: Validating, name: str
    ) -> None:
        found.checks = (GOOD, CheckResult(name, False, "It is not.", mend="Mend it."))
        made = close.ready(incident)
        assert isinstance(made.refusal, CheckFailed)
        assert made.refusal.message == f"Not closed: 1 check is in the way: {name}."
        assert [one.mend for one in made.held] == ["Mend it."]
        first, second = made.refusal.hint.split("\n")
        assert f"vmq validate {incident.id}" in first
        assert ("--schedule-off-reason" if name == SCHEDULE else "--force --reason") in second
        with pytest.raises(CheckFailed):
            close.close(incident, made)
        assert incident.state.closed_at is None
        assert not events(incident, "closed")

    @pytest.mark.parametrize("trigger", ["sync-failed", "guardrail", "content", "no-sync"])
    def test_what_cannot_be_told_does_where_it_is_essential(
        self, incident: Incident, found: Validating, trigger: str
    ) -> None:
        incident.identity = incident.identity.model_copy(update={"trigger": trigger})
        for name in (QUESTION_CHECK, PROMPT, ALARM, SYNC, HALF, WEB):
            found.checks = (GOOD, CheckResult(name, None, "Nobody knows."))
            made = close.ready(incident)
            assert (made.refusal is not None) == (name in essential(trigger)), name

    def test_forced_it_says_what_was_in_the_way_and_why(self, incident: Incident, found: Validating) -> None:
        found.checks = (CheckResult(ALARM, False, "It is in ALARM.", "A"), CheckResult(WEB, None, "Unread."))
        with pytest.raises(BadInput, match="--reason"):
            close.ready(incident, force=True, reason=" ")
        closed(incident, force=True, reason="The alarm is retired.")
        closing = incident.state.closing
        assert closing is not None
        assert closing.outcome == (
            "Forced: The alarm is retired. In the way: alarm is OK (A). Not known: web experience is ACTIVE"
        )
        assert (closing.impact, closing.customers) == ("Some", "none")

    def test_forcing_what_is_well_says_nothing_of_force(self, incident: Incident, found: Validating) -> None:
        closed(incident, force=True, reason="To be sure.")
        assert incident.state.closing is not None
        assert incident.state.closing.outcome == ""

    def test_what_was_changed_while_somebody_typed_is_looked_at_again(
        self, incident: Incident, found: Validating
    ) -> None:
        made = close.ready(incident)
        incident.note("Support says it works.")
        incident.applied("rollback", "Restored: 1 object.", {"action": "rollback", "digest": "d"})
        with pytest.raises(WorldChanged, match="Restored: 1 object"):
            close.close(incident, made)
        assert incident.state.closed_at is None
        closed(incident)


class TestAfterwards:
    def test_everything_is_there_once_however_often(self, incident: Incident, found: Validating) -> None:
        with pytest.raises(BadInput, match="not closed"):
            close.missing(incident)
        after = closed(incident)
        assert after.problems == ()
        assert close.missing(incident) == ()
        assert incident.verify().ok
        before = {path: path.read_bytes() for path in incident.dir.rglob("*") if path.is_file()}
        entry = Path("OPERATIONS-RUNBOOK.md").read_bytes()
        assert close.afterwards(incident).problems == ()
        again = {path: path.read_bytes() for path in incident.dir.rglob("*") if path.is_file()}
        same = {"journal.jsonl", "retro.ics", "runbook-entry.md", "incident.json"}
        assert {path.name for path in before if before[path] == again[path]} >= same
        assert Path("OPERATIONS-RUNBOOK.md").read_bytes() == entry
        assert incident.verify().ok

    def test_the_words_are_data(self, incident: Incident, found: Validating) -> None:
        made = close.ready(incident)
        close.close(incident, made, close.Words("<script>alert(1)</script>", "| x", "\x1b[31m", "a@b.io"))
        close.afterwards(incident)
        entry = Path("OPERATIONS-RUNBOOK.md").read_text()
        assert "<script>" not in entry
        assert "\x1b" not in entry
        assert "a@b.io" not in entry + incident.journal.path.read_text()

    def test_what_is_refused_stops_nothing_else(
        self, incident: Incident, found: Validating, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("OPERATIONS-RUNBOOK.md").mkdir()

        def stopped(_: Incident) -> Record:
            raise RunFailed("A cell stopped.")

        with monkeypatch.context() as patch:
            patch.setattr(close, "write_record", stopped)
            after = closed(incident)
        assert [type(one) for one in after.problems] == [StorageError, RunFailed]
        assert after.invitation is not None
        assert incident.state.closed_at is not None
        assert close.missing(incident) == ("entry", "record")
        assert close.missing(incident, entry=False) == ("record",)
        Path("OPERATIONS-RUNBOOK.md").rmdir()
        assert close.afterwards(incident).problems == ()
        assert close.missing(incident) == ()

    def test_the_record_says_who_was_told(self, incident: Incident, found: Validating) -> None:
        closed(incident)
        incident.notified("Resolved.", channel="#ops", data={"message": "resolved"})
        assert close.missing(incident) == ("record",)
        close.afterwards(incident)
        assert close.missing(incident) == ()

    def test_reopened_and_closed_again_all_of_it_is_written_anew(
        self, incident: Incident, found: Validating
    ) -> None:
        closed(incident)
        incident.reopen("It broke again.")
        assert incident.verify().ok
        incident.clock.forward(hours=30)  # type: ignore[attr-defined]
        close.close(incident, close.ready(incident), close.Words(cause="The true one"))
        assert close.missing(incident) == ("entry", "invitation", "record")
        close.afterwards(incident)
        assert close.missing(incident) == ()
        assert incident.verify().ok
        assert Path("OPERATIONS-RUNBOOK.md").read_text().count(f"### {incident.id}") == 1


def _to_the_end(incident: Incident, made: close.Ready) -> None:
    close.close(incident, made, close.Words("i"))
    close.afterwards(incident)


def _seal(patch: pytest.MonkeyPatch) -> None:
    _kill(patch, Incident, "seal")


def _kill(patch: pytest.MonkeyPatch, where: Any, name: str, *, after: bool = False) -> None:
    real = getattr(where, name)

    def dying(*arguments: Any, **options: Any) -> None:
        if after:
            real(*arguments, **options)
        raise Killed

    patch.setattr(where, name, dying)


POINTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "after the event, before the seal": _seal,
    "before the entry": lambda patch: _kill(patch, close, "enter"),
    "the entry is kept, and not sealed": lambda patch: _kill(patch, Incident, "reseal"),
    "the entry is kept, and not in the file": lambda patch: _kill(patch, operationsrunbook, "_write"),
    "the entry is in the file, and not in the journal": lambda patch: _kill(
        patch, operationsrunbook, "_write", after=True
    ),
    "after the entry": lambda patch: _kill(patch, close, "enter", after=True),
    "before the invitation": lambda patch: _kill(patch, close, "invitation"),
    "after the invitation": lambda patch: _kill(patch, close, "invitation", after=True),
    "before the record": lambda patch: _kill(patch, close, "write_record"),
    "after the record": lambda patch: _kill(patch, close, "write_record", after=True),
}


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_it_says_what_is_so_and_is_completed(
    incident: Incident, found: Validating, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = close.ready(incident)
    with monkeypatch.context() as patch:
        POINTS[point](patch)
        with pytest.raises(Killed):
            _to_the_end(incident, made)
    again = Incident.load(incident.id, settings=incident.settings, clock=incident.clock)
    assert again.state.closed_at is not None
    sealed = (again.dir / "MANIFEST.json").is_file()
    if not sealed:
        assert "although the incident is closed" in str(again.verify())
    assert (close.missing(again) == ()) is (point == "after the record")
    assert again.verify().complete is (point == "after the record")
    if sealed and point != "after the record":
        assert str(again.verify()).startswith("NOT complete: ")
        assert "the final record is missing" in str(again.verify())
    assert close.afterwards(again).problems == ()
    assert close.missing(again) == ()
    assert again.verify().ok, str(again.verify())
    assert again.verify().complete
    assert len(events(again, "closed")) == 1
    assert Path("OPERATIONS-RUNBOOK.md").read_text().count(f"### {again.id}") == 1
    assert [one.data.model_dump().get("entered") for one in events(again, "noted")].count(
        str(operationsrunbook.runbook_path(again.settings))
    ) == 1


def test_a_file_that_somebody_changed_is_still_told_of(incident: Incident, found: Validating) -> None:
    """Completing what is missing does not seal what others did."""
    closed(incident)
    (incident.dir / "note.txt").write_text("slipped in")
    (incident.dir / "incident.html").unlink()
    assert close.missing(incident) == ("record",)
    close.afterwards(incident)
    report = incident.verify()
    assert "note.txt" in str(report)


def test_a_damaged_journal_is_never_sealed(incident: Incident, found: Validating) -> None:
    closed(incident)
    path = incident.journal.path
    path.write_text(path.read_text().replace('"Looked."', '"Looked!"'))
    again = Incident.load(incident.id, settings=incident.settings, clock=incident.clock)
    (again.dir / "retro.ics").unlink()
    problems: tuple[VmqError, ...] = ()
    try:
        problems = close.afterwards(again).problems
    except VmqError as error:
        problems = (error,)
    assert problems
    assert not again.verify().ok


def test_verify_says_that_the_sealed_record_is_of_the_opening(
    incident: Incident, found: Validating, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever closed it pressed Ctrl-C before the final record was written."""
    close.write_record(incident)
    monkeypatch.setenv("VMQ_INCIDENTS", str(incident.dir.parent))

    def command(*words: str) -> Any:
        code = run(vmq, words)
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    words = (
        "--impact",
        "Some",
        "--root-cause",
        "mail a@b.io",
        "--remediation",
        "Restored",
        "--customers",
        "none",
    )
    close.close(incident, close.ready(incident), close.Words("Some", "mail a@b.io", "Restored", "none"))
    assert incident.verify().ok
    done = command("verify", incident.id)
    assert done.code == 1
    assert "NOT complete" in done.out
    assert f"`vmq close {incident.id}`" in done.err
    assert json.loads(command("verify", incident.id, "--json").out)["complete"] is False
    other = command("close", incident.id, "--impact", "Another", "--yes", "--no-post")
    assert other.code == 2
    assert "with other words" in other.err
    again = command("close", incident.id, *words, "--yes", "--no-post")
    assert again.code == 0, again.err
    assert command("verify", incident.id).code == 0
    assert command("close", incident.id, *words, "--yes", "--no-post").code == 2, "nothing is missing"
