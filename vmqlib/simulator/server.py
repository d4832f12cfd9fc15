"""The local AWS: in a thread for tests (:class:`LocalAws`), as a process for the rest (:func:`serve`)."""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import TextIO

from vmqlib.simulator.clock import SimClock, moto_time
from vmqlib.simulator.dispatch import MotoApp
from vmqlib.simulator.faults import Fault, Faults
from vmqlib.simulator.http import Server
from vmqlib.simulator.identity import ACCOUNT_ID, REGION, Resources, environment
from vmqlib.simulator.protocols import Answer, Environ, identify
from vmqlib.simulator.scenarios import SCENARIOS, Scenario, Truth
from vmqlib.simulator.scenarios.stage import WATCH_EVERY, Progress, Stage
from vmqlib.simulator.startup import no_collections, prepare_moto
from vmqlib.simulator.stopping import stoppable
from vmqlib.simulator.world import World

__all__ = ["LocalAws", "serve"]

# seconds: three hundred documents in four to eight, so that a demo shows a sync at work
_LIVE = {
    "base": 1.4,
    "per_scanned": 0.008,
    "per_indexed": 0.014,
    "closing": 0.4,
    "stopping": 0.5,
    "jitter": 0.1,
}


class LocalAws:
    """A local AWS in a thread of this process; a context manager. One at a time: moto is the process's.

    Parameters
    ----------
    scenario:
        Name of the scenario to set up; None for an empty account.
    seed:
        Of everything random in it: the same seed and the same "now" give the same account.
    port:
        Port on 127.0.0.1; 0 takes a free one.
    now:
        Pins the simulated clock there before the scenario is set up; None leaves it at the real time.
    faults:
        Rules in force from the start (not while the scenario is set up), after those that the scenario brings.
    progress:
        Told what is being set up, and how much of it is done (0 to 1).
    watch_every:
        How often the account's watcher of syncs looks, and the period of its alarm: 10, 20 or 30 seconds (a
        high-resolution alarm), or whole minutes.

    Raises
    ------
    ValueError
        When there is no scenario of that name.
    """

    def __init__(
        self,
        scenario: str | None = None,
        seed: int = 0,
        port: int = 0,
        *,
        now: datetime | None = None,
        faults: Iterable[Fault] = (),
        progress: Progress | None = None,
        watch_every: timedelta = WATCH_EVERY,
    ) -> None:
        self.clock = SimClock()
        self.world = World(self.clock)
        self.faults = Faults(seed)
        self.seed = seed
        self._scenario = _find(scenario)
        self._port = port
        self._now = now
        self._given = tuple(faults)
        self._progress = progress
        self._watch_every = watch_every
        self._truth: Truth | None = None
        self._resources = Resources()
        self._stack = ExitStack()

    def __enter__(self) -> LocalAws:
        with ExitStack() as stack:
            if self._now is not None:
                self.clock.set(self._now)
            stack.enter_context(moto_time(self.clock))
            prepare_moto(self.seed)
            self._moto = MotoApp()
            self._play_scenario()
            for rule in self._given:
                self.faults.put(rule)
            self._server = Server(self.answer, self._port, self.clock.now)
            stack.callback(self._server.server_close)
            thread = threading.Thread(
                target=self._server.serve_forever, args=(0.02,), name="local-aws", daemon=True
            )
            thread.start()
            stack.callback(self._stop, thread)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """The endpoint of every service."""
        return self._server.url

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that make boto3, the aws CLI and the kit talk to this one."""
        return environment(self.url, self._resources)

    @property
    def truth(self) -> Truth:
        """What the scenario made happen.

        Raises
        ------
        LookupError
            When the account was set up empty.
        """
        if self._truth is None:
            raise LookupError("An empty account has no history to tell the truth about.")
        return self._truth

    def answer(self, environ: Environ) -> Answer:
        """Answers one request: faults first, then the world is brought to the present, then the service."""
        if self.faults.idle:
            return self._work(environ)
        call = identify(environ)
        fault = self.faults.take(call)
        if fault is None or not fault.fails:
            return self._work(environ)
        if fault.after:
            self._work(environ)
        return fault.answer(call)

    def _work(self, environ: Environ) -> Answer:
        with self.world.lock:
            self.world.advance(self.clock.now())
            return self._moto(environ)

    def _play_scenario(self) -> None:
        from vmqlib.simulator.aws_gaps.cloudwatch import AlarmEvaluation
        from vmqlib.simulator.qbusiness import Pace

        self.world.add(AlarmEvaluation(ACCOUNT_ID, REGION))
        stage = Stage(self.clock, self.world, self._moto, self.seed, self._progress, self._watch_every)
        if self._scenario is None:
            self.world.add(stage.qbusiness)
        else:
            with no_collections():
                self._truth = self._scenario.build(stage)
            self._resources = stage.resources
            for rule in stage.faults:
                self.faults.put(rule)
        stage.qbusiness.pace = Pace(**_LIVE)

    def _stop(self, thread: threading.Thread) -> None:
        self._server.shutdown()
        self._server.hang_up()
        thread.join()


def _find(scenario: str | None) -> Scenario | None:
    if scenario is None:
        return None
    if scenario not in SCENARIOS:
        raise ValueError(f"There is no scenario {scenario!r}; there are {', '.join(SCENARIOS)}.")
    return SCENARIOS[scenario]


def serve(
    scenario: str | None = None,
    seed: int = 0,
    port: int = 0,
    out: TextIO | None = None,
    *,
    progress: Progress | None = None,
    watch_every: timedelta = WATCH_EVERY,
) -> int:
    """Serves a local AWS in this process until SIGTERM or SIGINT, and returns the exit code 0.

    Writes ``export NAME=value`` lines that a shell can eval, then ``# ready``, to ``out`` (default: standard
    output). To be called from the main thread.

    Raises
    ------
    OSError
        When the port is taken.
    """
    out = out or sys.stdout
    if progress is None and sys.stderr.isatty():
        progress = _show
    with stoppable(), LocalAws(scenario, seed, port, progress=progress, watch_every=watch_every) as aws:
        for name, value in aws.env.items():
            out.write(f"export {name}={shlex.quote(value)}\n")
        out.write("# ready\n")
        out.flush()
        threading.Event().wait()
    return 0


def _show(text: str, share: float) -> None:
    """Progress on a terminal, in one line that goes when it is done."""
    line = f"\r{text}: {share:4.0%}" if share < 1 else "\r"
    sys.stderr.write(f"{line}\x1b[K")
    sys.stderr.flush()
