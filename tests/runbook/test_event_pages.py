"""What a page carries: four forms of a CloudWatch alarm are read, everything else is refused in a sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmqlib.errors import BadInput
from vmqlib.runbook.pages import MOST_BYTES, parse
from vmqlib.settings import Alarms, Settings

SETTINGS = Settings()
AT = datetime(2026, 11, 23, 9, 12, 5, 250000, tzinfo=UTC)
ARN = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:QBusinessSyncFailed"


def message(**more: Any) -> dict[str, Any]:
    """The body that CloudWatch publishes to SNS."""
    return {
        "AlarmName": "QBusinessSyncFailed", "AlarmDescription": "A sync failed.", "AWSAccountId": "123456789012",
        "NewStateValue": "ALARM", "NewStateReason": "Threshold Crossed: 1 datapoint [1.0] was >= 1.0",
        "StateChangeTime": "2026-11-23T09:12:05.250+0000", "Region": "EU (Ireland)", "AlarmArn": ARN,
        "OldStateValue": "OK",
        "Trigger": {
            "MetricName": "SyncFailed", "Namespace": "VaultMesh/QBusiness", "StatisticType": "Statistic",
            "Statistic": "SUM", "Dimensions": [{"value": "x", "name": "App"}], "Period": 300, "Threshold": 1.0,
        },
    } | more  # fmt: skip


def notification(inner: Any = None, **more: Any) -> dict[str, Any]:
    """The same in SNS's envelope."""
    text = inner if isinstance(inner, str) else json.dumps(inner or message())
    return {
        "Type": "Notification", "MessageId": "m-1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:ops",
        "Subject": 'ALARM: "QBusinessSyncFailed"', "Message": text, "Timestamp": "2026-11-23T09:12:06.000Z",
        "SignatureVersion": "1", "Signature": "c2VjcmV0", "SigningCertURL": "https://example.invalid/cert.pem",
        "UnsubscribeURL": "https://example.invalid/?Action=Unsubscribe",
    } | more  # fmt: skip


def event(**detail: Any) -> dict[str, Any]:
    """EventBridge's form."""
    metric = {"namespace": "VaultMesh/QBusiness", "name": "SyncFailed", "dimensions": {"App": "x"}}
    return {
        "version": "0", "id": "e-1", "detail-type": "CloudWatch Alarm State Change", "source": "aws.cloudwatch",
        "account": "123456789012", "time": "2026-11-23T09:12:05Z", "region": "eu-west-1", "resources": [ARN],
        "detail": {
            "alarmName": "QBusinessSyncFailed",
            "state": {"value": "ALARM", "reason": "Threshold", "timestamp": "2026-11-23T09:12:05.250+0000"},
            "previousState": {"value": "OK"},
            "configuration": {
                "description": "A sync failed.",
                "metrics": [{"id": "m", "metricStat": {"metric": metric, "period": 300, "stat": "Sum"}}],
            },
        } | detail,
    }  # fmt: skip


def described(**more: Any) -> dict[str, Any]:
    """One alarm of describe-alarms."""
    return {
        "AlarmName": "QBusinessSyncFailed", "AlarmArn": ARN, "AlarmDescription": "A sync failed.",
        "StateValue": "ALARM", "StateReason": "Threshold", "StateUpdatedTimestamp": "2026-11-23T09:30:00+00:00",
        "StateTransitionedTimestamp": "2026-11-23T09:12:05.250000+00:00", "MetricName": "SyncFailed",
        "Namespace": "VaultMesh/QBusiness", "Dimensions": [{"Name": "App", "Value": "x"}],
    } | more  # fmt: skip


FORMS = [
    notification(),
    message(),
    event(),
    described(),
    {"MetricAlarms": [described()], "CompositeAlarms": []},
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_page(form: dict[str, Any]) -> None:
    page = parse(json.dumps(form).encode(), SETTINGS)
    assert (page.trigger, page.alarm, page.since) == ("sync-failed", "QBusinessSyncFailed", AT)
    assert page.title == "QBusinessSyncFailed: A sync failed."
    bare = parse(json.dumps(described(AlarmDescription=None)), SETTINGS)
    assert bare.title == "QBusinessSyncFailed went into ALARM", "whether it still is, the record says"
    assert page.account == "123456789012"
    assert page.cause == parse(json.dumps(FORMS[0]), SETTINGS).cause
    kept = json.dumps(page.event)
    assert "QBusinessSyncFailed" in kept
    assert "Signature" not in kept
    assert "Unsubscribe" not in kept


def test_an_alarm_is_known_by_its_name_or_else_by_its_metric() -> None:
    renamed = Settings(alarms=Alarms(sync_failed="prod-sync"))
    assert parse(json.dumps(message(AlarmName="prod-sync", Trigger={})), renamed).trigger == "sync-failed"
    metric = {"MetricName": "BlockedChatMessages", "Namespace": "AWS/QBusiness", "Dimensions": []}
    assert parse(json.dumps(message(AlarmName="x", Trigger=metric)), SETTINGS).trigger == "guardrail"
    assert parse(json.dumps(described(AlarmName="x", MetricName="NoSync")), SETTINGS).trigger == "no-sync"
    query = {"MetricStat": {"Metric": {"MetricName": "NoSync", "Namespace": "VaultMesh/QBusiness"}}}
    assert (
        parse(json.dumps(message(AlarmName="x", Trigger={"Metrics": [query]})), SETTINGS).trigger == "no-sync"
    )
    mine = {"MetricName": "SyncFailed", "Namespace": "Mine", "Dimensions": []}
    with pytest.raises(BadInput, match="none of the runbook's triggers"):
        parse(json.dumps(message(AlarmName="x", Trigger=mine)), SETTINGS)


REFUSED = {
    "OK": (message(NewStateValue="OK"), "^Nothing to open: .* is OK, not ALARM"),
    "insufficient": (event(state={"value": "INSUFFICIENT_DATA"}), "INSUFFICIENT_DATA, not ALARM"),
    "composite message": (message(AlarmRule='ALARM("x")'), "composite"),
    "composite event": (event(configuration={"alarmRule": "ALARM(x)"}), "composite"),
    "composite described": ({"CompositeAlarms": [described(AlarmRule="ALARM(x)")]}, "composite"),
    "confirmation": ({"Type": "SubscriptionConfirmation", "Message": "x", "Token": "t"}, "SubscriptionConfirmation"),
    "other event": ({"detail-type": "Object Created", "detail": {}}, "Object Created"),
    "no detail": ({"detail-type": "CloudWatch Alarm State Change", "detail": "x"}, "no detail"),
    "other message": (notification({"Records": []}), "no CloudWatch alarm"),
    "text message": (notification("disk full"), "not JSON"),
    "no message": (notification(Message=None), "no Message"),
    "an S3 event": ({"Records": [{"s3": {}}]}, "its keys: Records"),
    "two alarms": ({"MetricAlarms": [described(), described(AlarmName="y")]}, "2 of 2 alarms are in ALARM"),
    "no alarms": ({"MetricAlarms": []}, "No alarm is in it"),
    "no time": (message(StateChangeTime=None), "when the alarm's state changed"),
    "bad time": (message(StateChangeTime="yesterday"), "when the alarm's state changed"),
    "early time": (message(StateChangeTime="0001-01-01T00:00:00+14:00"), "when the alarm's state changed"),
    "no name": (message(AlarmName=["x"]), "the alarm's name"),
    "a list": ([message()], "no JSON object"),
    "empty": ("", "is empty"),
    "blank": ("  \n", "is empty"),
    "text": ("ALARM: QBusinessSyncFailed", "not JSON"),
    "binary": (b"\x89PNG\r\n\x1a\n\xff", "cannot be decoded"),
    "a null byte": (b"\x00", "not JSON"),
    "huge": (b'"' + b"x" * MOST_BYTES + b'"', "larger than"),
    "deep": ("[" * 100_000, "not JSON"),
    "nested": (json.dumps(message(NewStateReason=json.loads("[" * 60 + "]" * 60))), "nested too deeply"),
    "NaN": ('{"NewStateValue": NaN}', "not JSON"),
    "infinite": ('{"NewStateValue": 1e999}', "not JSON"),
    "a long number": ('{"x": ' + "9" * 5000 + "}", "not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_everything_else_is_refused_with_what_is_wrong(name: str) -> None:
    given_, told = REFUSED[name]
    text = given_ if isinstance(given_, str | bytes) else json.dumps(given_)
    with pytest.raises(BadInput, match=told) as refused:
        parse(text, SETTINGS)
    assert refused.value.hint
    assert len(str(refused.value)) < 500


def test_a_title_is_one_printable_line() -> None:
    page = parse(json.dumps(message(AlarmDescription="two\nlines \x1b[31m\u202e " + "x" * 400)), SETTINGS)
    assert page.title.isprintable()
    assert len(page.title) <= 160


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def _parsed_or_refused(text: str | bytes) -> None:
    try:
        page = parse(text, SETTINGS)
    except BadInput:
        return
    json.dumps(page.event, allow_nan=False)


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_whatever_is_delivered_only_bad_input_is_raised(text: str | bytes) -> None:
    _parsed_or_refused(text)


@settings(max_examples=300)
@given(st.sampled_from(range(len(FORMS))), st.data())
def test_a_form_with_anything_in_any_place_is_read_or_refused(number: int, data: st.DataObject) -> None:
    form = json.loads(json.dumps(FORMS[number]))
    place: Any = form
    while True:
        inner = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(inner)) if inner else None
        if key is None:
            break
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            place[key] = data.draw(junk)
            break
        place = place[key]
    _parsed_or_refused(json.dumps(form))


def test_a_page_of_another_day_is_told() -> None:
    page = parse(json.dumps(message()), SETTINGS)
    assert page.out_of_date(AT + timedelta(hours=2)) == ""
    assert page.out_of_date(AT - timedelta(minutes=1)) == "", "two clocks differ by a little"
    assert "2026-11-23 09:12:05 UTC, 400 d ago" in page.out_of_date(AT + timedelta(days=400))
    assert "from now" in page.out_of_date(AT - timedelta(days=400))


def test_what_is_to_be_known_of_a_page_itself() -> None:
    page = parse(json.dumps(message(AWSAccountId="999999999999\x1b[31m")), SETTINGS)
    assert page.remarks("", AT) == ()
    other, old = page.remarks("123456789012", AT + timedelta(days=3))
    assert other == "the alarm is of account 999999999999 [31m; the settings say 123456789012."
    assert old == "the event is of 2026-11-23 09:12:05 UTC, 3 d ago."
