"""The first answers, where nothing that was seen is hit any more."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.looks import DS

from vmqlib.record.incident import Incident
from vmqlib.runbook.answers import answers
from vmqlib.runbook.overview import Overview
from vmqlib.settings import Settings


@pytest.mark.parametrize(
    ("data_source_id", "told"),
    [(DS, f"nothing that is seen now; it was opened for connector {DS}"), ("", "nothing that was seen")],
)
def test_what_it_was_opened_for_is_named(tmp_path: Path, data_source_id: str, told: str) -> None:
    settings = Settings.load(incidents=tmp_path / "incidents")
    incident = Incident.open(settings, None, trigger="no-sync", data_source_id=data_source_id)
    (line,) = next(one.lines for one in answers(Overview(incident)) if one.question == "affected")
    assert line.text == told
