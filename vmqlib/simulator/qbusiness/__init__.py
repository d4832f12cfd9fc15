"""Amazon Q Business for moto, living outside moto.

In process, for scenarios and tests::

    from vmqlib.simulator.qbusiness import Pace, qbusiness_backends, register

    register()  # before mock_aws() or the server's first request
    q = qbusiness_backends["123456789012"]["eu-west-1"]
    world.add(q)  # next_event_at() and run_due(now)

    q.seed(7)  # ids and durations follow from it
    q.pace = Pace()  # 300 documents in 2 to 4 minutes; Pace.quick() for a few seconds
    app = q.call("CreateApplication", {"displayName": "vaultmesh"})["applicationId"]
    index = q.call("CreateIndex", {"applicationId": app, "displayName": "main"})["indexId"]
    source = q.call("CreateDataSource", {"applicationId": app, "indexId": index, "displayName": "s3",
        "roleArn": …, "syncSchedule": "cron(0 3 * * ? *)", "configuration": {"type": "S3",
        …}})["dataSourceId"]

``q.call(operation, params)`` is the API itself, with its checks and errors; what falls due until moto's
present happens first. Without a world, ``q.run_due(moment)`` moves it on. Switches: ``q.deny_read(bucket,
key_prefix, reason)`` and ``q.allow_read(…)``, ``q.deny_role(arn)`` and ``q.allow_role(arn)``,
``q.deliver_logs(app, "SYNC_JOB_LOGS", …)``, ``q.put_user(user, *groups)``,
``q.no_sync.time_of_day`` (UTC, None: off). ``q.index(index_id)``
are the documents, ``q.syncs.jobs(source_id)`` the jobs.

Decisions where AWS's pages say nothing, so that nobody takes them for facts: a document's id is
``s3://bucket/key`` unless its metadata give another; a document that fails is FAILED in ListDocuments and not
found by chat, even when an earlier version was indexed; a failed document is not read again until it changes
but keeps counting in ``documentsFailed``, so the job stays INCOMPLETE; SyncFailed is 1 for FAILED and
INCOMPLETE jobs, else 0.
"""

from __future__ import annotations

from vmqlib.simulator.qbusiness.models import QBusinessBackend, qbusiness_backends
from vmqlib.simulator.qbusiness.register import SERVICE, register
from vmqlib.simulator.qbusiness.timing import Pace

__all__ = ["SERVICE", "Pace", "QBusinessBackend", "qbusiness_backends", "register"]
