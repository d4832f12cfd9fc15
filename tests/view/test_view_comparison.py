"""One object's versions, chosen by hand: suspects are offered, and AWS is asked only when the button is pressed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vmqlib import view
from vmqlib.aws import Aws
from vmqlib.runbook import opening
from vmqlib.settings import Settings

KEY = "phases-mirage.md"


@pytest.fixture
def picker(sync_failed_aws: Any, point_at: Callable[[Any], None], tmp_path: Any) -> Any:
    point_at(sync_failed_aws)
    settings = Settings.load(incidents=tmp_path / "incidents")
    incident = opening.open_incident(settings, Aws(settings), trigger="sync-failed")
    incident.observe(["sync-jobs", "resources", "versions", "document-report", "promotions"])
    return view.desk(settings=settings)


@pytest.mark.slow
def test_a_suspect_is_compared_when_the_button_is_pressed(picker: Any, monkeypatch: Any) -> None:
    made = view.Comparison(picker)
    assert len(made.keys) == 50
    assert "press “Compare”" in made.shown.text
    made.widget()
    made._controls["key"].value = KEY
    made._controls["button"].click()
    assert KEY in made.shown.text
    assert "gzip" in made.shown.text, "what the promotion did to it"
    assert made._controls["shown"].value == made.shown.html.markup
    assert made._repr_mimebundle_()["text/plain"] == made.shown.text

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    made.compare("no-such-key")
    assert "127.0.0.1:9" in made.shown.text, "told in its place"

    picker.choose(incident_id="")
    assert "No incident is chosen" in made.shown.text
    made.compare()
    assert "No incident is chosen" in made.shown.text
