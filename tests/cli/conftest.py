"""A command run in this process: quick, and its exit code, stdout and stderr apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from vmqlib.cli.main import run, vmq


@dataclass(frozen=True)
class Done:
    """How a command ended.

    Parameters
    ----------
    code:
        Its exit code.
    out, err:
        What it wrote to stdout and stderr.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as the one JSON document that ``--json`` promises."""
        return json.loads(self.out)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """``command("list", "--json")`` runs ``vmq list --json``."""

    def call(*arguments: str) -> Done:
        capsys.readouterr()
        code = run(vmq, list(arguments))
        seen = capsys.readouterr()
        return Done(code, seen.out, seen.err)

    return call
