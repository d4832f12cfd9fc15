"""What AWS says: read-only, one module per thing observed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vmqlib.sources import (
    acl,
    alarmactions,
    alarmconfig,
    alarms,
    buckethealth,
    caller,
    canaries,
    chatcontrols,
    cihold,
    commits,
    conversations,
    dashboard,
    deliveries,
    documents,
    logs,
    metricnames,
    metrics,
    ownquestions,
    permissions,
    promotions,
    resources,
    rolepolicy,
    syncjobs,
    trail,
    versions,
)
from vmqlib.sources.base import Column, Progress, Reading, Source, frame

__all__ = ["REGISTRY", "Column", "Progress", "Reading", "Source", "frame"]

#: What can be observed, by name. An incident looks at what is routine by itself, at the rest where it is asked to.
REGISTRY: Mapping[str, Source] = MappingProxyType(
    {
        source.name: source
        for source in (
            resources.SOURCE,
            syncjobs.SOURCE,
            alarms.SOURCE,
            alarms.HISTORY,
            metrics.SOURCE,
            dashboard.WIDGETS,
            dashboard.DATA,
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
            ownquestions.SOURCE,
            cihold.SOURCE,
            # how it is wired up: vmq doctor
            caller.SOURCE,
            permissions.SOURCE,
            alarmconfig.SOURCE,
            metricnames.SOURCE,
            alarmactions.SOURCE,
            deliveries.SOURCE,
            buckethealth.SOURCE,
            rolepolicy.SOURCE,
        )
    }
)
