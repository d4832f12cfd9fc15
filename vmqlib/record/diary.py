"""What people and steps of the runbook write into an incident's journal, one method for each kind of event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from vmqlib.errors import BadInput, CorruptRecord
from vmqlib.record import manifest as manifests
from vmqlib.record.events import Actor, Event, EvidenceRef, Kind, PhaseName, SeverityName
from vmqlib.record.journal import Entry, Journal, JournalReport
from vmqlib.record.state import State
from vmqlib.times import Clock

__all__ = ["Diary", "one_of"]


class Diary:
    """The writing half of :class:`vmqlib.record.incident.Incident`."""

    dir: Path
    journal: Journal
    clock: Clock

    @property
    def id(self) -> str:
        """The incident's id."""
        raise NotImplementedError

    @property
    def state(self) -> State:
        """Where it stands."""
        raise NotImplementedError

    def actor(self) -> Actor:
        """Who acts."""
        raise NotImplementedError

    def note(self, text: str, data: Mapping[str, Any] | None = None, *, step: str = "") -> Event:
        """A remark of a person. ``data`` may say what it is for the review: ``retro``, and of an action item ``owner``
        and ``due``."""
        if not text.strip():
            raise BadInput("The note is empty.", hint="Write what is to be remembered.")
        return self._append("noted", step, text.strip(), data)

    def conclude(
        self,
        step: str,
        summary: str,
        data: Mapping[str, Any] | None = None,
        evidence: Sequence[EvidenceRef] = (),
    ) -> Event:
        """What was made of evidence. ``data`` may hold a ``verdict``."""
        return self._append("concluded", step, summary, data, evidence)

    def approved(self, step: str, summary: str, data: Mapping[str, Any] | None = None) -> Event:
        """A plan was approved. ``data`` holds its ``digest``."""
        return self._append("approved", step, summary, data)

    def applying(
        self,
        step: str,
        summary: str,
        data: Mapping[str, Any] | None = None,
        evidence: Sequence[EvidenceRef] = (),
    ) -> Event:
        """A change is about to be made: written down before it is. ``data``: ``action``, ``digest``,
        ``item``."""
        return self._append("applying", step, summary, data, evidence)

    def applied(
        self,
        step: str,
        summary: str,
        data: Mapping[str, Any] | None = None,
        evidence: Sequence[EvidenceRef] = (),
    ) -> Event:
        """A change was made. ``data`` as for :meth:`applying`."""
        return self._append("applied", step, summary, data, evidence)

    def failed(self, step: str, summary: str, data: Mapping[str, Any] | None = None) -> Event:
        """A change, or an attempt at one, did not work. ``data``: ``action``, ``problem``, ``hint``."""
        return self._append("failed", step, summary, data)

    def verified(
        self,
        step: str,
        summary: str,
        data: Mapping[str, Any] | None = None,
        evidence: Sequence[EvidenceRef] = (),
    ) -> Event:
        """The world was looked at after a change. ``data`` may hold ``ok``."""
        return self._append("verified", step, summary, data, evidence)

    def undone(self, step: str, summary: str, data: Mapping[str, Any] | None = None) -> Event:
        """A change was taken back. ``data``: the ``digest``, or the ``action``, of what was undone."""
        return self._append("undone", step, summary, data)

    def notified(
        self,
        summary: str,
        *,
        channel: str,
        data: Mapping[str, Any] | None = None,
        evidence: Sequence[EvidenceRef] = (),
    ) -> Event:
        """People were told, in ``channel``. The next update is due the cadence later."""
        return self._append(
            "notified", "communicate", summary, {**(data or {}), "channel": channel}, evidence
        )

    def append_many(self, entries: Iterable[Entry]) -> Sequence[Event]:
        """Many events with one fsync: for a change of thousands of items."""
        return self.journal.append_many(entries)

    def set_severity(self, severity: str, reason: str = "") -> Event:
        """A new severity, and why; or, with a reason, that it is rightly what it is: a person's word either way."""
        level, before = one_of(severity, SeverityName, "severity"), self.state.severity
        if level == before and not reason:
            raise BadInput(f"{self.id} is {before} already.", hint="Nothing was written.")
        data = {"severity": level, "previous": before, "reason": reason}
        if level == before:
            return self._append("severity", "triage", f"Severity {level} confirmed{_because(reason)}.", data)
        return self._append("severity", "triage", f"Severity {before} to {level}{_because(reason)}.", data)

    def set_phase(self, phase: str, reason: str = "") -> Event:
        """The response goes on to another step of the runbook.

        Raises
        ------
        BadInput
            When the incident is closed: :meth:`reopen` says why it goes on, and sets the manifest aside.
        """
        name, before = one_of(phase, PhaseName, "phase"), self.state.phase
        if self.state.closed_at:
            raise BadInput(f"{self.id} is closed.", hint=f"`vmq reopen {self.id} --reason …` lets it go on.")
        data = {"phase": name, "previous": before, "reason": reason}
        return self._append("phase", name, f"Phase {before} to {name}{_because(reason)}.", data)

    def acknowledge(self, reason: str = "", *, by: str = "") -> Event:
        """Somebody takes the incident (runbook, step 1). The first one counts; who comes later is noted. ``by``
        is who, where that is not the user of this machine."""
        who, state = by or self.actor().user, self.state
        if state.acknowledged_at:
            words = f"{who} acknowledged, too; {state.acknowledged_by} had before."
            return self.note(words, {"acknowledged_by": who}, step="triage")
        phase = "triage" if state.phase == "open" else state.phase
        data = {"phase": phase, "previous": state.phase, "reason": reason, "acknowledged": True, "by": by}
        return self._append("phase", "triage", f"Acknowledged by {who}{_because(reason)}.", data)

    def close(
        self,
        outcome: str = "",
        *,
        impact: str = "",
        cause: str = "",
        remediation: str = "",
        customers: str = "",
    ) -> Event:
        """The incident is over (runbook, step 6): the last event, and the manifest. :meth:`reopen` takes it back.

        Raises
        ------
        BadInput
            When it is closed already.
        """
        if self.state.closed_at:
            raise BadInput(f"{self.id} is closed already.", hint="Add what is missing with `vmq note`.")
        data = {
            "outcome": outcome, "impact": impact, "cause": cause, "remediation": remediation,
            "customers": customers,
        }  # fmt: skip
        event = self._append(
            "closed", "validate", f"Closed{': ' + outcome.rstrip('.') if outcome else ''}.", data
        )
        self.seal()
        return event

    def reopen(self, reason: str, *, phase: str = "triage") -> Event:
        """A closed incident goes on. The closing, its words and its manifest are kept: the manifest is set aside as
        ``closings/MANIFEST-<n>.json``, named by the event with its hash; the next closing writes a new one.

        Parameters
        ----------
        reason:
            Why it is not over.
        phase:
            The step that the response goes on with.

        Raises
        ------
        BadInput
            When it is not closed, or no reason is given.
        CorruptRecord
            When the journal is damaged.
        """
        name, state = one_of(phase, PhaseName, "phase"), self.state
        if not reason.strip():
            raise BadInput("No reason is given.", hint="Say why it is not over: --reason …")
        if name == "closed" or state.closed_at is None:
            raise BadInput(
                f"{self.id} is not closed.", hint="There is nothing to reopen; nothing was written."
            )
        self._whole()
        # In this order: killed in between, the incident is still closed and sealed, or open beside a manifest that
        # is set aside already, which a reader tells by the journal.
        kept = manifests.set_aside(self.dir, len(state.closings))
        data = {"phase": name, "previous": "closed", "reason": reason.strip()} | (
            {"manifest": kept[0], "manifest_sha256": kept[1]} if kept else {}
        )
        event = self._append("phase", name, f"Reopened{_because(reason.strip())}.", data)
        manifests.remove(self.dir)
        return event

    def reseal(self, written: Iterable[Path]) -> manifests.Manifest:
        """Brings the manifest of a closed incident up to date with files that were written on purpose since, and with
        what the journal has named since. A file that anybody else changed stays told of by ``vmq verify``.

        Parameters
        ----------
        written:
            The files.

        Raises
        ------
        CorruptRecord
            When the journal is damaged, or is not the one that was sealed; nothing is written then.
        """
        report = self._whole()
        before = manifests.read(self.dir)
        if before is None:
            return self.seal()
        if not self.journal.contains(before.events, before.last_hash):
            raise CorruptRecord(
                f"{self.journal.path} is not the journal that was sealed.",
                hint=f"Run `vmq verify {self.id}`; a changed record is not sealed again.",
            )
        from vmqlib.record.checks import named_files

        named = {self.dir / name for name in named_files(self.journal)}
        return manifests.renew(
            self.dir, before, self.clock.now(), report.events, report.last_hash, written=written, named=named
        )

    def seal(self) -> manifests.Manifest:
        """Writes ``MANIFEST.json`` for the folder as it is now, whatever is in it: that is for a closing. Once it is
        there, :meth:`reseal` adds to it."""
        report = self._whole()
        return manifests.write(self.dir, self.id, self.clock.now(), report.events, report.last_hash)

    def _whole(self) -> JournalReport:
        report = self.journal.verify()
        if not report.ok:
            raise CorruptRecord(
                f"{self.journal.path} is damaged at event {report.bad_seq}: {report.reason}.",
                hint=f"Run `vmq verify {self.id}`; a damaged record is not sealed.",
            )
        return report

    def _append(
        self,
        kind: Kind,
        step: str,
        summary: str,
        data: Mapping[str, Any] | None = None,
        evidence: Sequence[EvidenceRef] = (),
    ) -> Event:
        return self.journal.append(kind, summary, step=step, data=data, evidence=evidence)


def one_of(value: str, names: Any, what: str) -> Any:
    """``value``, if it is one of the ``Literal`` type ``names``; else :class:`BadInput`, which lists them."""
    if value not in get_args(names):
        raise BadInput(f"There is no {what} {value!r}.", hint=f"Choose one of {', '.join(get_args(names))}.")
    return value


def _because(reason: str) -> str:
    return f": {reason.rstrip('.')}" if reason else ""
