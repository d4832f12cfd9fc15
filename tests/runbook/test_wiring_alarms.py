"""The doctor's rules about alarms, each in passing, failing and unknown form, over looks made by hand."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.looks import NOW, failed_look, look
from support.wiring_looks import APP, SPACE, TOPIC, alarm, metric, target

from vmqlib.runbook import doctor
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.wiring import blind_alarms, is_blind
from vmqlib.runbook.wiring.cadence import COMES, FITS, fits, fitting
from vmqlib.runbook.wiring.metrics import Looked, Published
from vmqlib.runbook.wiring.sight import SEES
from vmqlib.runbook.wiring.telling import TELLS
from vmqlib.settings import Settings
from vmqlib.sources.alarms import children
from vmqlib.sources.metricnames import pace

IN_APP = {"App": APP}


@pytest.fixture
def settings() -> Settings:
    return Settings.load(app_id=APP)


def examined(
    settings: Settings, alarms: list[Any], metrics: list[Any] = (), targets: list[Any] = (), **more: Any
) -> dict[tuple[str, str], CheckResult]:
    """The results about alarms, by the check's name and the alarm's."""
    seen = {
        "alarm-config": look("alarm-config", alarms),
        "metric-names": look("metric-names", metrics),
        "alarm-actions": look("alarm-actions", targets),
    } | more
    found = doctor.examine(seen, settings, NOW, checks=doctor.ALARM_CHECKS).checks
    assert len({(one.name, one.subject) for one in found}) == len(found), (
        "one result for each check and alarm"
    )
    return {(one.name, one.subject): one for one in found}


def put(mend: str) -> dict[str, Any]:
    """The parameters of the put-metric-alarm in a mend, as a shell and the aws CLI would read them."""
    first = mend.index("aws cloudwatch put-metric-alarm")
    words = shlex.split(mend[first:].split("\n\n", 1)[0].split("\nOr correct", 1)[0])
    assert words[:5] == ["aws", "cloudwatch", "put-metric-alarm", "--region", "eu-west-1"]
    assert words[5] == "--cli-input-json"
    assert len(words) == 7
    return dict(json.loads(words[6]))


# -- whether it sees


def test_an_alarm_without_the_dimension_is_blind_and_the_mend_changes_nothing_else(
    settings: Settings,
) -> None:
    odd = 'it\'s "odd"\n$(rm) `x` file://y'
    row = alarm(told=(TOPIC,))
    row["definition"] = json.dumps(json.loads(row["definition"]) | {"AlarmDescription": odd})
    result = examined(settings, [row], [metric("SyncFailed", IN_APP)])[SEES, "QBusinessSyncFailed"]
    assert result.ok is False
    assert "no dimensions" in result.finding
    assert f"App={APP}" in result.finding
    assert put(result.mend) == json.loads(row["definition"]) | {"Dimensions": [{"Name": "App", "Value": APP}]}
    snippet = yaml.safe_load(result.mend.split("takes this back:\n", 1)[1])
    assert snippet == {
        "QBusinessSyncFailed": {
            "Type": "AWS::CloudWatch::Alarm", "Properties": {"Dimensions": [{"Name": "App", "Value": APP}]},
        }
    }  # fmt: skip


def test_an_alarm_that_sees_passes(settings: Settings) -> None:
    result = examined(settings, [alarm(dimensions=IN_APP)], [metric("SyncFailed", IN_APP)])
    assert result[SEES, "QBusinessSyncFailed"].ok is True


def test_the_namespace_may_be_the_wrong_one(settings: Settings) -> None:
    result = examined(
        settings, [alarm(dimensions=IN_APP)], [metric(namespace="VaultMesh/Q", dimensions=IN_APP)]
    )
    found = result[SEES, "QBusinessSyncFailed"]
    assert found.ok is False
    assert put(found.mend)["Namespace"] == "VaultMesh/Q"


def test_of_several_metrics_ours_is_meant_and_else_a_person_chooses(settings: Settings) -> None:
    others = [metric(dimensions={"App": "other"}), metric(dimensions={"App": "third"})]
    ours = examined(settings, [alarm()], [*others, metric(dimensions=IN_APP)])[SEES, "QBusinessSyncFailed"]
    assert put(ours.mend)["Dimensions"] == [{"Name": "App", "Value": APP}]
    unclear = examined(settings, [alarm()], others)[SEES, "QBusinessSyncFailed"]
    assert unclear.ok is False
    assert unclear.mend.startswith("Several metrics could be meant")
    assert unclear.mend.count("aws cloudwatch put-metric-alarm") == 2


def test_a_metric_that_nobody_publishes_cannot_be_told_but_for_the_daily_one(settings: Settings) -> None:
    found = examined(settings, [alarm(), alarm("QBusinessNoSync", metric="NoSync")], [metric(periods=0)])
    assert found[SEES, "QBusinessSyncFailed"].ok is None
    assert found[SEES, "QBusinessNoSync"].ok is False


def test_without_datapoints_seen_no_alarm_is_called_blind(settings: Settings) -> None:
    names = look(
        "metric-names", [metric(periods=None, dimensions=IN_APP)], complete=False,
        stopped="Access denied. Grant cloudwatch:GetMetricData.",
    )  # fmt: skip
    result = examined(settings, [alarm()], **{"metric-names": names})[SEES, "QBusinessSyncFailed"]
    assert result.ok is None
    assert "cloudwatch:GetMetricData" in result.mend
    part = look("metric-names", [metric(dimensions=IN_APP)], complete=False, stopped="InternalError")
    assert examined(settings, [alarm()], **{"metric-names": part})[SEES, "QBusinessSyncFailed"].ok is None


def test_metric_math_is_mended_where_it_is_blind(settings: Settings) -> None:
    stat = {"Metric": {"Namespace": SPACE, "MetricName": "SyncFailed"}, "Period": 300, "Stat": "Sum"}
    pair = [{"Name": "App", "Value": APP}]
    seeing = {**stat, "Metric": {**stat["Metric"], "MetricName": "NoSync", "Dimensions": pair}}
    definition = {
        "AlarmName": "Math", "EvaluationPeriods": 1,
        "Metrics": [
            {"Id": "e1", "Expression": "m1 + m2"},
            {"Id": "m1", "MetricStat": stat, "ReturnData": False},
            {"Id": "m2", "MetricStat": seeing, "ReturnData": False},
        ],
    }  # fmt: skip
    looked = [
        {
            "id": "m1",
            "namespace": SPACE,
            "name": "SyncFailed",
            "dimensions": {},
            "period_s": 300,
            "account": "",
        },
        {
            "id": "m2",
            "namespace": SPACE,
            "name": "NoSync",
            "dimensions": IN_APP,
            "period_s": 300,
            "account": "",
        },
    ]
    row = alarm("Math", kind="math", metrics=json.dumps(looked), definition=json.dumps(definition))
    found = examined(settings, [row], [metric(dimensions=IN_APP), metric("NoSync", IN_APP)])[SEES, "Math"]
    assert found.ok is False
    after = put(found.mend)
    assert after["Metrics"][1]["MetricStat"]["Metric"]["Dimensions"] == [{"Name": "App", "Value": APP}]
    assert after["Metrics"][1]["ReturnData"] is False
    assert [after["Metrics"][0], after["Metrics"][2]] == [definition["Metrics"][0], definition["Metrics"][2]]


def test_an_expression_that_finds_its_metrics_itself_cannot_be_told(settings: Settings) -> None:
    row = alarm("Search", kind="math", metrics="[]", expressions=json.dumps(["SEARCH('{X}', 'Sum')"]))
    assert examined(settings, [row])[SEES, "Search"].ok is None
    looked = {
        "id": "m1",
        "namespace": SPACE,
        "name": "N",
        "dimensions": {},
        "period_s": 60,
        "account": "999999999999",
    }
    elsewhere = alarm("There", kind="math", metrics=json.dumps([looked]))
    assert "999999999999" in examined(settings, [elsewhere])[SEES, "There"].finding


def test_a_masked_definition_is_never_put_again(settings: Settings) -> None:
    row = alarm()
    row["definition"] = json.dumps(json.loads(row["definition"]) | {"AlarmDescription": "ask [email:3f9a1c]"})
    found = examined(settings, [row], [metric(dimensions=IN_APP)])[SEES, "QBusinessSyncFailed"]
    assert "[email" not in found.mend
    first, second = found.mend.splitlines()[:2]
    words = shlex.split(first)
    assert words[:3] == ["aws", "cloudwatch", "describe-alarms"]
    kept, _, changes = words[words.index("jq") + 1].partition(" + ")
    assert json.loads(changes) == {"Dimensions": [{"Name": "App", "Value": APP}]}
    assert set(kept.strip("{}").split(", ")) == set(json.loads(row["definition"]))
    assert second.endswith("--cli-input-json file://alarm.json")


def test_an_address_in_a_definition_is_not_shown(settings: Settings) -> None:
    row = alarm()
    row["definition"] = json.dumps(
        json.loads(row["definition"]) | {"AlarmDescription": "ask jane@example.com"}
    )
    found = examined(settings, [row], [metric(dimensions=IN_APP)])[SEES, "QBusinessSyncFailed"]
    assert "jane@" not in found.mend
    assert " | jq " in found.mend
    row["definition"] = row["definition"].replace("jane@example.com", settings.contacts.knowledge_ops)
    assert put(examined(settings, [row], [metric(dimensions=IN_APP)])[SEES, "QBusinessSyncFailed"].mend)


def test_what_was_not_seen_is_said_with_the_permission(settings: Settings) -> None:
    found = examined(settings, [], **{"alarm-config": failed_look("alarm-config")})
    assert {one.ok for one in found.values()} == {None}
    assert all(one.mend == "Grant it." for one in found.values())


# -- which alarms are blind, for others to use

DIMENSIONS = st.dictionaries(
    st.sampled_from(["App", "Stage", "Index"]), st.sampled_from(["a", "b"]), max_size=3
)


@given(looked=DIMENSIONS, sets=st.lists(DIMENSIONS, max_size=5))
def test_only_the_very_same_set_is_seen(looked: dict[str, str], sets: list[dict[str, str]]) -> None:
    one = Looked(SPACE, "SyncFailed", looked)
    metrics = [Published(SPACE, "SyncFailed", each, 1) for each in sets]
    assert is_blind(one, metrics) is (bool(sets) and looked not in sets)
    assert is_blind(one, metrics[::-1]) is is_blind(one, metrics)
    assert not is_blind(one, [*metrics, Published(SPACE, "SyncFailed", dict(reversed(looked.items())), 1)])
    assert not is_blind(one, [Published(SPACE, "SyncFailed", each, 0) for each in sets]), (
        "no datapoint, no proof"
    )
    assert not is_blind(one, [Published(SPACE, "Other", each, 1) for each in sets])


def plain_looks(dimensions: Mapping[str, str], at: Any = NOW) -> dict[str, Any]:
    return {
        "alarms": look(
            "alarms",
            [{"name": "QBusinessSyncFailed", "state": "OK", "namespace": SPACE, "metric": "SyncFailed",
              "dimensions": json.dumps(dimensions)}],
            at=at,
        ),
        "metrics": look(
            "metrics",
            [{"metric": "SyncFailed", "namespace": SPACE, "dimensions": json.dumps(IN_APP), "at": NOW, "value": 1.0}],
        ),
    }  # fmt: skip


def test_an_incidents_own_look_tells_too_and_the_newer_one_counts() -> None:
    assert [one.name for one in blind_alarms(plain_looks({}))] == ["QBusinessSyncFailed"]
    assert blind_alarms(plain_looks(IN_APP)) == []
    assert blind_alarms(plain_looks({"App": "another"})) == [], "that may be another application's alarm"
    assert len(blind_alarms(plain_looks({**IN_APP, "Stage": "p"}))) == 1
    wired = {
        "alarm-config": look("alarm-config", [alarm()]),
        "metric-names": look("metric-names", [metric(dimensions=IN_APP)]),
    }
    assert len(blind_alarms(plain_looks(IN_APP) | wired)) == 1
    mended_since = plain_looks(IN_APP, at=NOW + timedelta(minutes=5))
    assert blind_alarms(mended_since | wired) == []
    assert blind_alarms({"alarms": failed_look("alarms")}) == []


# -- whether the period fits


@pytest.mark.parametrize(
    ("treat", "even", "ok"),
    [
        ("missing", 1.0, False),
        ("breaching", 1.0, False),
        ("notBreaching", 1.0, False),
        ("ignore", 1.0, True),
        ("notBreaching", 0.3, True),
        ("missing", 0.3, False),
    ],
)
def test_once_a_day_against_five_minutes(settings: Settings, treat: str, even: float, ok: bool) -> None:
    rows = [alarm(dimensions=IN_APP, treat=treat)]
    result = examined(settings, rows, [metric(dimensions=IN_APP, even=even)])[FITS, "QBusinessSyncFailed"]
    assert result.ok is ok, result.finding
    if not ok:
        after = put(result.mend)
        assert (after["Period"], after["EvaluationPeriods"]) == (86_400, 1)
        before = json.loads(rows[0]["definition"])
        assert {name for name in after if after[name] != before.get(name)} == {"Period"}


def test_once_a_day_against_a_day_fits_and_too_few_points_say_nothing(settings: Settings) -> None:
    rows = [alarm(dimensions=IN_APP, period=86_400, treat="missing")]
    assert examined(settings, rows, [metric(dimensions=IN_APP)])[FITS, "QBusinessSyncFailed"].ok is True
    few = examined(settings, rows, [metric(dimensions=IN_APP, periods=2)])
    assert few[FITS, "QBusinessSyncFailed"].ok is None
    assert few[COMES, "QBusinessSyncFailed"].ok is None


TREATS = st.sampled_from(["missing", "breaching", "notBreaching", "ignore"])


@given(
    window=st.integers(60, 700_000), gap=st.integers(10, 700_000), longer=st.integers(0, 700_000), treat=TREATS,
    heartbeat=st.booleans(),
)  # fmt: skip
def test_a_longer_window_never_fits_worse(
    window: int, gap: int, longer: int, treat: str, heartbeat: bool
) -> None:
    short = fits(window, gap, treat, heartbeat=heartbeat)
    assert fits(window + longer, gap, treat, heartbeat=heartbeat) >= short
    assert fits(window, gap + longer, treat, heartbeat=heartbeat) <= short
    if gap <= window:
        assert short


@given(gap=st.floats(1, 1_000_000), treat=TREATS)
def test_what_is_proposed_fits_and_is_what_cloudwatch_takes(gap: float, treat: str) -> None:
    better = fitting(gap)
    if better is None:
        assert gap > 7 * 86_400
        return
    period, periods = better
    assert fits(period * periods, gap, treat, heartbeat=True)
    assert period % 60 == 0
    assert period <= 86_400
    assert period * periods <= (7 * 86_400 if period >= 3600 else 86_400)


@given(every=st.integers(1, 96), count=st.integers(2, 30))
def test_the_pace_of_a_metric_that_comes_evenly(every: int, count: int) -> None:
    starts = [900.0 * every * n for n in range(count)]
    assert pace(starts, count, 900) == (900.0 * every, 900.0 * every, 1.0)


def test_several_values_in_a_period_come_closer_than_the_period() -> None:
    assert pace([0, 900, 1800], 9, 900) == (300.0, 900, 1.0)
    assert pace([0], 1, 900) == (None, None, None)


# -- whether silence is hidden


@pytest.mark.parametrize(
    ("last", "even", "ok"),
    [
        (timedelta(hours=20), 1.0, True),
        (timedelta(days=3), 1.0, False),
        (timedelta(days=3), 0.2, None),
    ],
)
@pytest.mark.parametrize("treat", ["ignore", "notBreaching", "missing", "breaching"])
def test_a_heartbeat_that_stopped(
    settings: Settings, last: timedelta, even: float, ok: bool | None, treat: str
) -> None:
    rows = [alarm(dimensions=IN_APP, period=86_400, treat=treat)]
    result = examined(settings, rows, [metric(dimensions=IN_APP, even=even, last=NOW - last)])
    found = result[COMES, "QBusinessSyncFailed"]
    assert found.ok is ok, found.finding
    if ok is False and treat in ("ignore", "notBreaching"):
        assert "does not show" in found.finding
        assert put(found.mend)["TreatMissingData"] == "breaching"
    if ok and treat in ("ignore", "notBreaching"):
        assert "would not tell" in found.finding


# -- whom it tells


@pytest.mark.parametrize(
    ("rows", "ok", "words"),
    [
        ([target()], True, "1 confirmed"),
        ([target(confirmed=0, pending=1)], False, "not confirmed yet: 1"),
        ([target(exists=False, confirmed=0)], False, "does not exist"),
        (
            [target(exists=None, confirmed=None, problem="Access denied.", hint="Grant sns:X.")],
            None,
            "Access denied",
        ),
        (
            [target(arn="arn:aws:lambda:eu-west-1:123456789012:function:f", exists=None, confirmed=None)],
            None,
            "lambda",
        ),
        ([target(exists=False, confirmed=0), target(arn=f"{TOPIC}-two")], True, "does not exist"),
        ([target(state="OK")], None, "not seen"),
    ],
)
def test_somebody_must_be_subscribed(
    settings: Settings, rows: list[Any], ok: bool | None, words: str
) -> None:
    found = examined(settings, [alarm()], [], rows)[TELLS, "QBusinessSyncFailed"]
    assert found.ok is ok
    assert words in found.finding
    if ok is False:
        assert f"aws sns subscribe --region eu-west-1 --topic-arn {TOPIC}" in found.mend
    if any(row.get("hint") for row in rows):
        assert found.mend == "Grant sns:X."


def test_actions_that_are_off_or_missing(settings: Settings) -> None:
    off = examined(settings, [alarm(actions_enabled=False)], [], [target()])[TELLS, "QBusinessSyncFailed"]
    assert off.ok is False
    assert shlex.split(off.mend)[-1] == "QBusinessSyncFailed"
    rows = [alarm(told=()), alarm("QBusinessNoSync", metric="NoSync")]
    none = examined(settings, rows, [], [target("QBusinessNoSync")])[TELLS, "QBusinessSyncFailed"]
    assert none.ok is False
    assert put(none.mend)["AlarmActions"] == [TOPIC], "where the other alarm tells somebody"


def test_a_composite_alarm_over_it_may_tell(settings: Settings) -> None:
    over = alarm(
        "Both", kind="composite", metrics="[]", definition="{}", children=json.dumps({"QBusinessSyncFailed": "OK"}),
        expressions=json.dumps(['ALARM("QBusinessSyncFailed")']),
    )  # fmt: skip
    found = examined(settings, [alarm(told=()), over], [], [target("Both")])
    assert found[TELLS, "QBusinessSyncFailed"].ok is True
    assert found[TELLS, "Both"].ok is True
    dead = examined(settings, [alarm(told=()), over], [], [target("Both", confirmed=0)])
    assert dead[TELLS, "QBusinessSyncFailed"].ok is False
    gone = alarm("Both", kind="composite", metrics="[]", definition="{}", children=json.dumps({"Gone": None}))
    assert examined(settings, [gone])["composite alarm's alarms exist", "Both"].ok is False


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ('ALARM("a") AND NOT OK(b)', ("a", "b")),
        ("ALARM('a b') OR INSUFFICIENT_DATA( c ) OR TRUE", ("a b", "c")),
        ('ALARM("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:x") OR ALARM(x)', ("x",)),
        ('ALARM("with (brackets)")', ("with (brackets)",)),
        ("FALSE", ()),
    ],
)
def test_the_alarms_of_a_rule(rule: str, names: tuple[str, ...]) -> None:
    assert children(rule) == names


# -- whether it is there


def test_an_alarm_that_the_settings_name_and_nobody_made_can_be_made(settings: Settings) -> None:
    found = examined(settings, [alarm()], [metric("NoSync", {"App": APP, "Stage": "p"})], [target()])
    gone = found["alarm exists", "QBusinessNoSync"]
    assert gone.ok is False
    made = put(gone.mend)
    assert made["Dimensions"] == [{"Name": "App", "Value": APP}, {"Name": "Stage", "Value": "p"}]
    assert made["AlarmActions"] == [TOPIC]
    assert found["alarm exists", "QBusinessSyncFailed"].ok is True
