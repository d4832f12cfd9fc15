"""Inside the apply engine: one thread that reads the plan, writes the log and judges, and workers that only send.

Items go in handfuls. A worker looks whether they are still what was planned for; their intents are written with one
fdatasync; then each is sent. What comes back is judged here: decided, tried again later, or the end of the run.
"""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

from vmqlib.errors import AwsError, Throttled, Unreachable, VmqError
from vmqlib.runbook.rollback.applylog import ApplyLog
from vmqlib.runbook.rollback.items import CHANGES, Item
from vmqlib.runbook.rollback.jobs import NUDGE, UNSENT, Applier, Job, Look, Pace
from vmqlib.runbook.rollback.outcome import Outcome
from vmqlib.runbook.rollback.results import Problem
from vmqlib.runbook.rollback.verdicts import CHANGED, GENERAL, SAME, asked_to_wait, ending, failed, hopeless

__all__ = ["Dispatcher"]

_TICK_S = 0.1
_FLUSH_S = 0.25  # how long an outcome may wait for the disk
_IN_A_ROW = 10  # refusals that concern more than their item, with nothing carried out in between, end the run
_PROBLEMS = 20
_LEAVING_S = 0.5  # for threads to end when they are not waited for
_DECIDED = frozenset({"done", "found", "changed"})


class Dispatcher:
    """One run. :meth:`run` is a thread's; everything else may be read meanwhile.

    Parameters
    ----------
    items:
        The plan's items with their numbers.
    objects, log, pace:
        See :func:`vmqlib.runbook.rollback.engine.run`.
    stop:
        Set by whoever wants it to end.
    changed:
        What to say of an item that is not what was planned for any more.
    grace:
        How many seconds what is in flight has after ``stop``. What has no answer then is left in doubt.
    """

    def __init__(
        self,
        items: Iterator[tuple[int, Item]],
        objects: Applier,
        log: ApplyLog,
        pace: Pace,
        stop: threading.Event,
        changed: Callable[[Item], Outcome] = lambda _: CHANGED,
        grace: float = math.inf,
    ) -> None:
        self.counts = {"done": 0, "found": 0, "changed": 0, "failed": 0}
        self.given_up = self.retries = self.throttled = 0
        self.problems: list[Problem] = []
        self.error: VmqError | None = None
        self.crash: BaseException | None = None
        self._items, self._objects, self._log, self._pace, self._stop = items, objects, log, pace, stop
        self._changed = changed
        self._grace = grace
        self._stopped_at: float | None = None
        self._window = 3 * pace.handful + (0 if pace.rate else pace.pool.most)
        self._queue: SimpleQueue[Any] = SimpleQueue()  # jobs, nudges, and None for the end
        self._looks: deque[Look] = deque()
        self._looking = 0
        self._back: deque[tuple[Job | Look, Any]] = deque()
        self._later: list[tuple[float, int, Job | Look]] = []
        self._order = itertools.count()
        self._ready: list[Job] = []
        self._more = True
        self._out = 0  # items that were read and are neither decided nor given up
        self._streak = 0
        self._flushed = pace.monotonic()
        self._wake = threading.Event()
        self._halt = threading.Event()
        self._hungry = False

    def run(self) -> None:
        """Carries everything out and ends with nothing under way. Errors are found in ``error`` and ``crash``."""
        names = (f"rollback-{index}" for index in range(self._pace.pool.most))
        # Daemons: a process that is told to end does not wait for an S3 that does not answer.
        workers = [
            threading.Thread(target=self._work, args=(i,), name=name, daemon=True)
            for i, name in enumerate(names)
        ]
        started = []
        try:
            for worker in workers:
                worker.start()
                started.append(worker)
            while (self._out or (self._more and not self._halted)) and not self._past_grace():
                for step in (self._feed, self._wait, self._collect, self._send, self._flush):
                    self._guarded(step)
        except BaseException as error:  # noqa: BLE001 - raised where the run was started
            self.crash = self.crash or error
        finally:
            for _ in started:
                self._queue.put(None)
            self._pace.pool.release()
            self._join(started)
            self._guarded(self._log.flush)

    def rest(self) -> int:
        """Reads the plan to its end; how many items that were never come to are undecided."""
        undecided = (
            item.action in CHANGES and self._log.state(number) not in _DECIDED for number, item in self._items
        )
        return sum(undecided)

    def _past_grace(self) -> bool:
        """Whether somebody wants it to end, and what is in flight had its time."""
        if not self._stop.is_set():
            return False
        now = self._pace.monotonic()
        if self._stopped_at is None:
            self._stopped_at = now
        return now - self._stopped_at >= self._grace

    def _join(self, workers: list[threading.Thread]) -> None:
        """Waits for the workers, but not for those that S3 keeps waiting when what is in flight had its time."""
        until = time.monotonic() + _LEAVING_S
        left = self._out > 0 and self._past_grace()
        for worker in workers:
            worker.join(max(0.0, until - time.monotonic()) if left else None)
        # What has no answer is not come to where it was only looked at; else its intent stays without an outcome.
        self.given_up += self._out
        self._out = 0

    # -- the workers

    def _work(self, index: int) -> None:
        pool, queue, back, low = self._pace.pool, self._queue, self._back, self._pace.handful
        refused = 0
        while True:
            pool.admit(index)
            entry = queue.get()
            if entry is None:
                return
            if index >= pool.limit:  # fewer were asked for while this one waited
                queue.put(entry)
                continue
            while self._looks:  # first of all: what they let through is what the others will be short of
                with suppress(IndexError):
                    look = self._looks.popleft()
                    back.append((look, self._ask(look)))
                    self._wake.set()
            if entry is NUDGE:
                continue
            result = self._ask(entry)
            back.append((entry, result))
            waiting = queue.qsize()
            told = type(result) is not Outcome or result.result == "failed"  # perhaps the end of the run
            if told and hopeless(result):
                self._halt.set()
            if told or not waiting or (self._hungry and waiting < low):
                self._hungry = False
                self._wake.set()
            # Its item waits, and so does the worker: else it would have the next ones refused, too.
            refused = refused + 1 if isinstance(result, Throttled) else 0
            if refused:
                self._halt.wait(self._pace.pause(refused, asked_to_wait(result)))

    def _ask(self, entry: Job | Look) -> Any:
        pool = self._pace.pool
        try:
            if self._stop.is_set() or self._halt.is_set():
                return UNSENT
            if isinstance(entry, Look):
                entry.round = pool.round
                return self._objects.still_planned([job.item for job in entry.jobs])
            if self._pace.rate is not None and (
                not self._pace.rate.take(self._pace.sleep or self._halt.wait) or self._stop.is_set()
            ):
                return UNSENT
            entry.round = pool.round
            outcome = self._objects.apply(entry.item, in_doubt=entry.in_doubt)
        except Throttled as error:
            pool.slower(entry.round)
            return error
        except BaseException as error:  # noqa: BLE001 - judged, and raised where the run was started
            return error
        pool.faster()
        return outcome

    # -- this thread

    @property
    def _halted(self) -> bool:
        return self._halt.is_set() or self._stop.is_set()

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except VmqError as error:
            self._end(error)
        except BaseException as error:  # noqa: BLE001 - raised where the run was started
            self.crash = self.crash or error
            self._halt.set()

    def _end(self, error: VmqError) -> None:
        self.error = self.error or error
        self._halt.set()

    def _feed(self) -> None:
        if self._halted:
            self._halt.set()
            return self._drop()
        now = self._pace.monotonic()
        while self._later and self._later[0][0] <= now:
            self._begin(heapq.heappop(self._later)[2])
        while self._more and self._out + self._pace.handful <= self._window:
            fresh: list[Job] = []
            try:
                self._read(fresh)
            finally:
                if fresh:
                    self._looking += 1
                    self._begin(Look(fresh))
        return None

    def _begin(self, entry: Job | Look) -> None:
        if isinstance(entry, Look):
            self._looks.append(entry)
            self._queue.put(NUDGE)
        else:
            self._queue.put(entry)

    def _read(self, fresh: list[Job]) -> None:
        """The next handful."""
        try:
            for number, item in self._items:
                if item.action not in CHANGES or (state := self._log.state(number)) in _DECIDED:
                    if self._stop.is_set():
                        return
                    continue
                fresh.append(Job(number, item, in_doubt=state != "none"))
                self._out += 1
                if len(fresh) >= self._pace.handful:
                    return
        except BaseException:
            self._more = False
            raise
        self._more = False

    def _wait(self) -> None:
        if self._ready or self._back:
            return
        nap = _TICK_S
        if self._later:
            nap = min(nap, max(0.0, self._later[0][0] - self._pace.monotonic()))
        self._hungry = self._more and not self._looking
        if self._out:
            self._wake.wait(nap)
        self._wake.clear()

    def _collect(self) -> None:
        while self._back:
            entry, result = self._back.popleft()
            if isinstance(entry, Job):
                self._judge(entry, result)
            else:
                self._looked(entry, result)

    def _send(self) -> None:
        if ready := self._ready:
            self._ready = []
            if self._halted:
                return self._forget(ready)
            try:
                self._log.intend([(job.number, job.item) for job in ready])
            except BaseException:
                self._forget(ready)
                raise
            self._flushed = self._pace.monotonic()
            for job in ready:
                self._queue.put(job)
        return None

    def _flush(self) -> None:
        if self._log.waiting and self.error is None:
            now = self._pace.monotonic()
            if now - self._flushed >= _FLUSH_S:
                self._flushed = now
                self._log.flush()

    def _drop(self) -> None:
        """What was not sent yet is not sent any more."""
        entries = [entry for _, _, entry in self._later]
        self._later.clear()
        with suppress(IndexError):
            while True:
                entries.append(self._looks.popleft())
        with suppress(Empty):
            while True:
                if (entry := self._queue.get_nowait()) is not NUDGE:
                    entries.append(entry)
        for entry in entries:
            self._give_up(entry)

    def _forget(self, jobs: list[Job]) -> None:
        """For jobs without an intent of this run."""
        self._out -= len(jobs)
        self.given_up += len(jobs)

    def _give_up(self, entry: Job | Look, *, perhaps_sent: bool = False) -> None:
        if isinstance(entry, Look):
            self._looking -= 1
            return self._forget(entry.jobs)
        if not (entry.in_doubt or perhaps_sent):
            self._log.unsent(entry.number)
        return self._forget([entry])

    # -- judging

    def _looked(self, look: Look, result: Any) -> None:
        if isinstance(result, AbstractSet):
            self._looking -= 1
            for job in look.jobs:
                if job.item.key in result:
                    # Also one that a killed run had sent: it did not arrive, or arrives yet, and then the condition
                    # of the later of the two fails.
                    job.in_doubt = False
                    self._ready.append(job)
                elif job.in_doubt:
                    self._ready.append(job)
                else:
                    self._settle(job, self._changed(job.item))
        elif result is UNSENT:
            self._give_up(look)
        elif not (isinstance(result, Throttled | Unreachable) and self._again(look, result)):
            self._give_up(look)
            raise result

    def _judge(self, job: Job, result: Any) -> None:
        if isinstance(result, Outcome):
            if hopeless(result):
                return self._refused(job, ending(result))
            if result.result == "found" and not job.asked:
                # Our one request was refused: what looks like it is somebody else's.
                result = replace(CHANGED, version_id=result.version_id, etag=result.etag, problem=SAME)
            return self._settle(job, result)
        if result is UNSENT:
            return self._give_up(job)
        if isinstance(result, Throttled | Unreachable):
            # Throttled: surely not carried out. No answer, or an error of S3's own: perhaps.
            if isinstance(result, Unreachable) and getattr(result, "sent", True):
                job.in_doubt = job.asked = True
            if self._again(job, result):
                return None
            return self._give_up(job) if self._halted else self._settle(job, failed(result), general=True)
        if hopeless(result):
            return self._refused(job, result)
        if isinstance(result, AwsError):
            return self._settle(job, failed(result))
        self._give_up(job, perhaps_sent=True)
        raise result

    def _again(self, entry: Job | Look, error: AwsError) -> bool:
        """Whether it will be tried again."""
        self.throttled += isinstance(error, Throttled)
        entry.attempt += 1
        if entry.attempt >= self._pace.attempts or self._halted:
            return False
        self.retries += 1
        wait = self._pace.pause(entry.attempt, asked_to_wait(error))
        heapq.heappush(self._later, (self._pace.monotonic() + wait, next(self._order), entry))
        return True

    def _refused(self, job: Job, error: VmqError) -> None:
        self._give_up(job)
        self._end(error)

    def _settle(self, job: Job, outcome: Outcome, *, general: bool = False) -> None:
        self._out -= 1
        self.counts[outcome.result] += 1
        self._log.outcome(job.number, outcome)
        if outcome.result in {"changed", "failed"} and len(self.problems) < _PROBLEMS:
            self.problems.append(
                Problem(job.item.key, outcome.result, outcome.code, outcome.problem, outcome.hint)
            )
        if outcome.result != "failed":
            self._streak = 0
        elif general or outcome.code in GENERAL:
            self._streak += 1
            if self._streak >= _IN_A_ROW:
                self._end(ending(outcome))
