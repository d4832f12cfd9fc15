"""``vmq rollback`` as people and scripts meet it: tables, one JSON document, exit codes, Ctrl-C, hostile keys."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.rollback_rig import Rig

from vmqlib.runbook import rollback
from vmqlib.times import iso

HOSTILE = [
    "\x1b]0;owned\x07.md",
    "\u202eevil.md",
    "[bold]plain[/bold].md",
    "new\nline.md",
    "<b>&.md",
    "é😀.md",
]


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    # Yesterday: the tests let time pass there, and commands go by the machine's clock.
    return start_local_aws(None, now=datetime.now(UTC) - timedelta(days=1))


@pytest.fixture
def rig(local: Any, point_at: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> Any:
    point_at(local)
    rig = Rig(local)
    monkeypatch.setenv("BUCKET_NAME", rig.bucket)
    monkeypatch.setenv("DS_ID", rig.settings.ds_id)
    yield rig
    local.faults.clear()


@pytest.fixture
def spoiled(rig: Rig) -> Rig:
    rig.was = rig.spoiled()
    return rig


@pytest.fixture
def to(spoiled: Rig) -> list[str]:
    """``plan``'s arguments for that bucket."""
    return [spoiled.incident.id, "--to", iso(spoiled.good)]


def problem(done: Any, code: int, *words: str) -> None:
    """It ended with that code, and says these words in a sentence and a hint, without a traceback."""
    assert done.code == code, done.err
    assert "Error: " in done.err
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err


class TestPlan:
    def test_says_what_would_come_of_it_and_what_to_type(
        self, command: Any, spoiled: Rig, to: list[str]
    ) -> None:
        there = spoiled.versions()
        done = command("rollback", "plan", *to)
        assert done.code == 0, done.err
        assert spoiled.versions() == there
        plan = rollback.planned(spoiled.incident)
        assert plan is not None
        for words in (
            "COPY",
            "4 keys",
            "UNDELETE",
            "DELETE",
            "largest",
            "oldest",
            "deletion safeguard",
            "next sync",
        ):
            assert words in done.out
        for words in ("cost, estimated", "time, estimated", "requests"):
            assert words in done.out
        last = done.out.splitlines()[-3:]
        assert last[0] == f"Digest  {plan.digest}"
        assert last[2] == f"Next    vmq rollback apply {spoiled.incident.id} --digest {plan.digest[:12]}"
        assert command(*last[2].split()[2:], "--yes").code == 0
        assert spoiled.holds() == spoiled.was

    def test_json_is_one_document(self, command: Any, spoiled: Rig, to: list[str]) -> None:
        done = command("rollback", "plan", *to, "--json")
        assert (done.code, done.err) == (0, "")
        assert done.json["counts"] == {"COPY": 4, "DELETE": 1, "UNDELETE": 1}
        assert done.json["changes"] == 6
        assert done.json["preview"]["safeguard"]["deletions"] == 1
        assert Path(done.json["file"]).is_file()
        assert done.json["digest"][:12] in done.json["next"]

    def test_blocked_keys_come_with_their_remedy(self, command: Any, spoiled: Rig, to: list[str]) -> None:
        spoiled.version("Suspended")
        done = command("rollback", "plan", *to)
        assert done.code == 0
        assert "Held back" in done.out
        assert "put-bucket-versioning" in done.out
        assert "Next    nothing" in done.out

    def test_hostile_keys_neither_steer_the_terminal_nor_break_json(self, command: Any, rig: Rig) -> None:
        rig.write(dict.fromkeys(HOSTILE, "good"))
        rig.good = rig.tick()
        rig.write(dict.fromkeys(HOSTILE, "bad"))
        to = [rig.incident.id, "--to", iso(rig.good)]
        for arguments in (("plan", *to), ("verify", rig.incident.id)):
            out = command("rollback", *arguments).out
            for bad in ("\x1b", "\x07", "\u202e", "new\nline"):
                assert bad not in out
            assert "[bold]plain[/bold].md" in out
        document = command("rollback", "plan", *to, "--json").json
        assert {each["key"] for each in document["preview"]["largest"]} == set(HOSTILE)
        assert command("rollback", "apply", rig.incident.id, "--yes").code == 0
        rig.tick()
        rig.write(dict.fromkeys(HOSTILE, "theirs"))
        done = command("rollback", "verify", rig.incident.id, "--json")
        assert done.code == 1
        assert {each["key"] for each in done.json["first"]} == set(HOSTILE)

    def test_keys_from_the_command_line(self, command: Any, rig: Rig) -> None:
        rig.write(dict.fromkeys(HOSTILE, "good"))
        rig.tick()
        rig.write(dict.fromkeys(HOSTILE, "bad"))
        named = [word for key in HOSTILE[:3] for word in ("--key", key)]
        done = command("rollback", "plan", rig.incident.id, "--to", "previous", *named, "--json")
        assert done.json["counts"] == {"COPY": 3}

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("--to", "soon"), "no target"),
            (("--to", "previous"), "--since"),
            (("--to", "2199-01-01"), "future"),
            (("--since", "1h"), "--since"),
            (("--ambiguous", "perhaps"), "ambiguous"),
            (("--key", ""), "empty"),
        ],
    )
    def test_what_makes_no_sense(
        self, command: Any, spoiled: Rig, arguments: tuple[str, ...], words: str
    ) -> None:
        problem(command("rollback", "plan", spoiled.incident.id, *arguments), 2, words)

    def test_no_incident_no_bucket(self, command: Any, spoiled: Rig, monkeypatch: Any) -> None:
        problem(command("rollback", "plan", "INC-20200101-001", "--to", "1h"), 2, "INC-20200101-001")
        monkeypatch.setenv("BUCKET_NAME", "no-such-bucket-anywhere")
        problem(command("rollback", "plan", spoiled.incident.id, "--to", "1h"), 3, "no-such-bucket-anywhere")


class TestApply:
    def test_without_a_plan_says_to_plan_first(self, command: Any, spoiled: Rig) -> None:
        done = command("rollback", "apply", spoiled.incident.id, "--yes")
        problem(done, 2, f"vmq rollback plan {spoiled.incident.id}")

    def test_without_a_terminal_wants_yes(self, command: Any, spoiled: Rig, to: list[str]) -> None:
        command("rollback", "plan", *to)
        there = spoiled.versions()
        problem(command("rollback", "apply", spoiled.incident.id), 2, "--yes", "Change 6 objects")
        assert spoiled.versions() == there

    def test_says_how_it_ended_and_what_comes_next(self, command: Any, spoiled: Rig, to: list[str]) -> None:
        command("rollback", "plan", *to)
        done = command("rollback", "apply", spoiled.incident.id, "--yes")
        assert done.code == 0, done.err
        assert "6 objects" in done.out
        assert f"vmq rollback verify {spoiled.incident.id}" in done.err
        assert f"vmq sync start --incident {spoiled.incident.id}" in done.err
        assert spoiled.holds() == spoiled.was
        problem(command("rollback", "apply", spoiled.incident.id, "--yes"), 2, "applied already", "undo")
        problem(command("rollback", "resume", spoiled.incident.id), 2, "came to its end")

    def test_json(self, command: Any, spoiled: Rig, to: list[str]) -> None:
        command("rollback", "plan", *to)
        done = command("rollback", "apply", spoiled.incident.id, "--yes", "--json")
        assert (done.json["ok"], done.json["done"], done.json["ending"]) == (True, 6, "applied")
        done = command("rollback", "verify", spoiled.incident.id, "--json")
        assert (done.code, done.json["ok"], done.json["matching"]) == (0, True, 6)
        done = command("rollback", "undo", spoiled.incident.id, "--yes", "--json")
        assert (done.json["ok"], done.json["kind"]) == (True, "undo")

    def test_the_digest_pins_what_was_looked_at(self, command: Any, spoiled: Rig, to: list[str]) -> None:
        looked_at = command("rollback", "plan", *to, "--json").json["digest"]
        spoiled.tick()
        spoiled.write({"doc-009.md": "somebody's"})
        newer = command("rollback", "plan", *to, "--json").json["digest"]
        assert newer != looked_at
        there = spoiled.versions()
        done = command("rollback", "apply", spoiled.incident.id, "--digest", looked_at[:12], "--yes")
        problem(done, 4, looked_at[:12], newer[:12])
        problem(command("rollback", "apply", spoiled.incident.id, "--digest", "abc", "--yes"), 2, "too short")
        assert spoiled.versions() == there
        assert command("rollback", "apply", spoiled.incident.id, "--digest", newer[:8], "--yes").code == 0

    def test_a_plan_in_a_file(self, command: Any, spoiled: Rig, to: list[str], tmp_path: Path) -> None:
        file = tmp_path / "plan of mine"
        assert command("rollback", "plan", *to, "--out", str(file)).code == 0
        problem(command("rollback", "apply", spoiled.incident.id, "--plan", str(tmp_path)), 2)
        junk = tmp_path / "junk"
        junk.write_text("{}")
        problem(command("rollback", "apply", spoiled.incident.id, "--plan", str(junk), "--yes"), 2, "no plan")
        cut = tmp_path / "cut"
        cut.write_bytes(file.read_bytes()[:-40])
        problem(
            command("rollback", "apply", spoiled.incident.id, "--plan", str(cut), "--yes"), 1, "cut short"
        )
        done = command(
            "rollback", "apply", spoiled.incident.id, "--plan", str(file), "--rate", "500", "--yes"
        )
        assert done.code == 0, done.err
        assert spoiled.holds() == spoiled.was

    def test_another_incidents_plan(self, command: Any, spoiled: Rig, to: list[str], local: Any) -> None:
        command("rollback", "plan", *to)
        plan = rollback.planned(spoiled.incident)
        assert plan is not None
        other = Rig(local).incident
        problem(
            command("rollback", "apply", other.id, "--plan", str(plan.path), "--yes"), 2, spoiled.incident.id
        )

    def test_somebody_else_in_between(self, command: Any, spoiled: Rig, to: list[str]) -> None:
        command("rollback", "plan", *to)
        spoiled.tick()
        spoiled.write({"doc-000.md": "theirs"})
        done = command("rollback", "apply", spoiled.incident.id, "--yes")
        problem(done, 4, "doc-000.md", "somebody else")
        assert "changed" in done.out
        assert spoiled.holds() == {**spoiled.was, "doc-000.md": "theirs"}
        done = command("rollback", "verify", spoiled.incident.id)
        assert done.code == 1
        assert "changed by somebody else" in done.out

    def test_what_aws_refuses(self, command: Any, spoiled: Rig, to: list[str]) -> None:
        command("rollback", "plan", *to)
        fault = spoiled.local.faults.add(
            service="s3", operation="CopyObject", status=403, code="AccessDenied"
        )
        done = command("rollback", "apply", spoiled.incident.id, "--yes", "--json")
        problem(done, 3, "s3:PutObject", f"vmq rollback resume {spoiled.incident.id}")
        assert done.json["ok"] is False
        spoiled.local.faults.remove(fault)
        assert command("rollback", "resume", spoiled.incident.id, "--yes").code == 0
        assert spoiled.holds() == spoiled.was

    @pytest.mark.parametrize("arguments", [("--rate", "0"), ("--workers", "0"), ("--rate", "fast")])
    def test_rates_that_are_none(
        self, command: Any, spoiled: Rig, to: list[str], arguments: tuple[str, ...]
    ) -> None:
        command("rollback", "plan", *to)
        problem(command("rollback", "apply", spoiled.incident.id, "--yes", *arguments), 2, arguments[0])

    def test_undo_takes_it_back_and_says_when_there_is_nothing(
        self, command: Any, spoiled: Rig, to: list[str]
    ) -> None:
        bad = spoiled.holds()
        problem(command("rollback", "undo", spoiled.incident.id, "--yes"), 2, "nothing to undo")
        command("rollback", "plan", *to)
        command("rollback", "apply", spoiled.incident.id, "--yes")
        spoiled.tick()
        problem(command("rollback", "undo", spoiled.incident.id), 2, "--yes")
        done = command("rollback", "undo", spoiled.incident.id, "--yes")
        assert done.code == 0, done.err
        assert spoiled.holds() == bad
        assert command("rollback", "verify", spoiled.incident.id).code == 0

    def test_of_several_it_says_which_and_another_can_be_named(
        self, command: Any, spoiled: Rig, to: list[str]
    ) -> None:
        digests = []
        for key in ("doc-000.md", "doc-001.md"):
            digests.append(command("rollback", "plan", *to, "--key", key, "--json").json["digest"])
            done = command("rollback", "apply", spoiled.incident.id, "--yes")
            assert done.code == 0, done.err
            spoiled.tick()
        first, last = digests
        verify = ("rollback", "verify", spoiled.incident.id)
        assert f"Compared with plan {last[:12]}, one of 2" in command(*verify).err
        named = command(*verify, "--digest", first[:8], "--json")
        assert (named.code, named.json["digest"]) == (0, first)
        assert f"* {first[:12]}" in named.err
        problem(
            command(*verify, "--digest", "0123456789ab"), 2, "No plan 0123456789ab was applied", last[:12]
        )
        problem(command(*verify, "--digest", "0123"), 2, "too short")
        undo = ("rollback", "undo", spoiled.incident.id, "--yes", "--digest", first[:12])
        done = command(*undo)
        assert done.code == 0, done.err
        assert f"Takes back plan {first[:12]}" in done.err
        assert spoiled.holds()["doc-000.md"] == "bad, alas 0"
        assert spoiled.holds()["doc-001.md"] == "good 1"
        problem(command(*undo), 2, "was taken back already")

    def test_a_closed_incident(self, command: Any, spoiled: Rig, to: list[str]) -> None:
        command("rollback", "plan", *to)
        spoiled.incident.close("over")
        for arguments in (("plan", *to), ("apply",), ("resume",), ("undo",)):
            words = [arguments[0], spoiled.incident.id, *arguments[2:]]
            yes = ["--yes"] if arguments[0] in {"apply", "undo"} else []
            problem(command("rollback", *words, *yes), 2, "is closed")

    def test_archived_versions_are_asked_for(self, command: Any, rig: Rig) -> None:
        rig.s3.put_object(Bucket=rig.bucket, Key="old.md", Body=b"good", StorageClass="GLACIER")
        rig.good = rig.tick()
        rig.write({"old.md": "bad"})
        plan = command("rollback", "plan", rig.incident.id, "--to", iso(rig.good))
        assert "--thaw" in plan.out
        assert "archived" in plan.out
        problem(command("rollback", "apply", rig.incident.id, "--thaw"), 2, "--yes", "USD")
        done = command("rollback", "apply", rig.incident.id, "--thaw", "--yes")
        assert done.code == 0, done.err
        assert "Asked for 1" in done.err
        assert "3 to 5 hours" in done.err
        plan = command("rollback", "plan", rig.incident.id, "--to", iso(rig.good))
        assert "under way" in plan.out


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_twice_and_gone_on_with(rig: Rig, number: signal.Signals) -> None:
    """Ctrl-C once, and once more: what is in flight is finished and logged, and nothing is lost."""
    was = rig.spoiled(60)
    plan = rig.plan(inspect=False)
    rig.local.faults.add(service="s3", operation="CopyObject", latency=0.2)
    rig.local.faults.add(service="s3", operation="HeadObject", latency=0.02)
    vmq = [sys.executable, "-m", "vmqlib.cli", "rollback"]
    words = ["apply", rig.incident.id, "--yes", "--workers", "2", "--digest", plan.digest]
    running = subprocess.Popen(
        [*vmq, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    log = rig.incident.dir / "rollback" / f"apply-{plan.digest[:12]}.jsonl"
    until = time.monotonic() + 60
    while not (log.exists() and b'"outcome"' in log.read_bytes()):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    running.send_signal(number)
    time.sleep(0.05)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    assert f"vmq rollback resume {rig.incident.id}" in err
    assert "left" in out
    written = log.read_bytes()
    assert written.count(b'"intent"') == written.count(b'"outcome"'), "nothing is in doubt"
    assert 0 < written.count(b'"done"') < plan.changes
    rig.local.faults.clear()
    done = subprocess.run(
        [*vmq, "resume", rig.incident.id, "--json"], capture_output=True, text=True, check=True
    )
    ended = json.loads(done.stdout)
    assert (ended["ok"], ended["done"] + ended["found"]) == (True, plan.changes)
    assert rig.holds() == was
    assert rig.again().verify().ok
