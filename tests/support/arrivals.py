"""What a killed process had already sent, a server still carries out: a test that counts must wait for it."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import psutil

__all__ = ["all_arrived"]


def all_arrived(url: str, within: float = 30) -> None:
    """Returns when the server of this machine at ``url`` has done all that was sent to it by clients that are gone.

    A connection whose client is gone waits to be closed (CLOSE_WAIT) until the server has read it to its end, the
    ones that it has not accepted yet included.
    """
    port = urlsplit(url).port
    end = time.monotonic() + within
    while any(
        one.status == psutil.CONN_CLOSE_WAIT and one.laddr.port == port
        for one in psutil.net_connections("tcp4")
    ):
        assert time.monotonic() < end, (
            f"the server at {url} still reads what was sent by a client that is gone"
        )
        time.sleep(0.02)
