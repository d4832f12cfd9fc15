"""``vmq lab``: JupyterLab on the investigation notebook, on this machine alone."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from vmqlib.cli.output import notice
from vmqlib.errors import BadInput, RunFailed
from vmqlib.record.identity import find
from vmqlib.settings import Settings, aws_settings_found

__all__ = ["jupyter_command", "lab_command", "notebook_path"]

_NO_NEWS = {
    "@jupyterlab/apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
}
"""JupyterLab's own settings that would otherwise ask whether to fetch news from the outside."""


@click.command("lab")
@click.argument("incident_id", metavar="[ID]", default="")
@click.option("--port", default=0, show_default="a free one from 8888", help="Port on 127.0.0.1.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser; the address is printed.")
@click.option("--simulator/--no-simulator", "simulated", default=None, help="Default: when no APP_ID is set.")
@click.option(
    "--notebook",
    "other",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Another notebook to open, such as an incident's.",
)
@click.option("--scenario", default="sync-failed", show_default=True, help="The simulator's scenario.")
def lab_command(
    incident_id: str,
    port: int,
    no_browser: bool,
    simulated: bool | None,
    other: Path | None,
    scenario: str,
) -> None:
    """Open JupyterLab on notebooks/investigate.ipynb.

    Listens on 127.0.0.1 with a token and fetches nothing from the outside. When no AWS settings are found, a local AWS
    is started beside it and stopped with it.

    \b
    Examples:
      vmq lab
      vmq lab INC-20261123-001
      vmq lab --simulator --scenario healthy --no-browser
    """
    incidents = Settings.load().incidents.absolute()
    if incident_id:
        find(incidents, incident_id)
    notebook = other.resolve() if other else notebook_path()
    if importlib.util.find_spec("jupyterlab") is None or importlib.util.find_spec("ipywidgets") is None:
        raise BadInput("JupyterLab is not installed here.", hint="Run `pip install 'vmqlib[lab]'`.")
    wanted = not aws_settings_found() if simulated is None else simulated
    environment = {"VMQ_INCIDENTS": str(incidents)}
    if incident_id:
        environment["VMQ_INCIDENT"] = incident_id
    command = jupyter_command(notebook, port, browser=not no_browser)
    with ExitStack() as stack:
        environment |= stack.enter_context(_state_folder())
        around: Mapping[str, str] = os.environ
        if wanted:
            notice(f"Starting a local AWS ({scenario}); set APP_ID and INDEX_ID to look at a real account.")
            around = stack.enter_context(_simulator(scenario))
        code = _serve(command, {**around, **environment})
    if code not in (0, -signal.SIGTERM, -signal.SIGINT):
        raise RunFailed(f"JupyterLab ended with exit code {code}.", hint="Its last lines above say why.")


def notebook_path() -> Path:
    """The investigation notebook: in the checkout, or inside an installed package.

    Raises
    ------
    BadInput
        When there is none.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parent / "notebooks", package / "_notebooks"):
        if (folder / "investigate.ipynb").is_file():
            return folder / "investigate.ipynb"
    raise BadInput(
        "notebooks/investigate.ipynb is not there.", hint="Run `vmq lab` in a checkout of the kit."
    )


def jupyter_command(notebook: Path, port: int = 0, *, browser: bool = True) -> list[str]:
    """What starts JupyterLab: loopback only, with a token, no news, no update check, no extension manager.

    Parameters
    ----------
    notebook:
        Opened first. JupyterLab shows its folder; of the investigation notebook, the checkout.
    port:
        0: the first free one from 8888.
    browser:
        Whether a browser is opened.
    """
    root = notebook.parent.parent if notebook == notebook_path() else notebook.parent
    where = notebook.relative_to(root).as_posix()
    command = [
        sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/{where}", "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.extension_manager=readonly",
        f"--ServerApp.allow_root={hasattr(os, 'geteuid') and os.geteuid() == 0}",
    ]  # fmt: skip
    if port:
        command += [f"--port={port}", "--ServerApp.port_retries=0"]
    return command if browser else [*command, "--no-browser"]


@contextmanager
def _simulator(scenario: str) -> Iterator[Mapping[str, str]]:
    """A local AWS, stopped at the end; gives the whole environment for who is to talk to it."""
    try:
        from vmqlib.simulator.process import served
    except ImportError as error:
        raise BadInput(
            "The local AWS is not installed here.",
            hint="Run `pip install 'vmqlib[simulator]'`, or set APP_ID and INDEX_ID to look at a real account.",
        ) from error
    try:
        with served(scenario) as environment:
            yield environment
    except RuntimeError as error:
        raise RunFailed("The local AWS did not start.", hint="Run `vmq sim serve` to see why.") from error


@contextmanager
def _state_folder() -> Iterator[dict[str, str]]:
    """JupyterLab's settings and workspaces in a folder of this run, so that it neither asks for news nor leaves
    anything behind. Who sets JUPYTERLAB_SETTINGS_DIR keeps their own."""
    if os.environ.get("JUPYTERLAB_SETTINGS_DIR"):
        yield {}
        return
    folder = Path(tempfile.mkdtemp(prefix="vmq-lab-"))
    try:
        for plugin, text in _NO_NEWS.items():
            file = folder / "settings" / f"{plugin}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        yield {
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve(command: list[str], environment: Mapping[str, str]) -> int:
    """Runs JupyterLab until it ends. SIGTERM is passed on; Ctrl-C reaches it by itself, and it asks before it stops."""
    with subprocess.Popen(command, env=dict(environment)) as process:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        ended = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            return process.wait()
        finally:
            signal.signal(signal.SIGINT, before)
            signal.signal(signal.SIGTERM, ended)
