"""``vmq publish``: a closed incident's folder into a bucket (runbook, step 6)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.output import confirm, json_option, notice, print_json, printable, progress_bar, yes_option

if TYPE_CHECKING:
    from vmqlib.runbook.publish import PublishPlan

__all__ = ["publish_command"]


@click.command("publish")
@click.argument("incident_id", metavar="ID")
@click.argument("target", metavar="s3://BUCKET/PREFIX/")
@click.option(
    "--include-unmasked",
    is_flag=True,
    help="Also files that hold object keys as they are (rollback/): the record does not verify without them.",
)
@click.option(
    "--digest",
    default="",
    metavar="D",
    help="The plan that was looked at: its digest, or 8 characters of it.",
)
@click.option("--preview", is_flag=True, help="Show the plan, and upload nothing.")
@yes_option
@json_option
def publish_command(
    incident_id: str,
    target: str,
    include_unmasked: bool,
    digest: str,
    preview: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Upload a closed incident's folder, as it was sealed, to s3://BUCKET/PREFIX/ID/.

    Journal, evidence and manifest are verified first. Every object is sent with its SHA-256 and checked afterwards; the
    manifest comes last. What is the same is left out, so it can be run again. What this incident published there before
    it was sealed anew (--resolved, a reopening) gets new object versions; nothing of anybody else's is touched.

    Exit code 1: the record is not as it was written, or its final one is missing. 2: the incident is open; the bucket
    keeps no versions of what is to be replaced. 3: AWS refused. 4: something else is there under a file's key.

    \b
    Examples:
      vmq publish INC-20261123-001 s3://vaultmesh-knowledge-base/audit/incidents/ --preview
      vmq publish INC-20261123-001 s3://vaultmesh-audit/incidents/ --include-unmasked --yes
    """
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.runbook import publish
    from vmqlib.runbook.operationsrunbook import entered
    from vmqlib.runbook.publish.applying import check, check_free
    from vmqlib.settings import Settings

    settings = Settings.load()
    incident = Incident.load(incident_id, settings=settings, aws=Aws(settings))
    made = publish.plan(incident, target)
    _show(made, include_unmasked=include_unmasked)
    if preview:
        if as_json:
            print_json(_document(made))
        check_free(made)
        return
    check(made, digest or made.digest, include_unmasked=include_unmasked)
    if made.todo:
        over = f", {len(made.replaced):,} of them over what is there" if made.replaced else ""
        confirm(
            f"Upload {len(made.todo):,} files to {made.uri}{over}?",
            yes=yes,
            otherwise="Nothing was published.",
        )
    with progress_bar("{task.completed}/{task.total}", transient=True) as bar:
        task = bar.add_task("Publishing", total=len(made.todo))
        done = publish.apply(
            incident,
            made,
            digest=digest or made.digest,
            include_unmasked=include_unmasked,
            progress=lambda through, total: bar.update(task, completed=through, total=total),
        )
    if as_json:
        print_json({**_document(made), **asdict(done)})
        return
    if done.uploaded:
        over = f" ({done.replaced:,} as new versions over those from before)" if done.replaced else ""
        click.echo(
            f"{incident.id}: {done.uploaded:,} files published at {done.uri}{over}, each checked; {done.there:,} were "
            "there."
        )
    else:
        click.echo(f"{incident.id}: published at {done.uri} already; all {done.there:,} files are the same.")
    click.echo(f"  MANIFEST.json  {done.manifest_sha256}")
    if done.page:
        click.echo(f"  {done.page}")
    if done.uploaded and entered(incident):
        notice(f"  `vmq entry {incident.id}` says in the operations runbook where it is.")


def _show(made: PublishPlan, *, include_unmasked: bool) -> None:
    """What would be uploaded, on stderr."""
    notice(made.summary)
    if made.kms_key_id:
        notice(f"  Encrypted with KMS key {made.kms_key_id}.")
    for warning in made.warnings:
        notice(f"{click.style('Warning:', fg='yellow', bold=True)} {printable(warning)}")
    if made.unmasked and not include_unmasked:
        notice("  That needs --include-unmasked.")
    notice(f"Digest  {made.digest}")


def _document(made: PublishPlan) -> dict[str, Any]:
    return {
        "id": made.incident,
        "uri": made.uri,
        "digest": made.digest,
        "summary": made.summary,
        "warnings": list(made.warnings),
        "not_published": list(made.later),
        "files": [
            {
                "path": one.path,
                "key": one.key,
                "bytes": one.content.size,
                "sha256": one.content.sha256,
                "content_type": one.content_type,
                "unmasked": one.unmasked,
                "there": one.there,
            }
            for one in made.files
        ],
    }
