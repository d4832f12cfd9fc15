"""``vmq sync docs``: a folder's Markdown into the bucket, by content; then sync and wait (runbook, step 4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.jobend import failing, journaled_failing, show_job
from vmqlib.cli.output import confirm, json_option, notice, print_json, progress_bar, table, yes_option
from vmqlib.errors import Interrupted, VmqError
from vmqlib.times import parse_span

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.docsync import DocPlan, Uploaded
    from vmqlib.runbook.resync import FailedDocuments, SyncJob
    from vmqlib.settings import Connector, Settings

__all__ = ["docs_command"]

_SHOWN = 40


@click.command("docs")
@click.argument("folder", metavar="PATH", type=click.Path(path_type=Path))
@click.option("--connector", metavar="NAME", default="", help="The connector by its name in vmq.toml.")
@click.option(
    "--prefix", help="Put before each file's path; with a slash at its end. Default: the connector's."
)
@click.option(
    "--delete",
    is_flag=True,
    help="Also delete documents that PATH does not have (delete markers; never a version).",
)
@click.option("--delete-most", is_flag=True, help="With --delete: even more than 15 % of them.")
@click.option("--incident", "incident_id", metavar="ID", help="Write it into this incident's journal.")
@click.option(
    "--digest",
    default="",
    metavar="D",
    help="The plan that was looked at: its digest, or 8 characters of it.",
)
@click.option("--preview", is_flag=True, help="Show the plan, and change nothing.")
@click.option("--wait", "and_wait", is_flag=True, help="Then start a sync job, and wait for its end.")
@click.option(
    "--deadline", default="2h", show_default=True, help="With --wait: give up after this long (90s, 20m, 2h)."
)
@yes_option
@json_option
def docs_command(
    folder: Path,
    connector: str,
    prefix: str | None,
    delete: bool,
    delete_most: bool,
    incident_id: str | None,
    digest: str,
    preview: bool,
    and_wait: bool,
    deadline: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Upload the *.md below PATH to the connector's bucket: only what differs by content.

    What would be done is shown first, and asked for. Each object is written only while it is what it was then; whoever
    else changes one meanwhile keeps it. After an interruption the same command goes on. Versions stay: the command that
    takes it all back is shown at the end.

    Exit code 0: all as planned (with --wait: and indexed). 1: the sync did not succeed. 3: AWS refused some. 4:
    somebody changed some meanwhile, or the digest is another plan's. 5: the sync still runs at the deadline.

    \b
    Examples:
      vmq sync docs ../vaultmesh-ops/docs --preview
      vmq sync docs ../vaultmesh-ops/docs --connector docs --incident INC-20261123-001 --wait
      vmq sync docs build/docs --prefix guides/ --delete --digest 5f14bc3cfa37 --yes
    """
    from vmqlib.aws import Aws
    from vmqlib.record.redaction import redactor_for
    from vmqlib.runbook import docsync, resync
    from vmqlib.runbook.docsync.applying import check
    from vmqlib.settings import Settings

    settings = Settings.load()
    if and_wait:
        settings.require("app_id", "index_id")
    span = parse_span(deadline)
    aws = Aws(settings)
    chosen = resync.choose(settings, "", connector)
    incident = _incident(settings, aws, incident_id, settle=not preview)
    with progress_bar(transient=True) as bar:
        bar.add_task(f"Comparing {folder} with the bucket", total=None)
        made = docsync.plan(aws, settings, chosen, folder, prefix=prefix, delete=delete)
    mask = redactor_for(settings, incident).text
    if not as_json:
        _show_plan(made, mask)
    if digest:
        check(made, digest, delete_most=True)
    if preview:
        _preview(made, _next(made, prefix, incident_id), as_json=as_json)
        return
    done = None
    if made.changes:
        # Before anybody is asked: what would be refused afterwards.
        check(made, made.digest, delete_most=delete_most)
        confirm(_question(made), yes=yes)
        done = _carry_out(made, aws, digest or made.digest, incident, delete_most)
        _finish(made, done, mask, as_json=as_json)
    if and_wait:
        try:
            job = _sync(settings, aws, chosen, incident, span, yes=yes, made=made)
        except VmqError:
            if as_json:  # what was uploaded is known, whatever became of the sync
                print_json(_document(made, done))
            raise
        failed = failing(aws, settings, job, mask)
        if incident is not None:
            resync.journal_outcome(incident, job, journaled_failing(failed))
        _show_sync(made, done, job, failed, mask, as_json=as_json)
        return
    if as_json:
        print_json(_document(made, done))
    elif done is not None:
        notice(f"Next: `vmq sync start --connector {chosen.name}` and `vmq sync wait`, which index it.")


def _show_sync(
    made: DocPlan,
    done: Uploaded | None,
    job: SyncJob,
    failed: FailedDocuments | None,
    clean: Callable[[str], str],
    *,
    as_json: bool,
) -> None:
    """How the sync ended; the command's exit code is 1 when that was not well."""
    if as_json:
        listed = {"failing": failed.as_dict()} if failed is not None else {}
        print_json(_document(made, done) | {"sync": {**asdict(job), "succeeded": job.succeeded, **listed}})
    else:
        show_job(job, failed, clean)
    if not job.succeeded:
        click.get_current_context().exit(1)


def _preview(made: DocPlan, command: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(made, None))
    elif made.changes:
        click.echo(f"Next    {command}")


def _finish(made: DocPlan, done: Uploaded, mask: Callable[[str], str], *, as_json: bool) -> None:
    """Shows how it ended, and raises what there is to say of it."""
    from vmqlib.runbook import docsync

    if not as_json:
        _show_done(done, mask)
    if (problem := docsync.problem(made, done)) is not None:
        if as_json:
            print_json(_document(made, done))
        raise problem


def _incident(settings: Settings, aws: Aws, incident_id: str | None, *, settle: bool) -> Incident | None:
    """The incident; with ``settle``, after it was found out what became of its last upload."""
    if not incident_id:
        return None
    from vmqlib.record.incident import Incident
    from vmqlib.runbook import docsync
    from vmqlib.runbook.rollback.ground import may_change

    incident = Incident.load(incident_id, settings=settings, aws=aws)
    may_change(incident)
    if settle and (settled := docsync.settle(incident, aws)) is not None:
        notice(incident.redactor.text(settled.sentence))
    return incident


def _question(made: DocPlan) -> str:
    deleted = made.counts.get("DELETE", 0)
    also = f", {deleted:,} of them by deleting," if deleted else ""
    return f"Change {len(made.changes):,} documents{also} in s3://{made.bucket}/{made.prefix}?"


def _carry_out(
    made: DocPlan, aws: Aws, digest: str, incident: Incident | None, delete_most: bool
) -> Uploaded:
    from vmqlib.runbook import docsync

    with progress_bar("{task.completed}/{task.total}") as bar:
        task = bar.add_task("Uploading", total=len(made.changes))
        return docsync.apply(
            made,
            aws,
            digest=digest,
            incident=incident,
            delete_most=delete_most,
            progress=lambda through, total: bar.update(task, completed=through, total=total),
        )


def _sync(
    settings: Settings,
    aws: Aws,
    chosen: Connector,
    incident: Incident | None,
    span: timedelta,
    *,
    yes: bool,
    made: DocPlan,
) -> SyncJob:
    """Starts a sync job and waits for its end. One that ran before the upload may have read the bucket before it: it is
    waited for, and another one started."""
    from vmqlib.runbook import resync

    if not made.changes:
        confirm(f"Nothing to upload. Start a sync job of {chosen.name} all the same?", yes=yes)

    def start() -> resync.Started:
        if incident is not None:
            return resync.journaled_start(incident, aws, settings, chosen.data_source_id)
        return resync.start(aws, settings, chosen.data_source_id)

    started = start()
    if started.joined and made.changes:
        notice(
            "A sync job was running already, and may have read the bucket before the upload: another one follows it."
        )
        _wait(settings, aws, chosen, started.execution_id, span)
        started = start()
    notice(f"{'Joined' if started.joined else 'Started'} sync job {started.execution_id}.")
    return _wait(settings, aws, chosen, started.execution_id, span)


def _wait(settings: Settings, aws: Aws, chosen: Connector, execution_id: str, span: timedelta) -> SyncJob:
    from vmqlib.runbook import resync

    with progress_bar("{task.fields[counts]}") as bar:
        task = bar.add_task(f"Sync of {chosen.name}", total=None, counts="")

        def show(job: resync.SyncJob) -> None:
            counts = f"{job.scanned} scanned, {job.added} added, {job.modified} modified, {job.failed} failed"
            bar.update(task, description=job.status, counts=counts)

        try:
            return resync.wait(
                aws, settings, chosen.data_source_id, execution_id, deadline=span, progress=show
            )
        except KeyboardInterrupt as error:
            raise Interrupted(
                "Stopped waiting; the documents are uploaded, and the sync job goes on.",
                hint="`vmq sync wait` waits for it again.",
            ) from error


def _show_plan(made: DocPlan, mask: Callable[[str], str]) -> None:
    """The plan on stdout: what would become of which key, and what to be warned of."""
    from vmqlib.runbook.rollback.preview import shown

    def line(text: str) -> str:
        return shown(mask(text))

    click.echo(line(made.summary))
    if made.items:
        rows = sorted(made.items, key=lambda one: (one.action != "HELD", one.action != "DELETE", one.key))
        table(
            ("key", "action", "bytes now", "bytes then", "why"),
            [
                (
                    line(one.key),
                    one.action,
                    one.current.size if one.current.etag else "",
                    one.content.size if one.content else "",
                    line(one.reason),
                )
                for one in rows[:_SHOWN]
            ],
            numeric=("bytes now", "bytes then"),
            whole=("key",),
        )
        if len(rows) > _SHOWN:
            click.echo(f"… and {len(rows) - _SHOWN:,} more (--json has all)")
    for warning in made.warnings:
        click.echo(f"{click.style('Warning:', fg='yellow', bold=True)} {line(warning)}")
    click.echo(f"Digest  {made.digest}")


def _show_done(done: Uploaded, mask: Callable[[str], str]) -> None:
    from vmqlib.runbook.rollback.preview import shown

    click.echo(f"Plan {done.digest[:12]}: {done.sentence}")
    if done.troubles:
        table(
            ("key", "outcome", "what happened", "what to do"),
            [
                (
                    shown(mask(one.item.key)),
                    one.outcome.result,
                    shown(mask(one.outcome.problem)),
                    one.outcome.hint,
                )
                for one in done.troubles[:_SHOWN]
            ],
            whole=("key",),
        )
    if done.verification:
        click.echo(shown(mask(done.verification)))
    if done.undo:
        click.echo(f"Undo    {done.undo}")
        if " ID " in done.undo:
            notice("  ID: an incident's; `vmq open --trigger content` opens one.")


def _next(made: DocPlan, prefix: str | None, incident_id: str | None) -> str:
    import shlex

    words = ["vmq", "sync", "docs", str(made.folder), "--connector", made.connector]
    words += ["--prefix", prefix] if prefix is not None else []
    words += ["--delete"] if made.delete else []
    words += ["--delete-most"] if made.deletes_most else []
    words += ["--incident", incident_id] if incident_id else []
    return shlex.join([*words, "--digest", made.digest[:12]])


def _document(made: DocPlan, done: Uploaded | None) -> dict[str, Any]:
    """Plan, and how it was carried out, as JSON: keys exactly as they are."""
    document: dict[str, Any] = {
        "connector": made.connector,
        "folder": made.folder,
        "bucket": made.bucket,
        "prefix": made.prefix,
        "digest": made.digest,
        "summary": made.summary,
        "counts": dict(made.counts),
        "unchanged": made.unchanged,
        "warnings": list(made.warnings),
        "not_in_folder": list(made.gone),
        "items": made.rows(),
    }
    if done is None:
        return document
    return document | {
        "ending": done.ending,
        "results": dict(done.counts),
        "verified": done.verified,
        "verification": done.verification,
        "undo": done.undo,
        "outcomes": [{"key": one.item.key, **asdict(one.outcome)} for one in done.outcomes],
    }
