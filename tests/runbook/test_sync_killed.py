"""Killed at every moment: before and after each request, before and after each line of the journal."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from support.kill_child import Killer, killer
from support.sync_rig import CRON, SyncRig

from vmqlib.record.incident import Incident
from vmqlib.runbook import resync, stabilize

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
MOST = 60


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws("healthy")


@pytest.fixture
def rig(local: Any, point_at: Callable[[Any], None]) -> Iterator[SyncRig]:
    point_at(local)
    rig = SyncRig(local)
    rig.quiet()
    yield rig
    rig.quiet()


@pytest.fixture
def children(rig: SyncRig) -> Iterator[Killer]:
    with killer() as found:
        yield found


def opened(rig: SyncRig) -> Incident:
    return Incident.open(rig.settings, rig.aws, trigger="sync-failed", data_source_id=rig.source)


def off(incident: Incident) -> list[str]:
    return [one.before for one in stabilize.schedules_off(incident)]


def restored(rig: SyncRig, incident: Incident) -> None:
    """Settles and puts back, as `vmq schedule restore` does."""
    stabilize.settle(incident, rig.aws, rig.settings)
    plan = stabilize.plan_restore(incident, rig.aws, rig.settings, resync.choose_all(rig.settings))
    stabilize.apply(incident, plan, rig.settings, digest=plan.digest)


def test_a_disable_killed_at_each_moment(rig: SyncRig, children: Killer) -> None:
    seen = {"": 0, CRON: 0}
    unknown = 0
    for moment in range(MOST):
        rig.schedule = CRON
        incident = opened(rig)
        ended = children.ask(do="disable", incident=incident.id, moment=moment)
        seen[rig.schedule] += 1
        if not rig.schedule:
            assert off(incident) == [CRON], f"moment {moment}: it is off, and nobody knows what it was"
        unknown += any(not one.certain for one in stabilize.schedules_off(incident))
        stabilize.settle(incident, rig.aws, rig.settings)
        assert off(incident) == ([] if rig.schedule else [CRON]), f"moment {moment}"
        assert all(one.certain for one in stabilize.schedules_off(incident))
        if off(incident):
            restored(rig, incident)
        assert (rig.schedule, off(incident)) == (CRON, [])
        assert incident.verify().ok
        if not ended:
            break
        assert ended == signal.SIGKILL
    else:
        pytest.fail(f"it had not come to its end at moment {MOST}")
    assert moment > 10
    assert unknown >= 3, "killed between the announcement and the outcome"
    assert min(seen.values()) >= 3


def test_a_restore_killed_at_each_moment(rig: SyncRig, children: Killer) -> None:
    for moment in range(MOST):
        rig.schedule = CRON
        incident = opened(rig)
        plan = stabilize.plan_disable(incident, rig.aws, rig.settings, resync.choose_all(rig.settings))
        stabilize.apply(incident, plan, rig.settings, digest=plan.digest)
        ended = children.ask(do="restore", incident=incident.id, moment=moment)
        stabilize.settle(incident, rig.aws, rig.settings)
        assert off(incident) == ([] if rig.schedule else [CRON]), f"moment {moment}"
        if off(incident):
            restored(rig, incident)
        assert (rig.schedule, off(incident)) == (CRON, [])
        assert incident.verify().ok
        if not ended:
            break
    else:
        pytest.fail(f"it had not come to its end at moment {MOST}")
    assert moment > 10


def test_a_start_killed_at_each_moment_is_one_job(rig: SyncRig, children: Killer) -> None:
    found = {"none": 0, "one": 0}
    for moment in range(MOST):
        rig.local.clock.advance(timedelta(minutes=1))
        incident = opened(rig)
        before = len(rig.jobs())
        ended = children.ask(do="start", incident=incident.id, moment=moment)
        found["one" if len(rig.jobs()) > before else "none"] += 1
        second = resync.journaled_start(incident, rig.aws, rig.settings, rig.source)
        assert len(rig.jobs()) == before + 1, f"moment {moment}"
        assert second.owner == "ours"
        assert rig.jobs()[-1].execution_id == second.execution_id
        assert resync.begun(incident)[rig.source].execution_id == second.execution_id
        assert incident.verify().ok
        rig.quiet()
        if not ended:
            break
    else:
        pytest.fail(f"it had not come to its end at moment {MOST}")
    assert min(found.values()) >= 2
