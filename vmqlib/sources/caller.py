"""Who AWS says we are: account and caller (``sts:GetCallerIdentity``, which needs no permission)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmqlib.sources.base import TEXT, Column, Reading, Source

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["SOURCE", "read"]

_COLUMNS = {
    "account": Column(TEXT, "", "the account's twelve digits"),
    "arn": Column(TEXT, "", "the caller's ARN"),
    "region": Column(TEXT, "", "the region that is asked"),
}


def read(aws: Aws, _settings: Settings, _window: Window, **_: str) -> Reading:
    """One row.

    Raises
    ------
    AwsError
        No credentials, expired credentials, or AWS cannot be reached.
    """
    caller = aws.caller()
    return Reading(
        source="caller",
        call="sts:GetCallerIdentity",
        parameters={},
        rows=[{"account": caller.account, "arn": caller.arn, "region": aws.region}],
    )


SOURCE = Source("caller", "Account and caller", read, _COLUMNS, routine=False)
