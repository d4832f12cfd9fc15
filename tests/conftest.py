"""What every test stands on: its own settings, no network but loopback, answers that AWS could have given.

Fixtures
--------
``project``
    the top of the checkout
``point_at``
    ``point_at(aws)``: boto3, the kit's settings and child processes talk to that local AWS, for this test
``start_local_aws``
    ``start_local_aws(scenario, seed=...)``: a local AWS in this process, with clock, faults and world
``local_aws``
    a healthy one of this module's own, in this process, which its tests may change
``healthy_aws``, ``sync_failed_aws``
    in processes of their own (``.url``, ``.env``), shared: to be read only
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from support import models, shapes

if TYPE_CHECKING:
    from vmqlib.simulator.server import LocalAws

PROJECT = Path(__file__).resolve().parents[1]

_OURS = ("AWS_", "VMQ_", "BOTO_", "AMAZON_")
_SETTINGS = (
    "REGION",
    "ACCOUNT_ID",
    "BUCKET_NAME",
    "APP_ID",
    "INDEX_ID",
    "RETRIEVER_ID",
    "DS_ID",
    "WEB_EXPERIENCE_ID",
    "KMS_KEY_ID",
)
_SERVED = (*_SETTINGS, "AWS_")
_KEPT = ("VMQ_CHROMIUM",)


class OutsideNetwork(BaseException):
    """A test reached for another machine. Not an Exception: nothing may handle it quietly."""


def pytest_configure(config: pytest.Config) -> None:
    """Clears the process itself, since notebooks (nbval) and servers inherit it and know no fixtures."""
    # In /tmp by name: kernels put their sockets below it, and a socket's path may have 100 characters or so.
    home = Path(tempfile.mkdtemp(prefix="vmq-", dir="/tmp"))
    os.environ["JUPYTER_RUNTIME_DIR"] = str(home / "run")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    _clean(os.environ, home)
    _hear_signals()
    shapes.watch()
    models.share()
    hypothesis.settings.register_profile("vmq", derandomize=True, deadline=None, database=None)
    hypothesis.settings.load_profile("vmq")
    sys.addaudithook(_loopback_only)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cells of whole notebooks (nbval) are marked as such."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.notebooks)


def _clean(env: Any, home: Path) -> None:
    for name in list(env):
        # COLUMNS and LINES are the screen of whoever runs the tests.
        if (name.startswith(_OURS) and name not in _KEPT) or name in (*_SETTINGS, "COLUMNS", "LINES"):
            del env[name]
    env.update(
        # Found before HOME moves: building matplotlib's list of fonts anew takes seconds.
        MPLCONFIGDIR=env.get("MPLCONFIGDIR", str(PROJECT / ".venv" / "cache" / "matplotlib")),
        MPLBACKEND="agg",
        HOME=str(home),
        AWS_CONFIG_FILE=str(home / "no-aws-config"),
        AWS_SHARED_CREDENTIALS_FILE=str(home / "no-aws-credentials"),
        AWS_EC2_METADATA_DISABLED="true",
        JUPYTER_PLATFORM_DIRS="1",
        # For what runs in processes of its own: whatever would leave the machine meets a closed door.
        HTTP_PROXY="http://127.0.0.1:9",
        HTTPS_PROXY="http://127.0.0.1:9",
        NO_PROXY="127.0.0.1,localhost,::1",
        http_proxy="http://127.0.0.1:9",
        https_proxy="http://127.0.0.1:9",
        no_proxy="127.0.0.1,localhost,::1",
        TZ="UTC",
    )


def _hear_signals() -> None:
    """Whoever is started in the background of a script, or by nohup, is deaf to these, and so is all that it starts."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _loopback_only(event: str, args: tuple[Any, ...]) -> None:
    if event in {"socket.connect", "socket.sendto"}:
        address = args[1]
        if isinstance(address, tuple) and not _is_here(address[0]):
            raise OutsideNetwork(f"{event} to {address[0]}:{address[1]}")
    elif event == "socket.getaddrinfo" and not _is_here(args[0]):
        raise OutsideNetwork(f"looked up {args[0]}")


def _is_here(host: Any) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in {None, "", "localhost", socket.gethostname()}:
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs each test in an empty folder with a home of its own: nobody's .env, vmq.toml or incidents."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    env = dict(os.environ)
    _clean(env, home)
    for name in set(os.environ) - set(env):
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(here)


@pytest.fixture(autouse=True)
def true_shapes() -> Iterator[None]:
    """Fails a test in which a Q Business answer was not what botocore's model says."""
    yield
    found, shapes.VIOLATIONS[:] = list(dict.fromkeys(shapes.VIOLATIONS)), []
    if found:
        pytest.fail("answers that Amazon Q Business cannot give:\n  " + "\n  ".join(found), pytrace=False)


@pytest.fixture(scope="session")
def project() -> Path:
    """The top of the checkout."""
    return PROJECT


@pytest.fixture
def point_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Lets boto3, the kit's settings and child processes of this test talk to a local AWS."""

    def point(aws: Any) -> None:
        for name, value in aws.env.items():
            monkeypatch.setenv(name, str(value))

    return point


@pytest.fixture(scope="module")
def start_local_aws() -> Iterator[Callable[..., LocalAws]]:
    """Starts a local AWS in this process, with its clock, faults and world at hand.

    One at a time, since moto's state is the process's: starting another ends the one before, and the last one
    ends with the module.
    """
    from vmqlib.simulator.server import LocalAws

    with ExitStack() as stack:

        def start(scenario: str | None = "healthy", **options: Any) -> LocalAws:
            stack.close()
            return stack.enter_context(LocalAws(scenario, **options))

        yield start


@pytest.fixture(scope="module")
def local_aws(start_local_aws: Callable[..., LocalAws]) -> LocalAws:
    """A healthy one of this module's own."""
    return start_local_aws("healthy")


@dataclass(frozen=True)
class ServedAws:
    """A local AWS in a process of its own, as people meet it.

    Parameters
    ----------
    url:
        The endpoint of every service.
    env:
        What it printed: the variables that boto3, the aws CLI and the kit need.
    """

    url: str
    env: Mapping[str, str]


@contextmanager
def _served(scenario: str) -> Iterator[ServedAws]:
    from vmqlib.simulator.process import served

    with served(scenario) as env:
        yield ServedAws(
            env["AWS_ENDPOINT_URL"], {name: env[name] for name in env if name.startswith(_SERVED)}
        )


@pytest.fixture(scope="session")
def healthy_aws() -> Iterator[ServedAws]:
    """Three weeks of quiet. Shared: to be read only."""
    with _served("healthy") as aws:
        yield aws


@pytest.fixture(scope="session")
def sync_failed_aws() -> Iterator[ServedAws]:
    """The same, then a bad promotion. Shared: to be read only."""
    with _served("sync-failed") as aws:
        yield aws
