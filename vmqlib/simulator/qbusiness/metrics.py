"""What the service and VaultMesh's own jobs publish to CloudWatch, through moto's backend in process.

``AWS/QBusiness`` (user guide, "Monitoring with CloudWatch metrics"): DocumentCount every 15 minutes,
DocumentsIndexed and DocumentsFailedToIndex at the end of a sync, ChatMessages, BlockedChatMessages and
ChatMessagesWithNoAnswer per message. ``VaultMesh/QBusiness``, dimension App: SyncFailed at the end of every
sync (1 when it FAILED or was INCOMPLETE, else 0) and NoSync once a day (1 when no sync has SUCCEEDED for 24
hours, else 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from vmqlib.simulator.qbusiness.timing import naive

__all__ = ["AWS", "VAULTMESH", "MetricWriter"]

AWS = "AWS/QBusiness"
VAULTMESH = "VaultMesh/QBusiness"


class MetricWriter:
    """Publishes single values.

    Parameters
    ----------
    account_id:
        The account.
    region:
        The region.
    """

    def __init__(self, account_id: str, region: str) -> None:
        self._account_id = account_id
        self._region = region

    def put(
        self, namespace: str, values: Mapping[str, float], dimensions: Mapping[str, str], at: datetime
    ) -> None:
        """Publishes ``values`` (metric name to count) with ``dimensions``, dated ``at``."""
        from moto.cloudwatch.models import cloudwatch_backends

        pairs = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        cloudwatch_backends[self._account_id][self._region].put_metric_data(
            namespace,
            [
                {
                    "MetricName": name,
                    "Value": value,
                    "Dimensions": pairs,
                    "Timestamp": naive(at),
                    "Unit": "Count",
                }
                for name, value in values.items()
            ],
        )
