from __future__ import annotations

from typing import Any

from harness import Peer, check, same


def topic(peer: Peer, name: str) -> tuple[Any, str]:
    sns = peer.client("sns")
    return sns, sns.create_topic(Name=name)["TopicArn"]


@check("sns-pending-confirmation")
def _(peer: Peer) -> None:
    from vmqlib.simulator.aws_gaps.sns import token_of

    sns, arn = topic(peer, "pending")
    mail = {"TopicArn": arn, "Protocol": "email", "Endpoint": "a@example.com"}
    same(sns.subscribe(**mail)["SubscriptionArn"], "pending confirmation")
    same([one["SubscriptionArn"] for one in listed(sns, arn)], ["PendingConfirmation"])
    found = sns.subscribe(**mail, ReturnSubscriptionArn=True)["SubscriptionArn"]
    same(state(sns, found), "true")
    same(peer.error(sns.confirm_subscription, TopicArn=arn, Token="x" * 64), (400, "InvalidParameter"))
    same(state(sns, found), "true")
    same(sns.confirm_subscription(TopicArn=arn, Token=token_of(found))["SubscriptionArn"], found)
    same(state(sns, found), "false")
    same([one["SubscriptionArn"] for one in listed(sns, arn)], [found])
    same(sns.subscribe(**mail)["SubscriptionArn"], found)
    sqs = peer.client("sqs")
    queue = sqs.create_queue(QueueName="pending")["QueueUrl"]
    endpoint = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    live = sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint)["SubscriptionArn"]
    same(state(sns, live), "false")
    sns.publish(TopicArn=arn, Message="told")
    same(len(sqs.receive_message(QueueUrl=queue)["Messages"]), 1)


@check("sns-subscription-counts")
def _(peer: Peer) -> None:
    sns, arn = topic(peer, "counts")
    same(counts(sns, arn), (0, 0, 0))
    sns.subscribe(TopicArn=arn, Protocol="https", Endpoint="https://example.com/x")
    one = sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint="arn:aws:sqs:eu-west-1:123456789012:nowhere")[
        "SubscriptionArn"
    ]
    same(counts(sns, arn), (1, 1, 0))
    sns.unsubscribe(SubscriptionArn=one)
    same(counts(sns, arn), (1, 0, 1))


def listed(sns: Any, arn: str) -> list[dict[str, str]]:
    return list(sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"])


def state(sns: Any, arn: str) -> str:
    return str(sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["PendingConfirmation"])


def counts(sns: Any, arn: str) -> tuple[int, ...]:
    attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    return tuple(int(attributes[f"Subscriptions{name}"]) for name in ("Pending", "Confirmed", "Deleted"))
