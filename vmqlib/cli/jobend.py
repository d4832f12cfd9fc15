"""How a sync job ended, as the commands that wait for one say it: with the documents that failed, by their errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import notice, printable, say
from vmqlib.runbook import resync
from vmqlib.times import SystemClock

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings

__all__ = ["failing", "journaled_failing", "show_job"]

_SHOWN = 3  # documents of each kind of error


def failing(
    aws: Aws, settings: Settings, job: resync.SyncJob, clean: Callable[[str], str]
) -> resync.FailedDocuments | None:
    """Which documents failed; ``None`` where the job's end does not say that some did."""
    if job.status != "INCOMPLETE":
        return None
    return resync.failed_documents(aws, settings, job, clean=clean)


def journaled_failing(failed: resync.FailedDocuments | None) -> dict[str, Any]:
    """The same as the journal has it: each error with how many documents it is of, and a few of them."""
    if failed is None:
        return {}
    groups = [
        {"error": error, "documents": len(names), "examples": list(names[:_SHOWN])}
        for error, names in (failed.groups or {}).items()
    ]
    return {"failing": groups, "failing_source": failed.source, "note": failed.note}


def show_job(
    job: resync.SyncJob,
    failed: resync.FailedDocuments | None,
    clean: Callable[[str], str],
    *,
    before: str = "",
) -> None:
    """Says it: the job on stdout with what failed, and what its end means on stderr.

    Parameters
    ----------
    before:
        Put before the job's line: whose it is, where several are told of.
    """
    say(before + printable(clean(resync.describe(job, SystemClock().now()))))
    if failed is not None:
        if failed.note:
            notice(printable(clean(failed.note)))
        for error, names in (failed.groups or {}).items():
            click.echo(printable(f"  {len(names)} document{'s' * (len(names) != 1)}: {error}"))
            for key in _keys(names[:_SHOWN]):
                click.echo(printable(f"    {key}"))
            if len(names) > _SHOWN:
                click.echo(f"    and {len(names) - _SHOWN} more")
        notice(f"{job.status}: {resync.MEANING[job.status]}. --json lists every one.")
    elif not job.succeeded:
        notice(
            f"{job.status}: {resync.MEANING[job.status]}. `vmq logs --since 2h` captures the connector's log."
        )


def _keys(names: Sequence[str]) -> list[str]:
    """URIs as keys of the bucket, which people know."""
    import pandas as pd

    from vmqlib.runbook.affecteddocuments import document_keys

    return list(document_keys(pd.Series(names, dtype="str")))
