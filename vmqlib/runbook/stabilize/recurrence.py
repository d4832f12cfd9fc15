"""Whether failures are recurring: then the impacted connector's schedule is to be disabled (runbook step 2). Pure.

N of the last M syncs failed, for the same cause. N and M are the settings' (``[stabilize]``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vmqlib.sources.documents import error_kind
from vmqlib.sources.syncjobs import TERMINAL

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.settings import StabilizeRule

__all__ = ["Recurring", "cause_of", "recurring"]

_COUNTED = TERMINAL - {"ABORTED"}  # a job that somebody stopped did not fail
_LONGEST = 200  # of a cause, in a sentence


@dataclass(frozen=True)
class Recurring:
    """Failures that come again and again.

    Parameters
    ----------
    failed:
        Syncs that failed for that cause.
    of:
        Syncs that were looked at: the last ones that ended by themselves.
    cause:
        The error, without what names one document.
    assumed:
        How many of ``failed`` left documents out whose errors are not in the evidence: counted, and said.
    """

    failed: int
    of: int
    cause: str
    assumed: int = 0

    @property
    def sentence(self) -> str:
        """``3 of the last 4 syncs failed with the same error: …``"""
        cause = self.cause if len(self.cause) <= _LONGEST else f"{self.cause[:_LONGEST].rstrip()} …"
        said = f"{self.failed} of the last {self.of} syncs failed with the same error"
        if self.assumed:
            said += f", as far as the evidence reaches ({self.failed - self.assumed} of them)"
        return f"{said}: {cause.rstrip('.')}."


def recurring(
    jobs: pd.DataFrame, report: pd.DataFrame | None, rule: StabilizeRule, data_source_id: str = ""
) -> Recurring | None:
    """The cause for which the rule's number of syncs failed; ``None`` where none did.

    A FAILED sync has its own error. An INCOMPLETE one has that of most of its failing documents, from the
    document-level report.

    Parameters
    ----------
    jobs:
        A frame of the source ``sync-jobs``.
    report:
        A frame of the source ``document-report``; ``None`` where there is none.
    rule:
        How many of how many.
    data_source_id:
        Only syncs of this data source; empty: of all.
    """
    mine = jobs[jobs["status"].isin(_COUNTED)]
    if data_source_id:
        mine = mine[mine["data_source_id"].eq(data_source_id)]
    last = mine.sort_values("started_at", kind="stable").tail(rule.recurring_of)
    bad = last[last["status"].ne("SUCCEEDED")]
    if len(bad) < rule.recurring_failures:
        return None
    causes = [cause_of(row, report) for row in bad.to_dict("records")]
    known = Counter(cause for cause in causes if cause)
    # Documents whose errors nobody captured may have failed for the same reason; a whole sync that failed has its own.
    silent = sum(1 for cause in causes if not cause)
    if not known:
        return None
    cause, count = known.most_common(1)[0]
    if count >= rule.recurring_failures:
        return Recurring(count, len(last), cause)
    if count + silent >= rule.recurring_failures and count > 1:
        return Recurring(count + silent, len(last), cause, assumed=silent)
    return None


def cause_of(job: Mapping[Any, Any], report: pd.DataFrame | None) -> str:
    """What a sync failed with, without what names one document; empty where the evidence does not say.

    Parameters
    ----------
    job:
        A row of the source ``sync-jobs`` whose status is FAILED (its own error counts) or INCOMPLETE (that of most of
        its failing documents does).
    report:
        A frame of the source ``document-report``; ``None`` where there is none.
    """
    return _of_job(job) if job["status"] == "FAILED" else _of_documents(report, str(job["execution_id"]))


def _of_job(row: Mapping[Any, Any]) -> str:
    code = row.get("data_source_error_code") or row.get("error_code") or ""
    return error_kind(str(code), str(row.get("error_message") or ""))


def _of_documents(report: pd.DataFrame | None, execution_id: str) -> str:
    """The error of most documents that failed in that sync; empty where the evidence has none."""
    if report is None or report.empty:
        return ""
    failed = report[report["execution_id"].eq(execution_id) & report["status"].eq("FAILED")]
    pairs = zip(failed["error_code"].fillna(""), failed["message"].fillna(""), strict=True)
    kinds = Counter(error_kind(code, message) for code, message in pairs)
    return kinds.most_common(1)[0][0] if kinds else ""
