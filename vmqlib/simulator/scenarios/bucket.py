"""The knowledge base's bucket as deployment and people write to it: moto's S3 in process, at simulated times.

Over HTTP the two thousand writes of three weeks would take seconds; what they leave behind is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from vmqlib.simulator.clock import SimClock
from vmqlib.simulator.identity import ACCOUNT_ID

__all__ = ["HOUSEKEEPING", "STAGING", "Bucket"]

STAGING = "_staging/"
HOUSEKEEPING = (STAGING, "audit/", "ci/")
_TYPES = {"md": "text/markdown", "json": "application/json"}
_PAUSE = timedelta(milliseconds=180)


class Bucket:
    """Writes to one bucket.

    Parameters
    ----------
    name:
        The bucket.
    clock:
        Tells when a write happens.
    """

    def __init__(self, name: str, clock: SimClock) -> None:
        from moto.s3.models import s3_backends

        self.name = name
        self._clock = clock
        self._backend: Any = s3_backends[ACCOUNT_ID]["aws"]

    def put(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> None:
        """Writes an object."""
        kind = _TYPES.get(key.rsplit(".", 1)[-1], "application/octet-stream")
        stored = self._backend.put_object(self.name, key, body, disable_notification=True)
        headers = {f"x-amz-meta-{name}": value for name, value in (metadata or {}).items()}
        stored.set_metadata({"Content-Type": kind, **headers})

    def put_json(self, key: str, value: Any) -> None:
        """Writes an object in JSON."""
        self.put(key, (json.dumps(value, indent=2) + "\n").encode())

    def delete(self, key: str) -> None:
        """Puts a delete marker on a key."""
        self._backend.delete_object(self.name, key)

    def write(self, changes: Iterable[tuple[str, bytes | None]], begin: datetime) -> datetime:
        """Puts, and where there are no bytes deletes, one after the other; returns when the last was done."""
        moment = begin
        for key, body in changes:
            with self._clock.at(moment):
                if body is None:
                    self.delete(key)
                else:
                    self.put(key, body)
            moment += _PAUSE
        return moment

    def promote(self, begin: datetime) -> tuple[list[str], list[str], datetime]:
        """``aws s3 sync s3://B/_staging/ s3://B/ --delete``, housekeeping left alone.

        Returns
        -------
        tuple
            The keys written, the keys deleted, and when it was done.
        """
        staged = {key.removeprefix(STAGING): found for key, found in self.current(STAGING)}
        live = {key: found for key, found in self.current() if not key.startswith(HOUSEKEEPING)}
        # By content: where KMS encrypts, no two objects have the same ETag.
        written = [key for key, found in staged.items() if key not in live or live[key].value != found.value]
        gone = [key for key in live if key not in staged]
        done = self.write([(key, bytes(staged[key].value)) for key in written], begin)
        return written, gone, self.write([(key, None) for key in gone], done)

    def current(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """The current objects by key, in key order."""
        stored = self._backend.buckets[self.name].keys
        for key in sorted(key for key in stored if key.startswith(prefix)):
            newest = stored[key]
            if hasattr(newest, "etag"):  # a delete marker has none
                yield key, newest

    def versions_at(self, moment: datetime) -> dict[str, str]:
        """The version ids of what was current at ``moment``, housekeeping left out."""
        found = {}
        at = moment.replace(tzinfo=None)
        stored = self._backend.buckets[self.name].keys
        for key in sorted(stored):
            if not key.startswith(HOUSEKEEPING):
                before = [version for version in stored.getlist(key) if version.last_modified <= at]
                if before and hasattr(before[-1], "etag"):
                    found[key] = str(before[-1].version_id)
        return found
