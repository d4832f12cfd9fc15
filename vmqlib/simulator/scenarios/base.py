"""What a scenario is, and what it says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vmqlib.simulator.scenarios.stage import Stage

__all__ = ["Scenario", "Truth"]


@dataclass(frozen=True)
class Truth:
    """What really happened: what a look from outside has to find. All times timezone-aware UTC.

    Parameters
    ----------
    now:
        The moment the account was set up for: the present, on the last full five minutes.
    begins_at:
        When its history begins.
    last_good_sync_started_at:
        Start of the last sync that SUCCEEDED; before the incident, where syncs brought it.
    last_good_execution_id:
        Its execution id.
    good_versions:
        Version id by key, of every object outside housekeeping that was current when that sync started.
    promotion_at:
        When the bad promotion began; None where there was none.
    promotion_key:
        Key of its audit record.
    ci_sha:
        The commit that it promoted.
    broken:
        Documents that it broke: key to the connector's error code.
    rewritten_keys:
        Every object that it wrote anew, metadata files included.
    deleted_keys:
        Every document that it delete-marked.
    failed_execution_ids:
        The syncs that failed since, oldest first.
    missing_keys:
        Documents in the bucket that the index has never seen.
    unwanted:
        Documents that are indexed and must not be: key to why, ``housekeeping`` (a prefix that was excluded) or
        ``forbidden`` (a folder that must never be there).
    open_prefixes:
        Prefixes that the ACL file used to close, and no longer names.
    fires:
        The triggers that have to fire (``sync-failed``, ``no-sync``, ``guardrail``, ``content``). Every other has to
        be quiet.
    since:
        From when on what they ask for held: the end of the first bad sync, 24 hours after the end of the last good
        one, the guardrails' change, the end of the sync that indexed what must not be. None where nothing fires.
    findings:
        Kinds of findings that have to be there beside the triggers, as ``vmq detect`` and ``vmq doctor`` name them.
    suspect:
        The change that has to be ranked first: ``promotion``, ``objects``, or ``aws-call:`` with the call's name, such
        as ``aws-call:UpdateDataSource``. "" where there is none.
    who:
        Whoever made that change, as CloudTrail or the audit record has them.
    """

    now: datetime
    begins_at: datetime
    last_good_sync_started_at: datetime
    last_good_execution_id: str
    good_versions: Mapping[str, str] = field(repr=False)
    promotion_at: datetime | None = None
    promotion_key: str = ""
    ci_sha: str = ""
    broken: Mapping[str, str] = field(default_factory=dict, repr=False)
    rewritten_keys: tuple[str, ...] = field(default=(), repr=False)
    deleted_keys: tuple[str, ...] = field(default=(), repr=False)
    failed_execution_ids: tuple[str, ...] = ()
    missing_keys: tuple[str, ...] = field(default=(), repr=False)
    unwanted: Mapping[str, str] = field(default_factory=dict, repr=False)
    open_prefixes: tuple[str, ...] = ()
    fires: frozenset[str] = frozenset()
    since: datetime | None = None
    findings: frozenset[str] = frozenset()
    suspect: str = ""
    who: str = ""

    @property
    def broken_keys(self) -> tuple[str, ...]:
        """The documents that the promotion broke, in key order."""
        return tuple(sorted(self.broken))


class Scenario(Protocol):
    """Something that can have happened in the account.

    The same seed gives the same account, with all times relative to the present.
    """

    @property
    def name(self) -> str:
        """As people type it."""
        ...

    @property
    def summary(self) -> str:
        """One sentence: what happened."""
        ...

    def build(self, stage: Stage) -> Truth:
        """Sets the account up and lets its history happen, up to the stage's ``now``."""
        ...
