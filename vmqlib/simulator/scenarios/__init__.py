"""What the simulated account can look like: one module per scenario, by name in :data:`SCENARIOS`."""

from __future__ import annotations

from collections.abc import Mapping

from vmqlib.simulator.scenarios.base import Scenario, Truth
from vmqlib.simulator.scenarios.blind_alarm import BlindAlarm
from vmqlib.simulator.scenarios.guardrail_overblock import GuardrailOverblock
from vmqlib.simulator.scenarios.healthy import Healthy
from vmqlib.simulator.scenarios.no_sync import NoSync
from vmqlib.simulator.scenarios.role_denied import RoleDenied
from vmqlib.simulator.scenarios.sync_failed import SyncFailed
from vmqlib.simulator.scenarios.throttled import Throttled
from vmqlib.simulator.scenarios.unauthorized_content import UnauthorizedContent

__all__ = ["SCENARIOS", "Scenario", "Truth"]

SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Healthy(),
        SyncFailed(),
        NoSync(),
        GuardrailOverblock(),
        UnauthorizedContent(),
        RoleDenied(),
        Throttled(),
        BlindAlarm(),
    )
}
