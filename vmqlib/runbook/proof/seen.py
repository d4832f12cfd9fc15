"""What is asked of a proof, and what was seen: the words that its rules are written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from vmqlib.sources.crawlscope import CrawlScope

__all__ = ["Expected", "Indexed", "Job", "Reported", "Sight", "Want"]

Want = Literal["restored", "touched", "deleted", "present", "absent"]

_COMPLETED = frozenset({"SUCCEEDED", "INCOMPLETE"})


@dataclass(frozen=True, slots=True)
class Expected:
    """One key, and how it should be in the index.

    Parameters
    ----------
    key:
        The object's key.
    want:
        ``restored``, ``touched`` or ``deleted`` by this incident; or what the bucket holds: ``present``, ``absent``.
    since:
        Since when the object is what it is; ``None`` where that is not known.
    held:
        From when to when the restored content had been current before; ``None`` where that is not known.
    unwanted:
        Why it must not be in the index, whatever the bucket holds: ``housekeeping``, ``forbidden``, ``outside``; else
        empty.
    """

    key: str
    want: Want
    since: datetime | None = None
    held: tuple[datetime, datetime] | None = None
    unwanted: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One sync job that ended, or runs.

    Parameters
    ----------
    execution_id, status, started_at:
        As the API says.
    reported:
        Lines that its document-level report has.
    scanned:
        Documents that it scanned; ``None`` where it does not say.
    error:
        Its message; empty where there is none.
    """

    execution_id: str
    status: str
    started_at: datetime
    reported: int = 0
    scanned: int | None = None
    error: str = ""

    @property
    def completed(self) -> bool:
        """Whether it came to its end and compared every document."""
        return self.status in _COMPLETED

    @property
    def whole(self) -> bool:
        """Whether its report can have a line for every document."""
        return self.reported > 0 and self.reported >= (self.scanned or 0)


@dataclass(frozen=True, slots=True)
class Reported:
    """One line of a document-level report.

    Parameters
    ----------
    execution_id, action, status, error, document_id:
        As it says.
    """

    execution_id: str
    action: str
    status: str
    error: str = ""
    document_id: str = ""


@dataclass(frozen=True, slots=True)
class Indexed:
    """One document as the index lists it.

    Parameters
    ----------
    document_id, status, error, updated_at:
        As it says.
    named:
        Whether its id, or the report's line of it, names its key: else the key that it stands under is the id itself.
    """

    document_id: str
    status: str
    error: str = ""
    updated_at: datetime | None = None
    named: bool = True


@dataclass(frozen=True)
class Sight:
    """All that was seen, ready to be asked by key.

    Parameters
    ----------
    jobs:
        Sync jobs that ended, newest first; ``None``: they could not be seen.
    jobs_why:
        Why not.
    running:
        The id of a sync job that runs; empty where none does.
    report:
        The reports' lines by key, newest first; ``None``: they could not be seen.
    report_why:
        Why not, or why some are missing.
    report_unnamed:
        Documents in the reports whose ids and addresses name no key.
    index:
        Documents of the index by key; ``None``: they could not be seen.
    index_why:
        Why not, or why some are missing.
    index_unnamed:
        Documents in the index whose ids name no key.
    scope:
        What the connector takes for documents; ``None``: that is not known.
    incident:
        For what to type; empty without one.
    """

    jobs: Sequence[Job] | None = ()
    jobs_why: str = ""
    running: str = ""
    report: Mapping[str, Sequence[Reported]] | None = field(default_factory=dict)
    report_why: str = ""
    report_unnamed: int = 0
    index: Mapping[str, Indexed] | None = field(default_factory=dict)
    index_why: str = ""
    index_unnamed: int = 0
    scope: CrawlScope | None = None
    incident: str = ""

    def since(self, moment: datetime | None) -> list[Job]:
        """Ended jobs that began since, newest first."""
        return [one for one in self.jobs or () if moment is None or one.started_at >= moment]

    @property
    def last(self) -> list[Job]:
        """The newest job that compared every document, alone; without one, the newest."""
        ended = list(self.jobs or ())
        return [job for job in ended if job.completed][:1] or ended[:1]

    @property
    def sync(self) -> str:
        """What starts a sync and waits for it."""
        named = f" --incident {self.incident}" if self.incident else ""
        return f"vmq sync start{named} && vmq sync wait{named}"

    @property
    def again(self) -> str:
        """What looks again."""
        return f"vmq sync verify{f' --incident {self.incident}' if self.incident else ''}"

    @property
    def touch(self) -> str:
        """What has failed documents read again."""
        return f"vmq sync touch {self.incident or 'ID'} --failed"
