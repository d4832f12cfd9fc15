"""From a page to a closed record, as `make demo` does it, and the same record again without AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from vmqlib.settings import Settings
from vmqlib.sources import REGISTRY

pytestmark = [pytest.mark.slow, pytest.mark.notebooks]

SECTIONS = (
    "At a glance",
    "What the triggers say",
    "Who is affected",
    "What changed",
    "Changes in a table",
    "Which change to look at first",
    "Trigger and alarms",
    "Sync history",
    "Failing documents",
    "Connector log",
    "Objects changed since the last good sync",
    "Suspects' versions",
    "Index against bucket",
    "Rollback plan",
    "Rollback",
    "Rollback verified",
    "Actions taken",
    "Communication",
    "Validation",
    "Next steps",
    "Timeline",
    "Provenance",
)


def vmq(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "vmqlib.cli", *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, **env})


def outputs(notebook: Path) -> list[Any]:
    """What the cells showed, without when and how long they ran."""
    cells = json.loads(notebook.read_text())["cells"]
    return [[output.get("data") or output for output in cell.get("outputs", [])] for cell in cells]


@pytest.fixture
def opened(sync_failed_aws: Any, point_at: Callable[[Any], None]) -> dict[str, Any]:
    point_at(sync_failed_aws)
    done = vmq("open", "--trigger", "sync-failed", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_record_has_every_section_and_says_what_happened(opened: dict[str, Any]) -> None:
    assert set(opened) >= {"id", "dir", "notebook", "html", "state"}
    page = Path(opened["html"]).read_text()
    for section in SECTIONS:
        assert f">{section}" in page.replace("&#39;", "'")
    plan = opened["rollback"]
    assert plan["outcome"] == "planned"
    assert Path(plan["plan"]).stat().st_mode & 0o777 == 0o600
    assert f"vmq rollback apply {opened['id']} --digest {plan['digest'][:12]}" in page
    assert "nothing in the bucket was changed" in page
    # The facts of the scenario: 99 failing documents, three bad syncs, one bad promotion.
    assert "99" in page
    assert "INCOMPLETE" in page
    assert "vmq sync start" in page
    notebook = json.loads(Path(opened["notebook"]).read_text())
    assert notebook["metadata"]["vmq"]["run"]["status"] == "completed"
    assert not [
        out for cell in outputs(Path(opened["notebook"])) for out in cell if out.get("output_type") == "error"
    ]
    assert opened["unavailable"] == []


def test_the_same_record_months_later_without_aws(opened: dict[str, Any]) -> None:
    before = outputs(Path(opened["notebook"]))
    journal = (Path(opened["dir"]) / "journal.jsonl").read_bytes()
    for name in ("notebook", "html"):
        Path(opened[name]).unlink()
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    done = vmq("render", opened["id"], **nowhere)
    assert done.returncode == 0, done.stderr
    assert outputs(Path(opened["notebook"])) == before
    assert Path(opened["html"]).is_file()
    assert (Path(opened["dir"]) / "journal.jsonl").read_bytes() == journal


def test_what_is_denied_is_said_in_its_place_and_the_rest_is_there(
    start_local_aws: Callable[..., Any], point_at: Callable[[Any], None]
) -> None:
    aws = start_local_aws("sync-failed")
    point_at(aws)
    for service, operation, code in (
        ("logs", "*", "AccessDeniedException"),
        ("s3", "ListObjectVersions", "AccessDenied"),
        ("cloudwatch", "DescribeAlarmHistory", "AccessDenied"),
    ):
        aws.faults.add(service=service, operation=operation, status=403, code=code)
    done = vmq("open", "--trigger", "sync-failed", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert set(record["unavailable"]) == {"connector-log", "document-report", "versions", "alarm-history"}
    page = Path(record["html"]).read_text()
    for permission in ("logs:FilterLogEvents", "s3:ListBucketVersions", "cloudwatch:DescribeAlarmHistory"):
        assert permission in page
    assert "evidence unavailable" in page
    assert "INCOMPLETE" in page, "the sync history is there all the same"
    shown = vmq("show", record["id"])
    assert "not seen: Object versions" in shown.stdout
    assert "changes that were not seen: S3 changes; commits in the ops repo; alarms" in shown.stdout


def test_what_is_approved_is_done_and_told(
    start_local_aws: Callable[..., Any], point_at: Callable[[Any], None]
) -> None:
    point_at(start_local_aws("sync-failed"))
    wrong = vmq("open", "--trigger", "sync-failed", "--approve", "rolback")
    assert wrong.returncode == 2
    assert "rollback" in wrong.stderr
    assert "INC-" not in vmq("list").stdout, "nothing was begun"
    done = vmq("open", "--trigger", "sync-failed", "--approve", "rollback", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["rollback"]["outcome"] == "applied"
    assert record["rollback"]["verified"] is True
    page = Path(record["html"]).read_text()
    assert "Restored: 128 objects." in page
    assert "128 objects as planned" in page
    assert "128 are back, 0 are still changed" in page
    assert f"vmq rollback undo {record['id']}" in page
    assert vmq("verify", record["id"]).returncode == 0
    # The same, months later: nothing of it needs AWS.
    before = outputs(Path(record["notebook"]))
    assert vmq("render", record["id"], AWS_ENDPOINT_URL="http://127.0.0.1:9").returncode == 0
    assert outputs(Path(record["notebook"])) == before


def test_nothing_of_aws_can_be_reached(healthy_aws: Any, point_at: Callable[[Any], None]) -> None:
    """That is when a record is needed most: it is written, and says that nothing was seen."""
    point_at(healthy_aws)
    done = vmq(
        "open", "--trigger", "no-sync", "--json", AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1"
    )
    assert done.returncode == 3
    assert "Nothing could be seen" in done.stderr
    record = json.loads(done.stdout)
    asked = {
        name for name, one in REGISTRY.items() if one.routine and one.asks_aws and one.wanted(Settings.load())
    }
    assert set(record["unavailable"]) == asked | {"ci-hold"}, "what an incident without syncs looks at, too"
    page = Path(record["html"]).read_text()
    assert page.count("evidence unavailable") >= 5
    assert "127.0.0.1:9" in page


def test_healthy_is_calm(healthy_aws: Any, point_at: Callable[[Any], None]) -> None:
    point_at(healthy_aws)
    done = vmq("open", "--trigger", "sync-failed", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    shown = json.loads(vmq("show", record["id"], "--json").stdout)
    steps = shown["next_steps"]
    assert not [step for step in steps if step["step"].startswith("3")], "nothing to roll back"
    assert {one["verdict"] for one in shown["triggers"]} == {"quiet"}
    assert shown["suspects"] == []
    assert shown["first_bad_sign"] is None
    assert shown["answers"]["since"] == [{"lead": "", "text": "nothing fires now", "command": ""}]


def test_no_secret_and_no_address_reaches_the_record(opened: dict[str, Any]) -> None:
    import gzip
    import re

    files = [path for path in Path(opened["dir"]).rglob("*") if path.is_file()]
    assert len(files) > 12
    for path in files:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        addresses = set(re.findall(rb"[\w.+-]+@[\w-]+\.[\w.]+", data)) - {
            b"knowledge-ops@vaultmesh.io",
            b"security@vaultmesh.io",
        }
        assert not addresses, (path, addresses)
        assert os.environ["AWS_SECRET_ACCESS_KEY"].encode() not in data


@pytest.mark.timeout(300)
def test_from_page_to_closed(
    start_local_aws: Callable[..., Any], point_at: Callable[[Any], None], project: Path
) -> None:
    aws = start_local_aws("sync-failed")
    point_at(aws)
    record = json.loads(vmq("open", "--trigger", "sync-failed", "--json").stdout)
    refused = vmq("close", record["id"])
    assert refused.returncode == 1
    assert "INCOMPLETE" in refused.stdout
    assert f"vmq validate {record['id']}" in refused.stderr
    # The opening planned it already: this is the plan that the record shows.
    applied = vmq("rollback", "apply", record["id"], "--yes")
    assert applied.returncode == 0, applied.stderr
    assert vmq("rollback", "verify", record["id"]).returncode == 0
    assert vmq("sync", "start", "--incident", record["id"], "--yes").returncode == 0
    waited = vmq("sync", "wait", "--incident", record["id"], "--json")
    assert waited.returncode == 0, waited.stderr
    assert json.loads(waited.stdout)["succeeded"] is True
    # What publishes the alarm's metric looks every five minutes; then the alarm resets.
    aws.clock.advance(timedelta(minutes=15))
    validated = vmq("validate", record["id"], "--json")
    assert validated.returncode == 0, validated.stdout
    assert vmq("render", record["id"], "--refresh").returncode == 0
    check = [sys.executable, str(project / "scripts" / "check_index.py"), record["id"]]
    assert "no other" in subprocess.run(check, check=True, capture_output=True, text=True).stdout
    closed = vmq(
        "close",
        record["id"],
        "--impact",
        "<script>alert(1)</script>",
        "--root-cause",
        "c",
        "--remediation",
        "r",
        "--customers",
        "not known",
    )
    assert closed.returncode == 0, closed.stderr
    page = Path(record["html"]).read_text()
    assert "<script" not in page
    assert vmq("verify", record["id"]).returncode == 0
    assert vmq("close", record["id"]).returncode == 2, "closed already"
    entry = Path("OPERATIONS-RUNBOOK.md").read_text()
    assert entry.count(f"### {record['id']}") == 1
    assert "&lt;script&gt;" in entry
    assert b"METHOD:REQUEST" in (Path(record["dir"]) / "retro.ics").read_bytes()
    reviewed = vmq("retro", record["id"], "--json")
    assert reviewed.returncode == 0, reviewed.stderr
    told = json.loads(reviewed.stdout)
    took = {one["name"]: one["took"] for one in told["measures"]}
    assert took["acknowledge"] is None, "nobody did"
    assert took["detect"] < 900 < took["exposed"]
    assert took["opening"] is not None
    assert 0 < took["mitigate"] < took["resolve"]
    assert {one["name"]: one["saw"] for one in told["witnesses"]}["QBusinessSyncFailed"] is True
    assert told["unavailable"] == {}
    assert vmq("render", record["id"]).returncode == 0
    assert vmq("verify", record["id"]).returncode == 0, "sealed again after it was rendered again"
    Path(record["html"]).write_text(page.replace("INCOMPLETE", "SUCCEEDED"))
    tampered = vmq("verify", record["id"])
    assert tampered.returncode == 1
    assert "incident.html" in tampered.stdout
    assert vmq("reopen", record["id"], "--reason", "It broke again").returncode == 0
    assert vmq("verify", record["id"]).returncode == 0, "an open record is written again anyway"
    again = vmq(
        "close",
        record["id"],
        "--impact",
        "i",
        "--root-cause",
        "the true one",
        "--remediation",
        "r",
        "--customers",
        "c",
    )
    assert again.returncode == 0, again.stderr
    assert vmq("verify", record["id"]).returncode == 0
    assert (Path(record["dir"]) / "closings" / "MANIFEST-1.json").is_file()
    entry = Path("OPERATIONS-RUNBOOK.md").read_text()
    assert entry.count(f"### {record['id']}") == 1
    assert "the true one" in entry
    assert "It broke again" in Path(record["html"]).read_text()
    assert b"SEQUENCE:1" in (Path(record["dir"]) / "retro.ics").read_bytes(), "the same appointment, anew"
