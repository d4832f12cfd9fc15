"""What makes importing quick: nbformat, papermill and nbconvert, and a thousand modules in a row."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["calm_collector", "quick_imports"]

_SLOW = ("rfc3987_syntax", "isoduration", "rfc3986_validator")

_COLLECT_AFTER = 50_000
"""Objects, net, that a process of ours makes before its garbage is looked for: some ten megabytes at most."""


def calm_collector() -> None:
    """Looks for garbage rarely, for a process that lives for seconds.

    Importing makes a million objects that all stay. Python's collector looks through them again and again,
    after every 700 or 2,000 new ones: a tenth of the time.
    """
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])


@contextmanager
def quick_imports() -> Iterator[None]:
    """Keeps some packages out while nbformat imports jsonschema, and leaves no trace afterwards.

    jsonschema tries to import them for its optional checks of the formats ``iri``, ``duration`` and ``uri``.
    ``rfc3987_syntax`` builds a parser at import: 0.7 to 1.7 s, where everything else together takes 0.6 s; the
    others take 0.04 s. They are only there where JupyterLab is installed, jsonschema does without them when
    they are missing, and the notebook format has no such field. A ``None`` in ``sys.modules`` makes an import
    fail as if the package were missing; it is taken away again, for whoever needs it later.
    """
    hidden = [] if "jsonschema" in sys.modules else [name for name in _SLOW if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name, ...) is None:
                del sys.modules[name]
