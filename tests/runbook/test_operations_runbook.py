"""A closed incident in OPERATIONS-RUNBOOK.md: what it says, and how carefully somebody else's file is handled."""

from __future__ import annotations

import multiprocessing
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.records import FakeAws, MovingClock

from vmqlib.errors import BadInput, LockHeld, StorageError, WorldChanged
from vmqlib.record.incident import Incident
from vmqlib.runbook import operationsrunbook
from vmqlib.runbook.keyevents import key_events
from vmqlib.runbook.operationsrunbook import enter, preview, runbook_path
from vmqlib.runbook.runbookentry import escape
from vmqlib.settings import Settings

Make = Callable[..., Incident]


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def make(tmp_path: Path, clock: MovingClock) -> Make:
    """``make(title, impact=…)``: a closed incident, whose operations runbook is ``ops/OPERATIONS-RUNBOOK.md``."""
    (tmp_path / "ops").mkdir()
    settings = Settings.load(incidents=tmp_path / "ops" / "incidents", ops_repo=tmp_path / "ops")

    def made(title: str = "Sync fails", **words: str) -> Incident:
        incident = Incident.open(settings, FakeAws(clock), trigger="sync-failed", title=title, sources={})  # type: ignore[arg-type]
        clock.forward(minutes=4)
        incident.acknowledge()
        clock.forward(minutes=30)
        incident.notified("Told the channel.", channel="#ops-escalations")
        incident.close(**words)
        return incident

    return made


@pytest.fixture
def runbook(tmp_path: Path) -> Path:
    return tmp_path / "ops" / "OPERATIONS-RUNBOOK.md"


class TestWhatItSays:
    def test_timeline_impact_cause_remediation_customers_and_the_record(
        self, make: Make, runbook: Path
    ) -> None:
        incident = make(
            impact="No answers.", cause="A promotion.", remediation="Restored.", customers="All of *them*"
        )
        assert enter(incident).changed
        text = runbook.read_text()
        for line in (
            "### INC-20261123-001: Sync fails",
            "- **Opened:** 2026-11-23 09:00:00 UTC",
            "- **Impact:** No answers.",
            "- **Customers affected:** All of \\*them\\*",
            "- **Root cause:** A promotion.",
            "- **Remediation:** Restored.",
            "- **Record:** [incidents/INC-20261123-001/incident.html](incidents/INC-20261123-001/incident.html)",
            "| 2026-11-23 09:34:00 | Told the channel. |",
        ):
            assert line in text.splitlines()
        assert "Acknowledged by" in text
        assert "after 34 min" in text

    def test_of_several_proofs_only_the_last_is_told(self, make: Make) -> None:
        incident = make()
        incident.reopen("Again")
        for ok, text in ((False, "Not proved: 3 of 4."), (None, "Cannot tell."), (True, "Proved: 4 of 4.")):
            incident.verified("resync", text, {"action": "sync proof", "ok": ok})
        incident.verified("rollback", "Verified: 5 objects as planned.", {"action": "rollback", "ok": True})
        told = [event.summary for event in key_events(incident.journal.events()) if event.kind == "verified"]
        kinds = incident.timeline().set_index("summary")["kind"]
        assert kinds["Proved: 4 of 4."] == "verified"
        assert kinds["Not proved: 3 of 4."] == kinds["Cannot tell."] == "not verified"
        assert told == ["Proved: 4 of 4.", "Verified: 5 objects as planned."]

    def test_what_was_not_said_is_said_so(self, make: Make, runbook: Path) -> None:
        enter(make())
        assert "- **Impact:** not stated" in runbook.read_text().splitlines()

    def test_reviewing_does_not_change_it(self, make: Make, runbook: Path) -> None:
        incident = make()
        enter(incident)
        before = runbook.read_bytes()
        incident.note("We were lucky", {"retro": "lucky"})
        incident.note("Alarm on it", {"retro": "action", "owner": "dana"})
        assert not enter(incident).changed
        assert runbook.read_bytes() == before
        assert [e.summary for e in incident.journal.events()].count(f"Entered into {runbook}.") == 1

    def test_reopened_and_closed_again_it_is_one_entry_with_the_last_words(
        self, make: Make, clock: MovingClock, runbook: Path
    ) -> None:
        incident = make(cause="First guess")
        enter(incident)
        clock.forward(minutes=36)
        incident.reopen("It | broke again")
        with pytest.raises(BadInput, match="not closed"):
            enter(incident)
        clock.forward(minutes=3)
        incident.close(cause="The true cause")
        enter(incident)
        text = runbook.read_text()
        assert text.count("### INC-") == 1
        assert "First guess" not in text
        assert "open for 37 min in all" in text, "34 and 3: not while it was closed"
        assert "- **Root cause:** The true cause" in text
        assert "It \\| broke again" in text

    def test_messages_that_did_not_arrive_are_one_line(
        self, make: Make, clock: MovingClock, runbook: Path
    ) -> None:
        incident = make()
        incident.reopen("Again")

        def lost(message: str, channel: str = "#ops", *, news: str, **more: Any) -> None:
            clock.forward(minutes=1)
            data = {
                "action": "message",
                "message": message,
                "channel": channel,
                "written": "messages/x",
                "news": news,
            }
            incident.failed("communicate", "An attempt.", data | more)

        def mailed() -> None:
            incident.notified(
                "Mailed.", channel="knowledge-ops@vaultmesh.io", data={"message": "update", "fallback": True}
            )

        lost("update", news="a")
        mailed()
        lost("update", news="a", mailed_to="knowledge-ops@vaultmesh.io")
        lost("update", news="b")
        lost("severity", news="c")  # arrived in the end
        incident.notified("Sent.", channel="#ops", data={"message": "severity"})
        lost("stakeholders", "security@vaultmesh.io", news="d", maybe=True, item="one")
        lost("security", "security@vaultmesh.io", news="e", maybe=True, item="two")
        incident.conclude("communicate", "It did not arrive.", {"verdict": "not sent", "item": "two"})
        incident.close()
        enter(incident)
        (row,) = [line for line in runbook.read_text().splitlines() if " did not reach " in line]
        assert row.split(" | ", 1)[1].removesuffix(" |").split("; ") == [
            "2 updates did not reach #ops",
            "1 of them mailed to knowledge-ops@vaultmesh.io instead",
            "1 message did not reach security@vaultmesh.io",
            "of 1 message it is not known whether security@vaultmesh.io was reached",
        ]
        assert "An attempt." not in runbook.read_text()
        assert "Mailed." not in runbook.read_text()

    def elsewhere(self, incident: Incident, tmp_path: Path, **email: str) -> Path:
        """An operations runbook outside of the folder that the incidents are in."""
        (tmp_path / "other").mkdir()
        path = tmp_path / "other" / "RUNBOOK.md"
        known = incident.settings
        incident.settings = known.model_copy(
            update={"operations_runbook": path, "email": known.email.model_copy(update=email)}
        )
        return path

    def record_line(self, path: Path) -> str:
        return next(line for line in path.read_text().splitlines() if line.startswith("- **Record:**"))

    def test_a_record_elsewhere_is_named_by_its_folder_with_how_to_share_it(
        self, make: Make, tmp_path: Path
    ) -> None:
        incident = make()
        path = self.elsewhere(incident, tmp_path)
        enter(incident)
        line = self.record_line(path)
        assert line.startswith(
            f"- **Record:** {incident.id}/incident.html in the incidents folder of whoever closed"
        )
        assert f"`vmq publish {incident.id} s3://…`" in line
        assert str(tmp_path) not in path.read_text(), "a path of one machine says nothing on another"

    def test_a_published_record_is_named_by_where_it_is(self, make: Make, tmp_path: Path) -> None:
        incident = make()
        path = self.elsewhere(incident, tmp_path)
        enter(incident)
        kept = (incident.dir / "runbook-entry.md").read_bytes()
        uri = f"s3://vaultmesh-audit/incidents/{incident.id}/"
        incident.applied("close", f"Published at {uri}.", {"action": "publish", "digest": "d", "item": uri})
        incident.notified("Resolved.", channel="#ops-escalations", data={"message": "resolved"})
        assert enter(incident).changed
        assert (
            self.record_line(path)
            == f"- **Record:** `s3://vaultmesh-audit/incidents/{incident.id}/incident.html`"
        )
        assert "Published at" not in path.read_text()
        assert not enter(incident).changed
        assert (incident.dir / "runbook-entry.md").read_bytes() == kept, (
            "what was published stays as it is there"
        )
        assert incident.verify().ok

    @pytest.mark.parametrize("sign", ["`", "<script>", "<!-- x", "a|b"])
    def test_an_address_that_is_markup_is_escaped(self, make: Make, tmp_path: Path, sign: str) -> None:
        incident = make()
        path = self.elsewhere(incident, tmp_path)
        uri = f"s3://vaultmesh-audit/{sign}/"
        incident.applied("close", "Published.", {"action": "publish", "digest": "d", "item": uri})
        enter(incident)
        assert self.record_line(path) == f"- **Record:** {escape(uri)}incident.html"

    def test_the_settings_address_is_linked(self, make: Make, tmp_path: Path) -> None:
        incident = make()
        path = self.elsewhere(incident, tmp_path, record_url="https://records.example.com/a_(b)/")
        enter(incident)
        line = self.record_line(path)
        where = f"https://records.example.com/a_%28b%29/{incident.id}/incident.html"
        (link,) = [
            one
            for token in MarkdownIt().parse(line)
            for one in token.children or ()
            if one.type == "link_open"
        ]
        assert link.attrs["href"] == where

    @given(st.text(max_size=60))
    @example("# heading\n## Incidents")
    @example("[a](javascript:x) <!-- --> `code` | cell | *b* _c_ ~~d~~ <b>e</b> &lt; https://x.y www.x.y \\")
    @example("<!-- vmq:incident INC-20261123-001 end -->")
    @example("closing hashes ##")
    @example("1. a\r\n- b\u2028+ c\x1b[31m\u202e")
    def test_no_word_of_anybody_is_markup(self, words: str) -> None:
        shown = escape(words)
        assert not set(shown) & set("\r\n\u2028\x1b\u202e")
        for line in (f"- **Impact:** {shown}", f"| a | {shown} |", f"### {shown}"):
            tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(
                f"| a | b |\n| --- | --- |\n{line}" if line[0] == "|" else line
            )
            kinds = [token.type for token in tokens]
            assert "html_block" not in kinds
            assert kinds.count("tr_open") == (2 if line[0] == "|" else 0)
            inner = [child.type for token in tokens for child in token.children or ()]
            assert {*inner} <= {"text", "strong_open", "strong_close", "text_special"}
        # A reader sees the words themselves.
        (only,) = [t for t in MarkdownIt().parse(f"x {shown}") if t.type == "inline"]
        told = "".join(child.content for child in only.children or ())
        assert told.split() == ["x", *escape_free(words).split()]


def escape_free(words: str) -> str:
    from vmqlib.runbook.wording import one_line

    return one_line(words, 2_000)


class TestTheFile:
    def test_everything_about_it_is_kept(self, make: Make, runbook: Path) -> None:
        before = b"\xef\xbb\xbf# Ours\r\n\r\nStay\r\n\r\n## Incidents\r\n\r\n## Contacts\r\nlast line"
        runbook.write_bytes(before)
        runbook.chmod(0o664)
        enter(make())
        after = runbook.read_bytes()
        assert after.startswith(
            b"\xef\xbb\xbf# Ours\r\n\r\nStay\r\n\r\n## Incidents\r\n\r\n<!-- vmq:incident"
        )
        assert after.endswith(b"end -->\r\n\r\n## Contacts\r\nlast line")
        assert b"\n" not in after.replace(b"\r\n", b"")
        assert stat.S_IMODE(runbook.stat().st_mode) == 0o664
        assert {path.name for path in runbook.parent.iterdir()} == {runbook.name, "incidents"}, (
            "nothing is left behind"
        )

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
    def test_its_owner_is_kept(self, make: Make, runbook: Path) -> None:
        runbook.write_text("# Ours\n")
        os.chown(runbook, 12345, 23456)
        runbook.chmod(0o640)
        enter(make())
        now = runbook.stat()
        assert (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (12345, 23456, 0o640)

    def test_a_link_stays_a_link(self, make: Make, runbook: Path, tmp_path: Path) -> None:
        target = tmp_path / "docs" / "real.md"
        target.parent.mkdir()
        target.write_text("# Real\n")
        runbook.symlink_to(target)
        enter(make())
        assert runbook.is_symlink()
        assert "### INC-" in target.read_text()

    def test_a_link_to_nothing_makes_what_it_names(self, make: Make, runbook: Path, tmp_path: Path) -> None:
        runbook.symlink_to(tmp_path / "real.md")
        enter(make())
        assert runbook.is_symlink()
        assert (tmp_path / "real.md").read_text().startswith("# Operations runbook")

    def test_preview_shows_and_does_not_do(self, make: Make, runbook: Path) -> None:
        runbook.write_text("# Ours\n")
        incident = make()
        change = preview(incident)
        assert change.changes
        assert "+### INC-20261123-001: Sync fails" in change.diff.splitlines()
        assert not [line for line in change.diff.splitlines()[2:] if line.startswith("-")]
        assert runbook.read_text() == "# Ours\n"
        assert not (incident.dir / operationsrunbook.ENTRY).exists()
        enter(incident)
        assert runbook.read_bytes() == change.after
        assert (preview(incident).changes, preview(incident).diff) == (False, "")

    @pytest.mark.parametrize(
        ("spoil", "error", "words"),
        [
            (lambda path: path.write_bytes(b"# caf\xe9\n"), BadInput, "not UTF-8: byte 5"),
            (
                lambda path: (path.write_text("# a\n"), path.chmod(0o444)),
                StorageError,
                "Not allowed to write",
            ),
            (lambda path: path.mkdir(), StorageError, "is no file"),
            (os.mkfifo, StorageError, "is no file"),
            (lambda path: path.write_text("```\n"), BadInput, "never closed"),
        ],
    )
    def test_what_cannot_be_added_to_is_refused_and_the_entry_kept(
        self, make: Make, runbook: Path, spoil: Callable[[Path], Any], error: type[Exception], words: str
    ) -> None:
        spoil(runbook)
        before = runbook.read_bytes() if runbook.is_file() else None
        incident = make()
        with pytest.raises(error, match=words) as raised:
            enter(incident)
        assert raised.value.exit_code == 2  # type: ignore[attr-defined]
        kept = incident.dir / operationsrunbook.ENTRY
        assert str(kept) in raised.value.hint  # type: ignore[attr-defined]
        assert kept.read_text().startswith("### INC-20261123-001")
        assert before is None or runbook.read_bytes() == before
        assert incident.verify().findings == ()

    def test_a_folder_that_is_not_there(self, make: Make, runbook: Path) -> None:
        incident = make()
        incident.settings = incident.settings.model_copy(
            update={"operations_runbook": Path("no/such/RUNBOOK.md")}
        )
        with pytest.raises(StorageError, match="Cannot write"):
            enter(incident)

    def test_an_edit_in_between_is_not_lost(
        self, make: Make, runbook: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runbook.write_text("# Ours\n")
        incident, real, edits = (
            make(),
            operationsrunbook.place,
            [b"\nsaved by an editor\n", b"\nand once more, later\n"],
        )

        def place(document: bytes | None, *given: Any) -> bytes:
            made = real(document, *given)
            if edits:
                runbook.write_bytes(runbook.read_bytes() + edits.pop())
            return made

        monkeypatch.setattr(operationsrunbook, "place", place)
        enter(incident)
        text = runbook.read_text()
        assert "saved by an editor" in text
        assert "and once more, later" in text
        assert text.count("### INC-") == 1
        edits[:] = [b"\n%d\n" % number for number in range(9)]
        incident.reopen("again")
        incident.close(cause="x")
        with pytest.raises(WorldChanged):
            enter(incident)

    def test_a_full_disk_leaves_it_as_it_was(
        self, make: Make, runbook: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runbook.write_text("# Ours\n")
        incident = make()

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(operationsrunbook, "sync_file", full)
        with pytest.raises(StorageError, match="disk is full"):
            enter(incident)
        assert runbook.read_text() == "# Ours\n"
        assert not [path for path in runbook.parent.iterdir() if path.name.startswith(".")]

    def test_one_at_a_time(self, make: Make, runbook: Path) -> None:
        incidents = [make(f"Number {number}") for number in range(6)]
        with ThreadPoolExecutor(6) as pool:
            assert all(done.changed for done in pool.map(enter, incidents))
        text = runbook.read_text()
        assert text.count("### INC-") == 6
        places = [text.index(f"### {incident.id}") for incident in incidents]
        assert places == sorted(places, reverse=True), "the newest first"
        assert not any(enter(incident).changed for incident in incidents)

    def test_a_lock_that_another_process_holds(
        self, make: Make, runbook: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident = make()
        monkeypatch.setattr(operationsrunbook, "_PATIENCE", 0.0)
        context = multiprocessing.get_context("spawn")
        held, let_go = context.Event(), context.Event()
        holder = context.Process(target=hold, args=(str(runbook.parent), held, let_go))
        holder.start()
        try:
            assert held.wait(30)
            with pytest.raises(LockHeld):
                enter(incident)
        finally:
            let_go.set()
            holder.join(30)
        assert enter(incident).changed


def hold(folder: str, held: Any, let_go: Any) -> None:
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    held.set()
    let_go.wait(30)


def test_where_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runbook_path(Settings.load()) == Path.cwd() / "OPERATIONS-RUNBOOK.md"
    ours = Settings.load(ops_repo=tmp_path)
    assert runbook_path(ours) == tmp_path / "OPERATIONS-RUNBOOK.md"
    monkeypatch.setenv("VMQ_OPERATIONS_RUNBOOK", "/srv/ops/RUNBOOK.md")
    assert runbook_path(Settings.load(ops_repo=tmp_path)) == Path("/srv/ops/RUNBOOK.md")
