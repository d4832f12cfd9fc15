"""How a run of a notebook went, in the words that the record, its banner and the error use."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any, Literal

from vmqlib.errors import DeadlinePassed, Interrupted, RunFailed, VmqError

__all__ = [
    "BANNER_ID",
    "BANNER_TAGS",
    "Status",
    "Stop",
    "banner_source",
    "error_for",
    "headline",
    "what_to_do",
]

Status = Literal["running", "completed", "failed", "exited", "timed-out", "kernel-died", "interrupted"]
"""State of a run, as ``metadata.vmq.run.status`` of the notebook has it."""

BANNER_ID = "vmq-run-banner"
BANNER_TAGS = ("vmq-run-banner", "papermill-error-cell-tag")
"""papermill takes cells with its own tag out when it runs a notebook again."""

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")


@dataclass(frozen=True)
class Stop:
    """Why a run ended before its end.

    Parameters
    ----------
    status:
        What kind of end it was.
    name:
        The exception's class, the signal's name, or what stands for it.
    value:
        What it said.
    cell:
        Index of the cell that was running; None when none had been started.
    """

    status: Status
    name: str
    value: str
    cell: int | None = None

    @property
    def said(self) -> str:
        """Name and value on one line, without control characters, at most 300 characters long."""
        value = _UNSEEN.sub(" ", _ANSI.sub("", self.value)).strip()
        text = f"{self.name}: {value}" if value else self.name
        return text if len(text) <= 300 else text[:298] + " …"


def headline(stop: Stop, where: str) -> str:
    """What happened, in one sentence. ``where`` names the cell: ``Cell 7 of 22 ("Sync history")``."""
    match stop.status:
        case "running":
            return f"{where} was running when this file was saved."
        case "exited":
            return f"{where} ended the run before its end ({stop.said})."
        case "timed-out":
            return f"{where} was given up after {stop.value}."
        case "kernel-died":
            return f"{where}: the process that runs the cells died ({stop.value or 'no reason known'})."
        case "interrupted":
            return f"{where} was interrupted ({stop.name})."
        case _:
            return f"{where} failed with {stop.said.rstrip('.')}."


def what_to_do(stop: Stop, incident_id: str) -> str:
    """What to do about it, in one sentence."""
    again = f"vmq render {incident_id}" if incident_id else "running the notebook again"
    match stop.status:
        case "running":
            return (
                f"If nothing runs any more, it was killed: {again} makes the record whole from its evidence."
            )
        case "timed-out":
            return f"The cell's output says where it was; {again} tries again from the evidence kept."
        case "kernel-died":
            return f"Check free memory; {again} makes the record whole from its evidence."
        case "interrupted":
            return f"Nothing is lost: {again} makes the record whole from its evidence."
        case _:
            return f"The cell's output says where. Once that is mended, {again} makes the record whole."


def banner_source(title: str, sentences: list[str]) -> str:
    """The banner as Markdown: one block of HTML, in which text that is not ours cannot become markup."""
    body = "<br>\n".join(_as_html(sentence) for sentence in sentences if sentence)
    style = (
        "border:2px solid #a4161a;border-left-width:10px;background:#fff4f3;color:#1c1c1c;padding:0.7em 1em"
    )
    head = f'<div class="vmq-run-banner" role="alert" style="{style}">\n<strong>{_as_html(title)}</strong>'
    return f"{head}<br>\n{body}\n</div>"


def _as_html(text: str) -> str:
    # Also neutral to Markdown, in case a renderer looks for emphasis, math or links within HTML blocks.
    escaped = html.escape(text, quote=True)
    return re.sub(r"[\\`*_{}\[\]$~|]", lambda found: f"&#{ord(found[0])};", escaped)


def error_for(stop: Stop, happened: str, saved: str) -> VmqError:
    """The exception that ends the run: its class gives the command its exit code."""
    kinds: dict[str, type[VmqError]] = {"timed-out": DeadlinePassed, "interrupted": Interrupted}
    return kinds.get(stop.status, RunFailed)(
        happened, hint=f"The record up to there is in {saved}." if saved else ""
    )


def incident_of(metadata: Any) -> str:
    """The incident that the injected parameters name; empty when they name none, or nothing like an id."""
    given = (metadata.get("papermill") or {}).get("parameters") or {}
    name = given.get("incident_id", "") if hasattr(given, "get") else ""
    return name if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9-]{1,64}", name) else ""
