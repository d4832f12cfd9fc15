"""The apply engine against a bucket in memory: order of log and requests, retries, giving up, stopping, going on."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.apply_fake import FakeObjects, items_of

from vmqlib.errors import AccessDenied, AwsError, CorruptRecord, CredentialsExpired, Throttled, Unreachable
from vmqlib.record.storage import sync_file
from vmqlib.runbook.rollback import applylog
from vmqlib.runbook.rollback.applylog import ApplyLog, Head
from vmqlib.runbook.rollback.engine import Progress, Tally, run
from vmqlib.runbook.rollback.items import CHANGES, Item
from vmqlib.runbook.rollback.objects import Outcome
from vmqlib.runbook.rollback.pacing import backoff

HEAD = Head("a" * 64, "INC-1", "me")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "apply-aaaaaaaaaaaa.jsonl"


def no_pause(attempt: int, asked: float) -> float:
    return 0.0


def changes(items: Sequence[Item]) -> int:
    return sum(item.action in CHANGES for item in items)


def applied(items: Sequence[Item], objects: Any, path: Path, **options: Any) -> Tally:
    with ApplyLog(path, HEAD) as log:
        tally = run(items, objects, log, **{"pause": no_pause, **options})
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("rollback")]
    return tally


def test_everything_is_done_once_and_only_what_changes(path: Path) -> None:
    items = items_of(1000)
    objects = FakeObjects(items)
    tally = applied(items, objects, path)
    assert (tally.done, tally.left, tally.interrupted, tally.error) == (changes(items), 0, False, None)
    assert objects.applied == {item.key: 1 for item in items if item.action in CHANGES}
    read = applylog.read(path)
    assert read.counts == {"done": changes(items)}
    assert [number for number, _ in read.outcomes()] == [
        n for n, item in enumerate(items) if item.action in CHANGES
    ]
    assert read.outcome(7) == Outcome("done", f"ours-{items[7].key}", "etag")
    assert read.outcome(5) is None
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("workers", [1, 3, 100])
def test_no_request_leaves_before_its_intent_is_on_the_disk(path: Path, workers: int) -> None:
    durable = 0

    def sync(descriptor: int) -> None:
        nonlocal durable
        size = path.stat().st_size
        sync_file(descriptor)
        durable = size

    class Watching(FakeObjects):
        def apply(self, item: Item, *, in_doubt: bool = False) -> Outcome:
            known = path.read_bytes()[:durable]
            assert json.dumps(item.key).encode() in known
            return super().apply(item, in_doubt=in_doubt)

    items = items_of(300)
    objects = Watching(items)
    with ApplyLog(path, HEAD, sync=sync) as log:
        assert run(items, objects, log, workers=workers).done == changes(items)
    assert objects.most <= workers


def test_many_intents_share_a_write(path: Path) -> None:
    syncs = itertools.count()

    def sync(descriptor: int) -> None:
        next(syncs)

    items = items_of(2000)
    with ApplyLog(path, HEAD, sync=sync) as log:
        run(items, FakeObjects(items), log)
    assert next(syncs) < 2000 / 20


def test_going_on_after_the_end_asks_for_nothing(path: Path) -> None:
    items = items_of(200)
    first = applied(items, FakeObjects(items), path)
    objects = FakeObjects(items)
    again = applied(items, objects, path)
    assert objects.sent == []
    assert (again.done, again.earlier, again.left) == (first.done, first.done, 0)


def test_what_somebody_else_changed_is_left_alone(path: Path) -> None:
    items = items_of(300)
    objects = FakeObjects(items)
    theirs = [item.key for item in items[::7] if item.action in CHANGES]
    objects.top.update(dict.fromkeys(theirs, "theirs"))
    tally = applied(items, objects, path)
    assert (tally.changed, tally.done) == (len(theirs), changes(items) - len(theirs))
    assert [problem.key for problem in tally.problems] == theirs[:20]
    assert not set(theirs) & set(objects.applied)


def test_slowdown_resets_lost_answers_and_errors(path: Path) -> None:
    chance = random.Random(7)
    print("seed 7")

    def before(item: Item, tries: int) -> Exception | None:
        what = chance.random()
        if what < 0.10:
            return Throttled("slow down", code="SlowDown")
        return Unreachable("reset") if what < 0.12 else None

    def after(item: Item, tries: int) -> Exception | None:
        return Unreachable("lost") if chance.random() < 0.03 else None

    items = items_of(2000)
    objects = FakeObjects(items, before=before, after=after)
    tally = applied(items, objects, path)
    assert (tally.done + tally.found, tally.failed, tally.changed) == (changes(items), 0, 0)
    assert tally.found > 0
    assert tally.throttled > 100
    assert tally.fewest < 16
    assert set(objects.applied.values()) == {1}


def test_in_doubt_is_only_what_may_have_been_carried_out(path: Path) -> None:
    doubts: dict[str, list[bool]] = {}

    class Watching(FakeObjects):
        def apply(self, item: Item, *, in_doubt: bool = False) -> Outcome:
            doubts.setdefault(item.key, []).append(in_doubt)
            return super().apply(item, in_doubt=in_doubt)

    def before(item: Item, tries: int) -> Exception | None:
        if tries < 3:
            return [Throttled("slow down"), Unreachable("no answer"), Throttled("slow down")][tries]
        return None

    items = items_of(3)
    applied(items, Watching(items, before=before), path)
    assert set(map(tuple, doubts.values())) == {(False, False, True, True)}


def test_attempts_end_and_a_resume_tries_again(path: Path) -> None:
    items = items_of(4)
    never = FakeObjects(items, before=lambda item, tries: Throttled("slow down", code="SlowDown"))
    tally = applied(items, never, path, attempts=3)
    assert (tally.failed, tally.retries, tally.left) == (4, 8, 0)
    assert {(one.result, one.code) for one in tally.problems} == {("failed", "SlowDown")}
    objects = FakeObjects(items)
    again = applied(items, objects, path)
    assert (again.done, again.failed, again.earlier) == (4, 0, 0)
    assert applylog.read(path).counts == {"done": 4}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (AccessDenied("no", code="AccessDenied"), AccessDenied),
        (Outcome("failed", code="no-permission", problem="no"), AccessDenied),
        (Unreachable("nobody is there"), AwsError),
    ],
)
def test_refusals_in_a_row_end_the_run(path: Path, fault: Any, kind: type[AwsError]) -> None:
    items = items_of(3000)
    objects = FakeObjects(items, before=lambda item, tries: fault, takes=0.001)
    tally = applied(items, objects, path, attempts=2)
    assert isinstance(tally.error, kind)
    assert 10 <= tally.failed < 60
    assert tally.left == changes(items) - tally.failed
    assert not tally.interrupted
    # Granted meanwhile: everything is tried.
    assert applied(items, FakeObjects(items), path).done == changes(items)


def test_a_permission_that_a_few_keys_lack_ends_nothing(path: Path) -> None:
    items = items_of(600)
    denied = {item.key for item in items[::9]}
    fault = AccessDenied("no", code="AccessDenied")
    objects = FakeObjects(items, before=lambda item, tries: fault if item.key in denied else None)
    tally = applied(items, objects, path, workers=1)
    assert tally.error is None
    assert tally.failed == sum(item.key in denied and item.action in CHANGES for item in items)
    assert tally.left == 0


@pytest.mark.parametrize(
    "fault",
    [
        CredentialsExpired("expired", code="ExpiredToken"),
        AwsError("gone", code="NoSuchBucket"),
        Outcome("failed", code="NoSuchBucket", problem="gone"),
    ],
)
def test_what_concerns_every_item_ends_the_run_at_once(path: Path, fault: Any) -> None:
    items = items_of(2000)
    objects = FakeObjects(
        items, before=lambda item, tries: fault if len(objects.sent) > 100 else None, takes=0.001
    )
    tally = applied(items, objects, path)
    assert tally.error is not None
    assert tally.error.code == getattr(fault, "code", "")  # type: ignore[attr-defined]
    assert tally.failed == 0
    assert tally.done + tally.left == changes(items)
    assert len(objects.sent) < 150
    # Whatever was refused was surely not done, and what waited was never sent: nothing is in doubt.
    assert set(applylog.read(path).counts) == {"done"}


def test_stopping_ends_what_is_in_flight_and_begins_nothing(path: Path) -> None:
    items, stop = items_of(5000), threading.Event()

    def before(item: Item, tries: int) -> None:
        if len(objects.sent) >= 500:
            stop.set()

    objects = FakeObjects(items, before=before)
    tally = applied(items, objects, path, stop=stop)
    assert tally.interrupted
    assert 500 <= tally.done < 600
    assert tally.done == len(objects.sent) == len(objects.applied)
    assert tally.done + tally.left == changes(items)
    assert applylog.read(path).counts == {"done": tally.done}
    assert applied(items, objects, path).done == changes(items)
    assert set(objects.applied.values()) == {1}


def test_what_s3_does_not_answer_is_left_in_doubt_and_found_out_later(path: Path) -> None:
    """A stop waits for its grace, and no longer; nothing is said of what has no answer, and nothing is done twice."""
    items, stop, silence = items_of(40), threading.Event(), threading.Event()
    asked = threading.Barrier(3)

    def before(item: Item, tries: int) -> None:
        if len(objects.sent) > 10 and not silence.is_set():
            asked.wait(30)
            silence.wait(60)

    objects = FakeObjects(items, before=before)
    threading.Thread(target=lambda: (asked.wait(30), stop.set()), daemon=True).start()
    begun = time.monotonic()
    with ApplyLog(path, HEAD) as log:
        tally = run(items, objects, log, workers=2, stop=stop, pause=no_pause, grace=0.05)
    assert time.monotonic() - begun < 20
    assert (tally.unknown, tally.interrupted, tally.error, tally.failed) == (2, True, None, 0)
    assert tally.done == len(objects.applied)
    assert tally.done + tally.left == changes(items)
    assert applylog.read(path).counts == {"done": tally.done, "in-doubt": 2}
    silence.set()  # and now they arrive after all
    while len(objects.applied) < tally.done + 2:
        time.sleep(0.01)
    again = applied(items, objects, path)
    assert (again.done, again.found, again.unknown, again.left) == (changes(items) - 2, 2, 0, 0)
    assert set(objects.applied.values()) == {1}


def test_ctrl_c_ends_what_is_in_flight(path: Path) -> None:
    items = items_of(2000)
    stop, came = threading.Event(), itertools.count(1)

    def before(item: Item, tries: int) -> None:
        if (number := next(came)) < 100:
            return
        if number == 100:
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(30)  # the signal is the main thread's to take, which may be slow to get its turn
        if number == 101:  # and once more, impatiently
            os.kill(os.getpid(), signal.SIGINT)

    objects = FakeObjects(items, before=before)
    tally = applied(items, objects, path, stop=stop)
    assert stop.is_set()
    assert tally.interrupted
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert 100 <= tally.done == len(objects.applied) < 200
    assert applylog.read(path).counts == {"done": tally.done}


def test_an_error_of_a_program_is_raised_when_nothing_is_under_way(path: Path) -> None:
    items = items_of(500)

    def before(item: Item, tries: int) -> None:
        if item.key.endswith("100"):
            raise ZeroDivisionError

    objects = FakeObjects(items, before=before)
    with pytest.raises(ZeroDivisionError):
        applied(items, objects, path)
    counts = applylog.read(path).counts
    assert counts["done"] == len(objects.applied)
    assert counts["in-doubt"] == 1


def test_an_error_of_the_progress_is_raised_when_nothing_is_under_way(path: Path) -> None:
    items = items_of(50)

    def tell(progress: Progress) -> None:
        raise ValueError("cannot be drawn")

    with pytest.raises(ValueError, match="cannot be drawn"):
        applied(items, FakeObjects(items), path, progress=tell)


def test_a_plan_that_cannot_be_read_to_its_end(path: Path) -> None:
    def torn() -> Iterator[Item]:
        yield from items_of(200)
        raise CorruptRecord("the plan was changed")

    items = items_of(200)
    objects = FakeObjects(items)
    with ApplyLog(path, HEAD) as log:
        tally = run(torn(), objects, log)
    assert isinstance(tally.error, CorruptRecord)
    assert tally.done == len(objects.applied)


def test_progress_tells_how_far_it_is_and_how_long_it_takes(path: Path) -> None:
    items = items_of(300)
    seen: list[Progress] = []
    total = changes(items)
    tally = applied(items, FakeObjects(items), path, total=total, progress=seen.append)
    assert tally.left == 0
    last = seen[-1]
    assert (last.done, last.left, last.total, last.eta, last.workers) == (total, 0, total, 0.0, 16)
    assert last.rate > 0
    seen.clear()
    applied(items, FakeObjects(items), path, total=total, progress=seen.append)
    assert (seen[-1].done, seen[-1].left) == (total, 0)  # an earlier run's count, too


def test_the_rate_is_kept(path: Path) -> None:
    now, moments, lock = [0.0], [], threading.Lock()

    def sleep(seconds: float) -> None:
        with lock:
            now[0] += seconds

    def before(item: Item, tries: int) -> None:
        with lock:
            moments.append(now[0])

    items = items_of(400)
    applied(items, FakeObjects(items, before=before), path, rate=50, sleep=sleep, monotonic=lambda: now[0])
    # At most 50 t + the burst of 2.5 in any span; what was allowed earlier may be sent a little later.
    assert len(moments) == changes(items)
    assert moments[-1] == pytest.approx((changes(items) - 2.5) / 50, abs=0.1)


def test_a_slow_rate_writes_few_intents_ahead(path: Path) -> None:
    items, stop = items_of(100), threading.Event()
    objects = FakeObjects(items, before=lambda item, tries: stop.set())
    tally = applied(items, objects, path, rate=0.001, stop=stop)
    assert tally.done == 1
    assert path.read_text().count('"intent"') <= 3


def test_memory_does_not_grow_with_the_plan(path: Path) -> None:
    class Light:
        def still_planned(self, items: Sequence[Item]) -> set[str]:
            return {item.key for item in items}

        def apply(self, item: Item, *, in_doubt: bool = False) -> Outcome:
            return Outcome("done", "v")

    def many(count: int) -> Iterator[Item]:
        one = items_of(1)[0]
        for n in range(count):
            yield Item(f"k/{n}", "COPY", one.current, one.target, properties={})

    def peak(count: int, name: str) -> int:
        with ApplyLog(path.with_name(name), HEAD, sync=lambda descriptor: None) as log:
            tracemalloc.start()
            run(many(count), Light(), log, total=count)
            used = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return used

    small, large = peak(3_000, "apply-1.jsonl"), peak(30_000, "apply-2.jsonl")
    assert large < small + 1_000_000  # what it would hold of each item has some 500 bytes


def test_workers_wait_for_a_bucket_that_says_slow_down(path: Path) -> None:
    """A bucket that takes one request at a time is met with fewer and fewer workers."""
    busy = threading.Semaphore(2)

    class Narrow(FakeObjects):
        def apply(self, item: Item, *, in_doubt: bool = False) -> Outcome:
            if not busy.acquire(blocking=False):
                raise Throttled("slow down", code="SlowDown")
            try:
                time.sleep(0.001)  # the bucket's own time
                return super().apply(item, in_doubt=in_doubt)
            finally:
                busy.release()

    items = items_of(300)
    tally = applied(
        items, Narrow(items), path, attempts=50, pause=lambda tries, asked: backoff(tries, asked, base=0.004)
    )
    assert tally.done == changes(items)
    assert tally.fewest == 1 or tally.fewest == 2
    assert tally.throttled < len(items) / 2


def test_what_was_asked_once_and_refused_is_not_ours(path: Path) -> None:
    """Somebody else did the very same between the look and the request: S3 refuses ours, and theirs looks like it."""
    items = items_of(3)
    objects = FakeObjects(items, before=lambda item, tries: Outcome("found", "theirs"))
    tally = applied(items, objects, path)
    assert (tally.found, tally.changed) == (0, 3)
    assert applylog.read(path).outcome(0) == Outcome(
        "changed", "theirs", problem=tally.problems[0].problem, hint=tally.problems[0].hint
    )
