"""Random pasts of buckets on real servers: what was done when, what could be read then, and incidents to go back in."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from support.s3_servers import S3Server

from vmqlib.aws import Aws
from vmqlib.record.incident import Incident
from vmqlib.settings import Settings

__all__ = ["KEYS", "Change", "History", "in_seconds_of_their_own", "incident_on", "invented"]

# Spaces, signs and scripts; no key is another's folder, which a server over a file system cannot have.
KEYS = (
    *("docs/a b+c.md", "docs/100%#?.md", "docs/ünï 日本語.md", "faq/emoji😀.txt", "faq/amp&<gt>'\".txt"),
    *("plain.md", "z~/(1),=;@$.md"),
)


_LOOK_EVERY_S = 0.02


@dataclass(frozen=True)
class Change:
    """A put (``body`` is set) or a delete of one key."""

    key: str
    body: bytes | None = None


@dataclass(frozen=True)
class History:
    """What is done under one prefix, in rounds that lie seconds apart.

    Parameters
    ----------
    prefix:
        Its own: many histories share a bucket.
    rounds:
        The changes of each round.
    target:
        Behind which round the rollback goes back to (0: before the first).
    """

    prefix: str
    rounds: tuple[tuple[Change, ...], ...]
    target: int
    seed: str = ""

    def state(self, behind: int) -> dict[str, bytes]:
        """What can be read behind that many rounds."""
        found: dict[str, bytes] = {}
        for changes in self.rounds[:behind]:
            for change in changes:
                if change.body is None:
                    found.pop(change.key, None)
                else:
                    found[change.key] = change.body
        return found


def invented(name: str, rounds: int, keys: Iterable[str] = KEYS, *, ties: bool = True) -> History:
    """The history of that name: always the same one.

    Parameters
    ----------
    ties:
        Whether a key may change several times within a round, and so within a second.
    """
    chance, names = Random(name), list(keys)
    made = []
    for _ in range(rounds):
        count = chance.randint(0, 6)
        chosen = chance.choices(names, k=count) if ties else chance.sample(names, min(count, len(names)))
        changes = []
        for key in chosen:
            # Few bodies, so that some keys come back to a content that they had before.
            body = chance.choice([b"", b"one", b"two", chance.randbytes(chance.randint(1, 40))])
            changes.append(Change(f"{name}/{key}", None if chance.random() < 0.3 else body))
        made.append(tuple(changes))
    return History(f"{name}/", tuple(made), chance.randrange(rounds), name)


def in_seconds_of_their_own(server: S3Server, bucket: str, histories: Iterable[History]) -> list[datetime]:
    """Plays all histories side by side, each round in seconds of its own.

    Returns
    -------
    A moment before the first round, and one behind each: whole seconds in which nothing happened.
    """
    given, client = list(histories), server.client()
    moments = [quiet_second()]
    with ThreadPoolExecutor(8) as pool:
        for number in range(max(len(one.rounds) for one in given)):
            list(pool.map(lambda one: _play(client, bucket, one.rounds[number : number + 1]), given))  # noqa: B023
            moments.append(quiet_second())
    client.close()
    return moments


def _play(client: Any, bucket: str, rounds: Iterable[Iterable[Change]]) -> None:
    for change in (change for changes in rounds for change in changes):
        if change.body is None:
            client.delete_object(Bucket=bucket, Key=change.key)
        else:
            client.put_object(Bucket=bucket, Key=change.key, Body=change.body)


def quiet_second() -> datetime:
    """Waits until a whole second has passed in which nothing was asked for; that second."""
    second = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    while datetime.now(UTC) < second + timedelta(seconds=1):
        time.sleep(_LOOK_EVERY_S)
    return second


def incident_on(aws: Aws, bucket: str, folder: Path) -> Incident:
    """A new incident whose connector reads that bucket."""
    settings = Settings.load(bucket_name=bucket, incidents=folder, region=aws.region)
    return Incident.open(settings, aws, trigger="content")
