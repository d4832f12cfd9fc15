"""Search expressions over metrics, the part of them that dashboards of one service use.

Syntax: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vmqlib.simulator.aws_gaps.cloudwatch.expressions import UnsupportedExpression
from vmqlib.simulator.aws_gaps.cloudwatch.metrics import MetricId

__all__ = ["Search"]

_SCHEMA = re.compile(r"\s*\{([^{}]*)\}")
_TERM = re.compile(r'\s*(?:([\w:./-]+)\s*=\s*)?("[^"]*"|[^\s"()=]+)')


@dataclass(frozen=True)
class Search:
    """A search expression: ``{Namespace,Dimension,…} MetricName="name" word``.

    Parameters
    ----------
    namespace:
        Empty for any.
    dimensions:
        The names of the dimensions, when a namespace is given: these and no others.
    terms:
        What else must match: a property (``MetricName``, ``Namespace``, a dimension; empty for any) and its value.
    """

    namespace: str
    dimensions: frozenset[str]
    terms: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, text: str) -> Search:
        """Reads one.

        Raises
        ------
        UnsupportedExpression
            When it has operators that are not evaluated here, or cannot be read.
        """
        schema = _SCHEMA.match(text)
        parts = [part.strip().strip('"') for part in schema[1].split(",")] if schema else [""]
        rest = text[schema.end() :] if schema else text
        terms: list[tuple[str, str]] = []
        while rest.strip():
            found = _TERM.match(rest)
            if found is None or found[2] in ("OR", "NOT"):
                raise UnsupportedExpression(f"The simulator does not search for '{rest.strip()}'.")
            rest = rest[found.end() :]
            if found[2] != "AND":
                terms.append((found[1] or "", found[2].strip('"')))
        return cls(parts[0], frozenset(parts[1:]), tuple(terms))

    def matches(self, metric: MetricId) -> bool:
        """Whether a metric is found."""
        own = dict(metric.dimensions)
        if self.namespace and (metric.namespace != self.namespace or frozenset(own) != self.dimensions):
            return False
        properties = {"MetricName": metric.name, "Namespace": metric.namespace} | own
        return all(
            properties.get(name) == value if name else value in properties.values()
            for name, value in self.terms
        )

    def labels(self, metrics: Sequence[MetricId]) -> list[str]:
        """What tells them apart: the parts in which they differ; of one alone, its name."""
        parts = [(metric.name, *(value for _, value in metric.dimensions)) for metric in metrics]
        if len(parts) < 2 or len({len(one) for one in parts}) > 1:
            return [" ".join(one) if len(parts) > 1 else one[0] for one in parts]
        different = [len(set(column)) > 1 for column in zip(*parts, strict=True)]
        return [" ".join(part for part, tells in zip(one, different, strict=True) if tells) for one in parts]
