"""Does the index hold what the bucket held at the last good sync before the incident? Exit 0 only then.

    scripts/check_index.py INC-20261123-001

Compares three things from the incident's newest evidence: what the bucket held then, what it holds now, and which
documents the index has. Two versions of equal size whose ETags differ are read and compared: where KMS encrypts, a copy
has another ETag than its original. Documents are matched by their ids as ListDocuments gives them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import click

from vmqlib.aws import Aws
from vmqlib.cli.main import run
from vmqlib.errors import CheckFailed
from vmqlib.record.incident import Incident
from vmqlib.settings import Settings
from vmqlib.sources import syncjobs, versions
from vmqlib.sources.crawlscope import crawl_scope
from vmqlib.times import show_time

# Document statuses that a question can be answered from (API: DocumentStatus).
SEARCHABLE = ["INDEXED", "UPDATED"]


class Held(NamedTuple):
    """A version: its size in bytes, ETag and id."""

    size: int
    etag: str
    version_id: str


@click.command()
@click.argument("incident_id", metavar="ID")
def main(incident_id: str) -> None:
    """Compare the index with the bucket of the last good sync before the incident."""
    incident = Incident.load(incident_id, settings=Settings.load())
    jobs, listed, indexed, resources = (
        incident.observed(name) for name in ("sync-jobs", "versions", "documents", "resources")
    )
    for seen in (jobs, listed, indexed, resources):
        if not seen.available or not seen.complete:
            raise CheckFailed(f"Cannot tell: {seen.title}: {seen.problem or seen.stopped}", hint=seen.hint)
    good = syncjobs.last_good(jobs.frame, incident.state.opened_at)
    if good is None:
        raise CheckFailed("Cannot tell: no sync succeeded before the incident.")
    then = contents(versions.state_at(listed.frame, good["started_at"]))
    now = contents(versions.state_at(listed.frame, incident.as_of))
    same = same_content(incident.settings)
    keys = sorted(key for key in then.keys() | now.keys() if not same(key, then.get(key), now.get(key)))
    if keys:
        raise CheckFailed(f"The bucket differs in {len(keys)} objects: {', '.join(keys[:5])}.")
    held = versions.state_at(listed.frame, good["started_at"])["key"]
    documents = set(held[crawl_scope(resources.frame).documents(held)])
    searchable = set(indexed.frame.loc[indexed.frame["status"].isin(SEARCHABLE), "document_id"])
    ids = {identity.split("/", 3)[-1] for identity in searchable}
    if documents != ids:
        raise CheckFailed(
            f"The index lacks {len(documents - ids)} documents and has {len(ids - documents)} too many: "
            f"{', '.join(sorted(documents ^ ids)[:5])}."
        )
    at = show_time(good["started_at"])
    click.echo(f"The index holds all {len(documents)} documents that the bucket held at {at}, and no other.")


def contents(frame) -> dict[str, Held]:  # type: ignore[no-untyped-def]  # a frame of the source `versions`
    """What each key holds."""
    columns = (frame[name] for name in ("size", "etag", "version_id"))
    return {key: Held(*held) for key, *held in zip(frame["key"], *columns, strict=True)}


def same_content(settings: Settings) -> Callable[[str, Held | None, Held | None], bool]:
    """Whether a key held the same content; bytes are fetched only where size and ETag do not tell."""
    client = Aws(settings).client("s3")

    def read(key: str, held: Held) -> bytes:
        answer = client.get_object(Bucket=settings.bucket_name, Key=key, VersionId=held.version_id)
        return answer["Body"].read()

    def same(key: str, one: Held | None, other: Held | None) -> bool:
        if one is None or other is None or one.size != other.size:
            return False
        return one.etag == other.etag or read(key, one) == read(key, other)

    return same


if __name__ == "__main__":
    sys.exit(run(main))
