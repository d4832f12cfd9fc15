"""The rules: what was seen of one key, and what follows from it. Pure; nothing is asked here.

A restored or touched key is proved when a sync that began since reports it as added or modified, and the index lists
it as indexed. A deleted one is proved when a whole listing of the index does not have it. Where what the rule needs was
not seen, the verdict is ``cannot tell`` with the reason, whatever else looks fine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vmqlib.runbook.affecteddocuments import FAILED, GONE
from vmqlib.runbook.proof.seen import Expected, Indexed, Job, Reported, Sight
from vmqlib.sources.crawlscope import METADATA_SUFFIX, CrawlScope
from vmqlib.times import show_time

__all__ = ["IN_INDEX", "Judged", "judge"]

_OURS = ("restored", "touched")
IN_INDEX = frozenset({"INDEXED", "UPDATED"})
"""Statuses of documents that can be found (botocore's model)."""
_UNDELIVERED = (
    "it has no line of that sync: lines come late, or log delivery (SYNC_JOB_LOGS) is not set up "
    "(`vmq doctor` tells)"
)
_TAKEN = frozenset({"ADD", "MODIFY"})


@dataclass(frozen=True, slots=True)
class Judged:
    """What follows for one key.

    Parameters
    ----------
    expected:
        The key.
    verdict, ok, finding, mend:
        As in :data:`vmqlib.runbook.proof.results.COLUMNS`.
    stuck:
        Failed, and not looked at again.
    line, document:
        What the newest report and the index say of it; ``None``: nothing.
    """

    expected: Expected
    verdict: str
    ok: bool | None
    finding: str
    mend: str = ""
    stuck: bool = False
    line: Reported | None = None
    document: Indexed | None = None

    @property
    def error(self) -> str:
        """What is said to have gone wrong."""
        if self.line is not None and self.line.error:
            return self.line.error
        return self.document.error if self.document is not None else ""


class _Say(Protocol):
    """What makes a verdict on the key in question."""

    def __call__(
        self, verdict: str, ok: bool | None, finding: str, mend: str = "", *, stuck: bool = False
    ) -> Judged:
        """A verdict."""
        ...


def judge(one: Expected, sight: Sight) -> Judged:
    """The verdict on one key."""
    jobs = sight.since(one.since) if one.want in (*_OURS, "deleted") else sight.last
    ids = {job.execution_id for job in jobs}
    lines = [line for line in (sight.report or {}).get(one.key, ()) if line.execution_id in ids]
    line = lines[0] if lines else None
    document = (sight.index or {}).get(one.key)

    def say(verdict: str, ok: bool | None, finding: str, mend: str = "", *, stuck: bool = False) -> Judged:
        return Judged(one, verdict, ok, finding, mend, stuck, line, document)

    if sight.scope is not None and not sight.scope.is_document(one.key) and document is None:
        return say("out of scope", None, _outside(one.key, sight.scope))
    if one.want in ("deleted", "absent"):
        return _gone(one, sight, jobs, line, document, say)
    if early := _too_early(one, sight, jobs, say):
        return early
    if failed := _failed(sight, line, document, say):
        return failed
    return _there(one, sight, jobs, lines, document, say)


def _outside(key: str, scope: CrawlScope) -> str:
    if key.endswith(METADATA_SUFFIX):
        return "A metadata file: the connector reads it with its document, and it is none itself."
    if key == scope.acl_key:
        return "The access control file: the connector reads it, and it is no document."
    return "Outside the connector's patterns: the index does not follow it."


def _too_early(one: Expected, sight: Sight, jobs: Sequence[Job], say: _Say) -> Judged | None:
    """Whether no sync could have taken it over yet."""
    if sight.jobs is None:
        return say("cannot tell", None, f"The sync jobs could not be seen: {sight.jobs_why}")
    if one.want == "present":
        if one.since is not None and jobs and one.since >= jobs[0].started_at:
            return say(
                "newer", None, f"Written at {show_time(one.since)}, after that sync began: for the next one."
            )
        if jobs and jobs[0].completed:
            return None
    elif any(job.completed for job in jobs):
        return None
    if sight.running:
        return say("not synced", None, f"The sync {sight.running} is running.", sight.again)
    if jobs:
        newest = jobs[0]
        why = f": {newest.error}" if newest.error else ""
        return say("not synced", False, f"The newest sync {newest.status}{why}", sight.sync)
    word = {"touched": "touched", "restored": "restored"}.get(one.want, "written")
    return say("not synced", False, f"No sync has begun and ended since it was {word}.", sight.sync)


def _failed(sight: Sight, line: Reported | None, document: Indexed | None, say: _Say) -> Judged | None:
    in_report = line is not None and line.status == "FAILED"
    # Of an older failure the listing may still speak while the report has newer news.
    in_index = document is not None and document.status in FAILED
    if not (in_report or in_index):
        return None
    told = (line.error if in_report and line is not None else "") or (document.error if document else "")
    error = f": {told}" if told else ", and nothing says why"
    if in_report and line is not None and document is not None and document.status in IN_INDEX:
        text = f"The sync could not take it over; the index keeps what it had{error}"
        return say("failed", False, text, f"Mend the cause, then: {sight.sync}")
    if in_report and line is not None and line.action == "UNMODIFIED":
        text = f"It failed before and was not read again, since it did not change{error}"
        return say("failed", False, text, f"Once the cause is gone: {sight.touch}", stuck=True)
    mend = f"Mend the cause; if the object itself stays as it is, the connector may not read it again: {sight.touch}"
    return say("failed", False, f"It failed{error}", mend)


def _there(
    one: Expected,
    sight: Sight,
    jobs: Sequence[Job],
    lines: Sequence[Reported],
    document: Indexed | None,
    say: _Say,
) -> Judged:
    listed = _listed(document)
    if one.want == "present" and document is not None and document.status in IN_INDEX:
        at = document.updated_at
        if at is not None and one.since is not None and at >= one.since:
            return say("indexed", True, f"Indexed since it was written. {listed}")
    if sight.report is None:
        return say(
            "cannot tell", None, f"The document-level report could not be seen: {sight.report_why} {listed}"
        )
    if sight.index is None:
        said = f" The report says {lines[0].action} {lines[0].status}." if lines else ""
        return say(
            "cannot tell", None, f"The documents of the index could not be seen: {sight.index_why}{said}"
        )
    if document is not None and document.status not in {*IN_INDEX, *GONE}:
        return say(
            "cannot tell", None, f"The index has it as {document.status}: not indexed yet.", sight.again
        )
    if not lines:
        return _unreported(one, sight, jobs, listed, say)
    if document is None or document.status in GONE:
        if sight.index_why or (sight.index_unnamed and document is None):
            return say("cannot tell", None, f"The index does not list it, {_partly(sight)}.")
        text = f"The report says {lines[0].action} {lines[0].status}, and the index does not list it."
        return say("not in the index", False, text, sight.again)
    taken = next((line for line in lines if line.action in _TAKEN and line.status == "SUCCESS"), None)
    if taken is not None:
        done = "added" if taken.action == "ADD" else "modified"
        return say("indexed", True, f"Seen as {done} by the sync {taken.execution_id[:8]}. {listed}")
    if lines[0].action == "UNMODIFIED":
        return _unmodified(one, sight, document, listed, say)
    text = f"The report says {lines[0].action} {lines[0].status}. {listed}"
    return say("cannot tell", None, text, sight.again)


def _unmodified(one: Expected, sight: Sight, document: Indexed, listed: str, say: _Say) -> Judged:
    """The connector found the object to be what the index has. Whether it is, the times tell."""
    at = document.updated_at
    if one.want == "present":
        return say("indexed", True, f"The connector found it unchanged. {listed}")
    if at is not None and one.since is not None and at >= one.since:
        return say("indexed", True, f"Indexed since, and found unchanged by the next sync. {listed}")
    if at is not None and one.held is not None and one.held[0] <= at < one.held[1]:
        return say(
            "indexed",
            True,
            f"Unchanged: the index took it when that very content was current before. {listed}",
        )
    text = (
        f"The connector found it unchanged, and the index did not take it since it was {one.want}. {listed}"
    )
    key = f"vmq sync touch {sight.incident or 'ID'} --key …"
    return say("unchanged", None, text, f"To have it read again for certain: {key}")


def _unreported(one: Expected, sight: Sight, jobs: Sequence[Job], listed: str, say: _Say) -> Judged:
    newest = next((job for job in jobs if job.completed), None)
    if one.want == "present" and listed and newest is not None and newest.whole and not sight.report_unnamed:
        return say("cannot tell", None, f"The sync's report does not speak of it. {listed}")
    if newest is None or not newest.reported:
        why = sight.report_why or _UNDELIVERED
        return say("cannot tell", None, f"The document-level report: {why}. {listed}", sight.again)
    if sight.report_why or not newest.whole:
        why = sight.report_why or (
            f"it has {newest.reported:,} lines for {newest.scanned or 0:,} documents scanned: lines may come late"
        )
        return say("cannot tell", None, f"The document-level report: {why}. {listed}", sight.again)
    if sight.report_unnamed:
        text = f"{sight.report_unnamed:,} documents in the report have ids that name no key: it may be one of them."
        return say("cannot tell", None, f"{text} {listed}")
    text = f"The sync {newest.execution_id[:8]} does not speak of it. {listed}".strip()
    return say("not seen", False, text, "Look at the connector's patterns and the bucket; then sync again.")


def _gone(
    one: Expected,
    sight: Sight,
    jobs: Sequence[Job],
    line: Reported | None,
    document: Indexed | None,
    say: _Say,
) -> Judged:
    if sight.index is None:
        said = f" The report says {line.action} {line.status}." if line else ""
        return say(
            "cannot tell", None, f"The documents of the index could not be seen: {sight.index_why}{said}"
        )
    if document is None or document.status == "DELETED":
        if sight.index_why or sight.index_unnamed:
            return say("cannot tell", None, f"The index does not list it, {_partly(sight)}.")
        return say("gone", True, "The index does not list it.")
    if document.status == "DELETING":
        return say("cannot tell", None, "The index is deleting it.", sight.again)
    if line is not None and line.action == "DELETE" and line.status != "SUCCESS":
        why = line.error or "the deletion was skipped"
        mend = (
            "The deletion safeguard: look at what is to go, raise deletionProtectionThreshold (or switch "
            f"enableDeletionProtection off) for one sync: {sight.sync}"
        )
        return say("held back", False, f"Still in the index ({document.status}): {why}", mend)
    if not any(job.completed for job in jobs) or (
        one.want == "absent" and jobs and one.since is not None and one.since >= jobs[0].started_at
    ):
        if one.want == "absent" and jobs:
            return say("newer", None, "Deleted after that sync began: for the next one.")
        if sight.running or sight.jobs is None:
            return say(
                "not synced", None, f"Still in the index ({document.status}); a sync is to take it out."
            )
        return say(
            "not synced", False, f"Still in the index ({document.status}): no sync ended since.", sight.sync
        )
    inside = _inside(one, sight)
    mend = f"Look at the sync's report, then sync again: {sight.sync}"
    if one.unwanted and inside:
        why = "it must not be; the connector's patterns take it in"
        mend = f"Leave its folder out in the connector's configuration, then sync again: {sight.sync}"
    elif one.want == "deleted" or inside:
        why = "its object is gone"
    else:
        why = "it is no document of the connector"
    return say("still indexed", False, f"Still in the index ({document.status}), and {why}.", mend)


def _inside(one: Expected, sight: Sight) -> bool:
    return sight.scope is None or sight.scope.is_document(one.key)


def _listed(document: Indexed | None) -> str:
    if document is None:
        return ""
    when = f", updated {show_time(document.updated_at)}" if document.updated_at else ""
    return f"The index has it as {document.status}{when}."


def _partly(sight: Sight) -> str:
    if sight.index_why:
        return f"but not all of it could be seen: {sight.index_why}"
    return f"but {sight.index_unnamed:,} of its documents have ids that name no key"
