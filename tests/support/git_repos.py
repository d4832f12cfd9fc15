"""Small Git repositories, made as a test says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

__all__ = ["Repo"]


class Repo:
    """A Git work tree of a test's own.

    Parameters
    ----------
    folder:
        Where it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str | bytes, at: datetime | None = None, author: str = "Priya Nair") -> str:
        """Runs Git there; gives what it says."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": author,
            "GIT_AUTHOR_EMAIL": "priya.nair@vaultmesh.io",
            "GIT_COMMITTER_NAME": "ci",
            "GIT_COMMITTER_EMAIL": "ci@vaultmesh.io",
        }
        if at is not None:
            env |= {"GIT_AUTHOR_DATE": at.isoformat(), "GIT_COMMITTER_DATE": at.isoformat()}
        done = subprocess.run(
            ["git", *words],
            cwd=self.folder,
            env=env,
            check=True,
            capture_output=True,
            text=True,
            errors="replace",
        )
        return done.stdout.strip()

    def write(self, files: Mapping[str | bytes, str]) -> None:
        """Writes the files; names are from the top."""
        for name, text in files.items():
            path = self.folder / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def commit(
        self, subject: str, files: Mapping[str | bytes, str], at: datetime, author: str = "Priya Nair"
    ) -> str:
        """Writes the files and commits everything; gives the commit's name."""
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject, at=at, author=author)
        return self.git("rev-parse", "HEAD")
