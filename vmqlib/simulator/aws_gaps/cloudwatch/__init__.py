"""What moto's CloudWatch lacks: alarms that change their state, their history, and metrics by exact dimensions."""

from __future__ import annotations

from vmqlib.simulator.aws_gaps.cloudwatch import alarm_api, metric_api
from vmqlib.simulator.aws_gaps.cloudwatch.evaluation import (
    AlarmEvaluation,
    StateChange,
    evaluate_alarms,
    next_evaluation,
)
from vmqlib.simulator.aws_gaps.gap import Gap

__all__ = ["GAPS", "AlarmEvaluation", "StateChange", "evaluate_alarms", "next_evaluation"]


def install() -> None:
    """Sets everything of CloudWatch: its parts need each other."""
    metric_api.install()
    alarm_api.install()


GAPS: tuple[Gap, ...] = (
    Gap(
        "cloudwatch-new-alarm",
        "cloudwatch",
        "A new alarm is OK, and an updated one forgets its state.",
        "A new alarm is INSUFFICIENT_DATA until it is evaluated; an update leaves the state.",
        install,
    ),
    Gap(
        "cloudwatch-alarm-evaluation",
        "cloudwatch",
        "Alarms are never evaluated.",
        "Every minute, M out of N datapoints, missing ones as the alarm says.",
        install,
    ),
    Gap(
        "cloudwatch-exact-dimensions",
        "cloudwatch",
        "Ignores the namespace when dimensions are given, and all dimensions when none are.",
        "Each set of dimensions is a metric of its own.",
        install,
    ),
    Gap(
        "cloudwatch-alarm-history",
        "cloudwatch",
        "DescribeAlarmHistory is not there.",
        "States, configuration changes and actions, filtered, in either order, paged.",
        install,
    ),
    Gap(
        "cloudwatch-alarm-actions",
        "cloudwatch",
        "Nobody is told of a state change.",
        "SNS topics are, unless actions are disabled.",
        install,
    ),
    Gap(
        "cloudwatch-composite-alarms",
        "cloudwatch",
        "PutCompositeAlarm is not there.",
        "A rule over other alarms' states, evaluated when one changes.",
        install,
    ),
    Gap(
        "cloudwatch-describe-alarms",
        "cloudwatch",
        "Ignores MaxRecords, AlarmTypes and all filters but one; says nothing of StateTransitionedTimestamp.",
        "Pages of at most 100, filters together, and when the state last changed.",
        install,
    ),
    Gap(
        "cloudwatch-percentiles",
        "cloudwatch",
        "A percentile is a 500.",
        "Percentiles in both ways of getting data.",
        install,
    ),
    Gap(
        "cloudwatch-metric-math",
        "cloudwatch",
        "An expression gives nothing.",
        "Arithmetic and functions over series; what is wrong is an error.",
        install,
    ),
    Gap(
        "cloudwatch-search",
        "cloudwatch",
        "SEARCH finds nothing.",
        "Metrics by namespace, dimensions and words, each a series with a label of its own.",
        install,
    ),
    Gap(
        "cloudwatch-data-paging",
        "cloudwatch",
        "Ignores MaxDatapoints and takes any timestamp.",
        "Pages with NextToken; timestamps of the last two weeks only.",
        install,
    ),
    Gap(
        "cloudwatch-bucket-size",
        "cloudwatch",
        "BucketSizeBytes is the memory that moto's lists take.",
        "The bytes of all versions; NumberOfObjects counts them.",
        install,
    ),
    Gap(
        "cloudwatch-list-metrics",
        "cloudwatch",
        "Lists a metric without dimensions once per datapoint; ignores RecentlyActive.",
        "Each metric once, if it had data in the last two weeks, or three hours.",
        install,
    ),
)
