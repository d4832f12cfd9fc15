"""What moto's SNS lacks: subscriptions that somebody has to confirm, and topics that count theirs."""

from __future__ import annotations

from vmqlib.simulator.aws_gaps.gap import Gap
from vmqlib.simulator.aws_gaps.sns import subscriptions
from vmqlib.simulator.aws_gaps.sns.subscriptions import token_of

__all__ = ["GAPS", "token_of"]

GAPS: tuple[Gap, ...] = (
    Gap(
        "sns-pending-confirmation",
        "sns",
        "Every subscription is live at once; confirming one answers an ARN that is nobody's, whatever the token.",
        "Mail and HTTP endpoints are told nothing until their owner confirms, with the token that was sent there.",
        subscriptions.install,
    ),
    Gap(
        "sns-subscription-counts",
        "sns",
        "A topic always has 0 subscriptions confirmed, pending and deleted.",
        "Those that it has.",
        subscriptions.install,
    ),
)
