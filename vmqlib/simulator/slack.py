"""A local Slack: the few methods that post and look, with Slack's documented limits and its way of saying no.

Standard library only. Messages and threads are kept in memory; what a message would page is worked out as Slack does.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TextIO

from vmqlib.simulator.slackblocks import check_blocks, mentioned, shown
from vmqlib.simulator.slackhttp import HOOK, SlackServer
from vmqlib.simulator.stopping import stoppable

__all__ = ["CHANNEL_ID", "LocalSlack", "Posted", "SlackFault", "serve"]

CHANNEL_ID = "C0OPSESCAL"
_TOKEN = "xoxb-local-slack-not-a-real-token"  # noqa: S105
_SCOPES = frozenset({"chat:write", "channels:history", "channels:read", "files:write"})
_LONGEST_TEXT = 40_000
_HISTORY_SCOPE = "channels:history"


@dataclass
class SlackFault:
    """One rule: which requests it meets, and what becomes of them.

    Parameters
    ----------
    method:
        A method's name, ``webhook``, ``upload``, or empty for all.
    status:
        The HTTP status of the answer; 0 answers 200.
    error:
        Slack's word for it.
    retry_after:
        Seconds in ``Retry-After``; ``None`` leaves the header out.
    lost:
        The work is done, and the connection cut instead of an answer.
    cut:
        The connection is cut, and nothing is done.
    times:
        How many requests it meets.
    """

    method: str = ""
    status: int = 0
    error: str = ""
    retry_after: int | None = None
    lost: bool = False
    cut: bool = False
    times: int = 1


@dataclass(frozen=True)
class Posted:
    """A message that was posted.

    Parameters
    ----------
    channel, ts, thread_ts:
        Where; its own name; the thread's, or empty where it begins one.
    text, blocks, metadata:
        As it was sent.
    pages:
        Whom it mentions: ``channel``, ``here``, ``everyone``, or ids.
    files:
        Names of the files that were put below it.
    via:
        ``bot`` or ``webhook``.
    """

    channel: str
    ts: str
    thread_ts: str
    text: str
    blocks: tuple[Mapping[str, Any], ...]
    metadata: Mapping[str, Any]
    pages: tuple[str, ...]
    via: str
    files: tuple[str, ...] = ()


@dataclass
class _State:
    posted: list[Posted] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    last_ts: int = 0


class _No(Exception):
    """Slack's way of refusing: a word."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.answer = {"ok": False, "error": error, **more}


class LocalSlack:
    """A Slack workspace with one channel, in a thread of this process; a context manager.

    Parameters
    ----------
    port:
        Port on 127.0.0.1; 0 takes a free one.
    channel:
        The channel's name, without ``#``.
    scopes:
        What the app may do.
    member:
        Whether the app is in the channel.
    told:
        Called with each message that is posted.
    """

    token = _TOKEN

    def __init__(
        self,
        port: int = 0,
        *,
        channel: str = "ops-escalations",
        scopes: frozenset[str] = _SCOPES,
        member: bool = True,
        told: Callable[[Posted], None] = lambda _: None,
    ) -> None:
        self.channel, self.scopes, self.member = channel, scopes, member
        self.faults: list[SlackFault] = []
        self._port, self._told = port, told
        self._guard = threading.RLock()
        self._state = _State()

    def __enter__(self) -> LocalSlack:
        self._server = SlackServer(self, self._port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="local-slack", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def api_url(self) -> str:
        """Its API, as the Slack clients' base URL."""
        return f"{self.url}/api/"

    @property
    def webhook_url(self) -> str:
        """Its incoming webhook."""
        return self.url + HOOK

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that make the kit talk to this one."""
        return {
            "VMQ_SLACK_TOKEN": self.token,
            "VMQ_SLACK_API_URL": self.api_url,
            "VMQ_SLACK_CHANNEL": f"#{self.channel}",
        }

    @property
    def messages(self) -> tuple[Posted, ...]:
        """Every message, in order."""
        with self._guard:
            return tuple(self._state.posted)

    @property
    def requests(self) -> tuple[str, ...]:
        """The method of every request, in order."""
        with self._guard:
            return tuple(self._state.requests)

    def take_fault(self, method: str) -> SlackFault | None:
        """The rule that meets this request, once less from now on."""
        with self._guard:
            for fault in self.faults:
                if fault.times > 0 and fault.method in ("", method):
                    fault.times -= 1
                    return fault
        return None

    def noted(self, method: str) -> None:
        """A request came."""
        with self._guard:
            self._state.requests.append(method)

    def answer(self, method: str, token: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Answers one method's call."""
        methods: dict[str, tuple[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
            "auth.test": ("", lambda _: {"ok": True, "team": "local", "user": "vmq", "bot_id": "B0LOCAL"}),
            "chat.postMessage": ("chat:write", self._post_message),
            "chat.getPermalink": ("", self._permalink),
            "conversations.history": (_HISTORY_SCOPE, self._history),
            "conversations.replies": (_HISTORY_SCOPE, self._replies),
            "users.conversations": ("channels:read", self._conversations),
            "files.getUploadURLExternal": ("files:write", self._upload_url),
            "files.completeUploadExternal": ("files:write", self._complete_upload),
        }
        try:
            if not token:
                raise _No("not_authed")
            if token != self.token:
                raise _No("invalid_auth")
            if method not in methods:
                raise _No("unknown_method", req_method=method)
            scope, work = methods[method]
            if scope and scope not in self.scopes:
                raise _No("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))
            with self._guard:
                return work(asked)
        except _No as no:
            return no.answer

    def hook(self, payload: object) -> tuple[int, str]:
        """Answers an incoming webhook's call, in plain text as Slack does."""
        if not isinstance(payload, dict):
            return 400, "invalid_payload"
        try:
            with self._guard:
                self._keep(payload, "webhook", "")
        except _No as no:
            return 400, str(no)
        return 200, "ok"

    def uploaded(self, file_id: str, body: bytes) -> tuple[int, str]:
        """Takes a file's bytes."""
        with self._guard:
            known = self._state.files.get(file_id)
            if known is None:
                return 404, "not found"
            if len(body) != known["length"]:
                return 400, "length differs from the one that was announced"
            known["body"] = body
        return 200, f"OK - {len(body)}"

    def file(self, name: str) -> bytes:
        """The bytes of an uploaded file, by its name."""
        with self._guard:
            return next(bytes(one["body"]) for one in self._state.files.values() if one["filename"] == name)

    # -- the methods

    def _channel(self, asked: Mapping[str, Any], *, by_id: bool = False) -> str:
        given = str(asked.get("channel") or asked.get("channel_id") or "")
        names = {CHANNEL_ID} if by_id else {CHANNEL_ID, f"#{self.channel}", self.channel}
        if given not in names:
            raise _No("channel_not_found")
        if not self.member:
            raise _No("not_in_channel")
        return CHANNEL_ID

    def _post_message(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._channel(asked)
        thread = str(asked.get("thread_ts") or "")
        if thread and not any(one.ts == thread for one in self._state.posted):
            raise _No("thread_not_found")
        made = self._keep(asked, "bot", thread)
        return {"ok": True, "channel": made.channel, "ts": made.ts, "message": _message(made)}

    def _keep(self, asked: Mapping[str, Any], via: str, thread: str) -> Posted:
        text, blocks = str(asked.get("text") or ""), _json(asked.get("blocks")) or []
        if not text and not blocks:
            raise _No("no_text")
        if len(text) > _LONGEST_TEXT:
            raise _No("msg_too_long")
        problem, words = check_blocks(blocks)
        if problem:
            raise _No(problem, response_metadata={"messages": [words]})
        metadata = _json(asked.get("metadata")) or {}
        if metadata and not (
            isinstance(metadata.get("event_type"), str) and isinstance(metadata.get("event_payload"), dict)
        ):
            raise _No("invalid_metadata_format")
        state = self._state
        state.last_ts = max(state.last_ts + 1, time.time_ns() // 1000)
        ts = f"{state.last_ts // 1_000_000}.{state.last_ts % 1_000_000:06d}"
        made = Posted(CHANNEL_ID, ts, thread, text, tuple(blocks), metadata, mentioned(text, blocks), via)
        state.posted.append(made)
        self._told(made)
        return made

    def _permalink(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._channel(asked, by_id=True)
        ts = str(asked.get("message_ts") or "")
        if not any(one.ts == ts for one in self._state.posted):
            raise _No("message_not_found")
        return {"ok": True, "permalink": f"{self.url}/archives/{CHANNEL_ID}/p{ts.replace('.', '')}"}

    def _history(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._channel(asked, by_id=True)
        oldest = float(asked.get("oldest") or 0)
        found = [one for one in reversed(self._state.posted) if not one.thread_ts and float(one.ts) > oldest]
        return self._page(found, asked)

    def _replies(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._channel(asked, by_id=True)
        root = str(asked.get("ts") or "")
        found = [one for one in self._state.posted if root in (one.ts, one.thread_ts)]
        if not found:
            raise _No("thread_not_found")
        return self._page(found, asked)

    def _page(self, found: list[Posted], asked: Mapping[str, Any]) -> dict[str, Any]:
        start = int(asked.get("cursor") or 0)
        end = start + min(int(asked.get("limit") or 100), 999)
        with_metadata = str(asked.get("include_all_metadata", "")).lower() in ("1", "true")
        return {
            "ok": True,
            "messages": [_message(one, metadata=with_metadata) for one in found[start:end]],
            "has_more": end < len(found),
            "response_metadata": {"next_cursor": str(end) if end < len(found) else ""},
        }

    def _conversations(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        kinds = str(asked.get("types") or "public_channel").split(",")
        if "private_channel" in kinds and "groups:read" not in self.scopes:
            raise _No("missing_scope", needed="groups:read", provided=",".join(sorted(self.scopes)))
        here = self.member and "public_channel" in kinds
        mine = [{"id": CHANNEL_ID, "name": self.channel, "is_member": True}] if here else []
        return {"ok": True, "channels": mine, "response_metadata": {"next_cursor": ""}}

    def _upload_url(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if not asked.get("filename") or int(asked.get("length") or 0) <= 0:
            raise _No("invalid_arguments")
        file_id = f"F0{len(self._state.files):06d}"
        self._state.files[file_id] = {
            "filename": str(asked["filename"]), "length": int(asked["length"]), "alt": str(asked.get("alt_txt") or ""),
        }  # fmt: skip
        return {"ok": True, "file_id": file_id, "upload_url": f"{self.url}/upload/v1/{file_id}"}

    def _complete_upload(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._channel(asked, by_id=True)
        files = _json(asked.get("files")) or []
        names = []
        for one in files:
            known = self._state.files.get(str(one.get("id")))
            if known is None or "body" not in known:
                raise _No("file_not_found")
            names.append(known["filename"])
        thread = str(asked.get("thread_ts") or "")
        # In a thread a file stands below what was said last.
        places = [place for place, one in enumerate(self._state.posted) if thread in (one.ts, one.thread_ts)]
        if thread and places:
            one = self._state.posted[places[-1]]
            self._state.posted[places[-1]] = Posted(**{**vars(one), "files": (*one.files, *names)})
        return {"ok": True, "files": [{"id": one["id"], "title": one.get("title", "")} for one in files]}


def _json(value: Any) -> Any:
    """Form values hold JSON as text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise _No("invalid_arguments") from None


def _message(made: Posted, *, metadata: bool = False) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "message", "ts": made.ts, "text": made.text, "blocks": list(made.blocks)}
    if made.thread_ts:
        told["thread_ts"] = made.thread_ts
    if metadata and made.metadata:
        told["metadata"] = dict(made.metadata)
    return told


def serve(port: int = 0, out: TextIO | None = None) -> int:
    """Serves a local Slack until SIGTERM or SIGINT, and returns the exit code 0. Writes ``export NAME=value`` lines,
    then ``# ready``, to ``out`` (default: standard output), and each message to standard error. From the main thread.

    Raises
    ------
    OSError
        When the port is taken.
    """
    out = out or sys.stdout
    with stoppable(), LocalSlack(port, told=lambda made: print_message(made, sys.stderr)) as slack:
        for name, value in slack.env.items():
            out.write(f"export {name}='{value}'\n")
        out.write(f"# or: export VMQ_SLACK_WEBHOOK='{slack.webhook_url}'\n# ready\n")
        out.flush()
        threading.Event().wait()
    return 0


def print_message(made: Posted, out: TextIO) -> None:
    """One message as people see it."""
    mark = "  ↳ " if made.thread_ts else ""
    lines = shown(made.blocks) or made.text.split("\n")
    out.write("\n" + "\n".join(f"{mark}{line}" for line in lines) + "\n")
    out.flush()
