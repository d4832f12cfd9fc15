"""Syncs fail and nobody is told: the alarm looks at a metric that does not exist.

What happened: `QBusinessSyncFailed` and a widget of the dashboard are deployed as the ops repo has them, without
dimensions, while SyncFailed is published with App. CloudWatch takes these for two metrics, so the widget is blank and
the alarm never had a datapoint, and it treats missing data as not breaching: it is OK whatever happens. Had it gone
off, nobody would have heard: its action is a topic of its own, to which nobody is subscribed, or (with some seeds)
somebody asked to be but never confirmed. Meanwhile a promotion broke a folder: an editor saved its documents in UTF-16,
and syncs have been INCOMPLETE since.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from vmqlib.simulator.identity import ACCOUNT_ID, REGION
from vmqlib.simulator.scenarios.account import DASHBOARD
from vmqlib.simulator.scenarios.base import Truth
from vmqlib.simulator.scenarios.bucket import STAGING
from vmqlib.simulator.scenarios.dashboard import dashboard_body
from vmqlib.simulator.scenarios.operators import harmless_changes
from vmqlib.simulator.scenarios.routine import CI_ROLE, Promotion, Routine
from vmqlib.simulator.scenarios.stage import Stage

__all__ = ["BlindAlarm"]

_EARLIEST = timedelta(hours=5)  # before "now", as all of these; the last promotion was nine hours ago
_LATEST = timedelta(hours=3)
_BUILT = timedelta(minutes=14)  # before the promotion
_ASKED = timedelta(days=1, hours=2)
_RETRY = timedelta(minutes=25)
_FEWEST, _MOST = 8, 16  # documents
_ALARM = "QBusinessSyncFailed"
_TOPIC = "qbusiness-alarms"
_DEPLOYER = "vaultmesh-deploy"


@dataclass(frozen=True)
class BlindAlarm:
    """The account whose alarm cannot see."""

    name: str = "blind-alarm"
    summary: str = (
        "A promotion broke a folder and syncs are INCOMPLETE, but SyncFailed's alarm has no dimensions and stays OK, "
        "and its action reaches nobody."
    )

    def build(self, stage: Stage) -> Truth:
        """Sets the account up with the alarm as the ops repo has it, and lets three weeks pass."""
        rng = stage.random("blind-alarm")
        routine = Routine(stage)
        routine.prepare()
        _deploy_alarm(stage, routine.begins_at)
        harmless_changes(stage, rng)
        if rng.random() < 0.5:
            stage.at(stage.now - _ASKED, lambda _: _ask_for_mail(stage))
        accident = _Accident(stage, routine, rng)
        at = stage.now - _LATEST - (_EARLIEST - _LATEST) * rng.random()
        stage.at(at - _BUILT, accident.build)
        stage.at(at, accident.promote)
        stage.at(stage.now - _RETRY, lambda moment: routine.sync(moment, "retry by ops-sync-retry"))
        routine.play()
        return accident.truth()


@dataclass
class _Accident:
    stage: Stage
    routine: Routine
    rng: random.Random
    broken: tuple[str, ...] = ()
    promotion: Promotion | None = field(default=None)

    def build(self, moment: datetime) -> None:
        """The folder's documents, saved in UTF-16, go to ``_staging/``."""
        pages = [page for page in self.routine.live_pages() if page.key.startswith("guides/")]
        chosen = self.rng.sample(pages, self.rng.randint(_FEWEST, _MOST))
        self.broken = tuple(sorted(page.key for page in chosen))
        changes = [(STAGING + page.key, page.render(0).decode().encode("utf-16")) for page in chosen]
        self.stage.bucket.write(changes, moment)

    def promote(self, moment: datetime) -> None:
        """It is promoted, and CI starts a sync."""
        self.promotion = self.routine.promote_and_sync(moment)

    def truth(self) -> Truth:
        """What happened."""
        if self.promotion is None:
            raise RuntimeError("The bad promotion has not happened.")
        return replace(
            self.routine.truth(),
            promotion_at=self.promotion.at,
            promotion_key=self.promotion.key,
            ci_sha=self.promotion.ci_sha,
            broken=dict.fromkeys(self.broken, "InvalidEncoding"),
            rewritten_keys=self.promotion.written,
            deleted_keys=self.promotion.deleted,
            fires=frozenset({"sync-failed"}),
            findings=frozenset({"alarm-disagrees", "blind-alarm"}),
            suspect="promotion",
            who=CI_ROLE,
        )


def _deploy_alarm(stage: Stage, at: datetime) -> None:
    """The ops repo's stack, deployed over the account in the moment it was set up."""
    from vmqlib.simulator.aws_gaps.cloudtrail import acting_as

    with stage.clock.at(at), acting_as(_DEPLOYER):
        topic = stage.client("sns").create_topic(Name=_TOPIC)["TopicArn"]
        cloudwatch = stage.client("cloudwatch")
        body = dashboard_body(stage.resources, blind=True)
        cloudwatch.put_dashboard(DashboardName=DASHBOARD, DashboardBody=body)
        cloudwatch.put_metric_alarm(
            AlarmName=_ALARM,
            AlarmDescription="A sync of the knowledge base FAILED or was INCOMPLETE.",
            Namespace="VaultMesh/QBusiness",
            MetricName="SyncFailed",
            Statistic="Sum",
            Period=int(stage.watch_every.total_seconds()),
            EvaluationPeriods=1,
            Threshold=1.0,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="notBreaching",
            AlarmActions=[topic],
        )


def _ask_for_mail(stage: Stage) -> None:
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:{_TOPIC}"
    stage.client("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint="knowledge-ops@vaultmesh.io")
