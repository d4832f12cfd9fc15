"""The commits of a Git work tree that may be anybody's: read without a shell, and without letting it run anything.

A repository's own configuration can name programs (pager, hooks, fsmonitor, external diff, textconv, signature
checks, transports of a partial clone). Everything that ``git log`` could start is switched off here on its command
line, which wins over configuration, and in its environment. The user's and the system's configuration are read: they
say which other people's repositories are trusted (``safe.directory``).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vmqlib.errors import DeadlinePassed, SettingsError, VmqError

if TYPE_CHECKING:
    from datetime import datetime

    from vmqlib.times import Window

__all__ = ["Clone", "Commit", "FileState", "GitLog", "clone_of", "log_of", "state_of"]

TIMEOUT_S = 15.0
MOST_BYTES = 32 * 1024 * 1024
_SAFE = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.pager": "cat",
    "core.sshCommand": "false",
    "core.askPass": "false",
    "diff.external": "",
    "log.showSignature": "false",
    "log.follow": "false",
    "log.showRoot": "true",
    "log.mailmap": "false",
    "protocol.allow": "never",
    "safe.bareRepository": "explicit",
    "gc.auto": "0",
}
_QUIET = (
    "-O/dev/null", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-notes", "--no-show-signature",
    "--diff-merges=first-parent", "--submodule=short", "--ignore-submodules=none", "--encoding=UTF-8", "--relative",
)  # fmt: skip
_KEPT = ("PATH", "HOME", "XDG_CONFIG_HOME", "SYSTEMROOT", "TMPDIR")
_SET = {
    "LC_ALL": "C",  # its complaints are read below
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_PAGER": "cat",
}


@dataclass(frozen=True)
class Clone:
    """The work tree that was asked.

    Parameters
    ----------
    folder:
        The folder that was named, of it or in it.
    head:
        The commit that is checked out; empty where there is none yet.
    shallow:
        Whether its history was cut off.
    """

    folder: Path
    head: str
    shallow: bool


@dataclass(frozen=True)
class Commit:
    """One commit.

    Parameters
    ----------
    sha:
        Its name.
    at:
        When it was committed: seconds since 1970.
    author, subject:
        As Git has them; bytes that are no UTF-8 are written ``\\xff``.
    paths:
        What it changed, from the folder that was named; a rename is both names. Of a merge: what it brought in.
    is_root:
        Whether it has no parent here: the first one, or the last one before a clone's history was cut off.
    """

    sha: str
    at: int
    author: str
    subject: str
    paths: tuple[str, ...]
    is_root: bool


@dataclass(frozen=True)
class GitLog:
    """Commits, the newest first.

    Parameters
    ----------
    commits:
        Those that were read.
    cut:
        Why there are not more, although there may be; empty where these are all.
    """

    commits: tuple[Commit, ...]
    cut: str = ""


@dataclass(frozen=True)
class FileState:
    """A file against the commit that is checked out.

    Parameters
    ----------
    commit:
        That commit; empty where there is none yet.
    state:
        ``committed``: the file is as the commit has it; ``changed``: it is not; ``untracked``: the commit has none.
    """

    commit: str
    state: Literal["committed", "changed", "untracked"]


def state_of(path: Path, content: bytes) -> FileState:
    """Whether a file with that content is what its work tree's commit holds.

    The file's own hash is compared with the commit's, since ``git status`` may run a repository's filters.

    Raises
    ------
    VmqError
        As :func:`clone_of`; the file is in no work tree, for one.
    """
    clone = clone_of(path.parent)
    if not clone.head:
        return FileState("", "untracked")
    output, _ = _git(path.parent, ["ls-tree", "-z", clone.head, "--", f":(literal){path.name}"])
    _, _, rest = output.partition(b" blob ")
    there = rest.partition(b"\t")[0].decode("ascii", "replace")
    if not there:
        return FileState(clone.head, "untracked")
    kind = "sha256" if len(there) == 64 else "sha1"
    own = hashlib.new(kind, b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return FileState(clone.head, "committed" if own == there else "changed")


def clone_of(folder: Path) -> Clone:
    """What is known of the work tree at ``folder``.

    Raises
    ------
    SettingsError
        It is no folder, or in no work tree, or Git does not trust it, or there is no Git.
    VmqError
        Git cannot read it.
    """
    if not folder.is_dir():
        raise SettingsError(
            f"ops_repo names {folder}, which is no folder.",
            hint="Correct ops_repo in vmq.toml, or leave it out.",
        )
    output, _ = _git(folder, ["rev-parse", "--is-inside-work-tree", "--is-shallow-repository"])
    inside, shallow = [*output.decode("utf-8", "replace").split(), "", ""][:2]
    if inside != "true":
        raise SettingsError(
            f"{folder} is in no Git work tree.", hint="Correct ops_repo in vmq.toml, or leave it out."
        )
    words = ["log", "--max-count=1", "--format=%H", "--no-patch", "--no-show-signature", "--no-color"]
    head, _ = _git(folder, words, but="does not have any commits yet")
    return Clone(folder, head.decode("ascii", "replace").strip(), shallow == "true")


def log_of(clone: Clone, window: Window, *, most: int, timeout_s: float = TIMEOUT_S) -> GitLog:
    """The commits of the window that lead to what is checked out, the newest ``most`` of them.

    Raises
    ------
    DeadlinePassed
        Git took longer than ``timeout_s`` seconds.
    VmqError
        Git cannot read it.
    """
    if not clone.head:
        return GitLog(())
    # Nobody can foresee it, so nothing in a subject or a path is taken for the start of a commit.
    mark = secrets.token_hex(16)
    form = "%x00".join(["", mark, "%H", "%ct", "%P", "%an", "%s", ""])
    output, cut = _git(
        clone.folder,
        [
            "log",
            "-z",
            f"--max-count={most + 1}",
            f"--since={_moment(window.since)}",
            f"--until={_moment(window.until)}",
            "--name-only",
            f"--format={form}",
            *_QUIET,
            clone.head,
            "--",
        ],
        timeout_s=timeout_s,
    )
    commits = list(_commits(output, mark))
    if cut:  # the last one may be half there
        return GitLog(tuple(commits[:-1]), cut)
    if len(commits) > most:
        return GitLog(tuple(commits[:most]), f"there are more than {most} commits")
    return GitLog(tuple(commits))


def _commits(output: bytes, mark: str) -> Iterator[Commit]:
    for part in output.split(f"\0{mark}\0".encode())[1:]:
        # Between the format and the first path stand an end and a line break.
        sha, at, parents, author, subject, _, *paths = (_text(one) for one in part.split(b"\0"))
        paths[:1] = [path.removeprefix("\n") for path in paths[:1]]
        yield Commit(sha, int(at), author, subject, tuple(filter(None, paths)), not parents)


def _moment(at: datetime) -> str:
    return f"@{int(at.timestamp())} +0000"


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _git(
    folder: Path, words: Sequence[str], *, timeout_s: float = TIMEOUT_S, but: str = ""
) -> tuple[bytes, str]:
    """What Git answers, and why that is not all of it. A complaint with ``but`` in it is none."""
    program = shutil.which("git")
    if program is None:
        raise SettingsError(
            "Git is not installed, so the ops repo's commits cannot be read.",
            hint="Install git; everything else can be seen without it.",
        )
    options = [part for name, value in _SAFE.items() for part in ("-c", f"{name}={value}")]
    env = {name: os.environ[name] for name in _KEPT if name in os.environ} | _SET
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(
                [program, "--no-pager", *options, "-C", str(folder), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=env,
                start_new_session=True,
            )
        except OSError as error:
            raise VmqError(f"Git could not be started: {error.strerror or error}.") from error
        late = threading.Event()
        with process, _killed_after(timeout_s, process, late):
            output = process.stdout.read(MOST_BYTES + 1) if process.stdout else b""
            if len(output) > MOST_BYTES:
                return output[:MOST_BYTES], f"Git's answer is larger than {MOST_BYTES // 1024**2} MiB"
            code = process.wait()
        if late.is_set():
            raise DeadlinePassed(
                f"Git took longer than {timeout_s:g} s to read {folder}.",
                hint="Try `git log` there; set ops_repo in vmq.toml to a smaller or nearer clone.",
            )
        if code:
            complaints.seek(0)
            said = _text(complaints.read(4096))
            if not but or but not in said:
                raise _refused(folder, said)
    return output, ""


@contextmanager
def _killed_after(
    timeout_s: float, process: subprocess.Popen[bytes], late: threading.Event
) -> Iterator[None]:
    """Within the block, ``process`` is killed after ``timeout_s`` seconds, and ``late`` says so; after it, at once."""

    def act() -> None:
        late.set()
        _kill(process)

    timer = threading.Timer(timeout_s, act)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _refused(folder: Path, said: str) -> VmqError:
    if "dubious ownership" in said:
        return SettingsError(
            f"Git does not read {folder}: it belongs to somebody else.",
            hint=f"If you trust it: git config --global --add safe.directory {folder}",
        )
    if "not a git repository" in said:
        return SettingsError(
            f"{folder} is in no Git work tree.", hint="Correct ops_repo in vmq.toml, or leave it out."
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it gave no reason"]
    why = next((line for line in lines if line.startswith("fatal: ")), lines[-1]).removeprefix("fatal: ")
    why = "".join(c if c.isprintable() else " " for c in why)
    return VmqError(f"Git cannot read {folder}: {why.rstrip('.')}.", hint=f"Try `git -C {folder} log`.")
