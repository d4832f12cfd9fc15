"""The part of scripts/setup that has a Python: makes .venv and installs into it. Standard library only.

One environment serves demo, lab and test: making it takes seconds with uv and about a minute with pip, and two
of them would differ where it hurts.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

_TOP = Path(__file__).resolve().parents[1]
_VENV = _TOP / ".venv"
_PYTHON = _VENV / "bin" / "python"
_PINS = _TOP / "constraints.txt"
_EXTRAS = ("lab", "simulator", "test", "dev")
# A user's settings that would send the packages elsewhere, or leave them to be compiled at each start.
_UNWANTED = (
    "PIP_NO_COMPILE",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
    "PYTHONDONTWRITEBYTECODE",
    "UV_PROJECT_ENVIRONMENT",
    "UV_SYSTEM_PYTHON",
    "VIRTUAL_ENV",
)


def main(stamp: Path, wanted: str, extra: str) -> int:
    """Makes the environment ready and writes ``wanted`` into ``stamp``; returns the exit code."""
    with (_TOP / "pyproject.toml").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # make demo and make test may be started at once
        if stamp.exists() and stamp.read_text() == wanted:
            return 0
        began = time.monotonic()
        make_environment()
        project = f"{_TOP}[{','.join(filter(None, (*_EXTRAS, extra)))}]"
        try:
            how = install(project)
        except subprocess.CalledProcessError as error:
            say(f"{Path(error.cmd[0]).name} could not install what the kit needs: its message is above.")
            return 2
        prepare()
        stamp.write_text(wanted)
        say(f".venv is ready ({how}, Python {sys.version.split()[0]}, {time.monotonic() - began:.0f} s).")
    return 0


def make_environment() -> None:
    """An empty environment, unless one works that was made in this place: its commands name their place."""
    made_at = {path.read_text().splitlines()[0] for path in _VENV.glob("ready*")}
    if not works() or made_at - {str(_TOP)}:
        venv.create(_VENV, clear=_VENV.exists(), symlinks=True, with_pip=False)


def works() -> bool:
    check = "import sys; sys.exit(sys.version_info < (3, 11) or sys.prefix == sys.base_prefix)"
    try:
        return subprocess.run([_PYTHON, "-c", check], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def install(project: str) -> str:
    """Installs the project with its extras at the pinned versions: with uv where it is, else with pip."""
    env = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    if uv := shutil.which("uv", path=without_venv(env.get("PATH", ""))):
        say("installing with uv: seconds to a minute ...")
        try:
            with_uv(uv, project, env)
            return "uv"
        except subprocess.CalledProcessError:
            say("uv could not: trying pip.")
    say("installing with pip: about a minute ...")
    with_pip(project, env)
    return "pip"


def without_venv(path: str) -> str:
    """The PATH without this environment: a uv in there is not one that is here before it."""
    return os.pathsep.join(part for part in path.split(os.pathsep) if Path(part) != _PYTHON.parent)


def with_uv(uv: str, project: str, env: dict[str, str]) -> None:
    env = env | {"UV_CONSTRAINT": str(_PINS), "UV_BUILD_CONSTRAINT": str(_PINS)}
    if "UV_CACHE_DIR" not in env and not (home_cache(env) / "uv").is_dir():
        env["UV_CACHE_DIR"] = str(_TOP / ".uv-cache")
    command = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--compile-bytecode",
        "--python",
        _PYTHON,
        "--editable",
        project,
    ]
    subprocess.run(command, env=env, cwd=_TOP, check=True)


def with_pip(project: str, env: dict[str, str]) -> None:
    # By environment, so that the pins hold for what builds the kit, too; newer pips have another name for that.
    env = env | {"PIP_CONSTRAINT": str(_PINS), "PIP_BUILD_CONSTRAINT": str(_PINS)}
    pip = [_PYTHON, "-m", "pip", "--disable-pip-version-check"]
    if subprocess.run([*pip, "--version"], capture_output=True, env=env, check=False).returncode:
        subprocess.run([_PYTHON, "-m", "ensurepip"], env=env, stdout=subprocess.DEVNULL, check=True)
    if "PIP_CACHE_DIR" not in env and not (home_cache(env) / "pip").is_dir():
        pip.append("--no-cache-dir")
    command = [*pip, "install", "--quiet", "--compile", "--editable", project]
    subprocess.run(command, env=env, cwd=_TOP, check=True)


def home_cache(env: dict[str, str]) -> Path:
    """Where a user's own caches are, if there are any: set-up makes none there."""
    return Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME", "/"), ".cache"))


def prepare() -> None:
    """Does now what else the first run would wait for: compiling the kit, listing the fonts."""
    cache = _VENV / "cache" / "matplotlib"
    cache.mkdir(parents=True, exist_ok=True)
    env = os.environ | {"MPLCONFIGDIR": str(cache)}
    subprocess.run(
        [_PYTHON, "-m", "compileall", "-q", _TOP / "vmqlib"], stdout=subprocess.DEVNULL, check=False
    )
    subprocess.run(
        [_PYTHON, "-c", "import matplotlib.font_manager"], env=env, capture_output=True, check=False
    )


def say(sentence: str) -> None:
    print(f"setup: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.chdir(_TOP)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
