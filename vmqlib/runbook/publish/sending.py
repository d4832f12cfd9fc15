"""What this incident sent where, by its journal: so that its own objects are told from anybody else's.

The journal has the content of every file before it is sent. What arrived although S3 never answered is thereby known,
too; whoever puts something else there is somebody else, whatever its ETag.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from vmqlib.runbook.recordplace import PUBLISH

if TYPE_CHECKING:
    from vmqlib.record.events import Event
    from vmqlib.runbook.publish.plan import PublishFile

__all__ = ["SENT", "lines", "sent_before"]

SENT: Final = "sent"
"""The field of the journal's ``applying`` event: path, bytes and SHA-256 of each file that is sent."""


def lines(files: Iterable[PublishFile]) -> list[list[Any]]:
    """The field's value."""
    return [[one.path, one.content.size, one.content.sha256] for one in files]


def sent_before(events: Iterable[Event], uri: str) -> Mapping[str, Collection[tuple[int, str]]]:
    """Size and SHA-256 of whatever was sent to a place, by path; whether or not it arrived.

    Parameters
    ----------
    uri:
        The place, as the plan has it.
    """
    found: dict[str, dict[tuple[int, str], None]] = {}
    for event in events:
        if event.kind != "applying" or event.data.action != PUBLISH or event.data.item != uri:
            continue
        for path, size, sha256 in event.data.model_dump().get(SENT, ()):
            found.setdefault(str(path), {})[int(size), str(sha256)] = None
    return found
