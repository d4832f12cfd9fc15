"""Metric math over series, the part of it that dashboards of one service use.

Syntax: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["Found", "Points", "Result", "UnsupportedExpression", "evaluate"]

#: Seconds since 1970 -> value.
Points = dict[int, float]


class Found(Points):
    """A series that SEARCH found.

    Parameters
    ----------
    points:
        Its points.
    label:
        How it is told from the others that were found.
    """

    def __init__(self, points: Points, label: str) -> None:
        super().__init__(points)
        self.label = label


Result = Points | float | list[Points]

_BINARY: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Gt: lambda a, b: float(a > b),
    ast.GtE: lambda a, b: float(a >= b),
    ast.Lt: lambda a, b: float(a < b),
    ast.LtE: lambda a, b: float(a <= b),
    ast.Eq: lambda a, b: float(a == b),
    ast.NotEq: lambda a, b: float(a != b),
}
_AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "SUM": math.fsum,
    "AVG": lambda values: math.fsum(values) / len(values),
    "MIN": min,
    "MAX": max,
}
_ELEMENTWISE: Mapping[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}


class UnsupportedExpression(ValueError):
    """The expression is wrong, or more than is evaluated here. The message says what."""


def evaluate(
    expression: str,
    resolve: Callable[[str], Result],
    metrics: Callable[[], list[Points]],
    grid: Sequence[int],
    search: Callable[[str, str, int], list[Points]],
) -> Result:
    """The value of a metric math expression.

    Parameters
    ----------
    expression:
        For example ``100 * m1 / FILL(m2, 0)``. Understood are numbers, ids, ``+ - * / ^``, comparisons, SUM, AVG, MIN,
        MAX, ABS, CEIL, FLOOR, FILL, IF, METRICS, SEARCH and arrays in brackets.
    resolve:
        Gives what an id stands for.
    metrics:
        Gives the series of the request that are metrics, for METRICS().
    grid:
        The timestamps of the request, in order: what FILL fills.
    search:
        Gives what SEARCH finds: for its search expression, statistic and period.

    Raises
    ------
    UnsupportedExpression
        When it cannot be evaluated.
    """
    try:
        tree = ast.parse(expression.replace("^", "**").strip(), mode="eval").body
    except SyntaxError as error:
        raise UnsupportedExpression(f"Invalid metric expression '{expression}'.") from error
    return _Evaluation(resolve, metrics, grid, search).of(tree)


class _Evaluation:
    def __init__(
        self,
        resolve: Callable[[str], Result],
        metrics: Callable[[], list[Points]],
        grid: Sequence[int],
        search: Callable[[str, str, int], list[Points]],
    ) -> None:
        self.resolve, self.metrics, self.grid, self.search = resolve, metrics, grid, search

    def of(self, node: ast.AST) -> Result:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return self.resolve(name)
            case ast.List(elts=members):
                return [self._series(member) for member in members]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _combine(operator.sub, 0.0, self.of(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _combine(_BINARY[type(op)], self.of(left), self.of(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _BINARY:
                return _combine(_BINARY[type(op)], self.of(left), self.of(right))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(name.upper(), arguments)
        raise UnsupportedExpression(f"The simulator does not evaluate '{ast.unparse(node)}' in metric math.")

    def _series(self, node: ast.AST) -> Points:
        value = self.of(node)
        if isinstance(value, dict):
            return value
        raise UnsupportedExpression(f"'{ast.unparse(node)}' is not a time series.")

    def _call(self, name: str, arguments: list[ast.expr]) -> Result:
        if name == "METRICS" and not arguments:
            return self.metrics()
        if name == "SEARCH":
            match [argument.value for argument in arguments if isinstance(argument, ast.Constant)]:
                case [str(sought), str(stat), int(period)]:
                    return self.search(sought, stat, period)
        if name in _AGGREGATES and len(arguments) == 1:
            return _aggregate(_AGGREGATES[name], self.of(arguments[0]))
        if name in _ELEMENTWISE and len(arguments) == 1:
            function = _ELEMENTWISE[name]
            return _combine(lambda value, _: function(value), self.of(arguments[0]), 0.0)
        if name == "FILL" and len(arguments) == 2:
            return self._fill(self.of(arguments[0]), arguments[1])
        if name == "IF" and len(arguments) == 3:
            chosen, other = self.of(arguments[1]), self.of(arguments[2])
            return _choose(self.of(arguments[0]), chosen, other)
        raise UnsupportedExpression(f"The simulator does not have {name} with {len(arguments)} arguments.")

    def _fill(self, value: Result, filling: ast.expr) -> Result:
        if isinstance(value, list):
            return [self._filled(points, filling) for points in value]
        return self._filled(value, filling) if isinstance(value, dict) else value

    def _filled(self, points: Points, filling: ast.expr) -> Points:
        repeat = isinstance(filling, ast.Name) and filling.id.upper() == "REPEAT"
        fixed: Any = None if repeat else self.of(filling)
        filled: Points = {}
        last: float | None = None
        for moment in self.grid:
            last = points.get(moment, last if repeat else None)
            value = last if last is not None else _at(fixed, moment) if fixed is not None else None
            if value is not None:
                filled[moment] = value
        return filled


def _at(value: Result, moment: int) -> float | None:
    if isinstance(value, list):
        raise UnsupportedExpression("An array cannot stand where a number or a time series is needed.")
    return value.get(moment) if isinstance(value, dict) else value


def _combine(function: Callable[[float, float], float], left: Result, right: Result) -> Result:
    """Moment by moment, where both have a value; what has no result (a division by zero) has no point."""
    if isinstance(left, list):
        return [_points(_combine(function, one, right)) for one in left]
    if isinstance(right, list):
        return [_points(_combine(function, left, one)) for one in right]
    if not isinstance(left, dict) and not isinstance(right, dict):
        return function(left, right)
    moments = left if isinstance(left, dict) else right
    assert isinstance(moments, dict)
    combined: Points = {}
    for moment in sorted(moments):
        a, b = _at(left, moment), _at(right, moment)
        if a is None or b is None:
            continue
        try:
            combined[moment] = function(a, b)
        except (ZeroDivisionError, OverflowError):
            continue
    return combined


def _points(value: Result) -> Points:
    if isinstance(value, dict):
        return value
    raise UnsupportedExpression("Arrays hold time series only.")


def _aggregate(function: Callable[[Sequence[float]], float], value: Result) -> Result:
    """Of an array: moment by moment. Of a series: the number over all its points."""
    if isinstance(value, list):
        moments = sorted({moment for points in value for moment in points})
        return {
            moment: function([points[moment] for points in value if moment in points]) for moment in moments
        }
    if isinstance(value, dict):
        return float(function(list(value.values()))) if value else {}
    return value


def _choose(condition: Result, chosen: Result, other: Result) -> Result:
    if not isinstance(condition, dict):
        if isinstance(condition, list):
            raise UnsupportedExpression("The condition of IF cannot be an array.")
        return chosen if condition else other
    picked = {moment: _at(chosen if truth else other, moment) for moment, truth in condition.items()}
    return {moment: value for moment, value in picked.items() if value is not None}
