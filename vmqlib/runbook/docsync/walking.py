"""A folder's Markdown files: which there are, what is in them, and which are left alone and why. Only reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vmqlib.errors import BadInput, StorageError
from vmqlib.record.storage import storage_errors
from vmqlib.runbook.objectcontent import Content

__all__ = ["MOST_BYTES", "SUFFIX", "Document", "Walk", "hidden", "walk"]

SUFFIX = ".md"
MOST_BYTES = 50 * 1024 * 1024
"""The largest document that the S3 connector takes (``maxFileSizeInMegaBytes``: 50)."""
_VCS = frozenset({"CVS", "RCS", "SCCS", "_darcs"})  # those of other systems begin with a dot


@dataclass(frozen=True, slots=True)
class Document:
    """A Markdown file.

    Parameters
    ----------
    path:
        Within the folder, with forward slashes.
    content:
        What is in it; None where it is left alone.
    problem:
        Why it is left alone; empty when it is not.
    warning:
        What the connector will not like about it; most often empty.
    """

    path: str
    content: Content | None
    problem: str = ""
    warning: str = ""


@dataclass(frozen=True)
class Walk:
    """What was found in a folder.

    Parameters
    ----------
    folder:
        The folder itself.
    documents:
        By path.
    not_entered:
        Folders, each with a slash at its end, that are links and were not followed: what is behind them is not known.
    """

    folder: Path
    documents: tuple[Document, ...]
    not_entered: tuple[str, ...] = ()


def walk(folder: Path) -> Walk:
    """Every ``*.md`` in a folder and below it. Hidden files and folders, and those of version control, are left out.

    A link to a file is followed while it stays within the folder; links to folders are not.

    Raises
    ------
    BadInput
        It is no folder.
    StorageError
        A folder or file cannot be read: what is in it is then not known, and nothing may be concluded from it.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder.", hint="Give the folder that holds the *.md files.")
    root = folder.resolve()
    documents: list[Document] = []
    not_entered: list[str] = []
    for where, folders, files in os.walk(root, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not hidden(name))
        here = Path(where)
        not_entered += [f"{_relative(root, here / name)}/" for name in folders if (here / name).is_symlink()]
        names = sorted(name for name in files if name.endswith(SUFFIX) and not hidden(name))
        documents += [_document(root, here / name) for name in names]
    return Walk(root, tuple(sorted(documents, key=lambda one: one.path)), tuple(not_entered))


def hidden(path: str) -> bool:
    """Whether a path or key has a part that is hidden, or belongs to version control."""
    return any(part.startswith(".") or part in _VCS for part in path.split("/"))


def _refuse(error: OSError) -> None:
    raise StorageError(
        f"{error.filename} cannot be read: {error.strerror}. Nothing was done.",
        hint="What is in it is not known, so nothing can be compared with it: mend its permissions.",
    ) from error


def _document(root: Path, path: Path) -> Document:
    name = _relative(root, path)
    problem = next(_problems(root, path, name), "")
    if problem:
        return Document(name, None, problem)
    with storage_errors(path, "read"):
        data = path.read_bytes()
    if len(data) > MOST_BYTES:
        return Document(name, None, _TOO_LARGE)
    return Document(name, Content.of(data), warning=_warning(data))


_TOO_LARGE = f"larger than {MOST_BYTES // 1024**2} MB, which is more than the connector takes"


def _problems(root: Path, path: Path, name: str) -> Iterator[str]:
    if path.is_symlink():
        target = path.resolve()
        if not target.is_relative_to(root):
            yield "a link that leads out of the folder"
        elif not target.exists():
            yield "a link that leads nowhere"
        elif hidden(_relative(root, target)) or target.suffix != SUFFIX:
            yield "a link to something that is no document of the folder"
    if not path.is_file():
        yield "no plain file"
    try:
        name.encode()
    except UnicodeEncodeError:
        yield "its name is not UTF-8"
    if not name.isprintable():
        yield "its name has control characters"
    if path.stat().st_size > MOST_BYTES:
        yield _TOO_LARGE


def _warning(data: bytes) -> str:
    if not data.strip():
        return "empty"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return ""


def _relative(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
