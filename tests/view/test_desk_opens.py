"""The desk opens an incident by the rules that ``vmq open`` goes by."""

from __future__ import annotations

import pytest

from vmqlib import view


@pytest.mark.slow
def test_observing_without_an_incident_opens_one_that_is_as_severe_as_the_rule_says(
    start_local_aws, point_at
):
    point_at(start_local_aws("sync-failed"))
    picker = view.desk()
    picker.observe()
    assert picker.sight is not None, picker.said.markup
    incident = picker.sight.incident
    assert picker.sight.told.affected.severity.severity == incident.state.severity == "SEV1"
    picker.observe()
    assert [event.kind for event in incident.journal.events()].count("severity") == 1
    incident.close("Over.")
    events = incident.state.events
    picker.observe()
    assert "is closed" in picker.said.markup
    assert incident.state.events == events
