"""``vmq sync wait``."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from vmqlib.cli.jobend import failing, journaled_failing, show_job
from vmqlib.cli.output import json_option, notice, print_json, printable
from vmqlib.cli.syncoptions import connect, incident_option, loaded, several
from vmqlib.cli.syncprogress import watching
from vmqlib.errors import AwsError, BadInput, CheckFailed, DeadlinePassed, Interrupted, ResourceMissing
from vmqlib.record.redaction import redactor_for
from vmqlib.runbook import resync
from vmqlib.runbook.resync.estimate import MOST_RUNS
from vmqlib.sources.base import gather
from vmqlib.sources.crew import within
from vmqlib.times import parse_span

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Connector, Settings

__all__ = ["wait_command"]

_USUAL_S = 3.0  # to ask what past jobs took: without an answer the wait begins without


@click.command("wait")
@several
@click.option(
    "--execution", "execution_id", metavar="ID", default="",
    help="The sync job; default: the one that the incident started, or the newest.",
)  # fmt: skip
@click.option(
    "--deadline", default="2h", show_default=True, help="Give up waiting after this long (90s, 20m, 2h)."
)
@incident_option
@json_option
def wait_command(
    data_source_ids: tuple[str, ...],
    connectors: tuple[str, ...],
    every: bool,
    execution_id: str,
    deadline: str,
    incident_id: str | None,
    as_json: bool,
) -> None:
    """Wait until a sync job has ended. Ctrl-C leaves the job alone.

    Throttling and an endpoint that is gone for a while are borne until the deadline. INCOMPLETE is not success: the
    documents that failed are listed by their errors.

    Exit code 0: SUCCEEDED. 1: INCOMPLETE, FAILED or ABORTED. 2: no such job (--execution). 3: AWS refuses. 5: it still
    runs at the deadline. Of several data sources, the highest code counts.

    \b
    Examples:
      vmq sync wait
      vmq sync wait --deadline 20m --json
      vmq sync wait --incident INC-20261123-001
      vmq sync wait --connector docs --connector wiki
    """
    limit = parse_span(deadline)
    settings, aws = connect()
    incident = loaded(incident_id, settings, aws)
    named = bool(data_source_ids or connectors or every)
    own = _own(incident, settings) if incident is not None and not named else ()
    chosen = own or resync.choose_all(
        settings, data_source_ids, connectors, every=every,
        default=incident.identity.data_source_id if incident is not None else "",
    )  # fmt: skip
    if execution_id and len(chosen) > 1:
        raise BadInput(
            "--execution names one job, and several data sources are meant.", hint="Name one data source."
        )
    jobs = {each.data_source_id: execution_id for each in chosen}
    if incident is not None and not execution_id:
        jobs = {source: _journaled(incident, aws, settings, source) for source in jobs}
    names = {each.data_source_id: each.name for each in chosen}
    try:
        with watching(names, _usual(aws, settings, tuple(jobs), most=limit / 4)) as watch:
            ended = resync.wait_all(aws, settings, jobs, deadline=limit, watch=watch)
    except KeyboardInterrupt as error:
        again = " ".join(["vmq sync wait", *_again(jobs, incident_id)])
        raise Interrupted(
            f"Stopped waiting; the sync job{'s go' if len(jobs) > 1 else ' goes'} on.",
            hint=f"`{again}` waits again.",
        ) from error
    ended = [_named(one) if execution_id else one for one in ended]
    _tell(ended, names, aws, settings, incident, as_json=as_json)


def _named(one: resync.Ended) -> resync.Ended:
    """A job that somebody named and that is not there is their input; what AWS itself refuses stays what it is."""
    if isinstance(one.error, ResourceMissing) and not one.error.code:
        return replace(one, error=BadInput(one.error.message, hint=one.error.hint))
    return one


def _own(incident: Incident, settings: Settings) -> tuple[Connector, ...]:
    """The data sources of which this incident has started a job."""
    return tuple(settings.connector(source) for source in resync.begun(incident))


def _journaled(incident: Incident, aws: Aws, settings: Settings, source: str) -> str:
    """The job that this incident started last; empty (the newest) where it started none."""
    last = resync.begun(incident).get(source)
    if last is None:
        return ""
    if not last.pending:
        return last.execution_id
    # The process that started it died before it could write the job's id down.
    resync.settle(incident, aws, settings, source)
    last = resync.begun(incident).get(source)
    if last is None:
        raise CheckFailed(
            "The last start was cut short, and no job came of it.",
            hint=f"`vmq sync start --incident {incident.id}` starts one.",
        )
    return last.execution_id


def _usual(
    aws: Aws, settings: Settings, sources: Sequence[str], *, most: timedelta
) -> Mapping[str, resync.Estimate | None]:
    """What past jobs took; nothing where that cannot be asked now: the waiting does not depend on it."""
    seconds = min(_USUAL_S, most.total_seconds())

    def look(source: str) -> resync.Estimate | None:
        try:
            jobs = within(
                seconds,
                lambda: list(islice(resync.listed(aws, settings, source), MOST_RUNS)),
                "qbusiness:ListDataSourceSyncJobs",
            )
            return resync.estimate(jobs)
        except AwsError:
            return None

    return dict(zip(sources, gather([partial(look, source) for source in sources]), strict=True))


def _again(jobs: Mapping[str, str], incident_id: str | None) -> list[str]:
    if incident_id:
        return ["--incident", shlex.quote(incident_id)]
    words = [word for source in jobs for word in ("--data-source", source)]
    (only, *others) = jobs.values()
    return words + (["--execution", only] if only and not others else [])


def _tell(
    ended: Sequence[resync.Ended],
    names: Mapping[str, str],
    aws: Aws,
    settings: Settings,
    incident: Incident | None,
    *,
    as_json: bool,
) -> None:
    clean = redactor_for(settings, incident).text
    documents: list[dict[str, Any]] = []
    for one in ended:
        failed = failing(aws, settings, one.job, clean) if one.job is not None else None
        if incident is not None and not incident.state.closed_at:
            _journal(incident, one, failed)
        documents.append(_document(one, names[one.data_source_id], failed))
        if not as_json:
            _say(one, names[one.data_source_id] if len(ended) > 1 else "", failed, clean)
    if incident is not None and not incident.state.closed_at and any(one.job for one in ended):
        incident.observe(
            ["sync-jobs"], refresh=True, step="resync"
        )  # the record and the next steps are to know it
    if len(ended) == 1 and ended[0].error is not None:
        raise ended[0].error
    if as_json:
        print_json(documents[0] if len(documents) == 1 else documents)
    click.get_current_context().exit(max(one.exit_code for one in ended))


def _journal(incident: Incident, one: resync.Ended, failed: resync.FailedDocuments | None) -> None:
    if one.job is not None:
        resync.journal_outcome(incident, one.job, journaled_failing(failed))
    elif isinstance(one.error, DeadlinePassed):
        data = {"action": "sync", "data_source_id": one.data_source_id, "problem": one.error.message}
        incident.note(f"Stopped waiting. {one.error.message}", data, step="resync")


def _document(one: resync.Ended, name: str, failed: resync.FailedDocuments | None) -> dict[str, Any]:
    document: dict[str, Any] = {"data_source_id": one.data_source_id, "connector": name}
    if one.job is not None:
        document |= {**asdict(one.job), "succeeded": one.job.succeeded}
    if failed is not None:
        document["failing"] = failed.as_dict()
    if one.error is not None:
        document |= {"error": one.error.message, "hint": one.error.hint}
    return document | {"exit_code": one.exit_code}


def _say(
    one: resync.Ended, name: str, failed: resync.FailedDocuments | None, clean: Callable[[str], str]
) -> None:
    before = f"{printable(name)}: " if name else ""
    if one.error is not None:
        if name:
            notice(f"{before}{printable(one.error.message)} {printable(one.error.hint)}")
        return
    assert one.job is not None
    show_job(one.job, failed, clean, before=before)
