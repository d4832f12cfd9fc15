"""A guardrail that somebody loosened: it fires no more, the next step is to close, and the record names the change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vmqlib.aws import Aws
from vmqlib.record.incident import Incident
from vmqlib.runbook.answers import answers
from vmqlib.runbook.communicate.brief import brief
from vmqlib.runbook.communicate.plan import plan
from vmqlib.runbook.nextsteps import next_steps
from vmqlib.runbook.opening import look
from vmqlib.runbook.overview import Overview
from vmqlib.runbook.retro.review import review
from vmqlib.runbook.validation import validate
from vmqlib.settings import Settings


def screen(incident: Incident) -> str:
    return " ".join(str(line) for answer in answers(Overview(incident)) for line in answer.lines)


@pytest.mark.slow
def test_a_mended_guardrail_from_the_change_to_the_review(
    start_local_aws: Any, point_at: Any, tmp_path: Path
) -> None:
    local = start_local_aws("guardrail-overblock", seed=5)
    point_at(local)
    settings = Settings.load(incidents=tmp_path / "incidents")
    aws = Aws(settings, local.clock)
    incident = Incident.open(settings, aws, trigger="guardrail", clock=local.clock)
    look(incident)
    assert "guardrail fires" in screen(incident)
    added = [
        one
        for change in Overview(incident).affected.guardrail.changes or ()
        for one in change.what
        if one.endswith(" added")
    ]
    phrases = [one.removeprefix("phrase “").removesuffix("” added") for one in added]
    aws.client("qbusiness").update_chat_controls_configuration(
        applicationId=settings.app_id,
        blockedPhrasesConfigurationUpdate={"blockedPhrasesToDelete": phrases},
    )
    assert validate(incident).ok is True
    said = screen(incident)
    assert "guardrail fires" not in said
    assert "until it was changed back at" in said
    assert Overview(incident).affected.severity.customers == "unknown"
    steps = [one for one in next_steps(incident) if not one.step.startswith(("1", "5"))]
    assert steps[0].command.startswith(f"vmq close {incident.id}")
    incident.close("Over.")
    aws.close()
    known = brief(incident)
    (done,) = known.done
    assert "The guardrails were changed: phrase “" in done
    assert "removed" in done
    assert known.until is not None
    assert known.since is not None
    assert known.since < known.until
    told = plan(incident, "resolved").deliveries[0].message.text
    assert "then the guardrails were changed back (CloudTrail)." in told
    assert "first sync" not in told
    mitigated = review(incident).moments.mitigated
    assert mitigated.at == known.until
    assert "took back what blocked" in mitigated.how
