"""`vmq open --event` and `--auto`: a delivered alarm, or what the rules find, becomes one record or a clear refusal."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class Stdin:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)

    def isatty(self) -> bool:
        return False


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    return lambda content: monkeypatch.setattr(sys, "stdin", Stdin(content))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--auto", "--trigger", "content"],
        ["--event", "x", "--auto"],
        ["--event", "x", "--trigger", "content"],
    ],
)
def test_exactly_one_thing_says_what_to_open(command: Any, arguments: list[str]) -> None:
    done = command("open", *arguments)
    assert done.code == 2
    assert "--trigger NAME, --event FILE and --auto" in done.err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"\x89PNG\xff", "cannot be decoded"),
        (b'{"Records": []}', "no CloudWatch alarm"),
        (b'{"AlarmName": "x", "StateValue": "OK"}', "is OK, not ALARM"),
        (b"[" * 100_000, "not JSON"),
        (b" " * 600_000, "larger than"),
    ],
)
def test_what_is_no_page_is_refused_and_nothing_is_made(
    command: Any, healthy_aws: Any, point_at: Any, say: Any, content: bytes, told: str
) -> None:
    point_at(healthy_aws)
    say(content)
    done = command("open", "--event", "-")
    assert done.code == 2
    assert told in done.err
    Path("page.json").write_bytes(content)
    assert command("open", "--event", "page.json").code == 2
    assert not Path("incidents").exists()


def test_a_file_that_is_not_there(command: Any) -> None:
    done = command("open", "--event", "nowhere.json")
    assert done.code == 2
    assert "nowhere.json cannot be read" in done.err


def test_an_old_page_of_another_account_is_said_and_goes_with_the_incident(
    healthy_aws: Any, point_at: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from vmqlib.cli.occasions import by_event

    point_at(healthy_aws)
    alarm = {"AlarmName": "QBusinessSyncFailed", "NewStateValue": "ALARM", "AWSAccountId": "999999999999",
             "StateChangeTime": "2020-01-01T09:00:00.000+0000"}  # fmt: skip
    Path("page.json").write_text(json.dumps(alarm))
    occasion = by_event("page.json")
    out, err = capsys.readouterr()
    assert out == ""
    assert occasion.cause is not None
    assert len(occasion.cause.remarks) == 2
    assert err.splitlines() == [f"  {remark}" for remark in occasion.cause.remarks]
    assert "of account 999999999999" in err
    assert "the event is of 2020-01-01 09:00:00 UTC" in err


def test_where_nothing_fires_nothing_is_opened(command: Any, healthy_aws: Any, point_at: Any) -> None:
    point_at(healthy_aws)
    done = command("open", "--auto", "--json")
    assert done.code == 0, done.err
    assert done.json["id"] is None
    assert done.json["opened"] is False
    assert len(done.json["detection"]["triggers"]) == 4
    assert not Path("incidents").exists()


@pytest.mark.slow
def test_where_nothing_can_be_seen_nobody_knows(
    command: Any, healthy_aws: Any, point_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(healthy_aws)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    done = command("open", "--auto")
    assert done.code == 3
    assert "nobody knows whether anything fires" in done.err


def delivered(env: dict[str, str]) -> dict[str, Any]:
    """The notification that SNS delivered to the queue of ops-escalations when the alarm went on."""
    import boto3

    sqs = boto3.client("sqs", region_name=env["REGION"])
    url = sqs.get_queue_url(QueueName="ops-escalations")["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600).get(
        "Messages"
    ):
        for one in messages:
            body = json.loads(one["Body"])
            inner = json.loads(body["Message"])
            if inner.get("NewStateValue") == "ALARM" and inner["AlarmName"] == "QBusinessSyncFailed":
                return dict(body)
    raise AssertionError("no alarm was delivered")


@pytest.mark.slow
@pytest.mark.notebooks
def test_a_page_becomes_a_record_once(command: Any, start_local_aws: Any, point_at: Any, say: Any) -> None:
    aws = start_local_aws("sync-failed")
    point_at(aws)
    page = delivered(aws.env)
    say(json.dumps(page).encode())
    done = command("open", "--event", "-", "--json")
    assert done.code == 0, done.err
    assert done.json["opened"] is True
    folder = Path(done.json["dir"])
    identity = json.loads((folder / "incident.json").read_text())
    assert identity["trigger"] == "sync-failed"
    assert identity["title"].startswith("QBusinessSyncFailed: ")
    first = json.loads((folder / "journal.jsonl").read_text().splitlines()[0])
    assert first["data"]["event"]["Message"]["AlarmName"] == "QBusinessSyncFailed"
    assert command("verify", done.json["id"]).code == 0
    # The same page again, in another form, and what the rules find: it is all one cause.
    Path("again.json").write_text(page["Message"])
    for arguments in (["--event", "again.json"], ["--auto"]):
        again = command("open", *arguments, "--json")
        assert again.code == 0, again.err
        assert (again.json["id"], again.json["opened"]) == (done.json["id"], False)
        assert f"{done.json['id']} is there for it already" in again.err
    assert len(list(folder.parent.glob("INC-*"))) == 1


def test_what_fires_still_though_its_incident_is_closed_is_no_success(
    command: Any, sync_failed_aws: Any, point_at: Any
) -> None:
    from vmqlib.aws import Aws
    from vmqlib.runbook.opening import open_incident
    from vmqlib.settings import Settings

    point_at(sync_failed_aws)
    settings = Settings.load()
    incident = open_incident(settings, Aws(settings), trigger="sync-failed")
    there = command("open", "--auto")
    assert there.code == 0, there.err
    assert f"{incident.id} is there for it already" in there.err
    incident.close("too early")
    done = command("open", "--auto", "--json")
    assert done.code == 4
    assert done.json["opened"] is False
    assert "is closed since" in done.err
    assert f"vmq reopen {incident.id} --reason" in done.err
    assert len(list(Path("incidents").glob("INC-*"))) == 1
