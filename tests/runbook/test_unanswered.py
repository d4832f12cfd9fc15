"""AWS accepts the connection and never answers: deadlines hold, Ctrl-C ends what looks, and a call has its limit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.arrivals import all_arrived
from support.scripted_http import SILENCE, ScriptedServer, http

from vmqlib.aws import Aws, aws_errors
from vmqlib.cli.main import run, vmq
from vmqlib.errors import DeadlinePassed, Throttled, Unreachable
from vmqlib.record.incident import Incident
from vmqlib.runbook import alarmwatch, resync, rollback
from vmqlib.runbook.alarmlook import Look
from vmqlib.s3 import S3
from vmqlib.settings import Settings
from vmqlib.sources import REGISTRY
from vmqlib.sources.base import Source, gather
from vmqlib.sources.crew import unless, within

BRIEFLY = timedelta(seconds=0.3)
SOON = 9.0  # seconds; what would wait for AWS waits for ten at least
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_REGION": "eu-west-1",
    "REGION": "eu-west-1",
    "APP_ID": "e3e70682-c209-4cac-a29f-6fbed82c07cd",
    "INDEX_ID": "f728b4fa-4248-4e3a-8a5d-2f346baa9455",
    "DS_ID": "f7c1bd87-4da5-4709-9471-3d60c8a70639",
    "BUCKET_NAME": "vaultmesh-knowledge-base",
}


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with ScriptedServer([SILENCE]) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


@pytest.fixture
def aws(silent: ScriptedServer) -> Aws:
    return Aws(Settings.load())


def took(call: Callable[[], Any]) -> float:
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def test_waiting_for_a_sync_ends_at_its_deadline(aws: Aws) -> None:
    told: list[str] = []

    def wait() -> None:
        with pytest.raises(DeadlinePassed, match="could not be seen within") as caught:
            resync.wait(
                aws, aws.settings, aws.settings.ds_id, deadline=BRIEFLY,
                trouble=lambda each: told.append(each.sentence),
            )  # fmt: skip
        assert caught.value.exit_code == 5

    assert took(wait) < SOON
    assert told[0].startswith("AWS does not answer since")


def test_watching_alarms_ends_at_its_deadline(aws: Aws) -> None:
    told: list[tuple[Any, str]] = []

    def wait() -> None:
        with pytest.raises(DeadlinePassed, match="could not be seen within") as caught:
            alarmwatch.wait(
                Look(aws, aws.settings), deadline=BRIEFLY, progress=lambda *each: told.append(each)
            )
        assert caught.value.exit_code == 5

    assert took(wait) < SOON
    assert told[0][0] is None
    assert "AWS does not answer" in told[0][1]


def test_a_call_that_is_late_is_tried_twice(aws: Aws, silent: ScriptedServer) -> None:
    client = aws.own_client("sts", read_s=0.1)
    with pytest.raises(Unreachable) as caught, aws_errors("sts:GetCallerIdentity"):
        client.get_caller_identity()
    client.close()
    assert caught.value.late
    all_arrived(silent.url)
    assert len(silent.asked) == 2


def test_so_is_a_listing_of_s3(aws: Aws, silent: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmqlib.s3route.LONG_READ_S", 0.1)
    monkeypatch.setattr(S3, "pause", staticmethod(lambda *_: None))
    with S3(aws, "vaultmesh-knowledge-base") as s3, pytest.raises(Unreachable) as caught:
        s3.ask("GET", operation="s3:ListObjectVersions", query={"versions": ""})
    assert caught.value.late
    all_arrived(silent.url)
    assert len(silent.asked) == 2


def test_throttling_keeps_all_attempts(silent: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    body = '{"__type":"ThrottlingException","message":"Rate exceeded"}'
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    with ScriptedServer([http(400, body, content_type="application/x-amz-json-1.1")]) as busy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", busy.url)
        client = Aws(Settings.load()).own_client("logs")
        with pytest.raises(Throttled), aws_errors("logs:DescribeLogGroups"):
            client.describe_log_groups()
        client.close()
    assert len(busy.asked) == 5
    assert not silent.asked


def test_what_is_late_is_dropped_and_what_is_not_is_handed_on() -> None:
    hold = threading.Event()
    with pytest.raises(Unreachable, match="does not answer s3:HeadBucket"):
        within(0.01, hold.wait, "s3:HeadBucket")
    hold.set()
    assert within(5, lambda: 7, "s3:HeadBucket") == 7

    def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        within(5, fails, "s3:HeadBucket")


def test_an_interrupted_gathering_waits_for_nobody() -> None:
    hold = threading.Event()

    def interrupted() -> bool:
        raise KeyboardInterrupt

    def gathered() -> None:
        with pytest.raises(KeyboardInterrupt):
            gather([interrupted, lambda: hold.wait(30), lambda: hold.wait(30)])

    assert took(gathered) < SOON
    hold.set()


def test_who_interrupts_a_look_does_not_wait_until_aws_says_who_acts(
    aws: Aws, silent: ScriptedServer
) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    jobs = Source("sync-jobs", "Sync history", interrupted, REGISTRY["sync-jobs"].columns)
    settings = aws.settings
    incident = Incident.open(settings, None, trigger="content", data_source_id=settings.ds_id)
    asking = Incident.load(incident.id, settings=settings, aws=aws, sources={**REGISTRY, "sync-jobs": jobs})

    def looked() -> None:
        with pytest.raises(KeyboardInterrupt):
            rollback.plan(asking)

    assert took(looked) < SOON
    all_arrived(silent.url)
    assert not silent.asked
    assert [
        event.data.model_dump()["not_seen"] for event in incident.journal.events() if event.kind == "noted"
    ] == [["sync-jobs"]]
    assert not (incident.dir / "rollback").exists()


def test_a_look_that_nobody_waits_for_any_more_is_dropped() -> None:
    hold, stop = threading.Event(), threading.Event()
    threading.Timer(0.1, stop.set).start()

    def dropped() -> None:
        with pytest.raises(KeyboardInterrupt):
            unless(stop, lambda: hold.wait(30))

    assert took(dropped) < SOON
    hold.set()
    assert unless(threading.Event(), lambda: 7) == 7
    assert unless(None, lambda: 7) == 7


@pytest.mark.slow
@pytest.mark.parametrize("command", ["rollback plan {}", "rollback plan {} --to 6h", "sync docs ."])
def test_a_signal_ends_planning_at_once_and_leaves_no_plan(command: str, silent: ScriptedServer) -> None:
    settings = Settings.load()
    incident = Incident.open(settings, None, trigger="content", data_source_id=settings.ds_id)
    Path("a.md").write_text("text")
    assert signalled(command.format(incident.id), silent) == 130
    assert not [*(incident.dir / "rollback").glob("*")]
    assert incident.verify().ok


@pytest.mark.slow
@pytest.mark.parametrize("command", ["detect", "doctor", "dashboard", "sync wait", "alarms wait"])
def test_a_signal_ends_it_at_once(command: str, silent: ScriptedServer) -> None:
    assert signalled(command, silent) == 130


def signalled(command: str, silent: ScriptedServer) -> int:
    """The exit code of a command that is told to end while it waits; it may take ten seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vmqlib.cli", *command.split()],
        env={**os.environ, "PYTHONWARNINGS": ""}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        until = time.monotonic() + 60
        while not silent.asked and time.monotonic() < until:
            time.sleep(0.05)
        assert silent.asked, "it asks"
        time.sleep(0.3)  # the other threads ask, too
        process.send_signal(signal.SIGTERM)
        return process.wait(10)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("command", ["doctor", "detect"])
def test_one_advice_for_all_is_given_once(
    command: str, silent: ScriptedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert run(vmq, [command]) == 3
    told = "".join(capsys.readouterr())
    assert told.count("Sign in (aws sso login)") == 1
    assert not silent.asked, "nobody is asked without credentials"
