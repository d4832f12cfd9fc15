"""Apply: an approved upload, each item under its condition; then another look, and all of it in the journal."""

from __future__ import annotations

import shlex
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from vmqlib.errors import AwsError, BadInput, Interrupted, Unreachable, VmqError, WorldChanged
from vmqlib.record.evidence import Question
from vmqlib.runbook.approval import check_digest
from vmqlib.runbook.docsync.plan import DocItem, DocPlan
from vmqlib.runbook.docsync.planning import WORKERS, current_entries, versioned
from vmqlib.runbook.docsync.uploading import carry_out
from vmqlib.runbook.objectcontent import holds
from vmqlib.runbook.resyncstory import STEP, UPLOAD
from vmqlib.runbook.rollback.items import NOTHING, Entry
from vmqlib.runbook.rollback.outcome import Outcome
from vmqlib.runbook.rollback.preview import shown
from vmqlib.runbook.wording import many
from vmqlib.sources.crew import GRACE_S, Crew, within
from vmqlib.times import iso, parse_iso

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.events import EvidenceRef
    from vmqlib.record.incident import Incident
    from vmqlib.s3 import S3

__all__ = ["ItemOutcome", "Uploaded", "apply", "check", "problem", "undo_command"]

_GIVE_UP = 10  # refusals, and not one success: it is not the objects
_NAMED = 5
_TICK_S = 0.1


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What became of one item: the ``item``, and the ``outcome``."""

    item: DocItem
    outcome: Outcome


@dataclass(frozen=True)
class Uploaded:
    """How an upload ended.

    Parameters
    ----------
    digest:
        Of the plan.
    ending:
        ``applied``: all is as planned. ``changed``: but for what somebody else changed. ``failed``: AWS refused some.
        ``interrupted``.
    outcomes:
        Of the items that were come to, by key.
    left:
        How many were not come to.
    unknown:
        Items that were sent, and S3 did not answer: written or not, another run finds out.
    verified:
        Whether another look at the bucket found what was done; None where it could not be looked at.
    verification:
        That in a sentence.
    undo:
        The command that takes it back; empty where nothing was written.
    seconds:
        How long it took.
    error:
        What ended it early, if anything.
    """

    digest: str
    ending: str
    outcomes: tuple[ItemOutcome, ...]
    left: int
    unknown: tuple[DocItem, ...] = ()
    verified: bool | None = None
    verification: str = ""
    undo: str = ""
    seconds: float = 0.0
    error: VmqError | None = field(default=None, compare=False)

    @property
    def counts(self) -> Mapping[str, int]:
        """Items by result: ``done``, ``found``, ``changed``, ``failed``, ``left`` and ``unknown``."""
        found = Counter[str](one.outcome.result for one in self.outcomes)
        found.update({"left": self.left, "unknown": len(self.unknown)})
        names = ("done", "found", "changed", "failed", "left", "unknown")
        return {name: found[name] for name in names if found[name]}

    @property
    def written(self) -> int:
        """How many keys are as planned now."""
        return self.counts.get("done", 0) + self.counts.get("found", 0)

    @property
    def troubles(self) -> tuple[ItemOutcome, ...]:
        """Those that are not as planned."""
        return tuple(one for one in self.outcomes if one.outcome.result in ("changed", "failed"))

    @property
    def sentence(self) -> str:
        """The whole in a sentence."""
        words = {
            "done": "done",
            "found": "done by a request whose answer was lost",
            "changed": "changed by somebody else and left alone",
            "failed": "refused",
            "left": "not come to",
            "unknown": "not known, since S3 did not answer",
        }
        told = ", ".join(f"{count:,} {words[name]}" for name, count in self.counts.items())
        return f"{told or 'nothing to do'}, in {self.seconds:.1f} s."


def check(made: DocPlan, digest: str, *, delete_most: bool = False) -> None:
    """Whether ``digest`` approves that plan, and whether it may be carried out.

    Raises
    ------
    BadInput
        The digest is too short, or most of the documents would be deleted and ``delete_most`` was not said.
    WorldChanged
        It is another plan's.
    """
    check_digest(
        digest,
        made.digest,
        changed="What was looked at is {seen}; folder and bucket now come to {now}. Nothing was done.",
        hint="Look at this plan, and approve its own digest.",
    )
    if made.deletes_most and not delete_most:
        raise BadInput(
            f"{made.counts['DELETE']:,} of {many(made.in_scope, 'document')} below s3://{made.bucket}/{made.prefix} "
            "would be deleted, which is more than 15 %. Nothing was done.",
            hint="Is it the right folder, and the right prefix? If so: --delete-most.",
        )


def apply(
    made: DocPlan,
    aws: Aws,
    *,
    digest: str,
    incident: Incident | None = None,
    delete_most: bool = False,
    workers: int = WORKERS,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Uploaded:
    """Uploads, then deletes, then looks again. It can be killed at any moment: planning again finds what is left.

    Nothing is deleted unless every upload was carried out, or left to somebody else's change.

    Parameters
    ----------
    digest:
        The approval: the plan's digest, or its beginning.
    incident:
        Where it is journaled.
    delete_most:
        More than 15 % of the documents may be deleted.
    workers:
        Requests at a time.
    progress:
        Told how many of how many items are through.

    Raises
    ------
    BadInput, WorldChanged
        As :func:`check`; the incident is closed; versioning is off by now. Nothing was done then.
    """
    from vmqlib.s3 import S3

    if incident is not None and incident.state.closed_at:
        raise BadInput(
            f"{incident.id} is closed: its record is complete, and nothing is changed in its name.",
            hint="Leave --incident out, or open a new incident.",
        )
    check(made, digest, delete_most=delete_most)
    begun = time.monotonic()
    with S3(aws, made.bucket, connections=max(32, workers)) as s3:
        versioned(s3)
        before = aws.clock.now()
        about = _begin(incident, made, before)
        run = _Run(s3, made, workers, progress)
        run.run()
        done = _looked_again(s3, made, run, before, incident.id if incident else "")
    done = replace(done, seconds=round(time.monotonic() - begun, 3))
    if incident is not None:
        _end(incident, made, done, about)
    return done


def problem(made: DocPlan, done: Uploaded) -> VmqError | None:
    """What is to be said of an upload that is not wholly as planned; None when it is."""
    again = "Run the same command again: it goes on with what is left."
    undo = f" To take it back: {done.undo}" if done.undo else ""
    if done.ending == "interrupted":
        asked = f", and of {len(done.unknown):,} nobody knows: S3 did not answer" if done.unknown else ""
        return Interrupted(
            f"Stopped: {done.written:,} of {len(made.changes):,} documents are as planned{asked}.",
            hint=again + undo,
        )
    if done.ending == "failed":
        if done.error is not None:
            done.error.hint = f"{done.error.hint} {again}".strip()
            return done.error
        first = next(one.outcome for one in done.outcomes if one.outcome.result == "failed")
        refused = many(done.counts["failed"], "document")
        return AwsError(
            f"{refused} refused, {done.written:,} as planned. The first: {first.problem}",
            hint=f"{first.hint} {again}".strip(),
            code=first.code,
        )
    if done.ending == "changed":
        names = ", ".join(repr(shown(one.item.key)) for one in done.troubles[:_NAMED])
        return WorldChanged(
            f"{many(done.counts['changed'], 'document')} changed since the plan was made, and left alone: {names}. "
            f"{done.written:,} are as planned.",
            hint="Agree with whoever changed them, then run it again: it plans with what is there now.",
        )
    if done.verified is False:
        return WorldChanged(done.verification, hint="Run it again: it plans with what is there now.")
    return None


class _Run:
    """The items of a plan, some at a time."""

    def __init__(self, s3: S3, made: DocPlan, workers: int, progress: Callable[[int, int], None]) -> None:
        self._s3 = s3
        self._made = made
        self._workers = workers
        self._progress = progress
        self._stop = threading.Event()
        self._stopped_at: float | None = None
        self.outcomes: dict[str, ItemOutcome] = {}
        self.unknown: dict[str, DocItem] = {}
        self.error: VmqError | None = None
        self.interrupted = False
        self._failed = 0

    @property
    def left(self) -> int:
        return len(self._made.changes) - len(self.outcomes) - len(self.unknown)

    def run(self) -> None:
        changes = self._made.changes
        uploads = [item for item in changes if item.action != "DELETE"]
        deletions = [item for item in changes if item.action == "DELETE"]
        self._all(uploads)
        # A document that was renamed is uploaded under its new name first: it is never gone in between.
        if not self._stop.is_set() and not self._failed:
            self._all(deletions)

    def _all(self, items: Sequence[DocItem]) -> None:
        waiting = iter(items)
        under_way: dict[Future[Outcome], DocItem] = {}
        # Daemons: a process that is told to end does not wait for an S3 that does not answer.
        crew = Crew(self._workers, "vmq-upload")
        try:
            while True:
                try:
                    while len(under_way) < 2 * self._workers and not self._stop.is_set():
                        item = next(waiting, None)
                        if item is None:
                            break
                        under_way[crew.submit(self._one, item)] = item
                    if not under_way:
                        return
                    for future in wait(under_way, _TICK_S, return_when=FIRST_COMPLETED).done:
                        self._take(under_way.pop(future), future)
                    if self._past_grace():
                        self._leave(under_way)
                        return
                except KeyboardInterrupt:  # what is in flight has a while to end; nothing new is begun
                    self.interrupted = True
                    self._stop.set()
                    self._stopped_at = self._stopped_at or time.monotonic()
        finally:
            crew.shutdown(wait=False)

    def _past_grace(self) -> bool:
        return self._stopped_at is not None and time.monotonic() - self._stopped_at >= GRACE_S

    def _leave(self, under_way: Mapping[Future[Outcome], DocItem]) -> None:
        """What S3 did not answer. Its request may still arrive, under its condition."""
        self.unknown |= {item.key: item for future, item in under_way.items() if not future.cancel()}

    def _one(self, item: DocItem) -> Outcome:
        if self._stop.is_set():
            raise _NotBegun
        return carry_out(self._s3, self._made.folder, item, stop=self._stop)

    def _take(self, item: DocItem, future: Future[Outcome]) -> None:
        try:
            outcome = future.result()
        except _NotBegun:
            return
        except VmqError as error:
            if isinstance(error, Unreachable):
                self.unknown[item.key] = item
            self.error = self.error or error
            self._stop.set()
            return
        self.outcomes[item.key] = ItemOutcome(item, outcome)
        self._failed += outcome.result == "failed"
        if self._failed >= _GIVE_UP and self._failed == len(self.outcomes):
            self._stop.set()
        self._progress(len(self.outcomes), len(self._made.changes))


class _NotBegun(Exception):
    """It was stopped before this item was begun."""


# -- another look


def _looked_again(s3: S3, made: DocPlan, run: _Run, before: datetime, incident_id: str) -> Uploaded:
    """:func:`_look_again`, as long as somebody waits for it: how the upload went is written down in any case."""

    def look() -> Uploaded:
        return _look_again(s3, made, run, before, incident_id)

    try:
        return within(GRACE_S, look, "s3:ListObjectVersions") if run.interrupted else look()
    except (KeyboardInterrupt, Unreachable):
        run.interrupted = True
        outcomes = tuple(run.outcomes[key] for key in sorted(run.outcomes))
        done = Uploaded(made.digest, _ending(run), outcomes, run.left, _unknown(run), error=run.error)
        text = "It was not looked at again: it was interrupted." if done.written else ""
        return replace(done, verification=text, undo=_undo(made, _ours(done), {}, before, incident_id))


def _unknown(run: _Run) -> tuple[DocItem, ...]:
    return tuple(run.unknown[key] for key in sorted(run.unknown))


def _ours(done: Uploaded) -> list[ItemOutcome]:
    return [one for one in done.outcomes if one.outcome.result in ("done", "found")]


def _look_again(s3: S3, made: DocPlan, run: _Run, before: datetime, incident_id: str) -> Uploaded:
    outcomes = tuple(run.outcomes[key] for key in sorted(run.outcomes))
    done = Uploaded(made.digest, _ending(run), outcomes, run.left, _unknown(run), error=run.error)
    ours = _ours(done)
    if not ours:
        return done
    try:
        there = current_entries(s3, made.prefix, made.exclude)
        wrong = [
            one.item.key for one in ours if not _is_as_planned(s3, one, there.get(one.item.key, NOTHING))
        ]
    except AwsError as error:
        text = f"It could not be looked at again: {error.message} {error.hint}".strip()
        return replace(done, verification=text, undo=_undo(made, ours, {}, before, incident_id))
    text = f"Looked at again: {len(ours) - len(wrong):,} of {many(len(ours), 'document')} in the bucket as planned."
    if wrong:
        text += f" Changed again since: {', '.join(repr(shown(key)) for key in wrong[:_NAMED])}."
    return replace(
        done, verified=not wrong, verification=text, undo=_undo(made, ours, there, before, incident_id)
    )


def _is_as_planned(s3: S3, one: ItemOutcome, top: Entry) -> bool:
    item, outcome = one.item, one.outcome
    if outcome.version_id and outcome.version_id != top.version_id:
        return False
    if item.action == "DELETE":
        return top.is_delete_marker
    assert item.content is not None
    return not top.is_delete_marker and holds(s3, item.key, item.content, size=top.size, etag=top.etag)


def _undo(
    made: DocPlan, ours: Sequence[ItemOutcome], there: Mapping[str, Entry], before: datetime, incident_id: str
) -> str:
    """The rollback to the moment before the first write: by the bucket's own clock, a second before it, since S3 dates
    versions in whole seconds. By this machine's where the bucket could not be looked at again."""
    if not ours:
        return ""
    tops = [there.get(one.item.key, NOTHING) for one in ours]
    written = [
        parse_iso(top.at)
        for one, top in zip(ours, tops, strict=True)
        if top.at and one.outcome.version_id in ("", top.version_id)
    ]
    return undo_command(
        [one.item.key for one in ours], made.prefix, min(written, default=before), incident_id
    )


def undo_command(keys: Sequence[str], prefix: str, first: datetime, incident_id: str) -> str:
    """The rollback to the second before ``first``, when the first of these keys was written."""
    moment = first.replace(microsecond=0) - timedelta(seconds=1)
    where = ["--prefix", prefix] if prefix else []
    if len(keys) <= _NAMED:
        where = [word for key in keys for word in ("--key", key)]
    words = ["vmq", "rollback", "plan", incident_id or "ID", "--to", iso(moment)[:19] + "Z", *where]
    return shlex.join(words)


def _ending(run: _Run) -> str:
    results = {one.outcome.result for one in run.outcomes.values()}
    if run.interrupted:
        return "interrupted"
    if run.error is not None or "failed" in results:
        return "failed"
    return "changed" if "changed" in results else "applied"


# -- the journal


def _begin(incident: Incident | None, made: DocPlan, before: datetime) -> dict[str, Any]:
    about: dict[str, Any] = {
        "action": UPLOAD,
        "digest": made.digest,
        "item": made.connector,
        "bucket": made.bucket,
        "prefix": made.prefix,
        "delete": made.delete,
        "counts": dict(made.counts),
        "unchanged": made.unchanged,
        "bytes": made.bytes,
        # By this machine's clock; what the bucket's says is known afterwards.
        "before": iso(before),
    }
    if incident is not None:
        plan = _evidence(incident, "docs-plan", made, made.rows())
        incident.conclude(STEP, f"Planned: {made.summary}", {**about, "verdict": "planned"}, evidence=[plan])
        incident.approved(STEP, f"Plan {made.digest[:12]} is approved: {made.summary}", about)
        incident.applying(
            STEP, f"Upload documents from {made.folder} to s3://{made.bucket}/{made.prefix}.", about
        )
    return about


def _end(incident: Incident, made: DocPlan, done: Uploaded, about: dict[str, Any]) -> None:
    rows = [
        {
            "key": one.item.key,
            "action": one.item.action,
            "result": one.outcome.result,
            "version_id": one.outcome.version_id,
            "code": one.outcome.code,
            "problem": one.outcome.problem,
        }
        for one in done.outcomes
    ]
    rows += [
        {
            "key": item.key,
            "action": item.action,
            "result": "unknown",
            "version_id": "",
            "code": "",
            "problem": "S3 did not answer: another run finds out.",
        }
        for item in done.unknown
    ]
    ref = _evidence(incident, "docs-upload", made, rows)
    data = {
        **about,
        "ending": done.ending,
        "results": dict(done.counts),
        "seconds": done.seconds,
        "undo": done.undo,
    }
    error = problem(made, done)
    summary = f"Documents: {done.sentence}"
    if done.ending in ("applied", "changed"):
        incident.applied(STEP, summary, data, evidence=[ref])
    else:
        said = {"problem": error.message, "hint": error.hint} if error else {}
        if isinstance(error, AwsError):
            said |= {"operation": error.operation, "code": error.code}
        incident.journal.append("failed", summary, step=STEP, data={**data, **said}, evidence=[ref])
    if done.verification:
        incident.verified(
            STEP, done.verification, {"action": UPLOAD, "digest": made.digest, "ok": done.verified}
        )


def _evidence(incident: Incident, name: str, made: DocPlan, rows: Sequence[Mapping[str, Any]]) -> EvidenceRef:
    question = Question(
        name,
        "s3:ListObjectVersions" if name == "docs-plan" else "s3:PutObject",
        incident.clock.now(),
        {"bucket": made.bucket, "prefix": made.prefix, "folder": str(made.folder), "digest": made.digest},
        incident.settings.region,
        incident.identity.account,
        incident.actor().caller,
    )
    return incident.evidence.add(question, rows, incident.redactor)
