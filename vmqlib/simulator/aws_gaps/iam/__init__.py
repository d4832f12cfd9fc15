"""What moto's IAM lacks: the policy simulator."""

from __future__ import annotations

from vmqlib.simulator.aws_gaps.gap import Gap
from vmqlib.simulator.aws_gaps.iam import simulation

__all__ = ["GAPS"]

GAPS: tuple[Gap, ...] = (
    Gap(
        "iam-simulate-principal-policy",
        "iam",
        "SimulatePrincipalPolicy is not there.",
        "What the policies of a user, group or role come to for each action and resource, and which decided it.",
        simulation.install,
    ),
)
