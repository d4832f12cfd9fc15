"""vmqlib: the VaultMesh Q incident notebook kit.

An incident notebook needs three names: :func:`begin`, :class:`Incident` and the ``view`` package. They are loaded
when first used, so that ``import vmqlib`` costs nothing (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.errors import VmqError
    from vmqlib.record.incident import Incident
    from vmqlib.runbook.opening import begin
    from vmqlib.settings import Settings
    from vmqlib.times import FixedClock, SystemClock

__all__ = ["Aws", "FixedClock", "Incident", "Settings", "SystemClock", "VmqError", "__version__", "begin"]

__version__ = "0.1.0"

_HOMES = {
    "Aws": "vmqlib.aws",
    "FixedClock": "vmqlib.times",
    "Incident": "vmqlib.record.incident",
    "Settings": "vmqlib.settings",
    "SystemClock": "vmqlib.times",
    "VmqError": "vmqlib.errors",
    "begin": "vmqlib.runbook.opening",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
