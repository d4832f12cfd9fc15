"""Subscriptions from being asked for to being confirmed, or taken back.

API reference: https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html, API_ConfirmSubscription.html,
API_GetTopicAttributes.html. Nothing is sent to an endpoint: whoever plays its owner asks :func:`token_of`. That AWS
drops what nobody confirms within days is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.sns.exceptions import InvalidParameterValue
from moto.sns.models import SNSBackend, Subscription, Topic
from moto.sns.responses import SNSResponse

from vmqlib.simulator.aws_gaps.gap import replace

__all__ = ["install", "token_of"]

_CONFIRMED_BY_OWNER = ("email", "email-json", "http", "https")
_PENDING = "PendingConfirmation"


def token_of(subscription_arn: str) -> str:
    """What the endpoint's owner is sent to confirm the subscription with.

    Parameters
    ----------
    subscription_arn:
        The subscription's real ARN (``ReturnSubscriptionArn``).
    """
    return hashlib.sha256(f"token/{subscription_arn}".encode()).hexdigest() * 2


def _is_pending(subscription: Subscription) -> bool:
    return bool(subscription.attributes.get(_PENDING))


def _subscribe(original: Callable[..., Subscription]) -> Callable[..., Subscription]:
    def subscribe(self: SNSBackend, topic_arn: str, endpoint: str, protocol: str) -> Subscription:
        known = set(self.subscriptions)
        subscription = original(self, topic_arn, endpoint, protocol)
        if subscription.arn not in known and protocol in _CONFIRMED_BY_OWNER:
            subscription.attributes |= {_PENDING: True, "ConfirmationWasAuthenticated": False}
        return subscription

    return subscribe


def _answer_subscribe(original: Callable[..., ActionResult]) -> Callable[..., ActionResult]:
    def subscribe(self: SNSResponse) -> ActionResult:
        answer = original(self)
        result: Any = answer.result
        subscription = self.backend.subscriptions[result["SubscriptionArn"]]
        if _is_pending(subscription) and not self._get_param("ReturnSubscriptionArn"):
            return ActionResult({"SubscriptionArn": "pending confirmation"})
        return answer

    return subscribe


def _publish(original: Callable[..., None]) -> Callable[..., None]:
    def publish(self: Subscription, *args: Any, **kwargs: Any) -> None:
        if not _is_pending(self):
            original(self, *args, **kwargs)

    return publish


def _listed(original: Callable[..., ActionResult]) -> Callable[..., ActionResult]:
    """A list names no pending subscription by its ARN."""

    def listed(self: SNSResponse) -> ActionResult:
        result: Any = original(self).result
        return ActionResult({**result, "Subscriptions": [_row(one) for one in result["Subscriptions"]]})

    return listed


def _row(subscription: Subscription) -> dict[str, str]:
    return {
        "SubscriptionArn": _PENDING if _is_pending(subscription) else subscription.arn,
        "Owner": subscription.owner,
        "Protocol": subscription.protocol,
        "Endpoint": subscription.endpoint,
        "TopicArn": subscription.topic_arn,
    }


def confirm_subscription(self: SNSResponse) -> ActionResult:
    topic, token = self.backend.get_topic(self._get_param("TopicArn")), self._get_param("Token")
    for subscription in self.backend._get_topic_subscriptions(topic):
        if token_of(subscription.arn) == token:
            subscription.attributes[_PENDING] = False
            is_authenticated = str(self._get_param("AuthenticateOnUnsubscribe")).lower() == "true"
            subscription.attributes["ConfirmationWasAuthenticated"] = is_authenticated
            return ActionResult({"SubscriptionArn": subscription.arn})
    raise InvalidParameterValue("Invalid parameter: Token")


def _topic_attributes(original: Callable[..., ActionResult]) -> Callable[..., ActionResult]:
    def get_topic_attributes(self: SNSResponse) -> ActionResult:
        result: Any = original(self).result
        topic = self.backend.get_topic(self._get_param("TopicArn"))
        pending = [_is_pending(one) for one in self.backend._get_topic_subscriptions(topic)]
        counts = {"SubscriptionsPending": sum(pending), "SubscriptionsConfirmed": pending.count(False)}
        return ActionResult({"Attributes": {**result["Attributes"], **counts}})

    return get_topic_attributes


def _unsubscribe(original: Callable[..., None]) -> Callable[..., None]:
    def unsubscribe(self: SNSBackend, subscription_arn: str) -> None:
        found = self.subscriptions.get(subscription_arn)
        original(self, subscription_arn)
        topic: Topic | None = found.topic if found is not None else None
        if topic is not None:
            topic.subscriptions_deleted += 1

    return unsubscribe


def install() -> None:
    """Sets subscriptions on moto's SNS."""
    replace(
        SNSBackend,
        subscribe=_subscribe(SNSBackend.subscribe),
        unsubscribe=_unsubscribe(SNSBackend.unsubscribe),
    )
    replace(Subscription, publish=_publish(Subscription.publish))
    replace(
        SNSResponse,
        subscribe=_answer_subscribe(SNSResponse.subscribe),
        confirm_subscription=confirm_subscription,
        list_subscriptions=_listed(SNSResponse.list_subscriptions),
        list_subscriptions_by_topic=_listed(SNSResponse.list_subscriptions_by_topic),
        get_topic_attributes=_topic_attributes(SNSResponse.get_topic_attributes),
    )
