"""The call to look at first comes with the change itself: no second look at CloudTrail can lose it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from support.looks import DS, NOW, look

from vmqlib.record.incident import Incident
from vmqlib.runbook.changes import Sign, rank, what_changed
from vmqlib.runbook.stepevidence import facts
from vmqlib.settings import Settings

BEGAN = NOW - timedelta(hours=2)
DENIED = "User: arn:aws:sts::1:assumed-role/reader-role/x is not authorized to perform: s3:GetObject"
SIGN = Sign("sync-failed", BEGAN, good_at=BEGAN - timedelta(days=1), data_source_id=DS, errors=(DENIED,))


def suspected(tmp_path: Path, parameters: str, event_id: str = "e1") -> Any:
    """The facts of an incident that has no trail of its own, with a ranking of what was seen."""
    settings = Settings.load(app_id="a" * 36, index_id="i" * 36, ds_id=DS, incidents=tmp_path / "incidents")
    row = {
        "at": BEGAN - timedelta(minutes=5), "event": "PutRolePolicy", "service": "iam", "user": "tomasz",
        "user_arn": "arn:aws:iam::1:user/tomasz", "resource": "reader-role", "parameters": parameters,
        "event_id": event_id,
    }  # fmt: skip
    seen = {"trail": look("trail", [row])}
    ranking = rank(what_changed(seen, settings, NOW).changes, SIGN)
    assert ranking.first is not None
    call = ranking.first.change.call
    assert call is not None
    assert (call.event, call.service, call.who, call.event_id) == ("PutRolePolicy", "iam", "tomasz", event_id)
    incident = Incident.open(settings, None, trigger="sync-failed", data_source_id=DS)
    assert not incident.observed("trail").available
    return facts(incident, ranking=ranking)


def test_a_suspects_call_is_known_without_a_second_look(tmp_path: Path) -> None:
    asked = json.dumps({"roleName": "reader-role", "policyName": "read-bucket"})
    known = suspected(tmp_path, asked)
    assert (known.suspect_role, known.suspect_policy) == ("reader-role", "read-bucket")
    assert (known.suspect_event_id, known.suspect_region) == ("e1", "us-east-1"), "IAM's events are there"


def test_parameters_that_cloudtrail_left_out_name_no_role(tmp_path: Path) -> None:
    known = suspected(tmp_path, "", "e2")
    assert (known.suspect_role, known.suspect_policy, known.suspect_event_id) == (None, None, "e2")
