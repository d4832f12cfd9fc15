"""Tells moto of a service that it does not have, without touching moto's files.

moto looks a backend up by name: the pattern of its hosts in ``moto.backend_index.backend_url_patterns``, then
the attribute ``<name>_backends`` of the module ``moto.<name>``. Both are given here. Routing, parsing and
serialising follow botocore's model of the service.
"""

from __future__ import annotations

import re
import sys

__all__ = ["SERVICE", "register"]

SERVICE = "qbusiness"
# The real endpoint is dual-stack (api.aws); moto's server makes up an amazonaws.com host from the SigV4
# scope.
_HOSTS = re.compile(r"https?://qbusiness(-fips)?\.[^.]+\.(api\.aws|amazonaws\.com)")


def register() -> None:
    """Makes ``qbusiness`` known to moto. Idempotent.

    To be called before ``mock_aws()`` starts or a server gets its first request.
    """
    from moto import backend_index

    from vmqlib.simulator import qbusiness

    sys.modules.setdefault(f"moto.{SERVICE}", qbusiness)
    if all(name != SERVICE for name, _ in backend_index.backend_url_patterns):
        backend_index.backend_url_patterns.append((SERVICE, _HOSTS))
