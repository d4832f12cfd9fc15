"""A local AWS with an Amazon Q Business in it: what the demo, the tests and the drills talk to.

It is a real peer over HTTP, not a mock: plain boto3, the aws CLI and the kit reach it by ``AWS_ENDPOINT_URL``
alone. :class:`LocalAws` runs it in a thread of this process, :func:`serve` as a process of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vmqlib.simulator.server import LocalAws, serve

__all__ = ["LocalAws", "serve"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from vmqlib.simulator import server

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
