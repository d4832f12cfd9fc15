"""What moto's CloudWatch Logs lacks: filter patterns, pages as AWS cuts them, and queries."""

from __future__ import annotations

from vmqlib.simulator.aws_gaps.gap import Gap
from vmqlib.simulator.aws_gaps.logs import deliveries, queries, reading
from vmqlib.simulator.aws_gaps.logs.index import Knobs, knobs

__all__ = ["GAPS", "Knobs", "knobs"]

GAPS: tuple[Gap, ...] = (
    Gap(
        "logs-filter-patterns",
        "logs",
        "JSON, optional, excluded and regular-expression terms match everything; quoted phrases stand alone.",
        "Each kind of term; what cannot be read is InvalidParameterException.",
        reading.install,
    ),
    Gap(
        "logs-filter-streams",
        "logs",
        "Ignores logStreamNamePrefix and log group ARNs, and takes stream names that are not there.",
        "The streams with the prefix; a missing stream is ResourceNotFoundException.",
        reading.install,
    ),
    Gap(
        "logs-filter-order",
        "logs",
        "Gives one stream after the other.",
        "Events of all streams by time.",
        reading.install,
    ),
    Gap(
        "logs-page-size",
        "logs",
        "A page has any number of bytes, and is never empty.",
        "At most 1 MB; a page may be empty and have a token.",
        reading.install,
    ),
    Gap(
        "logs-get-events-window",
        "logs",
        "GetLogEvents includes events at endTime.",
        "It does not; at an end the same token comes back.",
        reading.install,
    ),
    Gap(
        "logs-insights",
        "logs",
        "Queries know fields, limit and sort; the rest is ignored.",
        "filter, parse, stats and display; what is not understood is MalformedQueryException.",
        queries.install,
    ),
    Gap(
        "logs-stop-query",
        "logs",
        "StopQuery is not there, and the results of an unknown query are a 500.",
        "Errors for queries that have ended or never were.",
        queries.install,
    ),
    Gap(
        "logs-qbusiness-deliveries",
        "logs",
        "Amazon Q Business is no source of log deliveries.",
        "It is one, of EVENT_LOGS and SYNC_JOB_LOGS.",
        deliveries.install,
    ),
    Gap(
        "logs-delivery-pages",
        "logs",
        "Lists deliveries, their sources and their destinations whole, whatever limit is given.",
        "Pages of at most 50.",
        deliveries.install,
    ),
)
