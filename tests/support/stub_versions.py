"""A bucket on 127.0.0.1 that is nothing but its listing of versions: quick, slow or broken as a test wants it.

``python stub_versions.py ENTRIES DELAY_S`` serves one in a process of its own and prints its URL.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

__all__ = ["Entry", "VersionServer", "by_thirty", "rendered"]

Entry = tuple[str, str, bool, bool, str]
"""Key, version, whether it is the current one, whether a delete marker, LastModified as S3 writes it."""

_OWNER = f"<Owner><ID>{'75aa57f09aa0c8ca' * 4}</ID></Owner>"


def by_thirty(count: int) -> list[Entry]:
    """Entries of a handbook: three to a key, the newest a marker for every second key; thirty keys to a folder."""
    found: list[Entry] = []
    for number in range(count // 3):
        key = f"handbook/section-{number // 30:04d}/page-{number:06d}.md"
        for order in range(3):
            marker = order == (0 if number % 2 else 1)
            found.append(
                (key, f"{3 * number + order:032x}", order == 0, marker, f"2026-11-2{3 - order}T10:00:00.000Z")
            )
    return found


def rendered(entry: Entry) -> bytes:
    """One entry as S3 writes it, its key url-encoded."""
    key, version, latest, marker, at = entry
    tag = "DeleteMarker" if marker else "Version"
    more = (
        _OWNER
        if marker
        else f"<ETag>&quot;{version}&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
        f"<ChecksumType>FULL_OBJECT</ChecksumType><Size>2048</Size>{_OWNER}<StorageClass>STANDARD</StorageClass>"
    )
    name = quote_plus(key.encode("utf-8", "surrogateescape"), safe="/")
    return (
        f"<{tag}><Key>{name}</Key><VersionId>{version}</VersionId><IsLatest>{str(latest).lower()}</IsLatest>"
        f"<LastModified>{at}</LastModified>{more}</{tag}>"
    ).encode()


class VersionServer:
    """Serves a listing.

    Parameters
    ----------
    entries:
        In S3's order: keys by their bytes, each key's entries newest first.
    page:
        The most entries in an answer.
    delay_s:
        Added to every request.
    spoil:
        Given the number of the request and the answer's bytes, body and all: gives what is sent instead; ``b""``
        hangs up.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        *,
        page: int = 1000,
        delay_s: float = 0.0,
        spoil: Callable[[int, bytes], bytes] | None = None,
    ) -> None:
        self.asked: list[dict[str, str]] = []
        self.page = page
        self.delay_s = delay_s
        self.spoil = spoil
        self._keys = [entry[0].encode("utf-8", "surrogateescape") for entry in entries]
        self._versions = [entry[1] for entry in entries]
        self._names = [entry[0] for entry in entries]
        self._parts = [rendered(entry) for entry in entries]
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: set[socket.socket] = set()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> VersionServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # shutdown wakes the thread that accepts; close alone does not.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            for one in self._open:
                with suppress(OSError):  # reset by its client, and nobody has noticed yet
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._listening.accept()
            except OSError:
                return
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one: socket.socket) -> None:
        with self._lock:
            self._open.add(one)
        waiting = b""
        try:
            while True:
                while b"\r\n\r\n" not in waiting:
                    more = one.recv(65536)
                    if not more:
                        return
                    waiting += more
                head, _, waiting = waiting.partition(b"\r\n\r\n")
                answer = self._answer(head.split(b" ", 2)[1].decode())
                if not answer:
                    return
                one.sendall(answer)
                head, _, body = answer.partition(b"\r\n\r\n")
                if len(body) < int(head.rpartition(b"Content-Length: ")[2]):
                    return
        except OSError:
            return
        finally:
            with self._lock:
                self._open.discard(one)
            one.close()

    def _answer(self, target: str) -> bytes:
        query = parse_qs(
            urlsplit(target).query, keep_blank_values=True, encoding="utf-8", errors="surrogateescape"
        )
        asked = {name: values[0] for name, values in query.items()}
        with self._lock:
            self.asked.append(asked)
            number = len(self.asked)
        time.sleep(self.delay_s)
        body = self._page(asked)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        answer = head.encode() + body
        return self.spoil(number, answer) if self.spoil else answer

    def _folded(self, start: int, prefix: bytes) -> bytes:
        """What a delimiter gives: folders as common prefixes, and the entries that are in none."""
        found: list[bytes] = []
        while start < len(self._keys) and len(found) < self.page and self._keys[start].startswith(prefix):
            slash = self._keys[start].find(b"/", len(prefix))
            if slash < 0:
                found.append(self._parts[start])
                start += 1
            else:
                folder = self._keys[start][: slash + 1]
                found.append(
                    f"<CommonPrefixes><Prefix>{quote_plus(folder, safe='/')}</Prefix></CommonPrefixes>".encode()
                )
                start = bisect_left(self._keys, folder[:-1] + b"0")
        more = str(start < len(self._keys) and self._keys[start].startswith(prefix)).lower()
        head = f"<ListVersionsResult><EncodingType>url</EncodingType><IsTruncated>{more}</IsTruncated>"
        return b"".join([head.encode(), *found, b"</ListVersionsResult>"])

    def _page(self, asked: dict[str, str]) -> bytes:
        marker, version = asked.get("key-marker", ""), asked.get("version-id-marker", "")
        prefix = asked.get("prefix", "").encode("utf-8", "surrogateescape")
        start = bisect_right(self._keys, marker.encode("utf-8", "surrogateescape")) if marker else 0
        if version:
            while start and self._versions[start - 1] != version:
                start -= 1
        start = max(start, bisect_left(self._keys, prefix))
        if asked.get("delimiter"):
            return self._folded(start, prefix)
        end = min(len(self._keys), start + min(self.page, int(asked.get("max-keys") or self.page)))
        here = end
        while here > start and not self._keys[here - 1].startswith(prefix):
            here -= 1
        more = here == end and end < len(self._keys) and self._keys[end].startswith(prefix)
        head = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListVersionsResult xmlns='
            '"http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><EncodingType>url</EncodingType>'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        )
        if more:
            name = quote_plus(self._names[here - 1].encode("utf-8", "surrogateescape"), safe="/")
            head += f"<NextKeyMarker>{name}</NextKeyMarker>"
            head += f"<NextVersionIdMarker>{self._versions[here - 1]}</NextVersionIdMarker>"
        return b"".join([head.encode(), *self._parts[start:here], b"</ListVersionsResult>"])


def main(count: str, delay_s: str) -> Any:
    """Serves until its input ends."""
    with VersionServer(by_thirty(int(count)), delay_s=float(delay_s)) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
