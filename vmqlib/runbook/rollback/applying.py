"""Apply and resume: from an approved plan to a bucket that is as planned, all of it in the journal (runbook step 3).

Changes the bucket: ``s3:PutObject`` and ``s3:DeleteObject``, each under its condition. No version is ever destroyed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from vmqlib.errors import AwsError, BadInput, Interrupted, StorageError, VmqError, WorldChanged
from vmqlib.runbook.approval import check_digest
from vmqlib.runbook.rollback.ground import belongs, may_change, nobody_applies, versioning
from vmqlib.runbook.rollback.outcome import OWN, own_doing
from vmqlib.runbook.rollback.planning import journal_plan, private
from vmqlib.runbook.rollback.purposes import PURPOSES, PurposeName, Verb, command
from vmqlib.runbook.rollback.replanning import plan_again
from vmqlib.runbook.rollback.results import Applied, Ending
from vmqlib.runbook.rollback.sidebyside import log_of
from vmqlib.runbook.rollback.standing import read_plan
from vmqlib.runbook.rollback.story import Story, folder, log_name, story
from vmqlib.sources.crew import unless
from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback.engine import Tally
    from vmqlib.runbook.rollback.plan import Plan
    from vmqlib.runbook.rollback.progress import Progress
    from vmqlib.runbook.rollback.thawing import Thaw

__all__ = ["WORKERS", "apply", "approve", "check_applicable", "resume"]

T = TypeVar("T")
WORKERS = 16
_IN_JOURNAL = 5


def apply(
    incident: Incident,
    plan: Plan,
    *,
    digest: str,
    rate: float | None = None,
    workers: int = WORKERS,
    thaw: Thaw | None = None,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> Applied:
    """Carries a plan out. It can be killed at any moment, and goes on with :func:`resume`.

    Parameters
    ----------
    digest:
        The approval: the digest of the plan that was looked at, or its beginning (8 characters at least).
    rate, workers:
        At most so many objects a second; at most so many requests at a time.
    thaw:
        How versions are restored that turn out to be archived; ``None``: they are not.
    progress:
        Told ten times a second how far it is.
    stop:
        When set, what is in flight is ended and nothing new begun, as with Ctrl-C.

    Raises
    ------
    BadInput
        The plan is of another incident, bucket, account or region, or was applied already; the incident is closed.
    WorldChanged
        The digest is another plan's (nothing was done then); versioning was suspended since (likewise); somebody else
        changed objects meanwhile, which were left alone: all others are done.
    AwsError
        AWS refused some items, or the run as a whole. :func:`resume` tries them again.
    LockHeld
        Another apply is under way.
    Interrupted
        It was stopped.
    """
    aws = _looked(incident, plan.head.purpose, stop, lambda: check_applicable(incident, plan, digest))
    return _carry_out(
        incident, aws, plan, rate=rate, workers=workers, thaw=thaw, progress=progress, stop=stop
    )


def resume(
    incident: Incident,
    *,
    purpose: PurposeName = "rollback",
    rate: float | None = None,
    workers: int = WORKERS,
    thaw: Thaw | None = None,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> Applied:
    """Goes on with the apply that was begun last: with what was not come to, what AWS refused, what nobody knows of.

    What became of the latter, the bucket says. The plan and its approval are those of the journal.

    Parameters
    ----------
    purpose:
        Whether a rollback is gone on with, or a touch.
    rate, workers, thaw, progress, stop:
        As for :func:`apply`.

    Raises
    ------
    BadInput
        There is nothing to go on with.
    VmqError
        As :func:`apply`.
    """
    aws = may_change(incident)
    told = story(incident, purpose)
    last = told.last
    plans, applies, verifies = (command(purpose, verb, incident.id) for verb in ("plan", "apply", "verify"))
    if last is None:
        raise BadInput(
            f"No {purpose} was begun in {incident.id}.",
            hint=f"`{plans}` plans one, `{applies}` begins it.",
        )
    if last.ending in {"applied", "changed"}:
        raise BadInput(
            f"The {purpose} {last.digest[:12]} came to its end: {last.sentence}",
            hint=f"`{verifies}` looks whether it holds; `{plans}` plans anew.",
        )
    plan = read_plan(incident, told.plans[last.digest])
    _looked(incident, purpose, stop, lambda: belongs(incident, aws, plan))
    return _carry_out(
        incident, aws, plan, rate=rate, workers=workers, thaw=thaw, progress=progress, stop=stop, before=last
    )


def check_applicable(incident: Incident, plan: Plan, digest: str) -> Aws:
    """Whether a plan can be applied in this incident with that approval. Asks AWS only who the caller is.

    Raises
    ------
    BadInput, WorldChanged, LockHeld
        As :func:`apply`.
    """
    aws = may_change(incident)
    approve(plan, digest)
    belongs(incident, aws, plan)
    _not_applied(incident, story(incident, plan.head.purpose), plan)
    return aws


def approve(plan: Plan, digest: str) -> None:
    """Whether an approval is one of this plan.

    Raises
    ------
    BadInput
        It is too short to name a plan.
    WorldChanged
        It names another one.
    """
    made = show_time(plan.head.made_at)
    check_digest(
        digest,
        plan.digest,
        changed=f"The plan that was looked at is {{seen}}; this one, made {made}, is {{now}}. Nothing was done.",
        hint="Look at this one and approve it by its own digest, or give the file of the other with --plan.",
    )


def _not_applied(incident: Incident, told: Story, plan: Plan) -> None:
    before = told.applies.get(plan.digest)
    if before is None:
        return
    if before.ending in {"interrupted", "failed"}:
        raise BadInput(
            f"The plan {plan.digest[:12]} was begun and is not done: {before.sentence}",
            hint=f"`{_type(incident, plan, 'resume')}` goes on with it.",
        )
    if before.ending == "unfinished":
        nobody_applies(incident)
        raise BadInput(
            f"The plan {plan.digest[:12]} was begun and never came to an end: it was killed.",
            hint=f"`{_type(incident, plan, 'resume')}` finds out how far it came, and goes on.",
        )
    raise BadInput(
        f"The plan {plan.digest[:12]} was applied already{f' at {show_time(before.at)}' if before.at else ''}.",
        hint=f"`{_type(incident, plan, 'verify')}` looks whether it holds, `{_type(incident, plan, 'undo')}` takes it "
        f"back, `{_type(incident, plan, 'plan')}` plans anew.",
    )


def _carry_out(
    incident: Incident,
    aws: Aws,
    plan: Plan,
    *,
    rate: float | None,
    workers: int,
    thaw: Thaw | None,
    progress: Callable[[Progress], None] | None,
    stop: threading.Event | None,
    before: Applied | None = None,
) -> Applied:
    from vmqlib.runbook.rollback.applylog import ApplyLog, Head
    from vmqlib.runbook.rollback.copied import makers
    from vmqlib.runbook.rollback.engine import run
    from vmqlib.runbook.rollback.objects import Objects
    from vmqlib.s3 import S3

    if workers < 1 or (rate is not None and rate <= 0):
        raise BadInput("Workers and rate must be above 0.", hint="Leave them out for the defaults.")
    total = plan.changes
    with S3(aws, plan.scope.bucket, connections=max(32, workers)) as s3:
        _looked(incident, plan.head.purpose, stop, lambda: _may_begin(incident, s3, plan))
        head = Head(plan=plan.digest, incident=incident.id, actor=str(incident.actor()))
        path = private(folder(incident)) / log_name(plan.digest)
        with ApplyLog(path, head, clock=incident.clock) as log:
            told = story(incident, plan.head.purpose)  # once more, now that nobody else applies
            if before is None:
                _not_applied_meanwhile(incident, told, plan)
            if plan.digest not in told.plans:
                journal_plan(incident, plan, brought=True)
            about = _about(plan) | {"log": path.name, "items": total}
            _begin(incident, plan, about, resumed=before is not None)
            # Every item is read, so that the plan's digest is checked before the first request: see iter_items.
            objects = Objects(s3, thaw=thaw, own=makers(incident))
            tally = run(
                plan.iter_items(), objects, log, changed=objects.changed,
                workers=workers, rate=rate, total=total, progress=progress, stop=stop,
            )  # fmt: skip
            sha256, unwritten = _sha256(log)
    error = tally.error or unwritten
    ending = _ending(tally, error)
    made = _end(incident, plan, about, tally, ending, sha256, error)
    _raise(incident, plan, made, error)
    return made


def _looked(
    incident: Incident, purpose: PurposeName, stop: threading.Event | None, look: Callable[[], T]
) -> T:
    """A look at AWS before anything is begun, which an AWS that does not answer must not draw out.

    Raises
    ------
    Interrupted
        ``stop`` was set.
    """
    try:
        return unless(stop, look)
    except KeyboardInterrupt as error:
        verbs: tuple[Verb, Verb] = ("apply", "resume")
        begins, goes_on = (command(purpose, verb, incident.id) for verb in verbs)
        raise Interrupted(
            "Stopped before anything was sent to the bucket.",
            hint=f"`{begins}` begins, `{goes_on}` goes on with what was begun before.",
        ) from error


def _may_begin(incident: Incident, s3: Any, plan: Plan) -> None:
    """The last look before the journal says that it begins; who acts is known by then, too."""
    _still_versioned(s3, plan)
    incident.actor()


def _still_versioned(s3: Any, plan: Plan) -> None:
    if versioning(s3) != "Enabled":
        raise WorldChanged(
            f"Versioning of bucket {plan.scope.bucket} is suspended: a change would destroy what is there now. "
            "Nothing was done.",
            hint=f"aws s3api put-bucket-versioning --bucket {plan.scope.bucket} "
            "--versioning-configuration Status=Enabled, then plan again.",
        )


def _not_applied_meanwhile(incident: Incident, told: Story, plan: Plan) -> None:
    before = told.applies.get(plan.digest)
    if before is not None:
        raise WorldChanged(
            f"The plan {plan.digest[:12]} was applied by {before.by} just now.",
            hint=f"`{_type(incident, plan, 'verify')}` looks whether it holds.",
        )


def _type(incident: Incident, plan: Plan, verb: Verb) -> str:
    return command(plan.head.purpose, verb, incident.id)


# -- the journal


def _about(plan: Plan) -> dict[str, Any]:
    kind = plan.target.kind
    about = {"action": PURPOSES[plan.head.purpose].action(kind), "digest": plan.digest, "kind": kind}
    return about | ({"of": plan.head.of} if plan.head.of else {})


def _begin(incident: Incident, plan: Plan, about: dict[str, Any], *, resumed: bool) -> None:
    step = PURPOSES[plan.head.purpose].step
    if resumed:
        incident.applying(step, f"Go on with plan {plan.digest[:12]}.", {**about, "resumed": True})
        return
    incident.approved(step, f"Plan {plan.digest[:12]} is approved: {plan.summary}", about)
    if incident.state.phase != step:
        incident.set_phase(step)
    incident.applying(step, f"Apply plan {plan.digest[:12]} to s3://{plan.scope.bucket}.", about)


def _sha256(log: Any) -> tuple[str, VmqError | None]:
    """The log's hash; where the disk refuses the last lines, that is the error to tell."""
    try:
        return str(log.digest()), None
    except StorageError as error:
        return "", error


def _ending(tally: Tally, error: VmqError | None) -> Ending:
    if error is not None or (tally.failed and not tally.interrupted):
        return "failed"
    if tally.interrupted or tally.left:
        return "interrupted"
    return "changed" if tally.changed else "applied"


def _end(
    incident: Incident,
    plan: Plan,
    about: dict[str, Any],
    tally: Tally,
    ending: Ending,
    sha256: str,
    error: VmqError | None,
) -> Applied:
    purpose = PURPOSES[plan.head.purpose]
    made = Applied(
        digest=plan.digest, kind=plan.target.kind, ending=ending, done=tally.done, found=tally.found,
        changed=tally.changed, own=_own(incident, plan) if tally.changed else 0, failed=tally.failed,
        left=tally.left - tally.unknown, unknown=tally.unknown, seconds=round(tally.seconds, 3),
        at=incident.clock.now(), by=incident.actor().user, log=str(about["log"]), log_sha256=sha256,
        problems=tally.problems, of=plan.head.of,
    )  # fmt: skip
    counts = {
        name: getattr(made, name)
        for name in ("done", "found", "changed", "own", "failed", "left", "unknown", "seconds")
    }
    data = {**about, **counts, "ending": ending, "log_sha256": sha256}
    data["problems"] = [asdict(each) for each in made.problems[:_IN_JOURNAL]]
    if ending in {"applied", "changed"}:
        incident.applied(purpose.step, made.sentence, data)
        if plan.head.of and made.restored:
            incident.undone(
                purpose.step,
                f"The {purpose.name} {plan.head.of[:12]} is taken back: {made.restored} objects.",
                {"action": purpose.name, "digest": plan.head.of, "by_plan": plan.digest},
            )
        return made
    told = error or _refusal(incident, plan, made)
    said = {"problem": told.message, "hint": told.hint} if told else {"problem": "It was interrupted."}
    if isinstance(told, AwsError):
        said |= {"operation": told.operation, "code": told.code, "error": type(told).__name__}
    incident.failed(purpose.step, made.sentence, {**data, **said})
    return made


def _own(incident: Incident, plan: Plan) -> int:
    """How many of the changed items this incident itself had changed: earlier runs of the plan included."""
    try:
        log = log_of(incident, plan)
        return sum(one.result == "changed" and one.code == OWN for _, one in log.outcomes()) if log else 0
    except VmqError:  # the log's own trouble is told elsewhere
        return 0


def _refusal(incident: Incident, plan: Plan, made: Applied) -> AwsError | None:
    if not made.failed:
        return None
    first = next((each for each in made.problems if each.result == "failed"), None)
    why = f" The first: {first.problem}" if first else ""
    hint = first.hint if first and first.hint else "The apply log names them."
    if first is None or first.code != "missing":  # what is gone stays gone, however often it is tried
        hint = f"{hint} Then `{_type(incident, plan, 'resume')}` tries them again."
    return AwsError(
        f"{_many(made.failed)} refused, {made.restored} as planned.{why}",
        hint=hint,
        code=first.code if first else "",
    )


def _many(count: int) -> str:
    return f"{count:,} object was" if count == 1 else f"{count:,} objects were"


def _raise(incident: Incident, plan: Plan, made: Applied, error: VmqError | None) -> None:
    if error is not None:
        error.hint = f"{error.hint} Then `{_type(incident, plan, 'resume')}` goes on.".strip()
        raise error
    if made.ending == "interrupted":
        raise Interrupted(
            f"Stopped: {made.restored} objects are as planned, {made.left} are left as they were"
            + (f", and of {made.unknown} nobody knows: S3 did not answer." if made.unknown else "."),
            hint=f"`{_type(incident, plan, 'resume')}` goes on, `{_type(incident, plan, 'undo')}` takes it back.",
        )
    if (refusal := _refusal(incident, plan, made)) is not None:
        raise refusal
    if made.ending == "changed":
        plans = f"`{plan_again(incident, plan.head)}` plans with what is there now."
        who = [f"{_many(made.others)} changed by somebody else"] if made.others else []
        by = ", ".join(dict.fromkeys(filter(None, (own_doing(each.problem) for each in made.problems))))
        itself = f"this incident's own {by}" if by else "this incident itself"
        who += [f"{_many(made.own)} changed by {itself}"] if made.own else []
        names = ", ".join(repr(each.key) for each in made.problems if each.result == "changed")
        raise WorldChanged(
            f"{' and '.join(who)} after this plan was made, and left alone: {names}. "
            f"{made.restored} are as planned.",
            hint=f"Agree with them, then {plans}" if made.others else plans,
        )
