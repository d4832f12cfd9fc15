"""What AWS says: read-only, one module per thing observed."""

from __future__ import annotations

from vmqlib.sources.base import Column, Progress, Reading, Source, frame

__all__ = ["Column", "Progress", "Reading", "Source", "frame"]
