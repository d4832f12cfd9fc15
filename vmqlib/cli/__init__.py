"""The ``vmq`` command: a thin wrapper over the library. One module a group of commands."""

from __future__ import annotations

from vmqlib.cli.main import main

__all__ = ["main"]
