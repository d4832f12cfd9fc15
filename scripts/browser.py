"""The Chromium for the browser tests: one that is here, else Playwright's download, else the system's.

    python scripts/browser.py             prints its path, or says what to do about there being none
    python scripts/browser.py --install   gets one first, if none is here

Exits 1 when there is none. Standard library only. VMQ_CHROMIUM names one to use. What Playwright downloads stays
in .venv/browsers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["find", "install", "none_found"]

_TOP = Path(__file__).resolve().parents[1]
_DOWNLOADS = _TOP / ".venv" / "browsers"
_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_APPLICATIONS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_DOWNLOADED = ("chromium-*/chrome-linux*/chrome", "chromium-*/chrome-mac*/*.app/Contents/MacOS/*")
_DOWNLOAD_SECONDS = 600
_APT_SECONDS = 900


def find() -> Path | None:
    """The first Chromium that starts; None where there is none."""
    return next((path for path in _candidates() if _starts(path)), None)


def _candidates() -> Iterator[Path]:
    named = os.environ.get("VMQ_CHROMIUM")
    if named:
        yield Path(shutil.which(named) or named)
        return
    yield from (Path(path) for command in _COMMANDS if (path := shutil.which(command)))
    yield from (path for path in map(Path, _APPLICATIONS) if path.exists())
    for pattern in _DOWNLOADED:
        yield from sorted(_DOWNLOADS.glob(pattern), reverse=True)


def _starts(path: Path) -> bool:
    """Whether it runs at all: a download may lack libraries, Ubuntu's package is a note about snaps."""
    try:
        return (
            subprocess.run([path, "--version"], capture_output=True, timeout=30, check=False).returncode == 0
        )
    except (OSError, subprocess.SubprocessError):
        return False


def none_found() -> str:
    """What to tell people where there is none."""
    if named := os.environ.get("VMQ_CHROMIUM"):
        return f"VMQ_CHROMIUM names {named}, which does not start: name a Chromium that does, or unset it."
    return (
        "There is no Chromium for the browser tests: install chromium or google-chrome with the system's "
        "packages, or name one in VMQ_CHROMIUM, and run make test again."
    )


def install() -> Path | None:
    """Gets a Chromium: into the checkout, or with apt-get where we may. None where neither worked."""
    if os.environ.get("VMQ_CHROMIUM"):
        return None  # somebody wants that one and no other
    for way in (_download, _apt):
        if way() and (found := find()):
            return found
    return None


def _download() -> bool:
    env = os.environ | {
        "PLAYWRIGHT_BROWSERS_PATH": str(_DOWNLOADS),
        "PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "15000",
    }
    return _run(
        "Playwright's download",
        [sys.executable, "-m", "playwright", "install", "chromium", "--no-shell"],
        env,
        _DOWNLOAD_SECONDS,
    )


def _apt() -> bool:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return False
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "Acquire::Retries=3"]
    _run("apt-get update", [*apt, "update"], env, _APT_SECONDS)  # a list that is partly old may do
    return _run(
        "apt-get install chromium",
        [*apt, "install", "-y", "--no-install-recommends", "chromium"],
        env,
        _APT_SECONDS,
    )


def _run(what: str, command: list[str], env: dict[str, str], seconds: int) -> bool:
    """Runs one way of getting it; says in a line how it went, and of a failure the line that tells most."""
    print(f"browser: {what} ...", file=sys.stderr, flush=True)
    try:
        done = subprocess.run(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        print(f"browser: {what} did not work: {error}", file=sys.stderr)
        return False
    if done.returncode:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        telling = next(
            (line for line in lines if line.startswith(("Error", "E:"))), lines[-1] if lines else ""
        )
        print(f"browser: {what} did not work: {telling[:200].removesuffix(', caused by')}", file=sys.stderr)
    return done.returncode == 0


def main(arguments: list[str]) -> int:
    found = find() or (install() if "--install" in arguments else None)
    print(found or none_found(), file=sys.stdout if found else sys.stderr)
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
