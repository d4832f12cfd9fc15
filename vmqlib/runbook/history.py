"""What became of the bucket's keys (runbook step 3): a key's history, the keys that changed, an incident's suspects.

Asked of AWS while it can be reached, else read from an incident's evidence.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from vmqlib.errors import AwsError, BadInput, VmqError
from vmqlib.runbook.contents import LARGEST
from vmqlib.runbook.keptversions import bucket_of, kept_changes, kept_history, kept_last_good
from vmqlib.runbook.keychanges import Changes, KeyChange, Since, changed_keys
from vmqlib.runbook.keyhistory import KeyHistory, Version, alike, bare_key, unknown_key, versions_of
from vmqlib.runbook.promoters import Promoters
from vmqlib.runbook.suspects import Suspect, Suspects, suspects
from vmqlib.sources import promotions, syncjobs
from vmqlib.sources.versionlisting import list_versions
from vmqlib.sources.versions import iter_versions
from vmqlib.times import Window, parse_iso

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.versiondiff import VersionDiff
    from vmqlib.settings import Connector, Settings

__all__ = [
    "Changes",
    "KeyChange",
    "KeyHistory",
    "Since",
    "Suspect",
    "Suspects",
    "Version",
    "bare_key",
    "changes",
    "diff",
    "kept_changes",
    "kept_history",
    "kept_last_good",
    "key_history",
    "last_good",
    "read_history",
    "scope",
    "suspects",
]

_DEFAULT = timedelta(days=7)
_SYNCS = timedelta(days=90)
_SEARCHED = 5_000  # keys that are looked through for one that was meant


def read_history(aws: Aws, settings: Settings, bucket: str, key: str) -> KeyHistory:
    """One key's history, from AWS (``s3:ListObjectVersions``, and the audit records near its versions).

    Raises
    ------
    BadInput
        When there is no such key, nor ever was; the hint names those that are alike.
    AwsError
        The bucket cannot be listed. Audit records that cannot be read are no error: the history says so.
    """
    from vmqlib.s3 import S3

    with S3(aws, bucket) as s3:
        rows = [entry._asdict() for entry in list_versions(s3, keys=[key])]
    if not rows:
        raise unknown_key(bucket, key, _alike_on_aws(aws, bucket, key))
    history = KeyHistory(bucket, key, versions_of(rows), aws.clock.now(), "s3:ListObjectVersions")
    return history.promoted_by(_promoters(aws, settings, bucket, [one.at for one in history.versions]))


def changes(
    aws: Aws,
    settings: Settings,
    connector: Connector,
    since: Since,
    until: datetime,
    *,
    prefix: str = "",
    every: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Changes:
    """The keys under ``prefix`` that changed between two moments, from AWS.

    Parameters
    ----------
    connector:
        Names bucket and prefix, and the prefixes that are left out unless ``prefix`` lies within one.
    prefix:
        Only keys that begin with it; by default the connector's.
    every:
        Unchanged keys, too.
    progress:
        Told from time to time how many versions and markers were read.

    Raises
    ------
    AwsError
        The bucket cannot be listed.
    """
    bucket = settings.bucket_of(connector)
    prefix = prefix or connector.prefix
    exclude = scope(connector, prefix)
    # A promotion that ended before `since` may have written what is changed a moment later.
    moments = (since.at + timedelta(days=n) for n in range(max(0, (until - since.at).days) + 2))
    promoters = _promoters(aws, settings, bucket, moments)
    rows = iter_versions(aws, bucket, prefix, exclude)
    keys, listed, seen = changed_keys(rows, since.at, until, promoters, every=every, progress=progress)
    problem = promoters.problem
    return Changes(
        bucket, prefix, exclude, since, until, keys, listed, seen, "s3:ListObjectVersions", problem
    )


def diff(
    incident: Incident, key: str, before: str = "previous", after: str = "current", *, largest: int = LARGEST
) -> VersionDiff:
    """Two versions of a key compared, for a notebook. Contents are no evidence: AWS is asked for them.

    Parameters
    ----------
    before, after:
        ``current``, ``previous``, ``last-good``, ``@`` and a time, a version id, or the beginning of one.
    largest:
        Bytes; larger ones are compared by size and ETag.

    Raises
    ------
    BadInput
        When the incident is offline, there is no such key, or a name means no version.
    AwsError
        AWS cannot be reached.
    """
    from vmqlib.runbook.versiondiff import compare

    if incident.aws is None:
        raise BadInput(
            "Offline, contents cannot be read: evidence holds none.",
            hint=f"Compare them where AWS can be reached: vmq versions --key {shlex.quote(key)} --diff.",
        )
    good = kept_last_good(incident).at if "last-good" in (before, after) else None
    known = key_history(incident, key)
    return compare(incident.aws, known, incident.redactor, before, after, last_good=good, largest=largest)


def scope(connector: Connector, prefix: str) -> tuple[str, ...]:
    """The connector's excluded prefixes, without those that ``prefix`` lies within: they were asked for."""
    return tuple(one for one in connector.exclude if one and not prefix.startswith(one))


def last_good(aws: Aws, settings: Settings, data_source_id: str, now: datetime) -> Since:
    """The start of the last sync that succeeded; seven days ago where there is none or the history cannot be seen."""
    try:
        reading = syncjobs.read(aws, settings, Window(now - _SYNCS, now), data_source_id=data_source_id)
        good = [
            row["started_at"] for row in reading.rows if row["status"] == "SUCCEEDED" and row["started_at"]
        ]
        never = "" if good else f"no sync succeeded in the last {_SYNCS.days} days"
    except VmqError as error:
        good, never = [], f"the sync history cannot be seen ({error.message.rstrip('.')})"
    if never:
        return Since(now - _DEFAULT, f"{_DEFAULT.days} days, since {never}", never)
    return Since(parse_iso(max(good)), "the last good sync")


def _promoters(aws: Aws, settings: Settings, bucket: str, moments: Iterable[datetime]) -> Promoters:
    if bucket != settings.bucket_name:
        return Promoters(problem=f"promotions are recorded in {settings.bucket_name}, not in this bucket")
    try:
        return Promoters.of_rows(promotions.near(aws, settings, moments))
    except AwsError as error:
        return Promoters(problem=error.message)


def _alike_on_aws(aws: Aws, bucket: str, key: str) -> list[str]:
    """Keys that may have been meant: of the same folder, else of the folder above, up to the root."""
    folder = key
    while folder:
        folder = folder.rstrip("/").rpartition("/")[0]
        folder += "/" if folder else ""
        names: dict[str, None] = {}
        try:
            for row in iter_versions(aws, bucket, folder):
                names[row["key"]] = None
                if len(names) >= _SEARCHED:
                    break
        except AwsError:
            return []
        if found := alike(key, names):
            return found
    return []


def key_history(incident: Incident, key: str) -> KeyHistory:
    """One key's history, for a notebook: from AWS, or offline from the incident's evidence.

    Raises
    ------
    BadInput
        When there is no such key, or no evidence.
    AwsError
        The bucket cannot be listed.
    """
    bucket = bucket_of(incident)
    if incident.aws is not None:
        return read_history(incident.aws, incident.settings, bucket, bare_key(key, bucket))
    return kept_history(incident, key)
