"""Every scenario of the local AWS, through the library as it is: what has to fire fires, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from vmqlib.aws import Aws
from vmqlib.runbook import changes
from vmqlib.runbook.triggers import NEEDED, detect, live, sources_for
from vmqlib.settings import Settings
from vmqlib.simulator.scenarios import SCENARIOS
from vmqlib.times import Window

SEEDS = (0, 5)
NEAR = {"guardrail": timedelta(hours=2)}  # counted by the hour
OF_DETECT = {"alarm-disagrees", "alarm-missing", "blind-alarm", "open-prefixes", "acl-broken", "new-folder"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "throttled"])
def test_what_has_to_fire_fires_and_nothing_else(
    start_local_aws: Any, point_at: Any, scenario: str, seed: int
) -> None:
    aws = start_local_aws(scenario, seed=seed)
    point_at(aws)
    settings = Settings.load()
    client = Aws(settings)
    now = client.clock.now()
    window = Window(now - timedelta(days=21), now)
    names = [*sources_for(NEEDED, settings), *changes.NEEDED]
    seen = live(client, settings, window, names=names)
    found = detect(seen, settings, now)
    truth = aws.truth
    verdicts = {one.trigger: one.verdict for one in found.triggers}
    wanted = {name: "firing" if name in truth.fires else "quiet" for name in verdicts}
    assert verdicts == wanted, [reason for one in found.triggers for reason in one.reasons]
    for one in found.firing:
        assert one.since is not None
        near = NEAR.get(one.trigger, timedelta(seconds=2))
        assert abs(one.since - truth.since) <= near
        assert one.cause
    assert {one.kind for one in found.findings} >= truth.findings & OF_DETECT
    if not truth.fires:
        assert found.findings == ()
    lost = [
        one.text
        for each in found.triggers
        for one in each.reasons
        if one.says == "firing" and one.source == "acl"
    ]
    assert [text for text in lost if "lost its rule for" in text] == lost
    # Only where the ACL file lost a rule, and of each prefix that it lost.
    assert len(lost) == len(truth.open_prefixes)
    assert all(any(f" {prefix} " in text for text in lost) for prefix in truth.open_prefixes)
    _suspected_rightly(
        changes.what_changed(seen, settings, now), changes.first_sign(found, seen, settings), truth
    )


def _suspected_rightly(changed: Any, sign: Any, truth: Any) -> None:
    """The change that did it is ranked first, with who made it; where nothing did, none is."""
    first = changes.rank(changed.changes, sign).first
    assert (first.change.name if first else "") == truth.suspect
    if first is not None:
        assert truth.who in (first.change.who, first.change.arn)
        assert first.change.evidence is None, "nothing of a live look is kept"


@pytest.mark.slow
@pytest.mark.skipif("throttled" not in SCENARIOS, reason="no such scenario yet")
def test_where_aws_throttles_a_verdict_is_right_or_unknown(start_local_aws: Any, point_at: Any) -> None:
    aws = start_local_aws("throttled", seed=1)
    point_at(aws)
    settings = Settings.load()
    client = Aws(settings, max_attempts=1)
    for _ in range(4):
        now = client.clock.now()
        found = detect(live(client, settings, Window(now - timedelta(days=21), now)), settings, now)
        for one in found.triggers:
            wanted = "firing" if one.trigger in aws.truth.fires else "quiet"
            assert one.verdict in (wanted, "unknown"), one
