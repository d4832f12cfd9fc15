"""How an alarm is put right, exactly: a command with every other property as it is, and the change of its template."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vmqlib.record.redaction import has_mask, redactor_for
from vmqlib.runbook.wiring.metrics import Looked, Published

if TYPE_CHECKING:
    from vmqlib.settings import Settings

__all__ = ["best", "changed", "command", "looking_at", "mend", "template"]

_NAME = re.compile(r"[^A-Za-z0-9]")


def best(candidates: Sequence[Published], settings: Settings) -> Published | None:
    """The metric that an alarm was meant for: the only one, or the only one whose dimensions are of our application.

    ``None`` where several are as likely: a person has to say.
    """
    ours = {settings.app_id, settings.index_id, *(one.data_source_id for one in settings.data_sources)} - {""}
    if len(candidates) > 1:
        candidates = [one for one in candidates if ours.intersection(one.dimensions.values())]
    return candidates[0] if len(candidates) == 1 else None


def looking_at(definition: Mapping[str, Any], looked: Looked, metric: Published) -> dict[str, Any]:
    """The definition of an alarm that looks at ``metric`` where it looked at ``looked``; all else as it is. Pure."""
    place = {
        "Namespace": metric.namespace,
        "MetricName": metric.name,
        "Dimensions": _pairs(metric.dimensions),
    }
    if not looked.id:
        return {**definition, **place}
    metrics = [
        {**one, "MetricStat": {**one["MetricStat"], "Metric": place}} if one.get("Id") == looked.id else one
        for one in definition.get("Metrics", [])
    ]
    return {**definition, "Metrics": metrics}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of ``after`` that ``before`` does not have like this."""
    return {name: value for name, value in after.items() if before.get(name) != value}


def mend(before: Mapping[str, Any], after: Mapping[str, Any], settings: Settings) -> str:
    """The command that puts an alarm so, and the change of the template that it may come from.

    Where its definition holds something that is masked, or has to be, the command takes it from AWS and shows it to
    nobody.
    """
    changes = changed(before, after)
    if not _is_private(before, settings):
        how = command(after, settings.region)
    elif not _is_private({"AlarmName": before.get("AlarmName"), **changes}, settings):
        how = _unseen(before, changes, settings.region)
    else:
        how = (
            "What changes holds something that is masked here: change it in the console, or in the template."
        )
    return (
        f"{how}\n\nAnd in the template that makes the alarm, or its next deployment takes this back:\n"
        f"{template(before, changes)}"
    )


def _is_private(definition: Mapping[str, Any], settings: Settings) -> bool:
    """Whether something in it was masked when it was kept as evidence, or would be."""
    text = json.dumps(definition)
    return has_mask(text) or redactor_for(settings).text(text) != text


def _unseen(before: Mapping[str, Any], changes: Mapping[str, Any], region: str) -> str:
    """The same with properties that nobody shall see on the way: jq takes over all that were given."""
    name, where = shlex.quote(str(before["AlarmName"])), shlex.quote(region)
    keep = f"{{{', '.join(sorted({*before} - {*changes}))}}} + {json.dumps(changes)}"
    return (
        f"aws cloudwatch describe-alarms --region {where} --alarm-names {name} --query 'MetricAlarms[0]' --output json "
        f"| jq {shlex.quote(keep)} > alarm.json\n"
        f"aws cloudwatch put-metric-alarm --region {where} --cli-input-json file://alarm.json"
    )


def command(definition: Mapping[str, Any], region: str) -> str:
    """``aws cloudwatch put-metric-alarm`` for a whole definition. One JSON document, since the aws CLI would read a
    property that begins with ``file://`` or ``http://`` from there."""
    document = json.dumps(definition, indent=2, sort_keys=True)
    return f"aws cloudwatch put-metric-alarm --region {shlex.quote(region)} --cli-input-json {shlex.quote(document)}"


def template(definition: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """The CloudFormation resource of an alarm with these properties; YAML."""
    name = str(definition.get("AlarmName", "Alarm"))
    lines = [
        f"{_NAME.sub('', name) or 'Alarm'}:  # the resource whose AlarmName is {json.dumps(name)}",
        "  Type: AWS::CloudWatch::Alarm",
        "  Properties:  # these; every other one stays as it is",
    ]
    for key, value in properties.items():
        lines += _yaml(key, value, "    ")
    return "\n".join(lines)


def _yaml(key: str, value: Any, indent: str) -> list[str]:
    """A property as YAML: every scalar as JSON writes it, which YAML reads the same."""
    if isinstance(value, list) and value and all(_is_flat(one) for one in value):
        lines = [f"{indent}{key}:"]
        for one in value:
            first, *rest = [f"{name}: {json.dumps(each)}" for name, each in one.items()]
            lines += [f"{indent}  - {first}", *(f"{indent}    {line}" for line in rest)]
        return lines
    return [f"{indent}{key}: {json.dumps(value)}"]


def _is_flat(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and not any(isinstance(each, dict | list) for each in value.values())
    )


def _pairs(dimensions: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]
