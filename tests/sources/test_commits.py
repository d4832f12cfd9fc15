"""The ops repo's commits: which are seen, and that no repository makes Git do anything else than tell them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from support.git_repos import Repo

from vmqlib.errors import DeadlinePassed, SettingsError, VmqError
from vmqlib.settings import Settings
from vmqlib.sources import commits, frame, gitlog
from vmqlib.sources.base import Reading
from vmqlib.times import Window

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WINDOW = Window(NOW - timedelta(days=21), NOW)
TOPICS = "02-qbusiness/guardrails/topic-controls.yaml"

Look = Callable[[Path], tuple[Reading, pd.DataFrame]]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """With one commit from long before the window."""
    repo = Repo(tmp_path / "ops")
    repo.commit("All there is", {"README.md": "r", "scripts/sync.sh": "s"}, NOW - timedelta(days=90))
    return repo


def look(folder: Path | None, window: Window = WINDOW) -> tuple[Reading, pd.DataFrame]:
    reading = commits.read(None, Settings.load(ops_repo=folder), window)  # type: ignore[arg-type]  # AWS is not asked
    return reading, frame(commits.SOURCE, reading.rows)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def test_what_touches_the_knowledge_base_oldest_first(repo: Repo) -> None:
    first = repo.commit("Block more", {TOPICS: "t", "docs/a.md": "a"}, ago(days=3), author="Chiara Conti")
    repo.commit("Unrelated", {"01-network/vpc.yaml": "v"}, ago(days=2))
    repo.commit("Connector", {"02-qbusiness/connectors/s3.json": "c", "x/y.txt": "y"}, ago(hours=9))
    repo.commit("Words", {"docs/b.md": "b"}, ago(hours=8))
    repo.commit("Script", {"scripts/sync.sh": "s2"}, ago(hours=7))
    repo.commit("Later", {"docs/c.md": "c"}, NOW + timedelta(hours=1))
    reading, table = look(repo.folder)
    assert reading.outcome() == (True, "")
    assert table["subject"].tolist() == ["Block more", "Connector", "Words", "Script"]
    assert table["area"].tolist() == ["guardrails", "connectors", "docs", "other"]
    assert table.loc[0, ["sha", "author", "at"]].tolist() == [first, "Chiara Conti", ago(days=3)]
    assert [json.loads(one) for one in table["paths"]] == [
        [TOPICS, "docs/a.md"],
        ["02-qbusiness/connectors/s3.json"],
        ["docs/b.md"],
        ["scripts/sync.sh"],
    ]
    assert reading.parameters["head"] == repo.git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("path", "area"),
    [
        ("02-qbusiness/guardrails/README.md", "guardrails"),
        ("02-qbusiness/guardrails/topic-controls.json", "guardrails"),
        ("02-qbusiness/data-sources/s3.yaml", "connectors"),
        ("03-connectors/slack/config.json", "connectors"),
        ("acl.json", "connectors"),
        ("docs/images/a.png", "docs"),
        ("phases-mirage.md", "docs"),
        ("scripts/sovereign-sync-docs.sh", "other"),
        ("02-qbusiness/application.yaml", "other"),
        (".env", "other"),
        ("01-network/vpc.yaml", ""),
        (".github/workflows/ci.yaml", ""),
    ],
)
def test_the_area_of_a_path(path: str, area: str) -> None:
    assert commits.area_of(path) == area


def test_a_folder_in_a_work_tree_is_looked_at_by_itself(repo: Repo) -> None:
    repo.commit("Both", {"ops/docs/a.md": "a", "docs/b.md": "b"}, ago(hours=1))
    assert look(repo.folder / "ops")[1]["paths"].tolist() == ['["docs/a.md"]']


def test_a_rename_is_both_names(repo: Repo) -> None:
    repo.commit("One", {"docs/a.md": "a\n" * 50}, ago(hours=3))
    repo.git("mv", "docs/a.md", "docs/b.md")
    repo.commit("Rename", {}, ago(hours=2))
    assert json.loads(look(repo.folder)[1]["paths"].iloc[-1]) == ["docs/a.md", "docs/b.md"]


def test_a_merge_brings_what_was_committed_long_before(repo: Repo) -> None:
    repo.git("switch", "--quiet", "--create", "branch")
    repo.commit("On a branch", {TOPICS: "t"}, ago(days=40))
    repo.git("switch", "--quiet", "main")
    repo.commit("Meanwhile", {"docs/a.md": "a"}, ago(days=2))
    repo.git("merge", "--quiet", "--no-ff", "--message", "Merge branch", "branch", at=ago(hours=5))
    table = look(repo.folder)[1]
    assert table["subject"].tolist() == ["Meanwhile", "Merge branch"]
    assert table["area"].tolist() == ["docs", "guardrails"]
    assert json.loads(table["paths"].iloc[1]) == [TOPICS]


def test_a_submodule_is_a_path(repo: Repo, tmp_path: Path) -> None:
    other = Repo(tmp_path / "other")
    other.commit("x", {"x": "x"}, ago(days=1))
    link = f"160000,{other.git('rev-parse', 'HEAD')},02-qbusiness/connectors/wiki"
    repo.git("update-index", "--add", "--cacheinfo", link)
    repo.git("commit", "--quiet", "--message", "Submodule", at=ago(hours=1))
    assert json.loads(look(repo.folder)[1]["paths"].iloc[0]) == ["02-qbusiness/connectors/wiki"]


@pytest.mark.parametrize(
    "name",
    [
        "docs/two\nlines.md",
        "docs/\ntab\tand \x1b[31mred.md",
        'docs/"quoted" <b>.md',
        "docs/übung – 検索.md",
        "docs/--output=x.md",
    ],
)
def test_any_name_of_a_file(repo: Repo, name: str) -> None:
    repo.commit("Name", {name: "n"}, ago(hours=1))
    assert json.loads(look(repo.folder)[1]["paths"].iloc[0]) == [name]


def test_a_name_that_is_no_utf_8(repo: Repo) -> None:
    repo.commit("Name", {b"docs/caf\xe9.md": "n"}, ago(hours=1))
    reading, _ = look(repo.folder)
    row = next(iter(reading.rows))
    assert json.loads(row["paths"]) == ["docs/caf\\xe9.md"]
    json.dumps(row).encode("utf-8")


def test_a_subject_is_one_line_a_terminal_takes(repo: Repo) -> None:
    repo.commit("Red \x1b[31m\x07 and \u202eback\nsecond line\n\nbody", {"docs/a.md": "a"}, ago(hours=2))
    repo.commit("word " * 5000, {"docs/b.md": "b"}, ago(hours=1), author="Ev\x1bil\u202e")
    table = look(repo.folder)[1]
    assert table["subject"].iloc[0] == "Red [31m and back second line"
    assert len(table["subject"].iloc[1]) <= 302
    assert table["author"].iloc[1] == "Ev il"


def test_a_commit_of_thousands_of_paths(repo: Repo) -> None:
    repo.commit("Many", {f"docs/{number:04}.md": "d" for number in range(700)}, ago(hours=1))
    table = look(repo.folder)[1]
    assert len(json.loads(table["paths"].iloc[0])) == commits.MOST_PATHS
    assert table["path_count"].tolist() == [700]


def test_more_commits_than_are_read(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    for hour in range(5, 0, -1):
        repo.commit(f"{hour}", {"docs/a.md": f"{hour}"}, ago(hours=hour))
    monkeypatch.setattr(commits, "MOST_COMMITS", 3)
    reading, table = look(repo.folder)
    assert reading.outcome() == (False, "there are more than 3 commits; older ones were not read")
    assert table["subject"].tolist() == ["3", "2", "1"]


def test_an_answer_without_end(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    for hour in range(5, 0, -1):
        repo.commit(f"{hour}", {f"docs/{hour}{'x' * 200}.md": ""}, ago(hours=hour))
    monkeypatch.setattr(gitlog, "MOST_BYTES", 1024)
    reading, table = look(repo.folder)
    complete, stopped = reading.outcome()
    assert not complete
    assert stopped.startswith("Git's answer is larger than")
    assert table["subject"].tolist()[-1] == "1"
    assert len(table) < 5


def test_a_shallow_clone_says_where_it_ends(repo: Repo, tmp_path: Path) -> None:
    for hour in (5, 4, 3):
        repo.commit(f"{hour}", {f"docs/{hour}.md": ""}, ago(hours=hour))
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=2", f"file://{repo.folder}", tmp_path / "shallow"], check=True
    )
    reading, table = look(tmp_path / "shallow")
    assert table["subject"].tolist() == ["3"]
    complete, stopped = reading.outcome()
    assert not complete
    assert "shallow" in stopped
    assert "08:00:00" in stopped
    # Where the cut is older than the window, nothing is missing.
    assert look(tmp_path / "shallow", Window(ago(hours=3.5), NOW))[0].outcome() == (True, "")


def test_nothing_committed_yet(tmp_path: Path) -> None:
    reading, table = look(Repo(tmp_path / "new").folder)
    assert table.empty
    assert reading.outcome() == (True, "")


def test_no_ops_repo_is_said_calmly() -> None:
    reading, table = look(None)
    assert table.empty
    complete, stopped = reading.outcome()
    assert not complete
    assert "ops_repo in vmq.toml" in stopped


@pytest.mark.parametrize("where", ["nowhere", "plain"])
def test_what_is_no_work_tree(tmp_path: Path, where: str) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(SettingsError, match=r"ops_repo|no Git work tree"):
        look(tmp_path / where)


def test_a_repository_inside_a_repository_is_not_taken_for_one(repo: Repo) -> None:
    """A bare repository can be committed as plain files, with a configuration of its own."""
    repo.git("init", "--quiet", "--bare", "trap")
    with pytest.raises(VmqError):
        look(repo.folder / "trap")


def test_no_git(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="Git is not installed"):
        look(repo.folder)


def fake_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_git_that_does_not_end(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_git(tmp_path, monkeypatch, "sleep 600 & exec sleep 600")
    clone = gitlog.Clone(repo.folder, "0" * 40, shallow=False)
    with pytest.raises(DeadlinePassed, match=r"Git took longer than 0\.2 s"):
        gitlog.log_of(clone, WINDOW, most=9, timeout_s=0.2)


def test_somebody_elses_repository(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setattr(gitlog, "_KEPT", (*gitlog._KEPT, "GIT_TEST_ASSUME_DIFFERENT_OWNER"))
    with pytest.raises(SettingsError, match="belongs to somebody else") as refused:
        look(repo.folder)
    assert f"safe.directory {repo.folder}" in refused.value.hint


def test_a_broken_repository(repo: Repo) -> None:
    repo.commit("x", {"docs/a.md": "a"}, ago(hours=1))
    for path in (repo.folder / ".git" / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"broken")
    with pytest.raises(VmqError, match="Git cannot read"):
        look(repo.folder)


def test_what_a_repository_wants_run_is_not_run(repo: Repo, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    evil = tmp_path / "evil"
    evil.write_text(f'#!/bin/sh\necho "$0 $*" >> {proof}\n')
    evil.chmod(0o755)
    repo.commit("x", {"docs/a.md": "a", ".gitattributes": "*.md diff=evil filter=evil"}, ago(hours=2))
    repo.commit("y", {"docs/a.md": "b"}, ago(hours=1))
    for name in (
        "core.fsmonitor", "core.pager", "pager.log", "diff.external", "diff.evil.textconv", "diff.evil.command",
        "filter.evil.clean", "filter.evil.smudge", "gpg.program", "gpg.ssh.program", "core.sshCommand", "core.askPass",
        "core.editor", "sequence.editor", "credential.helper", "alias.log", "alias.rev-parse",
        "interactive.diffFilter",
    ):  # fmt: skip
        repo.git("config", name, f"!{evil}" if name.startswith(("alias", "credential")) else str(evil))
    repo.git("config", "log.showSignature", "true")
    repo.git("config", "log.follow", "true")
    repo.git("config", "log.showRoot", "false")
    repo.git("config", "diff.orderFile", str(tmp_path / "gone"))
    repo.git("config", "diff.renames", "copies")
    repo.git("config", "diff.relative", "false")
    repo.git("config", "color.ui", "always")
    repo.git("config", "format.pretty", "%b")
    for hook in (
        "post-checkout",
        "pre-commit",
        "post-index-change",
        "reference-transaction",
        "fsmonitor-watchman",
    ):
        (repo.folder / ".git" / "hooks").mkdir(exist_ok=True)
        (repo.folder / ".git" / "hooks" / hook).symlink_to(evil)
    table = look(repo.folder)[1]
    assert table["subject"].tolist() == ["x", "y"]
    assert not proof.exists(), proof.read_text()


def test_nothing_is_fetched_into_a_clone_that_lacks_objects(repo: Repo, tmp_path: Path) -> None:
    """A partial clone fetches what it lacks, and its configuration says with which program."""
    proof = tmp_path / "ran"
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {proof}\n")
    evil.chmod(0o755)
    repo.commit("x", {"docs/a.md": "a"}, ago(hours=2))
    tree = repo.git("rev-parse", "HEAD^{tree}")
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.url": f"ext::{evil}",
        "remote.origin.uploadpack": str(evil),
        "remote.origin.promisor": "true",
        "protocol.ext.allow": "always",
        "protocol.file.allow": "always",
    }.items():
        repo.git("config", name, value)
    (repo.folder / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(VmqError, match="Git cannot read"):
        look(repo.folder)
    assert not proof.exists()


def test_looking_changes_nothing(repo: Repo) -> None:
    repo.commit("x", {"docs/a.md": "a"}, ago(hours=1))
    os.utime(
        repo.folder / "docs" / "a.md", (0, 0)
    )  # the index is out of date: git status would write it anew
    before = {path: path.stat().st_mtime_ns for path in repo.folder.rglob("*")}
    look(repo.folder)
    assert {path: path.stat().st_mtime_ns for path in repo.folder.rglob("*")} == before


def test_the_environment_does_not_turn_git_elsewhere(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.commit("x", {"docs/a.md": "a"}, ago(hours=1))
    other = Repo(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    monkeypatch.setenv("LANGUAGE", "de")
    assert look(repo.folder)[1]["subject"].tolist() == ["x"]
