"""How well the triggers detect: every scenario over many seeds, what ``vmq detect`` says of it, and what was true.

Each scenario is set up in this process's children, looked at as ``vmq detect`` looks, and compared with what it
says of itself. What was found is kept as JSON lines, so that a run that was interrupted goes on where it stopped,
and a run with more seeds only does what is new. Results of another version of the code are left out.

    python scripts/detection_table.py --seeds 200 --jobs 2

writes the table between the marks in docs/detection.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
CACHE = TOP / ".venv" / "cache" / "detection-table.jsonl"
PAGE = TOP / "docs" / "detection.md"
BEGIN, END = "<!-- table -->", "<!-- /table -->"
TRIGGERS = ("sync-failed", "no-sync", "guardrail", "content")

# Each seed has its own "now": weekdays and hours differ, and results do not depend on when they are made.
_FIRST_NOW = datetime(2026, 11, 23, 12, 3, 20, tzinfo=UTC)
_APART = timedelta(hours=7, minutes=13)
_PER_CHILD = 40  # scenarios that one process sets up before another takes its place
_NOT_IN_IT = ("cli", "view")  # of vmqlib: what they do changes no verdict


@dataclass(frozen=True)
class Result:
    """What became of one scenario with one seed.

    Parameters
    ----------
    scenario, seed:
        Which.
    code:
        The version of the code that it is true for.
    fires:
        The triggers that had to fire.
    verdicts:
        What each trigger's rule said.
    late_s:
        Seconds between the true beginning and the "since" of each trigger that fired rightly; positive: told too late.
    wanted_suspect, suspect:
        The change that had to be ranked first, and the one that was; "" where none has more than its time against it,
        None: nobody ranked any.
    wanted_findings, findings:
        The kinds that had to be found, and those that were.
    build_s, look_s:
        Seconds that setting up and looking took.
    cpu_s:
        Seconds of processor time for both; what they come to on an idle machine.
    """

    scenario: str
    seed: int
    code: str
    fires: list[str]
    verdicts: dict[str, str]
    late_s: dict[str, float]
    wanted_suspect: str
    suspect: str | None
    wanted_findings: list[str]
    findings: list[str]
    build_s: float
    look_s: float
    cpu_s: float

    @property
    def name(self) -> tuple[str, int]:
        return self.scenario, self.seed


# -- one scenario


def judge(scenario: str, seed: int, code: str) -> Result:
    """Sets a scenario up, looks at it, and compares."""
    from vmqlib.aws import Aws
    from vmqlib.runbook import changes, triggers
    from vmqlib.settings import Settings
    from vmqlib.simulator import LocalAws
    from vmqlib.times import FixedClock, Window

    began, worked = time.perf_counter(), time.process_time()
    with LocalAws(scenario, seed, now=_FIRST_NOW + seed * _APART) as local:
        built = time.perf_counter()
        os.environ.update(local.env)
        truth, now = local.truth, local.clock.now()
        settings = Settings.load()
        aws = Aws(settings, FixedClock(now))
        window = Window(now - timedelta(weeks=settings.detection.baseline_weeks), now)
        needed = triggers.sources_for(triggers.NEEDED, settings)
        seen = triggers.live(aws, settings, window, names=[*needed, *changes.NEEDED])
        detection = triggers.detect(seen, settings, now)
        first = changes.rank(
            changes.what_changed(seen, settings, now).changes, changes.first_sign(detection, seen, settings)
        ).first
        kinds = {one.kind for one in detection.findings}
        looked = time.perf_counter()
    return Result(
        scenario=scenario,
        seed=seed,
        code=code,
        fires=sorted(truth.fires),
        verdicts={one.trigger: one.verdict for one in detection.triggers},
        late_s={
            one.trigger: round((one.since - truth.since).total_seconds(), 1)
            for one in detection.firing
            if one.trigger in truth.fires and one.since is not None and truth.since is not None
        },
        wanted_suspect=truth.suspect,
        suspect=first.change.name if first else "",
        wanted_findings=sorted(truth.findings),
        findings=sorted(kinds),
        build_s=round(built - began, 2),
        look_s=round(looked - built, 2),
        cpu_s=round(time.process_time() - worked, 2),
    )


def _prepare() -> None:
    """In each child: away from the checkout, whose own settings say nothing about a simulated account."""
    os.chdir(tempfile.gettempdir())
    for name in [name for name in os.environ if name.startswith(("AWS_", "VMQ_"))]:
        del os.environ[name]


# -- what is kept


def version(top: Path = TOP) -> str:
    """A digest of the code that results depend on."""
    digest = hashlib.sha256()
    for path in sorted((top / "vmqlib").rglob("*")):
        inside = path.relative_to(top / "vmqlib")
        if path.suffix in (".py", ".toml") and inside.parts[0] not in _NOT_IN_IT:
            digest.update(str(inside).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def kept(path: Path) -> Iterator[Result]:
    """The results in the cache. A line that was cut off is left out."""
    if not path.is_file():
        return
    for line in path.read_text("utf-8").splitlines():
        try:
            yield Result(**json.loads(line))
        except (ValueError, TypeError):
            continue


def keep(path: Path, result: Result) -> None:
    """Adds one result to the cache."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")


# -- the table


def ratio(part: int, whole: int) -> str:
    """``100 %``, ``99.5 %``; a dash where there is nothing to divide by."""
    if not whole:
        return "–"
    return f"{100 * part / whole:.1f}".removesuffix(".0") + " %"


def table(results: Sequence[Result]) -> str:
    """Scenario by trigger: how often each fired, with precision and recall both ways. Markdown."""
    scenarios = list(dict.fromkeys(one.scenario for one in results))
    head = ["scenario", *TRIGGERS, "precision", "recall", "first suspect right", "findings there"]
    rows = [head, ["---"] * len(head)]
    for scenario in scenarios:
        mine = [one for one in results if one.scenario == scenario]
        cells = [_cell(mine, trigger) for trigger in TRIGGERS]
        rows.append([f"`{scenario}`", *cells, *_quality(mine, TRIGGERS), _suspects(mine), _findings(mine)])
    each = [_quality(results, (trigger,)) for trigger in TRIGGERS]
    over_all = _quality(results, TRIGGERS)
    rows.append(["**precision**", *(precision for precision, _ in each), over_all[0], "", "", ""])
    rows.append(["**recall**", *(recall for _, recall in each), "", over_all[1], "", ""])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(results: Sequence[Result], trigger: str) -> str:
    said = [one.verdicts[trigger] for one in results]
    fired, unknown = said.count("firing"), said.count("unknown")
    text = f"{fired} of {len(said)}" if fired or trigger in results[0].fires else "0"
    if trigger in results[0].fires:
        text = f"**{text}**"
    return f"{text}, {unknown} unknown" if unknown else text


def _quality(results: Iterable[Result], triggers: Iterable[str]) -> tuple[str, str]:
    """Precision and recall. What cannot be told did not fire: it costs recall, never precision."""
    pairs = [
        (trigger in one.fires, one.verdicts[trigger] == "firing")
        for one in results
        for trigger in triggers
    ]  # fmt: skip
    right = sum(must and does for must, does in pairs)
    return ratio(right, sum(does for _, does in pairs)), ratio(right, sum(must for must, _ in pairs))


def _suspects(results: Sequence[Result]) -> str:
    asked = [one for one in results if one.fires and one.suspect is not None]
    return ratio(sum(one.suspect == one.wanted_suspect for one in asked), len(asked))


def _findings(results: Sequence[Result]) -> str:
    asked = [one for one in results if one.wanted_findings]
    return ratio(sum(set(one.wanted_findings) <= set(one.findings) for one in asked), len(asked))


def summary(results: Sequence[Result], wanted: int) -> str:
    """What stands above the table: how much it rests on, and how well the beginning is told."""
    seeds = len({one.seed for one in results})
    text = f"{len(results):,} simulated accounts, {seeds} seeds."
    if len(results) < wanted:
        text = f"{text} {wanted - len(results):,} of {wanted:,} are still to be done."
    text += (
        "\nBold: how often a trigger fired where it had to; elsewhere every firing is a false alarm. What cannot be "
        "told counts\nas not fired."
    )
    late = sorted(abs(seconds) / 60 for one in results for seconds in one.late_s.values())
    if len(late) > 1:
        most = late[min(len(late) - 1, int(0.95 * len(late)))]
        middle = statistics.median(late)
        text += (
            f" Where one fired rightly, its “since” was {middle:.0f} minutes off at the median, and {most:.0f} or\n"
            "less in 19 of 20 cases."
        )
    return text


def write(page: Path, text: str) -> None:
    """Puts ``text`` between the marks of ``page``."""
    before, mark, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise SystemExit(f"{page} has no marks {BEGIN} and {END}.")
    new = page.with_suffix(".md.new")
    new.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")
    new.replace(page)


# -- the run


def main(arguments: Sequence[str] | None = None) -> int:
    from vmqlib.simulator.scenarios import SCENARIOS

    options = _options(SCENARIOS, arguments)
    code = version()
    scenarios = options.scenario or list(SCENARIOS)
    wanted = [(name, seed) for seed in range(options.seeds) for name in scenarios]
    found: dict[tuple[str, int], Result] = {}
    others = 0
    for result in kept(options.cache):
        if result.code == code or options.any_version:
            found[result.name] = result
        else:
            others += 1
    if others:
        say(
            f"{others} kept results are of another version of the code and left out (--any-version takes them)."
        )
    todo = [] if options.table_only else [name for name in wanted if name not in found]
    failed = run(todo, code, options, found)
    results = sorted((found[name] for name in wanted if name in found), key=lambda one: one.seed)
    if not results:
        say("There is no result to make a table of.")
        return 1
    results.sort(key=lambda one: scenarios.index(one.scenario))
    text = f"{summary(results, len(wanted))}\n\n{table(results)}"
    print(text)
    say(_times(results, len(wanted), options.jobs))
    if options.scenario and options.page == PAGE:
        say("A table of some scenarios only is not written to the page.")
    elif len(results) == len(wanted) and not options.dry_run:
        write(options.page, text)
        say(f"Written to {options.page}.")
    return 1 if failed else 0 if len(results) == len(wanted) or options.table_only else 130


def run(
    todo: Sequence[tuple[str, int]],
    code: str,
    options: argparse.Namespace,
    found: dict[tuple[str, int], Result],
) -> int:
    """Does what is not kept yet, and keeps it; returns how many failed. Ctrl-C ends it with nothing lost."""
    if not todo:
        return 0
    failed, began = 0, time.monotonic()
    say(f"{len(todo):,} to do, {options.jobs} at a time. Ctrl-C stops; the next run goes on from there.")
    try:
        for number, ((name, seed), done) in enumerate(_judged(todo, code, options.jobs), start=1):
            try:
                result = done.result()
            except BrokenProcessPool as error:
                say(f"A process died: {error} What is done is kept; fewer --jobs may help.")
                return failed + 1
            except Exception as error:  # noqa: BLE001 - one account that fails costs itself alone
                failed += 1
                say(f"{name} with seed {seed} failed: {type(error).__name__}: {error}")
                continue
            keep(options.cache, result)
            found[result.name] = result
            for line in surprises(result):
                say(line)
            if number % 10 == 0 or number == len(todo):
                left = (time.monotonic() - began) / number * (len(todo) - number)
                say(f"{number:,} of {len(todo):,}, about {left / 60:.0f} min to go")
    except KeyboardInterrupt:
        say("Stopped. What is done is kept.")
    return failed


def _judged(
    todo: Sequence[tuple[str, int]], code: str, jobs: int
) -> Iterator[tuple[tuple[str, int], Future[Result]]]:
    """Each scenario as it gets done. Processes are replaced now and then, pool and all: one that replaces its own
    (``max_tasks_per_child``) may wait for ever (CPython issue 115634)."""
    for batch in batched(todo, _PER_CHILD * jobs):
        pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_prepare)
        try:
            asked = {pool.submit(judge, *name, code): name for name in batch}
            for done in as_completed(asked):
                yield asked[done], done
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def batched(names: Sequence[tuple[str, int]], size: int) -> Iterator[Sequence[tuple[str, int]]]:
    """``names``, at most ``size`` at a time (itertools has it from Python 3.12 on)."""
    for begin in range(0, len(names), size):
        yield names[begin : begin + size]


def surprises(result: Result) -> Iterator[str]:
    """What is not as it has to be, in words."""
    which = f"{result.scenario} seed {result.seed}"
    for trigger in TRIGGERS:
        must, said = trigger in result.fires, result.verdicts[trigger]
        if (must and said != "firing") or (not must and said != "quiet"):
            yield f"{which}: {trigger} is {said}, and has to {'fire' if must else 'be quiet'}"
    if result.suspect is not None and result.suspect != result.wanted_suspect:
        yield f"{which}: suspects {result.suspect or 'nothing'}, not {result.wanted_suspect or 'nothing'}"
    if missing := set(result.wanted_findings) - set(result.findings):
        yield f"{which}: does not find {', '.join(sorted(missing))}"


def _times(results: Sequence[Result], wanted: int, jobs: int) -> str:
    parts = ("build_s", "look_s", "cpu_s")
    build, look, cpu = (statistics.mean(getattr(one, part) for one in results) for part in parts)
    most, least = (each * wanted / jobs / 60 for each in (build + look, cpu))
    return (
        f"Setting one up {build:.1f} s, looking {look:.1f} s, {cpu:.1f} s of it at work. All {wanted:,}, {jobs} at a "
        f"time: {most:.0f} min as now, {least:.0f} min on idle processors."
    )


def _options(scenarios: Mapping[str, object], arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200, help="how many, from 0 on (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once (default: %(default)s)")
    parser.add_argument(
        "--scenario", action="append", choices=list(scenarios), help="only this one; repeatable"
    )
    parser.add_argument(
        "--cache", type=Path, default=CACHE, help="where results are kept (default: %(default)s)"
    )
    parser.add_argument(
        "--page", type=Path, default=PAGE, help="what the table is written to (default: %(default)s)"
    )
    parser.add_argument(
        "--any-version", action="store_true", help="take results of other versions of the code"
    )
    parser.add_argument("--table-only", action="store_true", help="set nothing up: the table of what is kept")
    parser.add_argument("--dry-run", action="store_true", help="write no page")
    options = parser.parse_args(arguments)
    if options.seeds < 1 or options.jobs < 1:
        parser.error("--seeds and --jobs have to be 1 or more")
    return options


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
