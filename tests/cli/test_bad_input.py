"""What goes wrong for people: each a sentence, a hint, the right exit code, and nothing lost."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vmqlib.record.incident import Incident
from vmqlib.settings import Settings

ID = "INC-20261123-001"
NOBODY = "00000000-0000-0000-0000-000000000000"


def problem(done: Any, code: int, *words: str) -> None:
    """The command ended with that code, and says these words on stderr, with no traceback and nothing on stdout."""
    assert done.code == code, done.err
    assert done.out == ""
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err
    assert len(done.err.strip().splitlines()) >= 2, "no hint"
    for word in words:
        assert word in done.err


class TestSettings:
    def test_no_settings_at_all(self, command: Any) -> None:
        problem(command("open", "--trigger", "sync-failed"), 2, "APP_ID", "INDEX_ID", ".env")

    def test_wrong_id_names_key_and_file(self, command: Any) -> None:
        Path(".env").write_text("APP_ID=abc\n")
        problem(command("sync", "history"), 2, "APP_ID", ".env", "'abc'", "36-character")

    def test_toml_that_is_none(self, command: Any) -> None:
        Path("vmq.toml").write_text("dashboard = \n")
        problem(command("list"), 2, "vmq.toml", "line 1")

    def test_mistyped_setting(self, command: Any) -> None:
        Path("vmq.toml").write_text('dashbord = "x"\n')
        problem(command("list"), 2, "dashbord", "Did you mean 'dashboard'")

    def test_id_of_nobody(self, command: Any, healthy_aws: Any, point_at: Any, monkeypatch: Any) -> None:
        point_at(healthy_aws)
        monkeypatch.setenv("APP_ID", NOBODY)
        problem(command("sync", "history"), 3, "does not exist")

    def test_mistyped_data_source(self, command: Any, healthy_aws: Any, point_at: Any) -> None:
        point_at(healthy_aws)
        problem(command("logs", "--data-source", "x"), 2, "'x' is not a data source id")

    @pytest.mark.parametrize("since", ["soon", "", "2026-13-01", "9999999999w"])
    def test_time_that_is_none(self, command: Any, healthy_aws: Any, point_at: Any, since: str) -> None:
        point_at(healthy_aws)
        problem(command("logs", "--since", since), 2, "is not a time")

    def test_window_that_ends_before_it_begins(self, command: Any, healthy_aws: Any, point_at: Any) -> None:
        point_at(healthy_aws)
        problem(command("logs", "--since", "1h", "--until", "2h"), 2, "before it begins")

    def test_unknown_command_and_trigger(self, command: Any) -> None:
        problem(command("opne"), 2, "vmq open")
        problem(command("open", "--trigger", "fire"), 2, "sync-failed")


class TestAws:
    def test_no_credentials(self, command: Any, healthy_aws: Any, point_at: Any, monkeypatch: Any) -> None:
        point_at(healthy_aws)
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        problem(command("sync", "history"), 3, "credentials")

    def test_expired_credentials(self, command: Any, local_aws: Any, point_at: Any) -> None:
        point_at(local_aws)
        with failing(local_aws, "ListDataSourceSyncJobs", 403, "ExpiredTokenException"):
            problem(command("sync", "history"), 3, "expired")

    def test_denied(self, command: Any, local_aws: Any, point_at: Any) -> None:
        point_at(local_aws)
        with failing(local_aws, "StartDataSourceSyncJob", 403, "AccessDeniedException"):
            done = command("sync", "start", "--yes")
        # What is about to be started is shown before it is tried.
        shown, error, rest = done.err.partition("Error: ")
        assert shown.splitlines()[0].startswith("s3 (")
        problem(replace(done, err=error + rest), 3, "qbusiness:StartDataSourceSyncJob")

    def test_unreachable(self, command: Any, healthy_aws: Any, point_at: Any, monkeypatch: Any) -> None:
        point_at(healthy_aws)
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        problem(command("sync", "history"), 3, "127.0.0.1:9")

    def test_region_without_the_service(
        self, healthy_aws: Any, point_at: Any, monkeypatch: Any, command: Any
    ) -> None:
        point_at(healthy_aws)
        monkeypatch.delenv("AWS_ENDPOINT_URL")
        monkeypatch.setenv("REGION", "af-south-1")
        for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
            monkeypatch.delenv(name)
        # The name of an endpoint that is not there cannot be looked up; here no name can. The guard against the network
        # stands in for the resolver's answer.
        import socket

        monkeypatch.setattr(socket, "getaddrinfo", _no_such_host)
        problem(command("sync", "history"), 3, "af-south-1")

    def test_log_group_that_does_not_exist(self, command: Any, local_aws: Any, point_at: Any) -> None:
        import boto3

        point_at(local_aws)
        Path("vmq.toml").write_text('log_groups = ["/aws/lambda/gone"]\n')
        boto3.client("logs")
        done = command("logs", "--since", "30d", "--out", "captured")
        assert done.code == 3
        assert "/aws/lambda/gone" in done.err
        # What could be read was written all the same.
        assert "connector-log" in done.out
        assert (Path("captured") / "connector-log.jsonl.gz").stat().st_size > 0
        summary = json.loads((Path("captured") / "summary.json").read_text())
        assert summary["complete"] is False


@contextlib.contextmanager
def failing(aws: Any, operation: str, status: int, code: str) -> Iterator[None]:
    rule = aws.faults.add(operation=operation, status=status, code=code)
    try:
        yield
    finally:
        aws.faults.remove(rule)


def _no_such_host(*_: object, **__: object) -> Any:
    import socket

    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


class TestIncidents:
    @pytest.mark.parametrize("name", ["show", "verify", "render"])
    def test_unknown(self, command: Any, name: str) -> None:
        problem(command(name, ID), 2, ID)

    @pytest.mark.parametrize("identity", ["../../etc", "INC-1", "", "INC-20261123-001/../INC-20261123-001"])
    def test_id_that_is_none(self, command: Any, identity: str) -> None:
        assert command("show", identity).code == 2

    def test_unknown_with_one_alike(self, command: Any, incident: Incident) -> None:
        problem(command("show", incident.id[:-1] + "9"), 2, incident.id)

    def test_broken_folder(self, command: Any, incident: Incident) -> None:
        (incident.dir / "incident.json").write_text("{")
        problem(command("show", incident.id), 1, "incident.json")
        listed = command("list")
        assert listed.code == 0
        assert "BROKEN" in listed.out

    def test_changed_journal(self, command: Any, incident: Incident) -> None:
        path = incident.dir / "journal.jsonl"
        path.write_bytes(path.read_bytes().replace(b"SEV2", b"SEV3", 1))
        done = command("verify", incident.id)
        assert done.code == 1
        assert "NOT as it was written" in done.out
        assert command("verify", incident.id, "--json").json["ok"] is False

    def test_empty_note(self, command: Any, incident: Incident) -> None:
        problem(command("note", incident.id, "  "), 2, "empty")

    def test_close_by_force_needs_a_reason(self, command: Any, incident: Incident) -> None:
        problem(command("close", incident.id, "--force"), 2, "--reason")


class TestDisk:
    @pytest.fixture
    def full(self, tmp_path: Path) -> Iterator[Path]:
        with mounted(tmp_path / "full", "size=256k") as path:
            yield path

    def test_full(self, command: Any, full: Path, monkeypatch: Any, healthy_aws: Any, point_at: Any) -> None:
        point_at(healthy_aws)
        monkeypatch.setenv("VMQ_INCIDENTS", str(full / "incidents"))
        incident = Incident.open(Settings.load(), None, trigger="sync-failed")
        with contextlib.suppress(OSError), (full / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(1024))
        before = [event.seq for event in incident.journal.events()]
        problem(command("note", incident.id, "x" * 20_000), 2, "full")
        assert [event.seq for event in incident.journal.events()] == before
        assert incident.verify().ok
        (full / "filler").unlink()
        assert command("note", incident.id, "room again").code == 0

    def test_read_only(
        self, command: Any, tmp_path: Path, monkeypatch: Any, healthy_aws: Any, point_at: Any
    ) -> None:
        point_at(healthy_aws)
        with mounted(tmp_path / "ro", "size=256k", read_only=True) as path:
            monkeypatch.setenv("VMQ_INCIDENTS", str(path / "incidents"))
            problem(command("open", "--trigger", "sync-failed"), 2, "read-only")


@contextlib.contextmanager
def mounted(path: Path, options: str, *, read_only: bool = False) -> Iterator[Path]:
    """A small file system of its own; skipped by name where we may not mount one."""
    path.mkdir()
    flags = f"{options},ro" if read_only else options
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", flags, "tmpfs", str(path)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount a tmpfs: {done.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def incident() -> Incident:
    """An incident with one event, made without AWS."""
    return Incident.open(Settings.load(), None, trigger="sync-failed")


@pytest.mark.slow
def test_two_opens_at_once(sync_failed_aws: Any, point_at: Callable[[Any], None], tmp_path: Path) -> None:
    point_at(sync_failed_aws)
    command = [sys.executable, "-m", "vmqlib.cli", "open", "--trigger", "sync-failed", "--json"]
    with ThreadPoolExecutor() as pool:
        done = list(
            pool.map(
                lambda _: subprocess.run(
                    command, capture_output=True, text=True, check=False, env=dict(os.environ)
                ),
                range(2),
            )
        )
    assert [each.returncode for each in done] == [0, 0], [each.stderr for each in done]
    opened = [json.loads(each.stdout) for each in done]
    assert opened[0]["id"] != opened[1]["id"]
    for each in opened:
        assert Incident.load(each["id"]).verify().ok
        assert Path(each["html"]).stat().st_size > 50_000
