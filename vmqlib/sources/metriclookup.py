"""Which metrics CloudWatch knows (``cloudwatch:ListMetrics``): those that had a value in the last two weeks."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors

if TYPE_CHECKING:
    from vmqlib.aws import Aws

__all__ = ["Known", "MetricNames"]

_PAGES = 10  # of 500 metrics: what a person could still choose from


@dataclass(frozen=True)
class Known:
    """What CloudWatch knows of a metric's name.

    Parameters
    ----------
    sets:
        The sets of dimensions that it has values with.
    complete:
        Whether these are all.
    alike:
        A name in the namespace that is like it, where it has none itself; or empty.
    """

    sets: tuple[Mapping[str, str], ...]
    complete: bool = True
    alike: str = ""


class MetricNames:
    """Looks names up, each once.

    Parameters
    ----------
    aws:
        Whom to ask.
    """

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._known: dict[tuple[str, str], Known] = {}

    def known(self, namespace: str, name: str) -> Known:
        """What is known of that name.

        Raises
        ------
        AwsError
            ``cloudwatch:ListMetrics`` refused or not reached.
        """
        key = namespace, name
        if key not in self._known:
            found, complete = self._listed(Namespace=namespace, MetricName=name)
            alike = ""
            if not found:
                names = {one["MetricName"] for one in self._listed(Namespace=namespace)[0]}
                alike = next(iter(difflib.get_close_matches(name, sorted(names), n=1)), "")
            sets = tuple({pair["Name"]: pair["Value"] for pair in one.get("Dimensions", [])} for one in found)
            self._known[key] = Known(sets, complete, alike)
        return self._known[key]

    def _listed(self, **asked: str) -> tuple[list[Mapping[str, Any]], bool]:
        paginator = self._aws.client("cloudwatch").get_paginator("list_metrics")
        found: list[Mapping[str, Any]] = []
        with aws_errors("cloudwatch:ListMetrics", f"namespace {asked['Namespace']}"):
            for number, page in enumerate(paginator.paginate(**asked), 1):  # type: ignore[arg-type]
                found += page["Metrics"]
                if number == _PAGES and page.get("NextToken"):
                    return found, False
        return found, True
