"""Does the index hold what the bucket held at the last good sync before the incident? Exit 0 only then.

    scripts/check_index.py INC-20261123-001

Compares three things from the incident's newest evidence: what the bucket held then, what it holds now (key, size,
ETag), and which documents the index has. Documents are matched by their ids as ListDocuments gives them.
"""

from __future__ import annotations

import sys

import click

from vmqlib.cli.main import run
from vmqlib.errors import CheckFailed
from vmqlib.record.incident import Incident
from vmqlib.settings import Settings
from vmqlib.sources import syncjobs, versions
from vmqlib.sources.crawlscope import crawl_scope
from vmqlib.times import show_time

# Document statuses that a question can be answered from (API: DocumentStatus).
SEARCHABLE = ["INDEXED", "UPDATED"]


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
    if differing := sorted(set(then.items()) ^ set(now.items())):
        keys = sorted({key for key, _ in differing})
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


def contents(frame) -> dict[str, tuple[int, str]]:  # type: ignore[no-untyped-def]  # a frame of the source `versions`
    """What each key holds: size in bytes and ETag (objects put in one part: equal ETag, equal content)."""
    return dict(zip(frame["key"], zip(frame["size"], frame["etag"], strict=True), strict=True))


if __name__ == "__main__":
    sys.exit(run(main))
