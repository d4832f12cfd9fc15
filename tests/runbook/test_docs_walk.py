"""A folder's Markdown: what is taken, what is left alone and why, what is not looked at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vmqlib.errors import BadInput, StorageError
from vmqlib.runbook.docsync import walking
from vmqlib.runbook.docsync.walking import walk
from vmqlib.runbook.objectcontent import Content


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "docs"
    for name in (
        "a.md",
        "guides/b.md",
        "guides/c d+é.md",
        "x.txt",
        "README.MD",
        ".draft.md",
        ".git/c.md",
        "CVS/d.md",
    ):
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return top


def named(folder: Path) -> dict[str, str]:
    return {one.path: one.problem for one in walk(folder).documents}


def test_markdown_below_it_and_nothing_hidden(folder: Path) -> None:
    assert named(folder) == {"a.md": "", "guides/b.md": "", "guides/c d+é.md": ""}
    assert walk(folder).documents[0].content == Content.of(b"a.md")


def test_links_are_followed_only_to_documents_of_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    (folder / "in.md").symlink_to(folder / "a.md")
    (folder / "out.md").symlink_to(tmp_path / "secret.md")
    (folder / "passwd.md").symlink_to("/etc/passwd")
    (folder / "git.md").symlink_to(folder / ".git" / "c.md")
    (folder / "text.md").symlink_to(folder / "x.txt")
    (folder / "nowhere.md").symlink_to(folder / "gone.md")
    (folder / "linked").symlink_to(tmp_path)
    found = walk(folder)
    problems = {one.path: one.problem for one in found.documents if one.problem}
    assert "in.md" not in problems
    assert problems["out.md"] == problems["passwd.md"] == "a link that leads out of the folder"
    assert (
        problems["git.md"] == problems["text.md"] == "a link to something that is no document of the folder"
    )
    assert problems["nowhere.md"] == "a link that leads nowhere"
    assert all(one.content is None for one in found.documents if one.problem)
    assert found.not_entered == ("linked/",)
    assert not any(one.path.startswith("linked/") for one in found.documents)


def test_names_and_sizes_that_cannot_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "new\nline.md").write_text("x")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.md")).write_text("x")
    os.mkfifo(folder / "pipe.md")
    (folder / "folder.md").mkdir()
    monkeypatch.setattr(walking, "MOST_BYTES", 10)
    (folder / "large.md").write_text("x" * 11)
    problems = {path: problem for path, problem in named(folder).items() if problem}
    assert problems["new\nline.md"] == "its name has control characters"
    assert problems["\udcff.md"] == "its name is not UTF-8"
    assert problems["pipe.md"] == "no plain file"
    assert "larger than" in problems["large.md"]
    assert "folder.md" not in problems


def test_what_the_connector_will_not_like_is_said(folder: Path) -> None:
    (folder / "empty.md").write_text(" \n")
    (folder / "latin.md").write_bytes(b"caf\xe9")
    warnings = {one.path: one.warning for one in walk(folder).documents if one.warning}
    assert warnings == {"empty.md": "empty", "latin.md": "not UTF-8"}


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no folder"):
        walk(tmp_path / "none")


def test_a_folder_that_cannot_be_read_stops_everything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in it is not known: it must never look like documents that are gone."""
    real = os.scandir

    def refused(path: object = ".") -> object:
        if str(path).endswith("guides"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(StorageError, match="guides"):
        walk(folder)
