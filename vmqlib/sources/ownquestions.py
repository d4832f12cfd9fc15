"""What this kit asked the assistant itself: CloudWatch counts a canary as it counts a user's question.

Each question leaves a line before it is asked and one when it was answered, in ``own-questions/`` of the incidents
folder. A process that dies in between leaves the first one: asked, and nobody knows what became of it. What the kit
asked on another machine, into another incidents folder, is not in it.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vmqlib.errors import StorageError
from vmqlib.sources.base import TEXT, TIME, Column, Reading, Row, Source, moment
from vmqlib.times import parse_iso

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["LOST", "REFUSED", "SOURCE", "Trace", "read"]

REFUSED: Final = "refused"
"""AWS did not take the question: it is not counted."""
LOST: Final = "lost"
"""No answer came: it may be counted, or not."""

_COLUMNS = {
    "at": Column(TIME, "", "when it was asked, by this machine's clock"),
    "ended_at": Column(TIME, "", "when its answer was there; empty where none is known of"),
    "text": Column(TEXT, "", "the question or prompt"),
    "outcome": Column(
        TEXT, "", "answered, blocked, unclear (from no document), lost (no answer came); empty: not known"
    ),
    "conversation_id": Column(TEXT, "", "the conversation; empty where no answer is known of"),
}


class Trace:
    """Writes down what is asked.

    Parameters
    ----------
    settings:
        Say where incidents are kept, and which application is asked.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder, self._app_id = _folder(settings), settings.app_id

    def asking(self, at: datetime, text: str) -> str:
        """A question is about to be asked; gives what :meth:`ended` names it by.

        Raises
        ------
        StorageError
            It cannot be written down, and must not be asked: it would be taken for a user's.
        """
        ask_id = f"{at:%Y%m}-{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(ask_id, {"at": moment(at), "app_id": self._app_id, "text": text})
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise StorageError(
                f"It is not asked: {self._folder} cannot be written ({why}), and so it would be taken for a user's "
                "question.",
                hint="Set VMQ_INCIDENTS to a folder that can be written.",
            ) from error
        return ask_id

    def ended(self, ask_id: str, at: datetime, outcome: str, conversation_id: str = "") -> None:
        """What became of it. Where that cannot be written down, it stays one of which nobody knows."""
        told = {"ended_at": moment(at), "outcome": outcome, "conversation_id": conversation_id}
        try:
            self._write(ask_id, told)
        except OSError:
            return

    def _write(self, ask_id: str, told: Mapping[str, Any]) -> None:
        # The newline in front: a line that was cut off by a dying process spoils no other one.
        line = f"\n{json.dumps({'id': ask_id, **told}, ensure_ascii=False)}\n".encode()
        path = self._folder / f"{ask_id[:6]}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read(_aws: Aws, settings: Settings, window: Window, **_: str) -> Reading:
    """What was asked of this application in the window, oldest first; nothing where the kit never asked anything. AWS
    is not asked.

    Raises
    ------
    StorageError
        The folder is there and cannot be read.
    """
    folder = _folder(settings)
    asked: dict[str, dict[str, Any]] = {}
    first = f"{window.since - timedelta(hours=1):%Y%m}"
    try:
        paths = sorted(folder.glob("*.jsonl")) if folder.is_dir() else []
        for path in paths:
            if path.stem >= first:
                for line in _lines(path):
                    asked.setdefault(line["id"], {}).update(line)
    except OSError as error:
        raise StorageError(
            f"What this kit asked itself cannot be read: {folder}: {error.strerror}.",
            hint="Check its owner and mode.",
        ) from error
    rows = [_row(one) for one in asked.values() if _counts(one, settings.app_id, window)]
    return Reading(
        source="own-questions",
        call="vmq:own-questions",
        parameters={"applicationId": settings.app_id, "since": moment(window.since), "until": moment(window.until)},
        rows=sorted(rows, key=lambda row: str(row["at"])),
    )  # fmt: skip


SOURCE = Source(
    "own-questions", "Questions that this kit asked", read, _COLUMNS, order=("at",), asks_aws=False
)


def _folder(settings: Settings) -> Path:
    return settings.incidents / "own-questions"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().split(b"\n"):
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and isinstance(told.get("id"), str):
            yield told


def _counts(told: Mapping[str, Any], app_id: str, window: Window) -> bool:
    try:
        at = parse_iso(told["at"])
    except (KeyError, TypeError, ValueError):
        return False
    return (
        told.get("app_id") == app_id and told.get("outcome") != REFUSED and window.since <= at <= window.until
    )


def _row(told: Mapping[str, Any]) -> Row:
    return {
        name: told.get(name) or ("" if column.dtype == TEXT else None) for name, column in _COLUMNS.items()
    }
