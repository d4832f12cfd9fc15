"""`vmq detect` as people and programs meet it: what fires, exit codes, watching in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

TRIGGERS = ["sync-failed", "no-sync", "guardrail", "content"]


def test_detect_says_what_fires_since_when_and_why(command: Any, sync_failed_aws: Any, point_at: Any) -> None:
    point_at(sync_failed_aws)
    done = command("detect", "--json")
    assert done.code == 1, done.err
    assert set(done.json) >= {"triggers", "findings"}
    by_name = {one["trigger"]: one for one in done.json["triggers"]}
    assert list(by_name) == TRIGGERS
    assert {name: one["verdict"] for name, one in by_name.items()} == {
        "sync-failed": "firing", "no-sync": "quiet", "guardrail": "quiet", "content": "quiet",
    }  # fmt: skip
    firing = by_name["sync-failed"]
    assert firing["since"].endswith("Z")
    assert firing["data_source_id"] == sync_failed_aws.env["DS_ID"]
    assert {one["source"] for one in firing["reasons"]} == {"sync-jobs", "alarms", "metrics"}
    assert by_name["no-sync"]["since"] is None
    assert not Path("incidents").exists(), "looking writes nothing"


def test_on_a_healthy_day_nothing_fires(command: Any, healthy_aws: Any, point_at: Any) -> None:
    point_at(healthy_aws)
    done = command("detect")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].split() == ["trigger", "verdict", "since", "why"]
    assert [line.split()[:2] for line in done.out.splitlines()[1:] if not line.startswith(" ")] == [
        [name, "quiet"] for name in TRIGGERS
    ]
    assert done.err == ""
    only = command("detect", "--trigger", "no-sync", "--json")
    assert [one["trigger"] for one in only.json["triggers"]] == ["no-sync"]


def test_nothing_that_can_be_seen_is_exit_code_3_and_unknown(
    command: Any, healthy_aws: Any, point_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(healthy_aws)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    done = command("detect", "--trigger", "no-sync", "--json")
    assert done.code == 3
    assert [one["verdict"] for one in done.json["triggers"]] == ["unknown"]
    assert "not seen: Sync history" in done.err
    people = command("detect", "--trigger", "no-sync")
    assert people.code == 3
    assert "Sync history could not be seen: AWS cannot be reached at 127.0.0.1:9" in people.out
    assert "ListDataSourceSyncJobs" not in people.err, "the answer says it"
    assert people.err.count("Check the network") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--open"], "--open is for --watch"),
        (["--trigger", "nosync"], "nosync"),
        (["--since", "soon"], "'soon' is not a time"),
        (["--watch", "0"], "0"),
    ],
)
def test_bad_input_is_told_before_anything_is_asked(
    command: Any, healthy_aws: Any, point_at: Any, arguments: list[str], told: str
) -> None:
    point_at(healthy_aws)
    done = command("detect", *arguments)
    assert done.code == 2
    assert told in done.err


def test_without_settings_it_says_what_to_set(command: Any) -> None:
    done = command("detect")
    assert done.code == 2
    assert "APP_ID" in done.err


@pytest.mark.slow
def test_canaries_are_asked_only_where_told(
    command: Any, start_local_aws: Callable[..., Any], point_at: Any
) -> None:
    aws = start_local_aws("guardrail-overblock")
    point_at(aws)
    asked: list[str] = []
    aws.faults.add(service="qbusiness", operation="ChatSync", status=403, code="AccessDeniedException")
    done = command("detect", "--trigger", "guardrail", "--canaries", "--json")
    assert [one["kind"] for one in done.json["findings"]] == ["canary-not-asked", "canary-not-asked"], asked
    aws.faults.clear()
    plain = command("detect", "--trigger", "guardrail", "--json").json["triggers"][0]
    assert (plain["verdict"], plain["confidence"]) == ("firing", "medium")
    assert not any(one["source"] == "canaries" for one in plain["reasons"])
    told = command("detect", "--trigger", "guardrail", "--canaries", "--json").json["triggers"][0]
    assert (told["verdict"], told["confidence"]) == ("firing", "high")
    assert any("What is MIRAGE?" in one["text"] for one in told["reasons"] if one["source"] == "canaries")


# -- watching, in processes of their own


@contextmanager
def watching(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-m", "vmqlib.cli", "detect", "--watch", "1", *arguments]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stderr is not None
    read = []
    for line in process.stderr:
        read.append(line)
        if words in line:
            return line
    raise AssertionError("".join(read))


def stop(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    return process.returncode, rest


def test_watching_ends_cleanly(healthy_aws: Any, point_at: Any) -> None:
    point_at(healthy_aws)
    with watching("--trigger", "no-sync", "--json") as process:
        assert "no-sync: quiet" in read_until(process, "no-sync")
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["triggers"][0]["verdict"] == "quiet"
        code, rest = stop(process)
    assert code == 130
    assert "Traceback" not in rest
    assert "No longer watching." in rest


@pytest.mark.slow
@pytest.mark.notebooks
def test_two_watchers_and_one_that_comes_later_open_one_incident(sync_failed_aws: Any, point_at: Any) -> None:
    point_at(sync_failed_aws)
    with watching("--open") as one, watching("--open") as other:
        lines = [read_until(process, "INC-") for process in (one, other)]
        for process in (one, other):
            code, rest = stop(process)
            assert code == 130, rest
            assert "Traceback" not in rest
    opened = [line for line in lines if "opened INC-" in line]
    known = [line for line in lines if "is there for it already" in line]
    assert (len(opened), len(known)) == (1, 1), lines
    with watching("--open") as later:
        assert "is there for it already" in read_until(later, "INC-")
        stop(later)
    (folder,) = Path("incidents").glob("INC-*")
    assert json.loads((folder / "incident.json").read_text())["cause"].startswith("sync-failed/")
    assert (folder / "incident.html").is_file()


@pytest.mark.slow
def test_what_the_kit_asks_itself_is_no_users_question(
    command: Any, start_local_aws: Callable[..., Any], point_at: Any
) -> None:
    """Canaries include one that must be blocked: asked often, they are no guardrail incident."""
    aws = start_local_aws("healthy")
    point_at(aws)
    quiet = command("detect", "--trigger", "guardrail", "--json").json["triggers"][0]
    assert quiet["verdict"] == "quiet", quiet
    for _ in range(8):
        asked = command("detect", "--trigger", "guardrail", "--canaries", "--json")
    (told,) = asked.json["triggers"]
    assert told["verdict"] == "quiet", told
    time.sleep(1.1)  # what was counted in the second that is under way is not in the answer yet
    told = command("detect", "--trigger", "guardrail", "--json").json["triggers"][0]
    assert told["verdict"] == "quiet", told
    assert "16 of the " in told["reasons"][0]["text"], told
    assert "this kit's own canaries, and are left out" in told["reasons"][0]["text"]
    # The counts themselves are as CloudWatch has them: without the trace they would fire.
    shutil.rmtree(Path("incidents") / "own-questions")
    told = command("detect", "--trigger", "guardrail", "--json").json["triggers"][0]
    assert told["verdict"] == "firing", told
