"""Reads off an incident what the next step depends on; what was not seen stays unknown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from vmqlib.runbook.affected import affected_by
from vmqlib.runbook.affecteddocuments import document_keys
from vmqlib.runbook.alarmdue import due
from vmqlib.runbook.changes.signs import tells_of_refusal
from vmqlib.runbook.exclusions import exclusions
from vmqlib.runbook.formerschedule import former_schedule
from vmqlib.runbook.lastgood import came_in, doubt, good_before
from vmqlib.runbook.severity import given_by_person
from vmqlib.runbook.stabilize.recurrence import cause_of, recurring
from vmqlib.runbook.stabilize.story import schedules_off
from vmqlib.runbook.stepfacts import Facts, Rollback
from vmqlib.runbook.wiring.blindness import blind_alarms
from vmqlib.sources.cihold import KEY as CI_HOLD
from vmqlib.sources.syncjobs import TERMINAL, last_good
from vmqlib.sources.trail import iam_region
from vmqlib.sources.versions import changed_since

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.record.incident import Incident
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.affected import Affected
    from vmqlib.runbook.changes import Ranking
    from vmqlib.runbook.triggers import Detection

__all__ = ["facts"]

_THROTTLED: Final = re.compile(
    r"throttl|slow ?down|too ?many ?requests|rate exceeded|request rate", re.IGNORECASE
)


def facts(
    incident: Incident,
    detection: Detection | None = None,
    found: Affected | None = None,
    ranking: Ranking | None = None,
) -> Facts:
    """What the rules may ask about.

    Parameters
    ----------
    detection, found, ranking:
        What the triggers say, who is affected, and which change to look at first, where that is known already.
    """
    identity, state, settings = incident.identity, incident.state, incident.judged_by
    known = Facts(
        incident_id=incident.id,
        data_source_id=identity.data_source_id,
        bucket=settings.bucket_of(settings.connector(identity.data_source_id)),
        closed=state.closed_at is not None,
        missing=tuple(
            seen.title
            for name, seen in incident.observations().items()
            # What only `vmq doctor` looks at, `vmq render --refresh` does not.
            if not seen.available and incident.sources[name].routine
        ),
        rollback=_how_far(incident),
        update_due=state.next_update_due,
        stakeholders_due=state.stakeholders_due(timedelta(hours=settings.stakeholder_hours)),
        channel=settings.slack_channel,
        security=settings.contacts.security,
        region=identity.region or settings.region,
        app_id=identity.resources.get("app_id") or settings.app_id or None,
        index_id=identity.resources.get("index_id") or settings.index_id or None,
        ops_repo=str(settings.ops_repo) if settings.ops_repo else None,
        about=(identity.trigger,),
        opened_at=state.opened_at,
        acknowledged=state.acknowledged_at is not None,
        severity=state.severity,
        severity_by_person=given_by_person(incident),
        schedules_off=tuple(
            f"{one.name or one.data_source_id} ({one.before})" for one in schedules_off(incident)
        ),
        told_resolved=_told(incident),
        **_proof(incident),
        **_validated(incident),
    )
    if known.closed:
        return known
    alarms = incident.observed("alarms")
    if alarms.available:
        firing = alarms.frame.loc[alarms.frame["state"] == "ALARM", "name"]
        waits = due(incident.observations(), settings, incident.seen_at)
        known = replace(
            known,
            alarms=tuple(one for one in firing if waits is None or one != waits.name),
            alarm_due=f"{waits.name} is in ALARM. {waits.why}" if waits else None,
        )
    known = _triage(incident, _syncs(incident, known, detection), detection, found)
    if ranking is None:
        from vmqlib.runbook.overview import Overview

        ranking = Overview(incident).ranking
    return _with_suspect(known, ranking)


def _told(incident: Incident) -> bool:
    """Whether anybody was told that it is resolved, since it was closed last."""
    closed_at = incident.state.closed_at
    return any(
        one.message == "resolved" and closed_at is not None and one.at >= closed_at
        for one in incident.state.updates
    )


def _proof(incident: Incident) -> dict[str, Any]:
    from vmqlib.runbook.proof.keeping import left, standing

    state, failed, stuck = standing(incident)
    return {
        "proof_state": state,
        "proof_failed": failed,
        "proof_stuck": stuck,
        "left_why": left(incident) or None,
    }


def _validated(incident: Incident) -> dict[str, Any]:
    """What the last validation came to; one before the last change says nothing."""
    from vmqlib.runbook.validation import in_the_way, validated

    made = validated(incident)
    if made is None or made.stale:
        return {}
    held = in_the_way(made, incident.identity.trigger)
    return {"validated": "failed" if held else "passed", "validated_at": made.at}


def _how_far(incident: Incident) -> Rollback:
    from vmqlib.runbook import rollback

    now = rollback.status(incident)
    plan, last = now.plan, now.applied
    return Rollback(
        state=now.state,
        command=now.command,
        plan=plan.summary if plan else "",
        changes=plan.changes if plan else 0,
        left=last.left + last.unknown if last else 0,
        failed=last.failed if last else 0,
        others=last.others if last else 0,
        own=last.own if last else 0,
        stale=now.stale,
        # Half a rollback is nothing to index: it is gone on with, or taken back, first.
        restored=now.restored and now.state not in {"unfinished", "interrupted"},
    )


def _syncs(incident: Incident, known: Facts, detection: Detection | None) -> Facts:
    """Adds how the syncs went, and what follows from it for documents and objects."""
    state, jobs = incident.state, incident.observed("sync-jobs")
    if not jobs.available or jobs.frame.empty:
        return known
    ordered = jobs.frame.sort_values("started_at")
    newest = ordered.iloc[-1]
    entered = came_in(incident, detection)
    # Of a sync that may have taken in what is unauthorized nobody says that it was good.
    good = None if doubt(incident, detection) else last_good(jobs.frame, good_before(incident, detection))
    applied = [each.at for each in state.applied if each.step == "rollback"]
    report = incident.observed("document-report")
    again = recurring(
        ordered,
        report.frame if report.available else None,
        incident.judged_by.stabilize,
        known.data_source_id,
    )
    over = applied and newest["started_at"] > applied[-1] and newest["status"] in TERMINAL
    known = replace(
        known,
        rollback=replace(known.rollback, synced=bool(over)),
        last_status=newest["status"],
        content_at=entered.at if entered else None,
        last_good_at=None if good is None else good["started_at"].to_pydatetime(),
        recovered=newest["status"] == "SUCCEEDED" and newest["started_at"] > state.opened_at,
        recurring_why=again.sentence if again else None,
    )
    known = _with_role(incident, known, newest)
    if newest["status"] in {"FAILED", "INCOMPLETE"} and (
        cause := cause_of(newest.to_dict(), report.frame if report.available else None)
    ):
        known = replace(
            known,
            refused=newest["status"] == "FAILED" and tells_of_refusal(cause),
            throttled=_THROTTLED.search(cause) is not None,
        )
    return _with_documents(incident, known, newest["execution_id"])


def _with_role(incident: Incident, known: Facts, newest: Any) -> Facts:
    """Adds what the connector's role lacks, where the doctor has looked since that sync began."""
    from vmqlib.runbook.wiring.role import role

    if "role-access" not in incident.sources:
        return known
    seen = incident.observed("role-access")
    if not seen.available or seen.problem or seen.at is None or seen.at < newest["started_at"]:
        return known
    said = role({"role-access": seen}, incident.judged_by, incident.seen_at)
    mine = [one for one in said if one.subject == known.data_source_id]
    if not mine or any(one.ok is None for one in mine):
        return known
    lacks = " ".join(one.finding for one in mine if one.ok is False)
    return replace(known, role_seen_at=seen.at.replace(microsecond=0), role_lacks=lacks or None)


def _with_documents(incident: Incident, known: Facts, execution_id: str) -> Facts:
    """Adds which documents failed in that sync, which objects changed since the last good one, and which promotion
    the failing ones were written in."""
    report, listed = incident.observed("document-report"), incident.observed("versions")
    failing: set[str] | None = None
    if report.available:
        latest = report.frame[report.frame["execution_id"] == execution_id]
        failing = set(document_keys(latest.loc[latest["status"] == "FAILED", "uri"]))
        known = replace(known, failing=len(failing))
    if listed.available and known.last_good_at is not None:
        changed = changed_since(listed.frame, known.last_good_at)
        changed = changed[~changed["same_content"]]
        both = None if failing is None else _touched(changed["key"], failing)
        known = replace(
            known, changed=len(changed), failing_and_changed=None if both is None else len(set(both.values()))
        )
        if both:
            known = _with_promotion(incident.observed("promotions"), known, changed, both)
    return known


def _touched(changed: Iterable[str], failing: set[str]) -> dict[str, str]:
    """The changed keys that are a failing document or its metadata file (``<prefix>/<key>.metadata.json``), each with
    that document."""
    found = {}
    for key in changed:
        parts = key.removesuffix(".metadata.json").split("/")
        names = (
            ["/".join(parts[place:]) for place in range(len(parts))] if key.endswith(".metadata.json") else []
        )
        if (document := next((name for name in (key, *names) if name in failing), None)) is not None:
            found[key] = document
    return found


def _with_promotion(seen: Observation, known: Facts, changed: pd.DataFrame, both: dict[str, str]) -> Facts:
    """Adds the promotion during which most of the failing documents were written."""
    from vmqlib.runbook.promoters import Promoters

    if not seen.available:
        return known
    times = dict(zip(changed["key"], changed["current_at"].dt.to_pydatetime(), strict=True))
    promoters = Promoters.of_frame(seen.frame).knowing(times.values())
    written: dict[Any, set[str]] = {}
    for key, document in both.items():
        promoted = promoters.of(key, times[key])
        # Of two promotions at once, nobody can say which it was.
        if promoted is not None and promoted.relation == "during" and len(promoted.promotions) == 1:
            written.setdefault(promoted.promotions[0], set()).add(document)
    if not written:
        return replace(known, promoted_failing=0)
    most = max(written, key=lambda one: (len(written[one]), one.at))
    return replace(known, promotion=most.name, promotion_at=most.at, promoted_failing=len(written[most]))


def _triage(incident: Incident, known: Facts, detection: Detection | None, found: Affected | None) -> Facts:
    """Adds what the triggers say, who is affected, and what of guardrails and content is seen."""
    if detection is None:
        from vmqlib.runbook.triggers import detect

        detection = detect(incident.observations(), incident.judged_by, incident.seen_at)
    said = {one.trigger: one.verdict for one in detection.triggers}
    own = incident.identity.trigger
    about = [one for one, verdict in said.items() if verdict == "firing"]
    if said.get(own) == "unknown" or own not in said:  # type: ignore[call-overload]
        about.append(own)  # type: ignore[arg-type]
    # What was seen before it passed, it has seen, too: a share of the past hours may still say otherwise.
    passed = known.validated == "passed" and known.validated_at is not None
    newer = passed and known.validated_at < incident.seen_at  # type: ignore[operator]
    found = found or affected_by(incident, detection)
    mine = next((one for one in found.connectors if one.data_source_id == known.data_source_id), None)
    was = former_schedule(incident.observations(), known.data_source_id)
    known = replace(
        known,
        about=tuple(about),
        over=passed and not (newer and detection.firing),
        customers=found.severity.customers,
        customers_why=found.severity.reason,
        schedule=mine.schedule if mine else None,
        hold=found.hold or None,
        hold_uri=f"s3://{incident.judged_by.bucket_name}/{CI_HOLD}" if found.hold else None,
        schedule_was=was.schedule if was else None,
        schedule_was_why=was.why if was else None,
        blind_why=" ".join(one.text for one in blind_alarms(incident.observations())) or None,
    )
    return _with_content(incident, _with_guardrail(incident, known, found), found, detection)


def _with_suspect(known: Facts, ranking: Ranking) -> Facts:
    """Adds since when it went wrong, who emptied the schedule, and the first AWS call that more than its time speaks
    against."""
    if (sign := ranking.sign) is not None and sign.began_at is not None:
        known = replace(known, logs_since=f"{sign.began_at:%Y-%m-%dT%H:%MZ}")
    off = next((one for one in ranking.supported if "schedule" in one.change.areas), None)
    if off is not None and known.schedule == "":
        known = replace(known, schedule_emptied=off.title)
    first = next((one for one in ranking.supported if one.change.kind == "aws-call"), None)
    if first is None:
        return known
    known, call = replace(known, suspect=first.title), first.change.call
    if call is None:  # CloudTrail was not seen: that something was changed, its time says
        return known
    known = replace(
        known,
        suspect_event_id=call.event_id or None,
        suspect_region=iam_region(known.region) if call.service == "iam" else known.region,
    )
    if call.event != "PutRolePolicy":
        return known
    try:
        asked = json.loads(call.parameters)
        return replace(known, suspect_role=asked["roleName"], suspect_policy=asked["policyName"])
    except (ValueError, KeyError, TypeError):  # a long call's parameters are not in the event
        return known


def _with_guardrail(incident: Incident, known: Facts, found: Affected) -> Facts:
    done = [one for one in found.guardrail.changes or () if not one.refused and one.at is not None]
    if done:
        change = done[0]
        known = replace(
            known,
            guardrail_at=change.at,
            guardrail_who=change.who or "somebody",
            guardrail_what=change.words,
            guardrail_loosened=change.loosens
            and (change.at is not None and (found.since is None or change.at > found.since)),
        )
    if "commits" not in incident.sources or not (seen := incident.observed("commits")).available:
        return known
    commits = seen.frame[seen.frame["area"].eq("guardrails") & seen.frame["at"].notna()].sort_values("at")
    if commits.empty:
        return known
    last = commits.iloc[-1]
    at: datetime = last["at"].to_pydatetime()
    return replace(
        known, commit=last["sha"], commit_at=at, commit_about=f"{last['subject']}, by {last['author']}"
    )


def _with_content(incident: Incident, known: Facts, found: Affected, detection: Detection) -> Facts:
    verdict = next((one for one in detection.triggers if one.trigger == "content"), None)
    told = [one.text for one in verdict.reasons if one.says == "firing"] if verdict else []
    if told:
        why = exclusions(incident, known.data_source_id, verdict.documents) if verdict else ""
        known = replace(known, content_why=told[0], exclude_why=why or None)
    # What is in the index from _staging/ must leave the index, and stay in the bucket.
    if found.documents.forbidden:
        known = replace(known, content_uri=f"s3://{known.bucket}/{found.documents.forbidden[0]}")
    acl = [one.text for one in detection.findings if one.kind in ("acl-broken", "open-prefixes")]
    if not acl or "acl" not in incident.sources:
        return known
    files = incident.observed("acl").frame
    files = files[files["data_source_id"].eq(known.data_source_id) & files["key"].fillna("").ne("")]
    where = f"s3://{files['bucket'].iloc[0]}/{files['key'].iloc[0]}" if len(files) else None
    return replace(known, acl_why=acl[0], acl_uri=where)
