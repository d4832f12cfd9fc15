"""What an incident's journal can say: one pydantic model for each kind of event.

The journal's file format is published as JSON Schema in ``docs/journal.schema.json``
(:func:`vmqlib.record.schema.journal_schema`). Data of an event has a few named fields and may have more: a
reader of an old journal ignores what it does not know, and a new step of the runbook needs no new kind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, field_serializer

from vmqlib.times import iso

__all__ = [
    "EVENT_TYPES",
    "NO_HASH",
    "Actor",
    "Applied",
    "Applying",
    "Approved",
    "Closed",
    "Concluded",
    "Event",
    "EvidenceRef",
    "Failed",
    "Kind",
    "Noted",
    "Notified",
    "Observed",
    "Opened",
    "Phase",
    "PhaseName",
    "RetroKind",
    "Severity",
    "SeverityName",
    "Step",
    "Undone",
    "Verified",
    "read_event",
]

NO_HASH = "0" * 64
"""``prev`` of the first event."""

Kind = Literal[
    "opened", "observed", "concluded", "approved", "applying", "applied", "failed",
    "verified", "undone", "notified", "noted", "severity", "phase", "closed",
]  # fmt: skip
SeverityName = Literal["SEV1", "SEV2", "SEV3"]
PhaseName = Literal["open", "triage", "stabilize", "rollback", "resync", "communicate", "validate", "closed"]
"""Where the response is: the runbook's steps, with ``open`` before the first and ``closed`` after the
last."""
RetroKind = Literal["well", "badly", "lucky", "action"]
"""What a remark is for the post-incident review."""
Step = str
"""The runbook step that an event belongs to, in the words of :data:`PhaseName`; ``""`` for none."""
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Actor(_Part):
    """Who did it: ``caller`` is the ARN that STS gives (``unknown`` offline), ``user`` the operating system's
    name."""

    caller: str = "unknown"
    user: str = "unknown"

    def __str__(self) -> str:
        return self.user if self.caller == "unknown" else f"{self.user} ({self.caller})"


class EvidenceRef(_Part):
    """An evidence file: ``file`` is its name in ``evidence/``, ``sha256`` and ``bytes`` are of the file as it
    is on disk, ``rows`` counts its rows, ``at`` is when AWS was asked, ``call`` by which operation;
    ``complete`` and ``stopped`` as in its header."""

    name: str
    file: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    sha256: Hash
    rows: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(ge=0)]
    at: AwareDatetime
    call: str = ""
    complete: bool = True
    stopped: str = ""

    @field_serializer("at")
    def _at(self, at: datetime) -> str:
        return iso(at)


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)


class OpenedData(_Data):
    """The incident's identity, as in ``incident.json``, and the ``settings`` that it is judged by."""

    id: str
    trigger: str
    title: str = ""
    severity: SeverityName = "SEV2"
    version: str = ""
    settings: dict[str, Any] = {}


class ObservedData(_Data):
    """One look at AWS: which ``source``, by which ``call``, with what ``parameters``; how many ``rows`` came,
    whether they are ``complete``, where it ``stopped``; how often something was masked, by kind
    (``redactions``); how long it took (``duration_s``, seconds)."""

    source: str
    call: str = ""
    parameters: dict[str, Any] = {}
    rows: int = 0
    complete: bool = True
    stopped: str = ""
    redactions: dict[str, int] = {}
    duration_s: float = 0.0


class ConcludedData(_Data):
    """What was made of the evidence; ``verdict`` in one word where there is one."""

    verdict: str = ""


class ActionData(_Data):
    """One change, or one item of it: ``action`` in a few words, the plan's ``digest``, the ``item`` (a key,
    an id)."""

    action: str = ""
    digest: str = ""
    item: str = ""


class FailedData(ActionData):
    """What did not work: a look (``source``) or a change (``action``); the ``problem`` in a sentence, the
    ``hint`` that goes with it, the AWS ``operation`` and ``code``, and the ``error`` class."""

    source: str = ""
    problem: str = ""
    hint: str = ""
    operation: str = ""
    code: str = ""
    error: str = ""


class VerifiedData(ActionData):
    """A look after a change: ``ok`` says whether the world is as it should be; null where it could not be
    seen."""

    ok: bool | None = None


class NotifiedData(_Data):
    """A message that went out: its ``channel``, and the receiver's ``reference`` to find it again (Slack's ts; a
    mail's Message-ID up to its ``@``, after which comes ``domain``); which ``message`` it was, the way it went
    (``via``), its ``thread`` and ``permalink``; ``fallback`` where it did not go where it should have gone;
    ``sent_at`` where it was sent some time before this was written; ``next_update_at``, by which time it said that the
    next update comes, where it said so."""

    channel: str = ""
    reference: str = ""
    message: str = ""
    via: str = ""
    thread: str = ""
    permalink: str = ""
    domain: str = ""
    fallback: bool = False
    sent_at: AwareDatetime | None = None
    next_update_at: AwareDatetime | None = None


class NotedData(_Data):
    """A remark. ``torn`` names files into which torn lines of the journal were set aside. ``retro`` is what the remark
    is for the post-incident review; an ``action`` item may have an ``owner`` and a ``due`` date (``2026-12-04``).
    ``settings`` are those that the incident is judged by from now on, where they are others than before."""

    torn: list[str] = []
    retro: RetroKind | None = None
    owner: str = ""
    due: str = ""
    settings: dict[str, Any] = {}


class SeverityData(_Data):
    """The severity from now on, the ``previous`` one, and the ``reason``; ``by_rule`` where no person set it.
    Where both are the same, a person confirmed it."""

    severity: SeverityName
    previous: SeverityName | None = None
    reason: str = ""
    by_rule: bool = False


class PhaseData(_Data):
    """The phase from now on. ``acknowledged`` marks the event by which somebody took the incident: ``by``, or the
    event's actor where that is empty. After ``closed`` it means that the incident was reopened: ``manifest`` is the
    manifest of that closing, set aside in ``closings/``, and ``manifest_sha256`` its hash."""

    phase: PhaseName
    previous: PhaseName | None = None
    reason: str = ""
    acknowledged: bool = False
    by: str = ""
    manifest: str = ""
    manifest_sha256: str = ""


class ClosedData(_Data):
    """The closing words for the operations runbook: ``impact``, ``cause``, ``remediation``, ``customers`` affected,
    ``outcome``."""

    outcome: str = ""
    impact: str = ""
    cause: str = ""
    remediation: str = ""
    customers: str = ""


class _Event(_Part):
    """What every event has: ``seq`` counts from 1, ``at`` is UTC, ``step`` the runbook's step, ``summary`` a
    sentence for people, ``evidence`` the files it rests on, ``prev`` and ``hash`` the chain."""

    seq: Annotated[int, Field(ge=1)]
    at: AwareDatetime
    actor: Actor
    step: Step = ""
    summary: str
    evidence: tuple[EvidenceRef, ...] = ()
    prev: Hash
    hash: Hash

    @field_serializer("at")
    def _at(self, at: datetime) -> str:
        return iso(at)


class Opened(_Event):
    """The incident began."""

    kind: Literal["opened"]
    data: OpenedData


class Observed(_Event):
    """Something was looked at, and what it said is kept as evidence."""

    kind: Literal["observed"]
    data: ObservedData


class Concluded(_Event):
    """Something was concluded from evidence."""

    kind: Literal["concluded"]
    data: ConcludedData = ConcludedData()


class Approved(_Event):
    """Somebody approved a plan, named by its digest."""

    kind: Literal["approved"]
    data: ActionData = ActionData()


class Applying(_Event):
    """A change is about to be made. Without a later ``applied`` or ``failed`` nobody knows whether it was."""

    kind: Literal["applying"]
    data: ActionData = ActionData()


class Applied(_Event):
    """A change was made."""

    kind: Literal["applied"]
    data: ActionData = ActionData()


class Failed(_Event):
    """A look or a change did not work."""

    kind: Literal["failed"]
    data: FailedData = FailedData()


class Verified(_Event):
    """The world was looked at again after a change."""

    kind: Literal["verified"]
    data: VerifiedData = VerifiedData()


class Undone(_Event):
    """A change was taken back."""

    kind: Literal["undone"]
    data: ActionData = ActionData()


class Notified(_Event):
    """People were told."""

    kind: Literal["notified"]
    data: NotifiedData = NotifiedData()


class Noted(_Event):
    """A person, or the kit, remarks on something."""

    kind: Literal["noted"]
    data: NotedData = NotedData()


class Severity(_Event):
    """The severity changed."""

    kind: Literal["severity"]
    data: SeverityData


class Phase(_Event):
    """The response went on to another step."""

    kind: Literal["phase"]
    data: PhaseData


class Closed(_Event):
    """The incident ended; a later phase means that it was reopened."""

    kind: Literal["closed"]
    data: ClosedData = ClosedData()


Event = Annotated[
    Opened | Observed | Concluded | Approved | Applying | Applied | Failed
    | Verified | Undone | Notified | Noted | Severity | Phase | Closed,
    Field(discriminator="kind"),
]  # fmt: skip
"""Any event of a journal."""

EVENT_TYPES: dict[str, type[_Event]] = {
    str(model.model_fields["kind"].annotation.__args__[0]): model  # type: ignore[union-attr]
    for model in (
        Opened, Observed, Concluded, Approved, Applying, Applied, Failed,
        Verified, Undone, Notified, Noted, Severity, Phase, Closed,
    )
}  # fmt: skip
"""The model of each kind."""


# Models are built when the first event of their kind turns up (defer_build): a run meets few of them.
def read_event(raw: Mapping[str, Any]) -> Event:
    """The typed event of a journal's line that was parsed already.

    Raises
    ------
    pydantic.ValidationError
        When it is not an event (:class:`ValueError` is its base).
    """
    kind = raw.get("kind")
    model = EVENT_TYPES.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise ValueError(f"{kind!r} is not a kind of event")
    return cast("Event", model.model_validate(raw))
