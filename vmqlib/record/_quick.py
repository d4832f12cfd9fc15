"""What makes importing quick: nbformat, papermill and nbconvert, and a thousand modules in a row."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["calm_collector", "quick_imports"]

_SLOW = "rfc3987_syntax"

_COLLECT_AFTER = 50_000
"""Objects, net, that a process of ours makes before its garbage is looked for: some ten megabytes at most."""


def calm_collector() -> None:
    """Looks for garbage rarely, for a process that lives for seconds.

    Importing makes a million objects that all stay. Python's collector looks through them after every 700,
    again and again: a tenth of the time.
    """
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])


@contextmanager
def quick_imports() -> Iterator[None]:
    """Keeps ``rfc3987_syntax`` out while nbformat imports jsonschema, and leaves no trace afterwards.

    jsonschema tries to import that package for its optional ``iri`` format checks, and the package builds a
    parser at import: 0.7 to 1.7 s, where everything else together takes 0.6 s. It is only there where
    JupyterLab is installed, jsonschema does without it when it is missing, and the notebook format has no
    ``iri`` field. A ``None`` in ``sys.modules`` makes the import fail as if it were missing; it is taken
    away again, for whoever needs it later.
    """
    if _SLOW in sys.modules or "jsonschema" in sys.modules:
        yield
        return
    sys.modules[_SLOW] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if sys.modules.get(_SLOW, ...) is None:
            sys.modules.pop(_SLOW, None)
