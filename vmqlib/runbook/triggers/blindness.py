"""Whether an alarm can see its metric: CloudWatch takes each set of dimensions for a metric of its own. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["blind", "dimension_set"]


def blind(name: str, metric: str, dimensions: Any, published: Iterable[str]) -> str:
    """Why an alarm never sees a datapoint; empty where it looks at a set that is published, or none is known.

    Parameters
    ----------
    name, metric:
        The alarm, and the name of the metric that it looks at.
    dimensions:
        The set that it looks at, as JSON text.
    published:
        The sets that the metric has datapoints with, as JSON text.
    """
    sets = [dimension_set(text) for text in published]
    looks_at = dimension_set(dimensions)
    if not sets or looks_at in sets:
        return ""
    there = ", ".join(map(_words, sets))
    return (
        f"The alarm {name} looks at {metric} with {_words(looks_at)}; it is published with {there}: "
        "the alarm never sees a datapoint."
    )


def dimension_set(text: Any) -> Mapping[str, str]:
    """Dimensions of JSON text; none where it is something else."""
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _words(dimensions: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in dimensions.items()) or "no dimensions"
