"""The table of how well the triggers detect: what it counts, what it keeps, and one small run of it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

QUIET = dict.fromkeys(("sync-failed", "no-sync", "guardrail", "content"), "quiet")


@pytest.fixture(scope="module")
def script(project):
    path = project / "scripts" / "detection_table.py"
    spec = importlib.util.spec_from_file_location("vmq_script_detection_table", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def result(script):
    def make(scenario, seed, fires=(), **said):
        verdicts = QUIET | {name.replace("_", "-"): value for name, value in said.items()}
        return script.Result(
            scenario, seed, script.version(), sorted(fires), verdicts, {}, "", None, [], [], 2.0, 1.0, 1.5
        )

    return make


def row(text, name):
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_a_false_alarm_costs_precision_and_a_miss_recall(script, result):
    text = script.table(
        [
            result("healthy", 0),
            result("healthy", 1, no_sync="firing"),
            result("no-sync", 0, ["no-sync"], no_sync="firing"),
            result("no-sync", 1, ["no-sync"], no_sync="unknown"),
        ]
    )
    assert row(text, "`healthy`")[:6] == ["0", "1 of 2", "0", "0", "0 %", "–"]
    assert row(text, "`no-sync`")[:6] == ["0", "**1 of 2**, 1 unknown", "0", "0", "100 %", "50 %"]
    assert row(text, "**precision**")[:5] == ["–", "50 %", "–", "–", "50 %"]
    assert row(text, "**recall**")[:6] == ["–", "50 %", "–", "–", "", "50 %"]


def test_suspects_and_findings_are_shares_of_where_they_were_looked_for(script, result):
    one = replace(
        result("blind-alarm", 0, ["sync-failed"], sync_failed="firing"),
        wanted_suspect="promotion", suspect="promotion", wanted_findings=["blind-alarm"], findings=["blind-alarm", "x"],
    )  # fmt: skip
    other = replace(one, seed=1, suspect="", findings=["x"])
    assert row(script.table([one, other]), "`blind-alarm`")[-2:] == ["50 %", "50 %"]
    assert row(script.table([one, replace(one, seed=1, suspect=None)]), "`blind-alarm`")[-2:] == [
        "100 %",
        "100 %",
    ]
    told = " ".join(script.surprises(other))
    assert "suspects nothing, not promotion" in told
    assert "does not find blind-alarm" in told


def test_everything_that_is_not_as_it_has_to_be_is_said(script, result):
    bad = result("no-sync", 7, ["no-sync"], no_sync="quiet", content="unknown", guardrail="firing")
    told = list(script.surprises(bad))
    assert len(told) == 3
    assert all("no-sync seed 7" in line for line in told)
    assert list(script.surprises(result("no-sync", 7, ["no-sync"], no_sync="firing"))) == []


def test_the_table_goes_between_the_marks_and_nowhere_else(script, result, tmp_path, capsys):
    page, cache = tmp_path / "page.md", tmp_path / "cache.jsonl"
    page.write_text("before\n\n<!-- table -->\nold\n<!-- /table -->\n\nafter\n")
    lines = [
        result("no-sync", seed, ["no-sync"], no_sync="firing") for seed in range(2)
    ]  # fmt: skip
    old = replace(lines[0], code="another", verdicts=QUIET)
    cache.write_text("".join(json.dumps(asdict(one)) + "\n" for one in (*lines, old)) + '{"cut": "o')
    arguments = ["--scenario", "no-sync", "--table-only", "--cache", str(cache), "--page", str(page)]
    assert script.main([*arguments, "--seeds", "2"]) == 0
    text = page.read_text()
    assert text.startswith("before\n\n<!-- table -->\n\n2 simulated accounts, 2 seeds.")
    assert text.endswith("<!-- /table -->\n\nafter\n")
    assert row(text, "`no-sync`")[1] == "**2 of 2**"
    assert "1 kept results are of another version" in capsys.readouterr().err
    assert script.main([*arguments, "--seeds", "3"]) == 0
    assert page.read_text() == text, "the table of a part is shown, not written"
    assert "1 of 3 are still to be done" in capsys.readouterr().out


def test_a_page_without_marks_is_left_alone(script, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="no marks"):
        script.write(page, "text")
    assert page.read_text() == "no marks"


@pytest.mark.slow
def test_a_run_sets_up_looks_and_goes_on_where_it_stopped(script, project, tmp_path):
    cache, page = tmp_path / "cache.jsonl", tmp_path / "page.md"
    command = [
        sys.executable,
        project / "scripts" / "detection_table.py",
        "--scenario",
        "no-sync",
        "--seeds",
        "1",
    ]
    command += ["--jobs", "1", "--cache", cache, "--page", page, "--dry-run"]

    def run():
        return subprocess.run(command, capture_output=True, text=True, check=False)

    first = run()
    assert first.returncode == 0, first.stderr
    assert "1 to do" in first.stderr
    (kept,) = script.kept(cache)
    assert kept.verdicts["no-sync"] == "firing"
    assert kept.verdicts["sync-failed"] == kept.verdicts["guardrail"] == "quiet"
    assert abs(kept.late_s["no-sync"]) < 60
    again = run()
    assert again.returncode == 0
    assert "to do" not in again.stderr
    assert again.stdout == first.stdout
    assert not page.exists()
