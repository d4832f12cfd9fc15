"""After a rollback: the bucket is listed again and compared with the plan, key by key (runbook step 3).

Reads only: ``s3:ListBucketVersions``. Memory does not grow with the bucket or with the number of differences: those are
written as they are found.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from vmqlib.errors import BadInput, CorruptRecord
from vmqlib.record.storage import storage_errors, sync_file, sync_folder, temporary
from vmqlib.runbook.rollback.comparing import compare, outside
from vmqlib.runbook.rollback.ground import belongs, connected
from vmqlib.runbook.rollback.items import Entry, Item
from vmqlib.runbook.rollback.planning import Watch, quiet
from vmqlib.runbook.rollback.results import Difference, Verification
from vmqlib.runbook.rollback.standing import read_plan
from vmqlib.runbook.rollback.story import ACTIONS, STEP, folder, log_name, story
from vmqlib.times import iso, parse_iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmqlib.record.incident import Incident
    from vmqlib.runbook.rollback.applylog import Logged
    from vmqlib.runbook.rollback.objects import Outcome
    from vmqlib.runbook.rollback.plan import Plan
    from vmqlib.sources.versionlisting import ObjectVersion

__all__ = ["Place", "joined", "log_of", "read", "verify"]

_FIRST = 100
_SOME = 10
_IN_JOURNAL = 5
_WHOLE_STATES = frozenset({"as-of", "last-good"})
"""Targets that say what every key in scope is to be. The others aim at their own keys and say nothing of the rest."""


@dataclass
class _Tally:
    """What was found so far."""

    checked: int = 0
    matching: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    first: list[Difference] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)
    held_first: list[str] = field(default_factory=list)
    outside: int = 0
    outside_first: list[Difference] = field(default_factory=list)


def verify(incident: Incident, plan: Plan | None = None, *, progress: Watch = quiet) -> Verification:
    """Lists the bucket again and compares it with the plan. Every difference is in a file beside the plan.

    A difference is told apart by whose it is: what was not applied, what somebody else changed (also between planning
    and applying, under our version), content that is not the planned one. Before an apply all is ``not applied``.

    Parameters
    ----------
    plan:
        The plan; by default the one that was applied last, or else the newest.
    progress:
        Told of the listing (versions).

    Raises
    ------
    BadInput
        Nothing was planned, the plan is another incident's, or the incident is offline.
    AwsError
        The bucket cannot be listed.
    """
    from vmqlib.s3 import S3
    from vmqlib.sources.versionlisting import list_versions

    aws = connected(incident)
    plan = plan or _default(incident)
    belongs(incident, aws, plan)
    scope, at = plan.scope, incident.clock.now()
    tally = _Tally()
    path = folder(incident) / f"verify-{plan.digest[:12]}-{at:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}.json"
    with S3(aws, scope.bucket) as s3, _Draft(path) as draft:
        versions = list_versions(
            s3,
            scope.prefix,
            scope.exclude,
            keys=scope.keys,
            progress=lambda count: progress("verifying", count, None),
        )
        for difference in _differences(plan, log_of(incident, plan), versions, tally):
            draft.add(difference)
        made = Verification(
            digest=plan.digest, at=at, ok=not tally.counts, checked=tally.checked, matching=tally.matching,
            counts=dict(tally.counts.most_common()), first=tuple(tally.first), held=dict(tally.held.most_common()),
            held_first=tuple(tally.held_first), outside=tally.outside, outside_first=tuple(tally.outside_first),
            path=path,
        )  # fmt: skip
        sha256 = draft.finish(made)
    _journal(incident, plan, made, sha256)
    return made


def _default(incident: Incident) -> Plan:
    told = story(incident)
    last = told.last
    which = told.plans.get(last.digest) if last is not None else told.newest
    if which is None:
        raise BadInput(
            f"Nothing was planned in {incident.id}.",
            hint=f"`vmq rollback plan {incident.id}` plans a rollback.",
        )
    return read_plan(incident, which)


def log_of(incident: Incident, plan: Plan) -> Logged | None:
    """The apply log of a plan; ``None`` when nobody has begun to apply it."""
    from vmqlib.runbook.rollback import applylog

    path = folder(incident) / log_name(plan.digest)
    return applylog.read(path) if path.exists() else None


# -- comparing


@dataclass(frozen=True, slots=True)
class Place:
    """One key of plan and bucket side by side.

    Parameters
    ----------
    key:
        The key.
    number, item:
        Its item and the item's number in the plan; ``-1`` and ``None`` for a key that is not in the plan.
    outcome:
        What came of the item; ``None`` when nothing was tried, or nobody knows.
    versions:
        The key's versions and markers now, the current one first, then by age; empty where there are none.
    """

    key: str
    number: int
    item: Item | None
    outcome: Outcome | None
    versions: Sequence[ObjectVersion]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The versions, as far as a rollback needs them."""
        return tuple(map(entry_of, self.versions))


def joined(plan: Plan, log: Logged | None, versions: Iterable[ObjectVersion]) -> Iterator[Place]:
    """Plan, apply log and listing side by side, in the order of keys. Streams: one key's versions at a time."""
    outcomes = iter(log.outcomes()) if log is not None else iter(())
    items = _numbered(plan, outcomes)
    with closing(items):
        ahead = next(items, None)
        for key, group in groupby(versions, key=attrgetter("key")):
            # The current one may be dated earlier than another (a multipart upload, by its start): sorts are stable.
            entries = sorted(group, key=_not_current)
            while ahead is not None and _order(ahead[1].key) < _order(key):
                yield Place(ahead[1].key, ahead[0], ahead[1], ahead[2], ())
                ahead = next(items, None)
            if ahead is not None and ahead[1].key == key:
                yield Place(key, ahead[0], ahead[1], ahead[2], entries)
                ahead = next(items, None)
            else:
                yield Place(key, -1, None, None, entries)
        while ahead is not None:
            yield Place(ahead[1].key, ahead[0], ahead[1], ahead[2], ())
            ahead = next(items, None)


def _numbered(
    plan: Plan, outcomes: Iterator[tuple[int, Outcome]]
) -> Generator[tuple[int, Item, Outcome | None], None, None]:
    known = next(outcomes, None)
    for number, item in enumerate(plan.iter_items()):
        while known is not None and known[0] < number:
            known = next(outcomes, None)
        yield number, item, known[1] if known is not None and known[0] == number else None


def _order(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _not_current(version: ObjectVersion) -> bool:
    return not version.is_latest


def entry_of(version: ObjectVersion) -> Entry:
    """A row of the listing as an entry."""
    return Entry(
        version.version_id,
        version.at,
        version.is_delete_marker,
        version.size,
        version.etag,
        version.storage_class,
    )


def _differences(
    plan: Plan, log: Logged | None, versions: Iterable[ObjectVersion], tally: _Tally
) -> Iterator[Difference]:
    whole, changed = plan.target.kind in _WHOLE_STATES, _changed_since(plan)
    for place in joined(plan, log, versions):
        if place.item is None:
            if not changed(place.versions):
                continue
            difference: Difference | None = outside(place.key, place.entries[0])
            tally.outside += 1
            if len(tally.outside_first) < _SOME and difference is not None:
                tally.outside_first.append(difference)
            if not whole:
                continue
        elif place.item.action == "BLOCKED":
            tally.held[place.item.code or "blocked"] += 1
            if len(tally.held_first) < _SOME:
                tally.held_first.append(place.key)
            continue
        else:
            tally.checked += 1
            difference = compare(place.item, place.entries, place.outcome)
        if difference is None:
            tally.matching += 1
            continue
        tally.counts[difference.problem] += 1
        if len(tally.first) < _FIRST:
            tally.first.append(difference)
        yield difference


def _changed_since(plan: Plan) -> Callable[[Sequence[ObjectVersion]], bool]:
    """Tells of a key that is not in the plan whether it changed since. Where the target says what every key is to be,
    no clock is needed: such a key was as the target has it when the plan was made; if it is not now, it changed."""
    from vmqlib.runbook.rollback.planner import plan_items

    target = plan.target
    since = iso(plan.head.made_at if target.at is None or target.kind not in _WHOLE_STATES else target.at)[
        :19
    ]

    def differs(versions: Sequence[ObjectVersion]) -> bool:
        if max(one.at for one in versions)[:19] < since:
            return False
        if target.kind not in _WHOLE_STATES:
            return versions[0].at[:19] > since
        wanted = plan_items(versions, target, plan.scope, versioning="Enabled", documents=lambda _: True)
        item = next(wanted, None)
        return bool(item is not None and item.action != "SKIP" and item.code != "ambiguous")

    return differs


# -- the file


class _Draft:
    """The file of a verification while it is made: one JSON document, of which the first line, the head, can be read
    alone; then a line for each difference."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = temporary(path)
        self._draft = temporary(path)
        self._file: IO[bytes] | None = None

    def __enter__(self) -> _Draft:
        import os

        with storage_errors(self._path):
            descriptor = os.open(self._rows, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(descriptor, "w+b")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        self._rows.unlink(missing_ok=True)
        self._draft.unlink(missing_ok=True)

    def add(self, difference: Difference) -> None:
        """One more row."""
        assert self._file is not None
        with storage_errors(self._path):
            self._file.write(b",\n" if self._file.tell() else b"")
            self._file.write(_json(list(asdict(difference).values())))

    def finish(self, made: Verification) -> str:
        """Writes the head and then the rows, and gives the file its name; its SHA-256."""
        import hashlib
        import os
        import shutil

        assert self._file is not None
        head = {name: value for name, value in asdict(made).items() if name != "path"}
        head["at"] = iso(made.at)
        with storage_errors(self._path):
            descriptor = os.open(self._draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w+b") as whole:
                whole.write(b'{"verification":' + _json(head) + b',\n"differences":[\n')
                self._file.seek(0)
                shutil.copyfileobj(self._file, whole)
                whole.write(b"]}\n")
                whole.flush()
                sync_file(whole.fileno())
                whole.seek(0)
                sha256 = hashlib.file_digest(whole, "sha256").hexdigest()
            self._draft.replace(self._path)
            sync_folder(self._path.parent)
        return sha256


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def read(path: Path) -> Verification:
    """A verification from its file. Reads its head alone, however many differences there are.

    Raises
    ------
    StorageError
        It cannot be read.
    CorruptRecord
        It is no verification.
    """
    try:
        with storage_errors(path, "read"), path.open("rb") as file:
            head: Any = json.loads(file.readline().rstrip(b",\n") + b"}")["verification"]
        for name in ("first", "outside_first"):
            head[name] = tuple(Difference(**row) for row in head[name])
        head |= {"at": parse_iso(head["at"]), "held_first": tuple(head["held_first"]), "path": path}
        return Verification(**head)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptRecord(
            f"{path} is not a verification.", hint="Verify again: `vmq rollback verify`."
        ) from error


def _journal(incident: Incident, plan: Plan, made: Verification, sha256: str) -> None:
    assert made.path is not None
    action = ACTIONS.get(plan.target.kind, STEP)
    data = {
        "action": action,
        "digest": plan.digest,
        "ok": made.ok,
        "file": made.path.name,
        "file_sha256": sha256,
        "checked": made.checked,
        "matching": made.matching,
        "differences": dict(made.counts),
        "held": dict(made.held),
        "outside": made.outside,
        "first": [{"key": each.key, "problem": each.problem} for each in made.first[:_IN_JOURNAL]],
    }
    incident.verified(STEP, made.sentence, data)
