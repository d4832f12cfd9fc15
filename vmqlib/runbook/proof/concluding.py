"""From what was seen to a proof: every key judged, and the checks that follow. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vmqlib.runbook.affecteddocuments import FAILED as STATUS_FAILED
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.proof.expecting import Deed, described, expect, expected_of
from vmqlib.runbook.proof.judging import IN_INDEX, Judged, judge
from vmqlib.runbook.proof.results import (
    AGREE,
    COLUMNS,
    FAILED,
    GONE,
    INDEXED,
    LEFT_OUT,
    SYNCED,
    UNWANTED,
    Later,
    Proof,
)
from vmqlib.runbook.proof.seen import Expected, Sight
from vmqlib.runbook.proof.sighting import SOURCES, sight_of
from vmqlib.runbook.proof.unwanted import nothing_unwanted, unwanted
from vmqlib.sources.crawlscope import METADATA_SUFFIX
from vmqlib.times import show_time

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.observation import Observation
    from vmqlib.settings import Connector, Settings

__all__ = ["conclude", "frame_of"]

_FEW = 3
_ORDER = {False: 0, None: 1, True: 2}


def conclude(
    seen: Mapping[str, Observation],
    done: Mapping[str, Deed],
    *,
    data_source_id: str,
    bucket: str,
    at: datetime,
    execution_id: str = "",
    incident: str = "",
    rollback: CheckResult | None = None,
    settings: Settings,
) -> Proof:
    """The proof that follows from what was seen.

    Parameters
    ----------
    seen:
        Observations of :data:`vmqlib.runbook.proof.sighting.SOURCES`.
    done:
        What the incident did to the bucket; empty: nothing, and the bucket as it is counts.
    data_source_id, bucket, execution_id, incident:
        As for :func:`vmqlib.runbook.proof.sighting.sight_of`.
    at:
        When all that was seen.
    rollback:
        What is to be said of the rollback itself; ``None``: nothing.
    settings:
        Which part of the bucket was listed, and what must not be in the index.
    """
    versions = seen["versions"]
    listing = versions.frame if versions.available else None
    there = expected_of(listing) if listing is not None else {}
    wanted = expect(done, listing)
    wanted = described(wanted, there) | wanted
    sight = sight_of(
        seen, data_source_id, bucket, {**there, **wanted}, execution_id=execution_id, incident=incident
    )
    connector = settings.connector(data_source_id)
    never = unwanted(sight, settings, connector)
    ours = [judge(one, sight) for one in wanted.values()]
    listed = _listed(connector) if listing is not None else lambda _: False
    rest = _rest(there, wanted, sight, listed, never)
    others = [judge(one, sight) for one in rest.values()]
    others = [one for one in others if not (one.expected.want == "absent" and one.verdict == "gone")]
    checks = [*([rollback] if rollback is not None else []), _sync(sight, wanted)]
    if done:
        checks += _restored(ours)
    checks += [*_documents(sight, [*ours, *others]), _held_back(sight, [*ours, *others])]
    checks += [_bucket(versions, sight, [*ours, *others], never)]
    if connector.bucket:
        checks += [nothing_unwanted(sight, never, [*ours, *others])]
    shown = [
        *ours,
        *(one for one in others if not done or (one.ok is not True and one.verdict not in LEFT_OUT)),
    ]
    executions = tuple(job.execution_id for job in sight.jobs or ())
    relevant = {one.line.execution_id for one in shown if one.line is not None}
    return Proof(
        incident=incident,
        data_source_id=data_source_id,
        bucket=bucket,
        at=at,
        executions=tuple(one for one in executions if one in relevant) or executions[:1],
        rollback=bool(done),
        keys=frame_of([_row(one) for one in sorted(shown, key=_first)]),
        checks=tuple(checks),
        seen=any(seen[name].available for name in SOURCES),
        later=_later(sight, [*ours, *others]),
        unseen=_unseen(versions, sight),
    )


def _listed(connector: Connector) -> Callable[[str], bool]:
    """Whether a key is of the part of the bucket that is listed."""
    return lambda key: key.startswith(connector.prefix) and not key.startswith(connector.exclude)


def _rest(
    there: Mapping[str, Expected],
    wanted: Mapping[str, Expected],
    sight: Sight,
    listed: Callable[[str], bool],
    never: Mapping[str, str],
) -> dict[str, Expected]:
    """Every other key of the bucket, and every other document of the index or of the newest report.

    A document of a part of the bucket that was not listed is there when it must not be in the index, or failed: of
    any other whether its object is there is not known.
    """
    rest = {key: one for key, one in there.items() if key not in wanted}
    scope, index = sight.scope, sight.index or {}
    for key, document in index.items():
        if key in wanted:
            continue
        if key in rest:
            if scope is not None and not scope.is_document(key):
                rest[key] = Expected(key, "absent", rest[key].since)
        elif listed(key) or key in never:
            rest[key] = Expected(key, "absent", unwanted=never.get(key, ""))
        elif document.status in STATUS_FAILED:
            rest[key] = Expected(key, "present")
    newest = sight.last[0].execution_id if sight.last else ""
    for key, lines in (sight.report or {}).items():
        if lines[0].status == "FAILED" and lines[0].execution_id == newest and key not in wanted:
            rest.setdefault(key, Expected(key, "present"))
    return rest


def _first(one: Judged) -> tuple[bool, int, str]:
    return one.verdict in LEFT_OUT, _ORDER[one.ok], one.expected.key


def _row(one: Judged) -> dict[str, Any]:
    line, document = one.line, one.document
    return {
        "key": one.expected.key,
        "want": one.expected.want,
        "verdict": one.verdict,
        "ok": one.ok,
        "finding": one.finding,
        "mend": one.mend,
        "stuck": one.stuck,
        "error": one.error if one.verdict in {FAILED, "held back"} else "",
        "document_id": document.document_id if document else line.document_id if line else "",
        "index_status": document.status if document else "",
        "indexed_at": document.updated_at if document else None,
        "execution_id": line.execution_id if line else "",
        "action": line.action if line else "",
        "report_status": line.status if line else "",
        "since": one.expected.since,
    }


def frame_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a frame of :data:`vmqlib.runbook.proof.results.COLUMNS`."""
    import pandas as pd

    made: dict[str, Any] = {}
    dtype: Any
    for name, (dtype, _) in COLUMNS.items():
        values = [row.get(name) for row in rows]
        if dtype.startswith("datetime"):
            times = pd.to_datetime(pd.Series(values, dtype="object"), utc=True, format="ISO8601")
            made[name] = times.astype(dtype)
        else:
            made[name] = pd.Series(values, dtype=dtype)
    return pd.DataFrame(made)


# -- the checks


def _sync(sight: Sight, wanted: Mapping[str, Expected]) -> CheckResult:
    """Whether a sync came to its end since, and how."""
    name, kept = SYNCED, ("sync-jobs",)
    if sight.jobs is None:
        return CheckResult(name, None, f"The sync jobs could not be seen: {sight.jobs_why}", evidence=kept)
    times = [one.since for one in wanted.values() if one.since is not None]
    since = max(times, default=None)
    jobs = sight.since(since)
    after = f" since the last change of {show_time(since)}" if since is not None else ""
    if not jobs:
        if sight.running:
            text = f"The sync {sight.running} is running."
            return CheckResult(name, None, text, mend=sight.again, evidence=kept)
        text = f"No sync has begun and ended{after}."
        return CheckResult(name, False, text, mend=sight.sync, evidence=kept)
    newest = jobs[0]
    why = f": {newest.error}" if newest.error else ""
    text = f"The newest sync, of {show_time(newest.started_at)}, ended {newest.status}{why or '.'}"
    if newest.status == "SUCCEEDED":
        return CheckResult(name, True, text, newest.execution_id, evidence=kept)
    mend = "The documents that failed are named below." if newest.completed else sight.sync
    return CheckResult(name, False, text, newest.execution_id, mend, kept)


def _restored(ours: Sequence[Judged]) -> list[CheckResult]:
    kept = ("document-report", "documents")
    counted = [one for one in ours if one.verdict not in LEFT_OUT]
    there = [one for one in counted if one.expected.want != "deleted"]
    gone = [one for one in counted if one.expected.want == "deleted"]
    checks = [
        _all(there, INDEXED, "restored documents are indexed", kept),
        *([_all(gone, GONE, "deleted documents are gone", kept[1:])] if gone else []),
    ]
    out = [one.expected.key for one in ours if one.verdict == "out of scope"]
    if out:
        text = f"{_many(len(out), 'changed key')} not documents of this connector: {_names(out)}."
        checks.append(
            CheckResult("Changed keys that the index does not follow", True, text, evidence=("resources",))
        )
    return checks


def _all(judged: Sequence[Judged], name: str, words: str, evidence: tuple[str, ...]) -> CheckResult:
    if not judged:
        return CheckResult(name, True, "No restored key is a document of this connector.", evidence=evidence)
    good = sum(one.ok is True for one in judged)
    said = {one.ok for one in judged}
    ok = False if False in said else None if None in said else True
    text = f"{good:,} of {len(judged):,} {words}"
    if ok is True:
        return CheckResult(name, True, f"All {len(judged):,} {words}.", evidence=evidence)
    telling = [one for one in judged if one.ok is ok]
    first = telling[0]
    text += f"; {_names([one.expected.key for one in telling])}: {first.finding}"
    return CheckResult(name, ok, text, mend=first.mend, evidence=evidence)


def _documents(sight: Sight, judged: Sequence[Judged]) -> list[CheckResult]:
    """Whether a document failed, of the whole data source; and whether one would stay so."""
    name, kept = "No document failed", ("document-report", "documents")
    failed = [one for one in judged if one.verdict == FAILED]
    stuck = [one for one in failed if one.stuck]
    if stuck:
        first = stuck[0]
        text = (
            f"{_many(len(stuck), 'failed document')} not read again, since nothing changed: "
            f"{_names([one.expected.key for one in stuck])}: {first.error or 'nothing says why'}"
        )
        mend = f"Once the cause is gone: {sight.touch}"
        checks = [CheckResult("No failed document is left behind", False, text, mend=mend, evidence=kept)]
    else:
        checks = []
    if failed:
        first = failed[0]
        told = first.error or "nothing says why"
        text = (
            f"{_many(len(failed), 'document')} failed: {_names([one.expected.key for one in failed])}: {told}"
        )
        return [CheckResult(name, False, text, mend=first.mend, evidence=kept), *checks]
    if sight.index is None and sight.report is None:
        return [
            CheckResult(
                name, None, f"Neither report nor index could be seen: {sight.index_why}", evidence=kept
            )
        ]
    if sight.index is None or sight.index_why:
        return [CheckResult(name, None, f"Not all documents could be seen: {sight.index_why}", evidence=kept)]
    return [CheckResult(name, True, "The index lists no document as failed.", evidence=kept)]


def _held_back(sight: Sight, judged: Sequence[Judged]) -> CheckResult:
    name, kept = "No deletion is held back", ("document-report", "documents")
    held = [one for one in judged if one.verdict == "held back"]
    if held:
        first = held[0]
        text = (
            f"The deletion safeguard holds {_many(len(held), 'document')} in the index that {_to_go(held, sight)}: "
            f"{_names([one.expected.key for one in held])}."
        )
        return CheckResult(name, False, text, mend=first.mend, evidence=kept)
    newest = sight.last[0] if sight.last else None
    if sight.report is None or newest is None or not newest.reported:
        why = sight.report_why or "the newest sync has no line in the document-level report"
        return CheckResult(name, None, f"Cannot be told: {why}", evidence=kept)
    return CheckResult(name, True, "The newest sync held no deletion back.", evidence=kept)


def _to_go(held: Sequence[Judged], sight: Sight) -> str:
    """Why they are to go: their objects are gone, or the connector leaves them out."""
    out = sum(sight.scope is not None and not sight.scope.is_document(one.expected.key) for one in held)
    if not out:
        return "lack an object" if len(held) > 1 else "lacks an object"
    left = "the connector's patterns leave out"
    return left if out == len(held) else f"lack an object, or that {left}"


def _bucket(
    versions: Observation, sight: Sight, judged: Sequence[Judged], never: Mapping[str, str]
) -> CheckResult:
    """How many documents the index has, all of them, and how many objects the bucket has that are documents."""
    name, kept = AGREE, ("documents", "versions", "resources")
    if not versions.available or sight.index is None or sight.scope is None:
        why = (
            f"{versions.problem} {versions.hint}"
            if not versions.available
            else sight.index_why
            if sight.index is None
            else "the connector's configuration was not seen"
        )
        return CheckResult(name, None, f"Cannot be told: {why}".strip(), evidence=kept)
    newer = [one for one in judged if one.verdict == "newer"]
    considered = [one for one in judged if one.verdict not in LEFT_OUT]
    objects = [one for one in considered if one.expected.want in ("present", "restored", "touched")]
    indexed = [one for one in considered if one.document is not None and one.document.status in IN_INDEX]
    held = sum(one.status in IN_INDEX for one in sight.index.values())
    missing = [
        one.expected.key for one in objects if one.document is None or one.document.status not in IN_INDEX
    ]
    gone = {one.expected.key for one in indexed if one.expected.want in ("absent", "deleted")}
    extra = sorted(gone - never.keys())
    later = f" {_many(len(newer), 'key')} changed after that sync began: for the next one." if newer else ""
    text = f"The index has {held:,} documents, the bucket {len(objects):,} objects in scope"
    if (
        beyond := held
        - len(indexed)
        - sum(one.document is not None and one.document.status in IN_INDEX for one in newer)
    ):
        text += f" where it was listed, and {beyond:,} of the documents are from elsewhere"
    partly = "" if versions.complete and not sight.index_why else sight.index_why or versions.stopped
    if partly:
        return CheckResult(name, None, f"{text}; but not all could be seen: {partly}", evidence=kept)
    if not (missing or extra or never):
        return CheckResult(name, True, f"{text}: they agree.{later}", evidence=kept)
    if sight.index_unnamed and missing:
        text += f"; {sight.index_unnamed:,} documents have ids that name no key, so which are missing is not known."
        return CheckResult(
            name, None if not (extra or never) else False, text, mend=sight.sync, evidence=kept
        )
    failed = sum(one.verdict == FAILED for one in objects)
    which = f" ({failed:,} of them failed)" if failed else ""
    told = [
        f"{_many(len(missing), 'object')} not indexed{which}: {_names(missing)}" if missing else "",
        f"{_many(len(extra), 'document')} without an object: {_names(extra)}" if extra else "",
        f"{_many(len(never), 'document')} that must not be in the index: {_names(sorted(never))}"
        if never
        else "",
    ]
    # A sync reads what it did not try; what failed before it reads again only once it changed.
    untried = len(missing) > failed or bool(extra)
    mend = "\n".join(
        filter(
            None,
            [
                f"Once the cause is gone: {sight.touch}" * bool(failed),
                sight.sync * untried,
                f"For those that must not be there: see “{UNWANTED}”." * bool(never),
            ],
        )
    )
    finding = f"{text}; {'; '.join(filter(None, told))}.{later}"
    return CheckResult(name, False, finding, mend=mend, evidence=kept)


def _unseen(versions: Observation, sight: Sight) -> str:
    """Why it is not known what changed after that sync began."""
    if not versions.available or versions.problem:
        return f"{versions.problem} {versions.hint}".strip()
    if not versions.complete:
        return versions.stopped or "the listing stopped early"
    return "" if sight.scope is not None else "the connector's configuration was not seen"


def _later(sight: Sight, judged: Sequence[Judged]) -> Later | None:
    """What changed after that sync began. The index has a key as it was before, where it took it before; a sync that
    began before may have read it after, and then the index took it after, too."""
    if not sight.last or sight.scope is None:
        return None
    began = sight.last[0].started_at
    lacking: list[str] = []
    unsure: list[str] = []
    for one in judged:
        key, since, document = one.expected.key, one.expected.since, one.document
        if one.verdict == "newer":
            there = document is not None and document.status in IN_INDEX
            if (
                one.expected.want == "absent"
                or not there
                or (document is not None and document.updated_at and since and document.updated_at < since)
            ):
                lacking.append(key)
            else:
                unsure.append(key)
        elif (
            since is not None
            and since >= began
            and one.verdict == "out of scope"
            and (key == sight.scope.acl_key or key.endswith(METADATA_SUFFIX))
        ):
            unsure.append(key)
    if not (lacking or unsure):
        return None
    return Later(began, tuple(sorted(lacking)), tuple(sorted(unsure)), bool(sight.running))


def _many(count: int, noun: str) -> str:
    verb = {"failed document": ("was", "were"), "changed key": ("is", "are")}.get(noun)
    words = f"{count:,} {noun}{'' if count == 1 else 's'}"
    return f"{words} {verb[count != 1]}" if verb else words


def _names(keys: Sequence[str]) -> str:
    shown = ", ".join(sorted(keys)[:_FEW])
    return shown if len(keys) <= _FEW else f"{shown} and {len(keys) - _FEW:,} more"
