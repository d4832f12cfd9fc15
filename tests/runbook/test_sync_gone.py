"""A server that is stopped in the middle of a wait: the connection is refused, not cut."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from vmqlib.aws import Aws
from vmqlib.errors import Unreachable
from vmqlib.runbook import resync
from vmqlib.settings import Settings
from vmqlib.simulator.http import Server


@pytest.mark.slow
def test_nobody_listens_for_a_while(local_aws: Any, point_at: Callable[[Any], None]) -> None:
    """The front end goes, the same world comes back on the same port: the wait goes on to the job's end."""
    point_at(local_aws)
    local_aws.clock.set(local_aws.clock.now())  # at the real pace the job could be over before that
    settings = Settings.load()
    aws = Aws(settings, local_aws.clock, max_attempts=1)
    running = resync.start(aws, settings, settings.ds_id)
    told: list[resync.Trouble] = []
    statuses: list[str] = []
    first, second = local_aws._server, []

    def progress(job: resync.SyncJob) -> None:
        statuses.append(job.status)
        if len(statuses) == 2:
            first.shutdown()
            first.server_close()
            first.hang_up()

    def trouble(seen: resync.Trouble) -> None:
        told.append(seen)
        if len(told) == 4:
            import threading

            server = Server(local_aws.answer, first.port, local_aws.clock.now)
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            second.append((server, thread))

    def sleep(seconds: float) -> None:
        local_aws.clock.advance(timedelta(seconds=0.2))

    try:
        job = resync.wait(
            aws,
            settings,
            settings.ds_id,
            running.execution_id,
            progress=progress,
            trouble=trouble,
            sleep=sleep,
        )
    finally:
        aws.close()
        for server, thread in second:
            server.shutdown()
            server.hang_up()
            thread.join()
            server.server_close()
    assert job.succeeded
    assert job.execution_id == running.execution_id
    assert [type(one.error) for one in told] == [Unreachable] * 4
