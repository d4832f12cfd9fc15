"""What AWS says: read-only, one module per thing observed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vmqlib.sources import (
    acl,
    alarms,
    canaries,
    chatcontrols,
    commits,
    conversations,
    documents,
    logs,
    metrics,
    promotions,
    resources,
    syncjobs,
    trail,
    versions,
)
from vmqlib.sources.base import Column, Progress, Reading, Source, frame

__all__ = ["REGISTRY", "Column", "Progress", "Reading", "Source", "frame"]

#: What an incident observes, by name.
REGISTRY: Mapping[str, Source] = MappingProxyType(
    {
        source.name: source
        for source in (
            resources.SOURCE,
            syncjobs.SOURCE,
            alarms.SOURCE,
            alarms.HISTORY,
            metrics.SOURCE,
            documents.SOURCE,
            versions.SOURCE,
            promotions.SOURCE,
            trail.SOURCE,
            commits.SOURCE,
            chatcontrols.SOURCE,
            acl.SOURCE,
            logs.CONNECTOR_LOG,
            logs.DOCUMENT_REPORT,
            conversations.SOURCE,
            canaries.SOURCE,
        )
    }
)
