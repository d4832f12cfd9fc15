"""One connector id in the settings is wrong: of the others everything is told, and of it why nothing is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

WRONG = "00000000-1111-2222-3333-444444444444"


@pytest.fixture
def one_is_wrong(healthy_aws: Any, point_at: Any) -> str:
    """Settings with a good and a wrong connector; the good one's id."""
    point_at(healthy_aws)
    good = str(healthy_aws.env["DS_ID"])
    bucket = healthy_aws.env["BUCKET_NAME"]
    exclude = '["_staging/", "ci/", "audit/"]'
    tables = [
        f'[[connectors]]\nname = "{name}"\ndata_source_id = "{one}"\nbucket = "{bucket}"\nexclude = {exclude}\n'
        for name, one in (("docs", good), ("wrong", WRONG))
    ]
    Path("vmq.toml").write_text("\n".join(tables))
    return good


@pytest.mark.usefixtures("one_is_wrong")
def test_detect_tells_the_good_one_and_names_the_wrong_one(command: Any) -> None:
    done = command("detect", "--json")
    assert done.code == 0, done.err
    of = {one["trigger"]: one for one in done.json["triggers"]}
    verdicts = {name: one["verdict"] for name, one in of.items()}
    assert verdicts == {
        "sync-failed": "unknown", "no-sync": "unknown", "guardrail": "quiet", "content": "unknown",
    }  # fmt: skip
    for trigger in ("sync-failed", "no-sync", "content"):
        source = "documents" if trigger == "content" else "sync-jobs"
        says = {one["text"].split(":")[0]: one for one in of[trigger]["reasons"] if one["source"] == source}
        assert {name: one["says"] for name, one in says.items()} == {"docs": "quiet", "wrong": "unknown"}
        assert f"Data source {WRONG} does not exist" in says["wrong"]["text"]
    table = command("detect").out.splitlines()
    lines = [line for line in table if line.startswith(("no-sync", "             "))]
    assert any("unknown" in line and "wrong: no sync" in line for line in lines)
    assert any("(quiet)" in line and "docs: the last sync that SUCCEEDED" in line for line in table)
