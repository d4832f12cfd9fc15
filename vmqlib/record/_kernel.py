"""The process in which a record's cells run: ``python -P -m vmqlib.record._kernel CONNECTION_FILE [MODULE
…]``.

A plain IPython kernel, but for four things: it reads no configuration and no start-up files of whoever is
logged in, it keeps no history, it cannot be debugged, and, once it listens, it imports the modules it was
told of, so that the first cell finds them loaded. It ends by itself within a second or two when the process
that started it is gone.
"""

from __future__ import annotations

import gc
import importlib
import sys
from contextlib import suppress
from typing import Any

from vmqlib.record._quick import calm_collector

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Serves until told to stop."""
    connection_file, *modules = arguments
    calm_collector()
    # Nobody steps through the cells of a record, and ipykernel does without: it is half of what starting costs.
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    from ipykernel.kernelapp import IPKernelApp
    from tornado.ioloop import IOLoop
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShellApp.ignore_cwd = True
    config.IPKernelApp.connection_file = connection_file
    app: Any = IPKernelApp.instance(config=config)
    app.initialize([])
    IOLoop.current().add_callback(_warm_up, modules)
    app.start()


def _warm_up(modules: list[str]) -> None:
    for name in modules:
        # A module that cannot be imported fails again in the cell that needs it, where the record shows it.
        with suppress(Exception):
            importlib.import_module(name)
    # What was imported is here to stay: no collection needs to look through it again.
    gc.freeze()


if __name__ == "__main__":
    main(sys.argv[1:])
