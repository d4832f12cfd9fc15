"""The incident: what a notebook's cell, a command and a widget hold in their hands."""

from __future__ import annotations

import contextlib
import difflib
import getpass
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmqlib.errors import AwsError, BadInput, CorruptRecord, ResourceMissing, VmqError
from vmqlib.record import manifest as manifests
from vmqlib.record import tables
from vmqlib.record.checks import Report, verify_folder
from vmqlib.record.diary import Diary, one_of
from vmqlib.record.events import Actor, EvidenceRef, Observed, SeverityName
from vmqlib.record.evidence import EvidenceHeader, EvidenceStore
from vmqlib.record.identity import Identity, find, new_folder, read_identity, write_identity
from vmqlib.record.journal import Journal
from vmqlib.record.keptsettings import addresses_of, differing, judged_by, kept_of, of_identity
from vmqlib.record.observation import Observation
from vmqlib.record.observing import look_at_all
from vmqlib.record.redaction import Redactor, redaction_key
from vmqlib.record.state import State, fold
from vmqlib.record.summary import IncidentEntry, Summary, entries
from vmqlib.times import Clock, SystemClock, Window

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.sources.base import Source

__all__ = ["Incident", "IncidentEntry", "Summary"]

_LOOK_BACK = timedelta(days=21)
_RESOURCES = ("app_id", "index_id", "retriever_id", "ds_id", "web_experience_id", "bucket_name", "kms_key_id")


class Incident(Diary):
    """One incident: its identity, journal, evidence and state. Made by :meth:`open` and :meth:`load`.

    Parameters
    ----------
    folder:
        The incident's folder.
    identity:
        What ``incident.json`` says.
    settings:
        Whom to talk to, where incidents are kept.
    aws:
        ``None`` means offline: nothing is asked, everything comes from disk.
    clock:
        Tells the time.
    sources:
        What is observed, by name; by default :data:`vmqlib.sources.REGISTRY`.
    """

    def __init__(
        self,
        folder: Path,
        identity: Identity,
        settings: Settings,
        aws: Aws | None,
        clock: Clock,
        sources: Mapping[str, Source] | None = None,
    ) -> None:
        self.dir = folder
        self.identity = identity
        self.settings = settings
        self.aws = aws
        self.clock = clock
        self.evidence = EvidenceStore(folder / "evidence")
        self.journal = Journal(
            folder / manifests.JOURNAL, actor=self.actor, clock=clock, masks=lambda: self.redactor
        )
        self._sources = sources
        self._redactor: Redactor | None = None
        self._actor: Actor | None = None
        self._judged_by: tuple[Mapping[str, Any], Settings] | None = None
        self._once = threading.RLock()
        self._asking = threading.Lock()  # its own: what is masked and folded does not wait for STS
        self._hurried = False
        self._state, self._state_end = State(update_every=_cadence(settings)), 0
        self._good: dict[str, EvidenceHeader] = {}
        self._tables = tables.SourceTables(self.evidence)

    # -- opening and finding

    @classmethod
    def open(
        cls,
        settings: Settings,
        aws: Aws | None,
        *,
        trigger: str,
        title: str = "",
        severity: str = "SEV2",
        data_source_id: str = "",
        cause: str = "",
        event: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
        sources: Mapping[str, Source] | None = None,
    ) -> Incident:
        """A new incident: its folder, identity and first event. Works while AWS cannot be reached, too: that
        is when it is needed.

        Parameters
        ----------
        trigger:
            What set it off: ``sync-failed``, ``no-sync``, ``guardrail``, ``content``.
        title:
            For people; by default the trigger.
        severity:
            ``SEV1``, ``SEV2`` (the runbook's default) or ``SEV3``.
        data_source_id:
            The connector in question, or ``""``.
        cause:
            What it is opened for, where a rule or an alarm set it off: the same for as long as that lasts.
        event:
            What was delivered, where a page set it off: JSON types. Kept in the journal's first event, masked.

        Raises
        ------
        BadInput
            When ``severity`` is none.
        StorageError
            When the disk refuses.
        """
        from vmqlib import __version__

        level = one_of(severity, SeverityName, "severity")
        clock = clock or (aws.clock if aws else SystemClock())
        now = clock.now()
        folder = new_folder(settings.incidents, now)
        draft = Identity(
            id=folder.name, title=title or trigger, trigger=trigger, severity=level, opened_at=now,
            region=settings.region, account=settings.account_id, data_source_id=data_source_id,
            resources={name: str(getattr(settings, name)) for name in _RESOURCES if getattr(settings, name)},
            version=__version__, cause=cause,
        )  # fmt: skip
        incident = cls(folder, draft, settings, aws, clock, sources)
        masked = {
            "title": incident.redactor.text(draft.title),
            "account": draft.account or incident._account(),
        }
        incident.identity = draft.model_copy(update=masked)
        write_identity(folder, incident.identity)
        incident.journal.append(
            "opened",
            f"Opened {incident.id} ({severity}): {incident.identity.title}.",
            step="triage",
            data=incident.identity.model_dump(mode="json")
            | {"settings": kept_of(settings)}
            | ({"event": dict(event)} if event else {}),
        )
        return incident

    @classmethod
    def load(
        cls,
        incident_id: str,
        *,
        settings: Settings | None = None,
        aws: Aws | None = None,
        clock: Clock | None = None,
        sources: Mapping[str, Source] | None = None,
    ) -> Incident:
        """An incident that is there already. Changes nothing on disk.

        Raises
        ------
        UnknownIncident
            When there is none of that id; the hint names those that are alike.
        CorruptRecord
            When its identity or journal cannot be read.
        """
        if settings is None:
            from vmqlib.settings import Settings

            settings = Settings.load()
        folder = find(settings.incidents, incident_id)
        identity = read_identity(folder)
        incident = cls(
            folder, identity, settings, aws, clock or (aws.clock if aws else SystemClock()), sources
        )
        if not incident.journal.path.exists():
            raise CorruptRecord(
                f"{incident.journal.path} is missing.", hint="Restore it from a copy of the folder."
            )
        if incident.state.opened_at is None:
            raise CorruptRecord(
                f"{incident.journal.path} does not begin with the incident's opening.",
                hint=f"Run `vmq verify {incident_id}`, and restore it from a copy of the folder.",
            )
        return incident

    @staticmethod
    def list(root: Path) -> Sequence[IncidentEntry]:
        """Every incident in ``root``, the newest first. A broken one is listed with its problem."""
        return entries(Path(root))

    # -- what it is

    @property
    def id(self) -> str:
        """``INC-20261123-001``."""
        return self.identity.id

    @property
    def state(self) -> State:
        """Where it stands: a fold over the journal, which other processes may write to, too."""
        with self._once:
            size = self.journal.path.stat().st_size if self.journal.path.exists() else 0
            if size < self._state_end:
                self._state, self._state_end = State(update_every=_cadence(self.settings)), 0
            if size > self._state_end:
                pairs = [*self.journal.events_with_ends(self._state_end)]
                self._state = fold((event for _, event in pairs), self._state)
                self._state_end = pairs[-1][0] if pairs else self._state_end
            return self._state

    @property
    def judged_by(self) -> Settings:
        """The settings that what was seen is judged by: connectors, limits, ids, names of alarms as they were when it
        was looked at last. What is done now goes by :attr:`settings`."""
        with self._once:
            kept = self.state.settings or of_identity(self.identity)
            if self._judged_by is None or self._judged_by[0] != kept:
                self._judged_by = kept, judged_by(self.settings, kept)
            return self._judged_by[1]

    @property
    def offline(self) -> bool:
        """Whether AWS is out of the picture."""
        return self.aws is None

    @property
    def as_of(self) -> datetime:
        """The moment that deadlines and lengths are told for: now; offline the journal's last event, or the closing,
        after which nothing is due. What was seen is true for :attr:`seen_at`."""
        if self.aws is None:
            state = self.state
            return state.closed_at or state.last_event_at or self.identity.opened_at
        return self.clock.now()

    @property
    def seen_at(self) -> datetime:
        """The moment that triggers, ages and verdicts are judged for: when AWS was asked last, by the newest evidence.
        A remark or a message does not move it, and neither does anything once the incident is closed. The opening,
        while nothing was seen."""
        return self.state.seen_at or self.identity.opened_at

    @property
    def redactor(self) -> Redactor:
        """Masks for everything that goes into this incident's folder; the contacts of the settings stay
        readable."""
        with self._once:
            if self._redactor is None:
                named = {*self.settings.addresses, *self.judged_by.addresses}
                self._redactor = Redactor(named, key=redaction_key(self.dir.parent))
            return self._redactor

    @property
    def shown_by(self) -> Redactor:
        """Masks for what the record shows: by the settings that it keeps alone, so that it is the same whoever renders
        it. What is written down is masked by :attr:`redactor`."""
        return Redactor(addresses_of(self.state.settings), key=redaction_key(self.dir.parent))

    def actor(self) -> Actor:
        """Who acts: the STS caller, asked once and ``unknown`` where it cannot be had, and the user of this
        machine."""
        known = self._actor
        if known is None and self._hurried:  # not even for the lock: whoever has it may be asking
            return Actor(caller="unknown", user=_user())
        with self._asking:
            if self._actor is None:
                caller = "unknown"
                if self.aws is not None:
                    with contextlib.suppress(AwsError):
                        caller = self.aws.caller().arn
                self._actor = Actor(caller=caller, user=_user())
            return self._actor

    @contextlib.contextmanager
    def hurried(self) -> Iterator[None]:
        """Somebody interrupts: what is written within this does not wait for AWS to say who acts, which is ``unknown``
        then where it was not asked before."""
        self._hurried = True
        try:
            yield
        finally:
            self._hurried = False

    def _account(self) -> str:
        parts = self.actor().caller.split(":")
        return parts[4] if len(parts) > 5 else ""

    def summary(self) -> Summary:
        """The incident at a glance."""
        state, identity = self.state, self.identity
        opened = state.opened_at or identity.opened_at
        report = self.journal.verify()
        problems = (
            () if report.ok else (f"The journal is damaged at event {report.bad_seq}: {report.reason}.",)
        )
        return Summary(
            id=identity.id, title=identity.title, trigger=identity.trigger, region=identity.region,
            account=identity.account, data_source_id=identity.data_source_id, resources=identity.resources,
            severity=state.severity, phase=state.phase, opened_at=opened, acknowledged_at=state.acknowledged_at,
            acknowledged_by=state.acknowledged_by, closed_at=state.closed_at, last_event_at=state.last_event_at,
            as_of=self.as_of, seen_at=self.seen_at, open_for=state.open_for(self.as_of),
            next_update_due=state.next_update_due, updates=len(state.updates), actions=len(state.applied),
            events=state.events, offline=self.offline, version=identity.version, problems=problems,
            closing=state.closing, closings=state.closings, reopenings=state.reopenings,
            stakeholders_due=state.stakeholders_due(timedelta(hours=self.judged_by.stakeholder_hours)),
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<{self.id}: {self.state.severity}, {self.state.phase}: {self.identity.title}>"

    # -- looking

    @property
    def sources(self) -> Mapping[str, Source]:
        """What can be observed, by name."""
        if self._sources is None:
            from vmqlib.sources import REGISTRY

            self._sources = REGISTRY
        return self._sources

    @property
    def was_observed(self) -> bool:
        """Whether anything was looked at yet, with success or without."""
        return bool(self.state.looks)

    def observe(
        self,
        names: Iterable[str] | None = None,
        *,
        window: Window | None = None,
        windows: Mapping[str, Window] | None = None,
        refresh: bool = False,
        step: str = "triage",
        progress: Callable[[str], None] | None = None,
        threads: int = 16,
    ) -> dict[str, Observation]:
        """Looks at AWS, several sources at once. Each look becomes evidence and an event. Offline nothing is
        looked at, and what is on disk is given.

        Parameters
        ----------
        names:
            Which sources; by default all that the settings let be observed, and that are looked at as a matter of
            routine.
        window:
            The span to ask about; the last 21 days by default. A source that looks less far back by itself
            (:attr:`vmqlib.sources.Source.reach`) is asked about its end.
        windows:
            Other spans for some sources, by name.
        refresh:
            Looks again at what was seen before.
        step:
            The runbook's step that it is looked at for, in the words of :data:`~vmqlib.record.events.PhaseName`.
        progress:
            Told each source's name when it is done.
        threads:
            How many at once.

        Raises
        ------
        BadInput
            When a name is none.
        StorageError, LockHeld, CorruptRecord
            When what was seen cannot be written down. An :class:`AwsError` never: it is noted, and the
            observation says so.
        """
        wanted = [*(self._wanted(self.settings) if names is None else names)]
        for name in wanted:
            self._known(name)
        seen = self.state.looks
        todo = [name for name in wanted if refresh or name not in seen or seen[name].failed]
        if self.aws is not None and todo:
            self._keep_settings()
            self.evidence.sweep()
            now = self.clock.now()
            default = window or Window(now - _LOOK_BACK, now)
            look_at_all(
                self,
                self.aws,
                [
                    (source, (windows or {}).get(source.name) or source.within(default))
                    for source in (self.sources[name] for name in todo)
                ],
                step=step,
                threads=threads,
                progress=progress or (lambda _: None),
            )
        return {name: self.observed(name) for name in wanted}

    def observed(self, name: str) -> Observation:
        """What is on disk about one source: its newest evidence, or why there is none. Never raises for a
        source that was not, or could not be, seen.

        Raises
        ------
        BadInput
            When there is no such source.
        """
        look = self.state.looks.get(name)
        if look is None:
            self._known(name)
        source = self.sources.get(name)
        title = source.title if source else name
        nothing = tables.source_table(source, tuple)
        failed = look.failed if look else None
        problem, hint = (failed.data.problem, failed.data.hint) if failed else ("", "")
        gone = failed is not None and failed.data.error == ResourceMissing.__name__
        if look is None or look.seen is None:
            problem = problem or "Nobody has looked yet."
            hint = hint or f"Run `vmq render {self.id} --refresh` where AWS can be reached."
            partial = failed.evidence[0] if failed and failed.evidence else None
            at = failed.at if failed else None
            return Observation(
                name, title, nothing, False, problem, hint, at, False, problem, partial, gone=gone
            )
        ref = look.seen.evidence[0]
        try:
            if ref.sha256 not in self._good:
                self._good[ref.sha256] = self.evidence.open(ref).header
        except VmqError as error:
            return Observation(
                name, title, nothing, False, error.message, error.hint, ref.at, False, error.message, ref
            )
        if failed:
            problem = f"A newer look failed: {problem}"
        rows = self._tables.table(name, source, ref)
        missing = self._good[ref.sha256].missing
        return Observation(
            name, title, rows, True, problem, hint, ref.at, ref.complete, ref.stopped, ref, missing, gone
        )

    def observations(self) -> dict[str, Observation]:
        """:meth:`observed` for every source that the settings let be observed, or that was."""
        wanted = self._wanted(self.judged_by)
        looks = self.state.looks
        return {name: self.observed(name) for name in self.sources if name in wanted or name in looks}

    def first_seen(self, names: Iterable[str]) -> dict[str, Observation]:
        """What was seen of these sources when they were first looked at with success, as a rule when the incident was
        opened. Those that never were are as :meth:`observed` says.

        Raises
        ------
        BadInput
            When there is no such source.
        """
        wanted = tuple(names)
        first: dict[str, EvidenceRef] = {}
        for event in self.journal.events():
            if isinstance(event, Observed) and event.data.source in wanted and event.evidence:
                first.setdefault(event.data.source, event.evidence[0])
        return {
            name: self._kept(name, first[name]) if name in first else self.observed(name) for name in wanted
        }

    def _kept(self, name: str, ref: EvidenceRef) -> Observation:
        """One look's evidence."""
        source = self.sources.get(name)
        title = source.title if source else name
        try:
            missing = self.evidence.open(ref).header.missing
        except VmqError as error:
            nothing = tables.source_table(source, tuple)
            return Observation(
                name, title, nothing, False, error.message, error.hint, ref.at, False, error.message, ref
            )
        rows = self._tables.table(f"{name}, first", source, ref)
        return Observation(name, title, rows, True, "", "", ref.at, ref.complete, ref.stopped, ref, missing)

    def _wanted(self, settings: Settings) -> Sequence[str]:
        return [name for name, source in self.sources.items() if source.routine and source.wanted(settings)]

    def _keep_settings(self) -> None:
        """Notes the settings before a look that is made with others than the last one was: it is judged by these."""
        state = self.state
        if state.closed_at:
            return
        now = self.redactor.fresh().row(kept_of(self.settings))
        if changed := differing(state.settings, now):
            words = f"The settings are others than before: {', '.join(changed)}. From here on it is judged by these."
            if not state.settings:
                words = "The settings that it is judged by."
            self.note(words, {"settings": now}, step="triage")

    def _known(self, name: str) -> None:
        if name not in self.sources:
            close = difflib.get_close_matches(name, self.sources, n=1)
            raise BadInput(
                f"There is no source {name!r}.",
                hint=f"Did you mean {close[0]!r}?" if close else f"Sources are: {', '.join(self.sources)}.",
            )

    # -- views

    def verify(self) -> Report:
        """Whether the folder still says what it said: identity, chain, evidence, manifest."""
        return verify_folder(self.dir)

    def timeline(self) -> pd.DataFrame:
        """Every event, as :func:`vmqlib.record.tables.timeline` describes."""
        return tables.timeline(self.journal.events())

    def marks(self) -> pd.DataFrame:
        """What plots mark, as :func:`vmqlib.record.tables.marks` describes."""
        promotions = self.observed("promotions") if "promotions" in self.sources else None
        return tables.marks(self.journal.events(), promotions)


def _cadence(settings: Settings) -> timedelta:
    return timedelta(minutes=settings.update_minutes)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        return str(os.getuid())
