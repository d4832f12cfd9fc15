"""Where moto finds the service: one catch-all route, since the operation is chosen from botocore's model."""

from __future__ import annotations

from vmqlib.simulator.qbusiness.responses import QBusinessResponse

__all__ = ["url_bases", "url_paths"]

url_bases = [r"https?://qbusiness(?:-fips)?\.[^.]+\.(?:api\.aws|amazonaws\.com)"]
url_paths = {"{0}/.*$": QBusinessResponse.dispatch}
