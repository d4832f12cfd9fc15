"""What moto leaves out or gets wrong, where that would make the simulator lie. All patches live here.

:func:`install` sets them, once for the process. Each has an entry in :data:`GAPS` and a test of the same
name that fails on plain moto (``tests/simulator_gaps``): when moto mends one, that test says so.
"""

from __future__ import annotations

from vmqlib.simulator.aws_gaps import cloudtrail, cloudwatch, iam, logs, s3, sns
from vmqlib.simulator.aws_gaps.gap import Gap, close, now

__all__ = ["GAPS", "Gap", "install", "now"]

GAPS: tuple[Gap, ...] = (
    *s3.GAPS,
    *cloudwatch.GAPS,
    *logs.GAPS,
    *cloudtrail.GAPS,
    *iam.GAPS,
    *sns.GAPS,
)


def install() -> None:
    """Closes every gap. Idempotent.

    Raises
    ------
    RuntimeError
        When moto is not the version that the patches were written for.
    """
    close(GAPS)
