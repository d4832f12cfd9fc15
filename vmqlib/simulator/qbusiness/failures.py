"""Why a document or a whole source cannot be synced, in the words that logs and the API give.

The reasons are those of "Troubleshooting data sources" in the Amazon Q Business user guide: configuration or
IAM fails the job, a document's own trouble fails that document. AWS publishes no list of connector error
codes: the codes here are the simulator's, named for what happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["DocumentFailed", "Failure", "SourceFailed", "Stage"]

Stage = Literal["crawl", "sync", "index"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one document is not in the index.

    Parameters
    ----------
    code:
        The connector's error code, as in the connector log.
    message:
        A sentence for people.
    stage:
        Where it failed: while crawling, when handed over, or while indexing.
    retried:
        Whether the next sync tries again although nothing changed: so it is when the content was never read.
    """

    code: str
    message: str
    stage: Stage
    retried: bool = False


class DocumentFailed(Exception):
    """A document cannot be read or indexed.

    Parameters
    ----------
    failure:
        Why.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class SourceFailed(Exception):
    """The source as a whole cannot be crawled: the job FAILS.

    Parameters
    ----------
    error_code:
        One of the API's: ``InvalidRequest``, ``InternalError``, ``ResourceInactive``, ``ResourceNotFound``.
    message:
        A sentence for people.
    source_code:
        What the source itself answered, for ``dataSourceErrorCode``.
    """

    def __init__(self, error_code: str, message: str, source_code: str) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.message = message
        self.source_code = source_code
