"""``vmq dashboard`` where a widget is blind, and an incident that keeps what the dashboard showed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest

from vmqlib import view
from vmqlib.aws import Aws
from vmqlib.record.incident import Incident
from vmqlib.runbook.dashboard import SOURCES, read_dashboard
from vmqlib.settings import Settings
from vmqlib.times import parse_iso

pytestmark = pytest.mark.slow

BLIND = "Sync failures (all applications)"
NAME = "VaultMesh-QBusiness"


@pytest.fixture(scope="module")
def blind(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws("blind-alarm")


@pytest.fixture
def cloudwatch(blind: Any, point_at: Callable[[Any], None]) -> Iterator[Any]:
    """Plain boto3, which sees what the kit sees."""
    point_at(blind)
    client = boto3.client("cloudwatch")
    yield client
    client.close()


def test_the_blind_widget_is_named_with_what_to_write(command: Any, blind: Any, cloudwatch: Any) -> None:
    done = command("dashboard")
    assert done.code == 1, done.err
    assert f"fail: {BLIND}: SyncFailed has no value with no dimensions" in done.out
    assert "pass" not in done.out, "it is about how old the data are, not about how good"
    assert {"current", "blank"} <= set(done.out.split())
    assert json.dumps(["VaultMesh/QBusiness", "SyncFailed", "App", blind.env["APP_ID"]]) in done.out
    assert "not shown: Connector errors: a log query is not run here" in done.out


def test_the_document_for_programs(command: Any, blind: Any, cloudwatch: Any) -> None:
    done = command("dashboard", "--since", "5d", "--json")
    found = done.json
    assert (done.code, found["dashboard"], found["verdict"]) == (1, NAME, "fail")
    assert [one["subject"] for one in found["checks"] if one["outcome"] == "fail"] == [BLIND]
    widgets = {one["title"]: one for one in found["widgets"]}
    assert [one["title"] for one in found["widgets"] if one["blank"]] == [BLIND]
    failed, no_sync = widgets["Sync failures"]["lines"]
    assert (failed["newest"]["value"], no_sync["newest"]["value"]) == (1.0, 0.0)
    assert failed["age_s"] < 600
    assert failed["dimensions"] == {"App": blind.env["APP_ID"]}
    assert [one["statistic"] for one in widgets["Documents per sync"]["lines"]] == ["p50", "p90"]
    assert [one["label"] for one in widgets["Objects by prefix"]["lines"]] == ["/", "_staging/"]
    (share,) = widgets["Questions without an answer"]["lines"]
    assert 0 <= share["newest"]["value"] <= 100
    alarms = {one["name"]: one["state"] for one in widgets["Alarms"]["alarms"]}
    assert alarms["QBusinessSyncFailed"] == "OK", "it is blind, too"


def test_values_are_those_that_cloudwatch_gives_when_it_is_asked_directly(
    command: Any, cloudwatch: Any
) -> None:
    found = command("dashboard", "--json").json
    lines = [
        line for widget in found["widgets"] for line in widget["lines"] if line["metric"] and line["newest"]
    ]
    assert len(lines) >= 8
    for line in lines:
        namespace, _, name = line["metric"].partition(" ")
        start, statistic = parse_iso(line["newest"]["at"]), line["statistic"]
        kind = "ExtendedStatistics" if statistic.startswith("p") else "Statistics"
        (point,) = cloudwatch.get_metric_statistics(
            Namespace=namespace, MetricName=name, Period=line["period_s"], StartTime=start,
            EndTime=start + timedelta(seconds=line["period_s"]), **{kind: [statistic]},
            Dimensions=[{"Name": key, "Value": value} for key, value in line["dimensions"].items()],
        )["Datapoints"]  # fmt: skip
        value = point["ExtendedStatistics"][statistic] if kind == "ExtendedStatistics" else point[statistic]
        # Somebody may have asked something meanwhile, and the period goes on.
        assert value == pytest.approx(line["newest"]["value"], abs=2), line["label"]


def test_an_incident_keeps_what_it_showed_then_and_now(
    command: Any, cloudwatch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = Aws(Settings.load())
    incident = Incident.open(aws.settings, aws, trigger="sync-failed")
    incident.observe(SOURCES)
    body = cloudwatch.get_dashboard(DashboardName=NAME)["DashboardBody"]
    mended = json.loads(body)
    (widget,) = [one for one in mended["widgets"] if one["properties"].get("title") == BLIND]
    widget["properties"]["metrics"] = [["VaultMesh/QBusiness", "SyncFailed", "App", aws.settings.app_id]]
    cloudwatch.put_dashboard(DashboardName=NAME, DashboardBody=json.dumps(mended))
    try:
        done = command("dashboard", "--incident", incident.id, "--json")
    finally:
        cloudwatch.put_dashboard(DashboardName=NAME, DashboardBody=body)
    aws.close()
    assert done.code == 0, done.err
    (now,) = [one["lines"] for one in done.json["widgets"] if one["title"] == BLIND]
    assert now[0]["newest"]["value"] == 1.0
    (same,) = [one["lines"] for one in done.json["widgets"] if one["title"] == "Documents in the index"]
    assert same[0]["first_seen"]["value"] == same[0]["newest"]["value"]

    # Months later, without AWS: both looks are there, and are drawn.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    kept = Incident.load(incident.id)
    before, after = kept.first_seen(SOURCES), kept.observations()
    assert before[SOURCES[1]].at != after[SOURCES[1]].at
    first, last = read_dashboard(before), read_dashboard(after)
    assert first is not None
    assert last is not None
    assert (
        [one.title for one in first.widgets if one.blank],
        [one for one in last.widgets if one.blank],
    ) == ([BLIND], [])
    shown = view.dashboard(before, after, opened=kept.state.opened_at)
    assert shown.ok
    assert "at the opening" in shown.html.markup
    assert "8 of 8 metric widgets show data" in shown.text
    assert "data:image/png;base64," in shown.html.markup
    assert kept.verify().ok


def test_of_a_closed_incident_the_evidence_is_shown(command: Any, cloudwatch: Any) -> None:
    aws = Aws(Settings.load())
    incident = Incident.open(aws.settings, aws, trigger="sync-failed")
    incident.observe(SOURCES)
    incident.close(outcome="false alarm")
    events = incident.state.events
    aws.close()
    done = command("dashboard", "--incident", incident.id)
    assert done.code == 1
    assert "is closed: this is its evidence" in done.err
    assert BLIND in done.out
    assert Incident.load(incident.id).state.events == events


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_a_dashboard_that_is_not_there(
    command: Any, cloudwatch: Any, monkeypatch: pytest.MonkeyPatch, extra: tuple[str, ...]
) -> None:
    monkeypatch.setenv("VMQ_DASHBOARD", "Gone")
    done = command("dashboard", *extra)
    assert done.code == 3
    assert "no CloudWatch dashboard 'Gone' in eu-west-1" in done.err
    if extra:
        assert done.json["verdict"] == "fail"


def test_secrets_on_a_dashboard_reach_no_terminal(
    command: Any, cloudwatch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMQ_DASHBOARD", "Secret")
    key = "AKIA" + "Z2345678ABCDEFGH"
    query = {"query": "fields @message", "title": f"by dana@example.com {key}"}
    body = {"widgets": [{"type": "log", "properties": query}, {"type": "hologram", "properties": query}]}
    cloudwatch.put_dashboard(DashboardName="Secret", DashboardBody=json.dumps(body))
    for extra in ((), ("--json",)):
        done = command("dashboard", *extra)
        assert done.code == 0, done.err
        assert "a log query is not run here" in done.out
        for secret in ("dana@example.com", key):
            assert secret not in done.out + done.err


def test_a_window_that_is_none(command: Any, cloudwatch: Any) -> None:
    done = command("dashboard", "--since", "soon")
    assert done.code == 2
    assert "'soon' is not a time" in done.err


def test_the_other_accounts_dashboard_is_whole(
    command: Any, sync_failed_aws: Any, point_at: Callable[[Any], None]
) -> None:
    point_at(sync_failed_aws)
    done = command("dashboard", "--since", "5d", "--json")
    assert done.code == 0, done.err
    assert [one["title"] for one in done.json["widgets"] if one["blank"]] == []
