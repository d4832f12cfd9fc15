"""sync-failed and no-sync: the history, the alarm and the metric each have their say; never quiet without a look."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.looks import DS, NOW, failed_look, job, look

from vmqlib.runbook.opening import title_of
from vmqlib.runbook.triggers import detect
from vmqlib.settings import Connector, Settings

OTHER = "11111111-2222-4333-8444-555555555555"
APP = '{"App": "a"}'


def ago(**span: float) -> Any:
    return NOW - timedelta(**span)


def alarm(kind: str, state: str, since: Any, **more: Any) -> dict[str, Any]:
    row = {
        "name": f"QBusiness{kind}", "state": state, "since": since, "namespace": "VaultMesh/QBusiness", "metric": kind,
        "dimensions": APP, "statistic": "Sum", "period_s": 300, "threshold": 1.0, "evaluation_periods": 1,
    }  # fmt: skip
    return row | more


def published(values: dict[Any, float], period: int = 300) -> list[dict[str, Any]]:
    """SyncFailed as it was published: value by time."""
    common = {
        "metric": "SyncFailed",
        "namespace": "VaultMesh/QBusiness",
        "dimensions": APP,
        "period_s": period,
    }
    return [common | {"at": at, "value": value} for at, value in values.items()]


CALM = (alarm("SyncFailed", "OK", ago(days=9)), alarm("NoSync", "OK", ago(days=9)))


def seen(jobs: list[dict[str, Any]], alarms: Any = CALM, metrics: Any = (), **more: Any) -> dict[str, Any]:
    made = {
        "sync-jobs": look("sync-jobs", jobs),
        "alarms": look("alarms", alarms),
        "metrics": look("metrics", metrics),
    }
    return made | {name.replace("_", "-"): value for name, value in more.items()}


def of(trigger: str, observations: dict[str, Any], settings: Settings | None = None) -> Any:
    found = detect(observations, settings or Settings(ds_id=DS), NOW, triggers=[trigger])
    return found.of(trigger), found.findings


def kinds(findings: Any) -> set[tuple[str, str]]:
    return {(one.kind, one.level) for one in findings}


GOOD, BAD = job("SUCCEEDED", ago(hours=9)), job("INCOMPLETE", ago(hours=2), failed=99)


def test_syncs_that_fail_fire_since_the_end_of_the_first_one() -> None:
    again = job("FAILED", ago(hours=1), error_code="AccessDenied", error_message="no")
    on = (alarm("SyncFailed", "ALARM", ago(minutes=110)), CALM[1])
    verdict, findings = of("sync-failed", seen([GOOD, BAD, again], on))
    assert (verdict.verdict, verdict.confidence, verdict.data_source_id) == ("firing", "high", DS)
    assert verdict.since == ago(hours=2) + timedelta(minutes=5)
    assert verdict.cause == f"sync-failed/{DS}/{BAD['execution_id']}"
    assert "1 INCOMPLETE and 1 FAILED" in verdict.reasons[0].text
    assert "AccessDenied: no" in verdict.reasons[0].text
    assert findings == ()


@pytest.mark.parametrize(("minutes", "says"), [(14, "quiet"), (16, "firing")])
def test_only_after_the_runbooks_fifteen_minutes(minutes: int, says: str) -> None:
    bad = job("FAILED", ago(minutes=minutes + 5))
    assert of("sync-failed", seen([GOOD, bad]))[0].verdict == says
    on = (alarm("SyncFailed", "ALARM", ago(minutes=minutes)), CALM[1])
    assert of("sync-failed", seen([job("SUCCEEDED", ago(hours=9))], on))[0].verdict == says


def test_the_cause_stays_while_more_syncs_fail_and_is_another_after_a_good_one() -> None:
    first = of("sync-failed", seen([GOOD, BAD]))[0].cause
    assert of("sync-failed", seen([GOOD, BAD, job("FAILED", ago(hours=1))]))[0].cause == first
    healed = [BAD, job("SUCCEEDED", ago(minutes=90)), job("FAILED", ago(hours=1))]
    assert of("sync-failed", seen(healed))[0].cause not in ("", first)


def test_an_aborted_and_a_running_sync_say_nothing() -> None:
    jobs = [GOOD, BAD, job("ABORTED", ago(hours=1)), job("SYNCING", ago(minutes=3))]
    assert of("sync-failed", seen(jobs))[0].verdict == "firing"
    jobs = [GOOD, job("ABORTED", ago(hours=1)), job("SYNCING", ago(minutes=3))]
    assert of("sync-failed", seen(jobs))[0].verdict == "quiet"


def test_a_connector_that_was_not_seen_hides_no_other() -> None:
    """One wrong id in the settings: the good connector fires, or is quiet, and the other one cannot be told."""
    named = {"docs": DS, "wrong": OTHER}
    settings = Settings(connectors=[Connector(name=name, data_source_id=one) for name, one in named.items()])
    why = {OTHER: "It does not exist."}
    cut = {"complete": False, "stopped": why[OTHER], "missing": why}
    old = job("SUCCEEDED", ago(hours=30))
    for jobs, said in (([GOOD], "unknown"), ([old], "firing")):
        there = seen([], sync_jobs=look("sync-jobs", jobs, **cut))
        verdict, _ = of("no-sync", there, settings)
        assert verdict.verdict == said
        of_jobs = {one.text.split(":")[0]: one.says for one in verdict.reasons if one.source == "sync-jobs"}
        assert of_jobs == {"docs": "quiet" if said == "unknown" else "firing", "wrong": "unknown"}
        assert any(
            one.text.startswith("wrong: ") and "It does not exist" in one.text for one in verdict.reasons
        )
    failed, _ = of("sync-failed", seen([], sync_jobs=look("sync-jobs", [GOOD, BAD], **cut)), settings)
    assert (failed.verdict, failed.data_source_id) == ("firing", DS)
    assert failed.cause.endswith(BAD["execution_id"]), "the whole history of that one was seen"


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
def test_an_alarm_that_does_not_see_failing_syncs_is_a_finding(state: str) -> None:
    verdict, findings = of(
        "sync-failed", seen([GOOD, BAD], (alarm("SyncFailed", state, ago(days=9)), CALM[1]))
    )
    assert verdict.verdict == "firing"
    assert verdict.confidence == "medium"
    assert ("alarm-disagrees", "problem") in kinds(findings)


def test_an_alarm_without_the_metrics_dimensions_is_blind() -> None:
    blind = (alarm("SyncFailed", "OK", ago(days=9), dimensions="{}"), CALM[1])
    metrics = published({ago(minutes=m): 1.0 for m in range(5, 110, 5)})
    verdict, findings = of("sync-failed", seen([GOOD, BAD], blind, metrics))
    assert (verdict.verdict, verdict.confidence) == ("firing", "high"), "the metric agrees"
    assert {"blind-alarm", "alarm-disagrees"} == {one.kind for one in findings}
    assert "App=a" in next(one.text for one in findings if one.kind == "blind-alarm")


def test_an_alarm_is_given_time_after_a_good_sync_and_then_believed() -> None:
    on = (alarm("SyncFailed", "ALARM", ago(hours=2)), CALM[1])
    verdict, findings = of("sync-failed", seen([BAD, job("SUCCEEDED", ago(minutes=20))], on))
    assert verdict.verdict == "quiet"
    assert kinds(findings) == {("alarm-disagrees", "note")}
    verdict, findings = of("sync-failed", seen([GOOD], on))
    assert (verdict.verdict, verdict.confidence) == ("firing", "medium")
    assert verdict.since == ago(hours=2)
    assert kinds(findings) == {("alarm-disagrees", "warning")}


def test_a_missing_alarm_is_a_finding_and_the_history_decides() -> None:
    verdict, findings = of("sync-failed", seen([GOOD], ()))
    assert (verdict.verdict, verdict.confidence) == ("quiet", "medium")
    assert kinds(findings) == {("alarm-missing", "problem")}


@pytest.mark.parametrize("missing", ["sync-jobs", "alarms"])
@pytest.mark.parametrize("how", ["not looked", "refused", "incomplete"])
def test_nothing_is_quiet_that_was_not_seen(missing: str, how: str) -> None:
    there = seen([GOOD])
    if how == "not looked":
        del there[missing]
    elif how == "refused":
        there[missing] = failed_look(missing)
    else:
        rows = [GOOD] if missing == "sync-jobs" else []
        there[missing] = look(missing, rows, complete=False, stopped="Throttled.")
    verdict, _ = of("sync-failed", there)
    assert verdict.verdict == "unknown"
    assert verdict.cause == ""
    assert verdict.since is None


def test_what_was_seen_still_fires_where_the_rest_was_not() -> None:
    there = {"sync-jobs": look("sync-jobs", [GOOD, BAD])}
    assert of("sync-failed", there)[0].verdict == "firing"
    on = {"alarms": look("alarms", [alarm("SyncFailed", "ALARM", ago(hours=1))])}
    assert of("sync-failed", on)[0].verdict == "firing"


def test_the_history_of_the_alarm_stands_in_for_alarms_that_were_not_seen() -> None:
    change = {"name": "QBusinessSyncFailed", "at": ago(hours=1), "old_state": "OK", "new_state": "ALARM"}
    there = {"alarms": failed_look("alarms"), "alarm-history": look("alarm-history", [change])}
    verdict, _ = of("sync-failed", there)
    assert (verdict.verdict, verdict.since) == ("firing", ago(hours=1))


def test_a_metric_that_goes_on_where_neither_alarm_nor_history_see_it() -> None:
    going = published({ago(minutes=m): 1.0 for m in range(5, 60, 5)})
    verdict, _ = of("sync-failed", seen([GOOD], CALM, going))
    assert (verdict.verdict, verdict.confidence) == ("firing", "low")
    over = published({ago(hours=3, minutes=m): 1.0 for m in range(5, 60, 5)})
    assert of("sync-failed", seen([GOOD], CALM, over))[0].verdict == "quiet"


@pytest.mark.parametrize(("minutes", "says"), [(14, "quiet"), (16, "firing")])
@pytest.mark.parametrize("period", [300, 3600])
def test_a_period_proves_only_that_the_metric_was_above_0_by_its_end(
    minutes: int, says: str, period: int
) -> None:
    whole = timedelta(seconds=period)
    first = ago(minutes=minutes) - whole
    going = published({first + n * whole: 1.0 for n in range(5) if first + n * whole < NOW}, period)
    verdict, findings = of("sync-failed", seen([GOOD], CALM, going))
    assert verdict.verdict == says
    (told,) = [one for one in verdict.reasons if one.source == "metrics"]
    assert told.since == ago(minutes=minutes)
    # The alarm and the history do not know of it: who reads the verdict has to know that.
    assert kinds(findings) == ({("metric-disagrees", "warning")} if says == "firing" else set())


def test_zeros_between_end_what_an_hour_seems_to_say() -> None:
    hours = published({ago(hours=h): 3.0 for h in range(30, 2, -1)}, 3600)
    fine = published({ago(minutes=m): float(m % 20 < 10) for m in range(120, 0, -5)})
    verdict, _ = of("sync-failed", seen([GOOD], CALM, [*hours, *fine]))
    assert verdict.verdict == "quiet"


def test_of_several_connectors_the_one_that_is_hit_longest_is_named() -> None:
    both = Settings(
        connectors=(Connector(name="docs", data_source_id=DS), Connector(name="wiki", data_source_id=OTHER))
    )
    jobs = [GOOD, job("SUCCEEDED", ago(hours=9), ds=OTHER), job("FAILED", ago(hours=3), ds=OTHER), BAD]
    verdict, _ = of("sync-failed", seen(jobs), both)
    assert verdict.data_source_id == OTHER
    assert {one.text.split(":")[0] for one in verdict.reasons if one.says == "firing"} == {"docs", "wiki"}
    unseen = of("sync-failed", seen([GOOD]), both)[0]
    assert unseen.verdict == "unknown"
    assert any("wiki: no sync was seen to end" in one.text for one in unseen.reasons)


ON = (alarm("SyncFailed", "ALARM", ago(minutes=110)), CALM[1])
BLIND = (alarm("SyncFailed", "OK", ago(days=9), dimensions="{}"), CALM[1])
GOING = published({ago(minutes=m): 1.0 for m in range(5, 110, 5)})
FAILING = "Syncs have failed for more than 15 minutes"


@pytest.mark.parametrize(
    ("alarms", "title"),
    [
        (ON, "“SyncFailed” alarm triggered for more than 15 minutes"),
        (BLIND, f"{FAILING}; the alarm is blind"),
        (CALM, f"{FAILING}; the alarm did not trigger"),
        ((), FAILING),
    ],
)
def test_an_incidents_title_says_that_the_alarm_triggered_only_where_it_did(alarms: Any, title: str) -> None:
    settings = Settings(ds_id=DS)
    found = detect(seen([GOOD, BAD], alarms, GOING), settings, NOW)
    assert title_of(found, found.of("sync-failed"), settings) == title


@pytest.mark.parametrize(
    ("failed", "words"), [(1, "; 1 document failed in that sync"), (32, "; 32 documents failed")]
)
def test_failed_documents_are_those_of_that_sync(failed: int, words: str) -> None:
    verdict, _ = of("sync-failed", seen([GOOD, job("INCOMPLETE", ago(hours=2), failed=failed)]))
    assert words in verdict.reasons[0].text


# -- no-sync


def test_no_good_sync_for_longer_than_allowed_fires_since_that_moment() -> None:
    on = (CALM[0], alarm("NoSync", "ALARM", ago(hours=20), period_s=86400))
    last = job("SUCCEEDED", ago(hours=50))
    verdict, findings = of("no-sync", seen([last], on))
    assert (verdict.verdict, verdict.confidence) == ("firing", "high")
    assert verdict.since == last["ended_at"] + timedelta(hours=24)
    assert verdict.cause == f"no-sync/{DS}/{last['execution_id']}"
    assert findings == ()


def test_a_good_sync_yesterday_is_enough_and_a_failed_one_is_none() -> None:
    assert of("no-sync", seen([job("SUCCEEDED", ago(hours=23))]))[0].verdict == "quiet"
    jobs = [job("SUCCEEDED", ago(hours=30)), job("FAILED", ago(hours=1))]
    assert of("no-sync", seen(jobs))[0].verdict == "firing"


def test_no_good_sync_at_all_is_told_with_how_far_back_the_history_reaches() -> None:
    jobs = [job("FAILED", ago(days=day)) for day in (1, 2, 3)]
    verdict, _ = of("no-sync", seen(jobs))
    assert verdict.verdict == "firing"
    assert "none of the 3 syncs seen SUCCEEDED, in the 3 d" in verdict.reasons[0].text
    assert of("no-sync", seen(jobs[:0]))[0].verdict == "unknown"
    assert of("no-sync", seen([job("FAILED", ago(hours=3))]))[0].verdict == "unknown", "it is new"


def test_an_alarm_that_lags_by_a_day_is_a_note_and_one_that_sleeps_a_problem() -> None:
    assert kinds(of("no-sync", seen([job("SUCCEEDED", ago(hours=40))]))[1]) == {("alarm-disagrees", "note")}
    assert kinds(of("no-sync", seen([job("SUCCEEDED", ago(days=4))]))[1]) == {("alarm-disagrees", "problem")}
    on = (CALM[0], alarm("NoSync", "ALARM", ago(hours=20)))
    verdict, findings = of("no-sync", seen([job("SUCCEEDED", ago(hours=1))], on))
    assert verdict.verdict == "quiet"
    assert kinds(findings) == {("alarm-disagrees", "note")}


def test_an_incomplete_history_is_never_taken_for_no_sync() -> None:
    there = seen([])
    there["sync-jobs"] = look(
        "sync-jobs", [job("SUCCEEDED", ago(days=3))], complete=False, stopped="Throttled."
    )
    assert of("no-sync", there)[0].verdict == "unknown"
    there["sync-jobs"] = look(
        "sync-jobs", [job("SUCCEEDED", ago(hours=3))], complete=False, stopped="Throttled."
    )
    assert of("no-sync", there)[0].verdict == "quiet", "older ones do not matter"


def test_where_every_sync_fails_for_a_day_both_fire_for_one_cause() -> None:
    jobs = [job("SUCCEEDED", ago(hours=60)), job("FAILED", ago(hours=50)), job("FAILED", ago(hours=26))]
    found = detect(seen(jobs), Settings(ds_id=DS), NOW, triggers=["sync-failed", "no-sync"])
    assert {one.trigger for one in found.firing} == {"sync-failed", "no-sync"}
    assert len({one.cause for one in found.firing}) == 1
    assert found.firing[0].trigger == "sync-failed"


def test_hostile_dimensions_are_data() -> None:
    odd = (alarm("SyncFailed", "OK", ago(days=1), dimensions="[1"), CALM[1])
    metrics = published({ago(minutes=5): 0.0})
    metrics[0]["dimensions"] = json.dumps(["x"])
    assert of("sync-failed", seen([GOOD], odd, metrics))[0].verdict == "quiet"


def test_a_blind_alarm_that_is_ok_says_nothing() -> None:
    blind = (alarm("SyncFailed", "OK", ago(days=9), dimensions="{}"), CALM[1])
    metrics = published({ago(minutes=m): 0.0 for m in range(5, 110, 5)})
    verdict, findings = of("sync-failed", seen([GOOD], blind, metrics))
    assert (verdict.verdict, verdict.confidence) == ("quiet", "medium"), (
        "the history decides, the alarm adds nothing"
    )
    assert {one.kind for one in findings} == {"blind-alarm"}
    (told,) = [one for one in verdict.reasons if one.source == "alarms"]
    assert told.says == "unknown"


def test_how_old_the_last_sync_is_goes_by_when_the_syncs_were_looked_at() -> None:
    observations = seen([job("SUCCEEDED", ago(hours=30))])
    looked = replace(observations["sync-jobs"], at=ago(hours=10))
    assert of("no-sync", observations)[0].verdict == "firing"
    assert of("no-sync", observations | {"sync-jobs": looked})[0].verdict == "quiet", (
        "nobody knows of the 10 h since"
    )
