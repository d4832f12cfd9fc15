"""The apply engine: carries a plan out with a bounded pool of workers, and can be killed at any moment.

What is held at any time does not depend on the length of the plan, but for one byte an item (the log's states).
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vmqlib.errors import VmqError
from vmqlib.runbook.rollback.applylog import ApplyLog
from vmqlib.runbook.rollback.dispatch import Dispatcher
from vmqlib.runbook.rollback.items import Item
from vmqlib.runbook.rollback.jobs import Applier, Pace
from vmqlib.runbook.rollback.outcome import Outcome
from vmqlib.runbook.rollback.pacing import Rate, Workers, backoff
from vmqlib.runbook.rollback.progress import Meter, Progress
from vmqlib.runbook.rollback.results import Problem
from vmqlib.runbook.rollback.verdicts import CHANGED
from vmqlib.sources.crew import GRACE_S

__all__ = ["Applier", "Progress", "Tally", "run"]

_HANDFUL = (64, 256)  # items at least and at most, when no rate is set
_TICK_S = 0.1


@dataclass(frozen=True)
class Tally:
    """Where the whole plan stands after a run, earlier runs of the same log included.

    Parameters
    ----------
    done, found:
        Items that were carried out, and that had been already, by a run that could not say so any more.
    changed:
        Items that are not what was planned for any more; left alone.
    failed:
        Items that S3 refused in this run; a resume tries them again.
    left:
        Items that were not come to, or of which nobody knows what came of them; a resume goes on with them.
    unknown:
        How many of the latter: asked for, and no answer.
    seconds:
        How long this run took.
    earlier:
        How many of done, found and changed are from earlier runs.
    retries, throttled:
        How often an item was sent again, and how often S3 said SlowDown.
    fewest:
        The smallest number of workers that SlowDown left.
    problems:
        The first items of this run that were changed or failed.
    interrupted:
        Whether it was stopped by a person (Ctrl-C, ``stop``) before the end.
    error:
        What ended the run early: credentials that expired, a permission that is missing, a disk that is full. To be
        raised once the tally has been noted.
    """

    done: int = 0
    found: int = 0
    changed: int = 0
    failed: int = 0
    left: int = 0
    unknown: int = 0
    seconds: float = 0.0
    earlier: int = 0
    retries: int = 0
    throttled: int = 0
    fewest: int = 0
    problems: tuple[Problem, ...] = ()
    interrupted: bool = False
    error: VmqError | None = None


def run(
    items: Iterable[Item],
    objects: Applier,
    log: ApplyLog,
    *,
    workers: int = 16,
    rate: float | None = None,
    attempts: int = 8,
    total: int = 0,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
    sleep: Callable[[float], object] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    pause: Callable[[int, float], float] = backoff,
    changed: Callable[[Item], Outcome] = lambda _: CHANGED,
    grace: float = GRACE_S,
) -> Tally:
    """Carries out what the log does not know to be decided; given a log with entries, it resumes.

    Ctrl-C in the calling thread, or ``stop``, begins nothing new; what is in flight has ``grace`` seconds to end, and
    is logged. What S3 does not answer by then stays in doubt, for a resume to find out: as if the process had been
    killed, but told. Its request may still arrive, under its condition. An error that concerns every item
    (:attr:`Tally.error`) begins nothing new, either. Items that failed in an earlier run are tried again.

    Parameters
    ----------
    items:
        All items of the plan, in its order: their place, from 0, is their number in the log. Those that change nothing
        are passed over. Read once, by another thread.
    objects:
        Asks S3; used by ``workers`` threads.
    log:
        Open, of this plan.
    workers:
        The most requests at a time. S3's SlowDown halves them, success brings them back one by one.
    rate:
        At most so many items a second; ``None``: as fast as it goes.
    attempts:
        How often an item is tried in all when S3 says SlowDown, fails, or gives no answer.
    total:
        Items that change something, where known: for the progress, and to save counting them at an early end.
    progress:
        Called ten times a second in the calling thread, and at the end.
    stop:
        Set by whoever wants it to end; Ctrl-C sets it, too.
    sleep, monotonic:
        Waiting for the rate, and a clock that never goes back, in seconds.
    pause:
        Seconds before the next try, by tries so far and what S3 asked for.
    changed:
        What to say of an item that is not what was planned for any more.
    grace:
        Seconds.

    Raises
    ------
    Exception
        Any error that is not one of the kit's, wherever it came from: a mistake in a program. What was in flight has
        ended and is logged then, too.
    """
    stop = stop or threading.Event()
    pool = Workers(workers)
    least, most = _HANDFUL
    handful = min(most, max(least, 4 * pool.most))
    if rate:
        handful = min(handful, math.ceil(rate))
    pace = Pace(
        pool=pool,
        rate=Rate(rate, monotonic=monotonic) if rate else None,
        handful=handful,
        attempts=attempts,
        pause=pause,
        sleep=sleep,
        monotonic=monotonic,
    )
    decided = log.counts
    earlier = {name: decided.get(name, 0) for name in ("done", "found", "changed")}
    meter = Meter(total, earlier, monotonic)
    dispatcher = Dispatcher(enumerate(items), objects, log, pace, stop, changed, grace)
    told = _supervised(
        dispatcher, stop, lambda: progress and progress(meter.look(dispatcher.counts, pool.limit))
    )
    seconds = meter.seconds
    if broken := dispatcher.crash or told:
        raise broken
    counts = {name: count + earlier.get(name, 0) for name, count in dispatcher.counts.items()}
    left = total - sum(counts.values()) if total else dispatcher.given_up + dispatcher.rest()
    return Tally(
        **counts,
        left=left,
        unknown=log.counts.get("in-doubt", 0),
        seconds=seconds,
        earlier=sum(earlier.values()),
        retries=dispatcher.retries,
        throttled=dispatcher.throttled,
        fewest=pool.lowest,
        problems=tuple(dispatcher.problems),
        interrupted=left > 0 and dispatcher.error is None,
        error=dispatcher.error,
    )


def _supervised(
    dispatcher: Dispatcher, stop: threading.Event, tell: Callable[[], object]
) -> Exception | None:
    """Runs it in a thread of its own, so that Ctrl-C never comes in the middle of a write; what ``tell`` raised, if it
    did."""
    ended = threading.Event()

    def run_to_its_end() -> None:
        try:
            dispatcher.run()
        finally:
            ended.set()

    thread = threading.Thread(target=run_to_its_end, name="rollback-dispatch")
    broken: Exception | None = None
    with _noting_ctrl_c() as pressed:
        thread.start()
        while True:
            try:
                # Not join(): interrupted by Ctrl-C, it takes the thread for ended (CPython before 3.13).
                while not ended.wait(_TICK_S):
                    if pressed:
                        stop.set()
                    if broken is None:
                        tell()
                thread.join()
                if broken is None:
                    tell()
                return broken
            except KeyboardInterrupt:
                stop.set()
            except Exception as error:  # noqa: BLE001 - raised when nothing is under way any more
                broken = error
                stop.set()


@contextmanager
def _noting_ctrl_c() -> Iterator[list[int]]:
    """Within it Ctrl-C is written down and nothing else. Raised, a second one could come while the first is dealt with
    or in the middle of an Event's own work, and leave while requests are under way.

    Where somebody else handles it, as the command line does, or in another thread than the main one, it stays so.
    """
    pressed: list[int] = []
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield pressed
        return
    signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
