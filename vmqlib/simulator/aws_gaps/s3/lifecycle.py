"""A bucket's lifecycle rules, answered as they were put.

API reference: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLifecycleConfiguration.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import ActionResult
from moto.s3.models import FakeBucket
from moto.s3.responses import S3Response

from vmqlib.simulator.aws_gaps.gap import replace

__all__ = ["install"]

#: What may be there several times: in XML by one name, in the API's shapes by another.
_LISTS = {"Transition": "Transitions", "NoncurrentVersionTransition": "NoncurrentVersionTransitions"}


def _set_lifecycle(original: Callable[..., None]) -> Callable[..., None]:
    def set_lifecycle(self: FakeBucket, rules: list[dict[str, Any]]) -> None:
        kept = deepcopy(rules)
        original(self, rules)
        for rule, given in zip(self.rules, kept, strict=True):
            rule.__dict__["_vmq_given"] = given

    return set_lifecycle


def _get_bucket_lifecycle(original: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def get_bucket_lifecycle(self: S3Response) -> TYPE_RESPONSE:
        serialized = self.serialized

        def complete(answer: ActionResult) -> TYPE_RESPONSE:
            result: Any = answer.result
            stored = self.backend.get_bucket_lifecycle(self.bucket_name)
            pairs = zip(result["Rules"], stored, strict=True)
            rules = [
                {"ID": row["ID"], **_answered(rule.__dict__["_vmq_given"])}
                if "_vmq_given" in rule.__dict__
                else row
                for row, rule in pairs
            ]
            return serialized(ActionResult({**result, "Rules": rules}))

        self.__dict__["serialized"] = complete
        try:
            return original(self)
        finally:
            del self.__dict__["serialized"]

    return get_bucket_lifecycle


def _answered(given: Mapping[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = {_LISTS.get(name, name): value for name, value in given.items()}
    for name in _LISTS.values():
        if name in rule:
            rule[name] = _listed(rule[name])
    if "Filter" in rule:
        rule["Filter"] = _filter(rule["Filter"] or {})
    if "Prefix" in rule:
        rule["Prefix"] = rule["Prefix"] or ""
    return rule


def _filter(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: value or "" for name, value in given.items()}
    if found.get("And"):
        both = {name: value or "" for name, value in found["And"].items()}
        if "Tag" in both:
            both["Tags"] = _listed(both.pop("Tag"))
        found["And"] = both
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def install() -> None:
    """Sets lifecycle rules on moto's S3."""
    replace(FakeBucket, set_lifecycle=_set_lifecycle(FakeBucket.set_lifecycle))
    replace(S3Response, get_bucket_lifecycle=_get_bucket_lifecycle(S3Response.get_bucket_lifecycle))
