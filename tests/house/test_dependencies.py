"""What a plain install pulls in, and what set-up pins. All from installed metadata: no network."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("lab", "simulator", "test", "dev", "bench")


def pulled_in(package: str, *extras: str) -> set[str]:
    """Everything that installing ``package[extras]`` here installs, by canonical name."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    todo = [(canonicalize_name(package), extra) for extra in ("", *extras)]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        found.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            pytest.fail(f"{name} is required but not installed")
        for requirement in map(Requirement, lines):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                child = canonicalize_name(requirement.name)
                todo += [(child, each) for each in ("", *requirement.extras)]
    return found


@pytest.fixture(scope="module")
def pins(project) -> dict[str, list[Requirement]]:
    lines = (project / "constraints.txt").read_text().splitlines()
    found: dict[str, list[Requirement]] = {}
    for requirement in (Requirement(line) for line in lines if line and not line.startswith("#")):
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def test_a_plain_install_is_light():
    plain = pulled_in("vmqlib")
    assert {"boto3", "pandas", "matplotlib", "papermill"} <= plain
    heavy = {
        "jupyterlab",
        "notebook",
        "jupyter-server",
        "moto",
        "flask",
        "werkzeug",
        "playwright",
        "pytest",
        "mypy",
    }
    assert not plain & heavy


def test_the_extras_bring_what_they_are_for():
    assert "jupyterlab" in pulled_in("vmqlib", "lab")
    assert "moto" in pulled_in("vmqlib", "simulator")
    assert {"jupyterlab", "moto", "nbval"} <= pulled_in("vmqlib", "test")


def test_everything_that_set_up_installs_is_pinned(pins):
    missing = pulled_in("vmqlib", "lab", "simulator", "test", "dev") - set(pins) - {"vmqlib"}
    assert not missing


def test_every_pin_is_exact(pins):
    assert all(str(each.specifier).startswith("==") for several in pins.values() for each in several)


def test_pins_fit_what_pyproject_asks_for(project, pins):
    table = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    texts = [
        *table["dependencies"],
        *(text for name in EXTRAS for text in table["optional-dependencies"][name]),
    ]
    for asked in map(Requirement, texts):
        if asked.name != "vmqlib":
            for pin in pins[canonicalize_name(asked.name)]:
                assert asked.specifier.contains(str(pin.specifier).removeprefix("==")), asked


def test_importing_the_kit_is_light():
    code = "import sys, vmqlib; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {
        "boto3",
        "botocore",
        "pandas",
        "matplotlib",
        "papermill",
        "moto",
        "pydantic",
    }


def test_no_registry_is_named(project):
    for name in ("constraints.txt", "pyproject.toml", "environment.yml", "Makefile"):
        assert not re.search(r"https?://", (project / name).read_text())
