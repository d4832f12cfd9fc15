"""A server on 127.0.0.1 that answers from a list, one answer after the other, and keeps what it was asked."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

__all__ = ["HANG_UP", "RESET", "SILENCE", "Asked", "ScriptedServer", "http"]

HANG_UP = b""
"""The connection is closed without an answer."""
RESET = b"reset"
"""The connection is reset."""
SILENCE = b"silence"
"""The connection stays open, and nothing comes."""


def http(status: int, body: bytes | str = b"", **headers: str) -> bytes:
    """An answer, whole; ``_`` in a header's name stands for ``-``."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


@dataclass(frozen=True)
class Asked:
    """One request: its line as it came, headers by lower-case name, body."""

    line: str
    headers: dict[str, bytes]
    body: bytes

    @property
    def signed_as(self) -> list[str]:
        """Access key, day, region, service of the signature."""
        scope = self.headers["authorization"].decode().partition("Credential=")[2].partition(",")[0]
        return scope.split("/")[:4]


class ScriptedServer:
    """Gives ``answers`` in turn, the last one for ever; each connection is served in a thread."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.asked: list[Asked] = []
        self._answers = list(answers)
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._open: set[socket.socket] = set()
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> ScriptedServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            for one in self._open:
                with suppress(OSError):  # whoever asked was killed
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one: socket.socket) -> None:
        with self._lock:
            self._open.add(one)
        try:
            with one.makefile("rb") as read:
                while line := read.readline():
                    headers = {}
                    while (more := read.readline()) not in (b"\r\n", b""):
                        name, _, value = more.partition(b":")
                        headers[name.decode().lower()] = value.strip()
                    body = read.read(int(headers.get("content-length", b"0")))
                    with self._lock:
                        self.asked.append(Asked(line.decode().strip(), headers, body))
                        answer = self._answers[0] if len(self._answers) == 1 else self._answers.pop(0)
                    if answer == SILENCE:
                        continue
                    if answer == RESET:
                        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    if answer == HANG_UP:
                        return
                    one.sendall(answer)
                    if b"truncated" in answer[:200]:
                        return
        except OSError:
            return
        finally:
            with self._lock:
                self._open.discard(one)
            one.close()
