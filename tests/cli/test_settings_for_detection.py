"""What ``vmq detect`` goes by: defaults that fit the runbook, and bad values told clearly."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from vmqlib.errors import SettingsError
from vmqlib.settings import _EXPECTED, Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def toml(text: str) -> None:
    Path("vmq.toml").write_text(text, encoding="utf-8")


def test_defaults_are_the_runbooks() -> None:
    settings = Settings.load()
    assert (settings.detection.sync_failed_minutes, settings.detection.no_sync_hours) == (15, 24)
    assert settings.canaries[0].sources == ("phases-mirage.md",)
    assert settings.guardrail_prompts[0].expect == "blocked"
    assert not settings.read_conversations
    assert settings.ops_repo is None


@pytest.mark.parametrize(
    ("text", "where", "instead"),
    [
        ("[detection]\nno_sync_hours = 0", "detection.no_sync_hours", "above 0"),
        ("[detection]\nguardrail_factor = 1", "detection.guardrail_factor", "above 1"),
        ("[detection]\nhours = 24", "detection.hours", "Mend its name"),
        ("detection = 3", "detection", "[detection]"),
        ("[severity_rule]\nfailed_share = 20", "severity_rule.failed_share", "up to 1"),
        ("[severity_rule]\nmin_questions = 0", "severity_rule.min_questions", "at least 1"),
        ('forbidden = [""]', "forbidden.0", "'hr/'"),
        ('forbidden = ["/hr"]', "forbidden.0", "no leading slash"),
        ('forbidden = "hr/"', "forbidden", "'hr/'"),
        ('[[canaries]]\nquestion = " "', "canaries.0.question", "a question in words"),
        ('[[guardrail_prompts]]\ntext = "x"\nexpect = "no"', "guardrail_prompts.0.expect", "'answered'"),
        ('read_conversations = "perhaps"', "read_conversations", "true or false"),
        ("ops_repo = 3", "ops_repo", "Git work tree"),
        ("detecton = 3", "detecton", "detection"),
    ],
)
def test_a_bad_value_is_told_with_its_place_and_what_to_write(text, where, instead) -> None:
    toml(text)
    with pytest.raises(SettingsError) as told:
        Settings.load()
    assert where in told.value.message
    assert "vmq.toml" in told.value.message
    assert instead in told.value.hint


def test_the_environment_wins_over_the_file_key_by_key(monkeypatch) -> None:
    toml("[detection]\nno_sync_hours = 12\nbaseline_weeks = 2")
    monkeypatch.setenv("VMQ_DETECTION__NO_SYNC_HOURS", "6")
    detection = Settings.load().detection
    assert (detection.no_sync_hours, detection.baseline_weeks) == (6, 2)


def test_the_ops_repo_is_where_env_is_when_that_is_a_work_tree(tmp_path, monkeypatch) -> None:
    (tmp_path / ".env").write_text("REGION=eu-west-1\n", encoding="utf-8")
    assert Settings.load().ops_repo is None
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    below = tmp_path / "notebooks"
    below.mkdir()
    monkeypatch.chdir(below)
    assert Settings.load().ops_repo == tmp_path


def test_a_relative_ops_repo_counts_from_the_file_that_names_it(tmp_path, monkeypatch) -> None:
    toml('ops_repo = "ops"')
    below = tmp_path / "notebooks"
    below.mkdir()
    monkeypatch.chdir(below)
    assert Settings.load().ops_repo == tmp_path / "ops"


@pytest.mark.parametrize(
    ("key", "entry"),
    [
        ("hr/pay.md", "hr/"),
        ("a/b/key.pem", "*.pem"),
        ("shr/pay.md", ""),
        ("key.pem.md", ""),
        ("draft-7.md", "draft-[0-9].md"),
    ],
)
def test_forbidden_is_a_beginning_or_a_pattern(key, entry) -> None:
    assert Settings.load(forbidden=("hr/", "*.pem", "draft-[0-9].md")).forbids(key) == entry


def test_the_page_names_every_setting_and_its_example_is_good() -> None:
    page = PAGE.read_text(encoding="utf-8")
    table = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert table == set(Settings.model_fields)
    blocks = [part.split("```")[0] for part in page.split("```toml\n")[1:]]
    example = tomllib.loads("\n".join(blocks[1:]))
    assert {"detection", "severity_rule", "canaries", "guardrail_prompts", "retro"} <= set(example)
    assert Settings.load(
        **{name: value for name, value in example.items() if name != "ops_repo"}
    ) == Settings.load(forbidden=("hr/", "*.pem"))


def of_numbers(model: type[BaseModel]) -> Iterator[str]:
    """Every setting, at any depth, that is a number or a length of time."""
    for name, field in model.model_fields.items():
        kinds = [one for one in (field.annotation, *get_args(field.annotation)) if isinstance(one, type)]
        if {int, float} & {*kinds} or any("smhdw" in str(rule) for rule in field.metadata):
            yield name
        for one in kinds:
            if issubclass(one, BaseModel):
                yield from of_numbers(one)


def test_every_number_and_length_of_time_says_what_to_write_with_an_example() -> None:
    names = set(of_numbers(Settings))
    assert {"update_minutes", "sync_failed_minutes", "script_timeout", "smtp_port"} <= names
    assert not {name for name in names if not any(sign.isdigit() for sign in _EXPECTED.get(name, ""))}


@pytest.mark.parametrize("value", ["'abc'", "0", "2.5"])
def test_minutes_between_updates_that_are_none_are_told_in_words(value: str) -> None:
    toml(f"update_minutes = {value}")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert caught.value.hint == "Write minutes, a whole number above 0 such as 30."
