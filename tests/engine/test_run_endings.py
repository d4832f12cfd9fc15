"""However a run ends, the record that is left says so and says where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vmqlib.errors import DeadlinePassed, RunFailed
from vmqlib.times import FixedClock, parse_iso

pytestmark = pytest.mark.notebooks


def test_a_run_to_the_end_is_complete_and_has_no_banner(
    notebook: Callable[..., Path], run: Callable[..., Any]
) -> None:
    record = run(notebook("# Record", "x = 6", "x * 7"))
    assert record.error is None
    assert record.states == ["completed", "completed"]
    assert record.run["status"] == "completed"
    assert record.banner == ""
    assert record.code[1].outputs[0].data["text/plain"] == "42"
    assert record.nb.metadata.papermill["exception"] is None
    assert record.nb.metadata.language_info["name"] == "python"


@pytest.mark.parametrize(
    ("ending", "status", "kind", "told"),
    [
        ("fails", "failed", RunFailed, "failed with ValueError"),
        ("exits", "exited", RunFailed, "SystemExit"),
        ("exits-badly", "exited", RunFailed, "SystemExit: 3"),
        ("dies", "kernel-died", RunFailed, "exit code 7"),
        ("is-killed", "kernel-died", RunFailed, "killed by SIGKILL"),
    ],
)
def test_what_stops_a_run_is_told_truly(
    broken: Callable[[str], Path], run: Callable[..., Any], ending: str, status: str, kind: type, told: str
) -> None:
    record = run(broken(ending))
    assert type(record.error) is kind
    assert told in str(record.error)
    assert str(record.path) in str(record.error)
    assert record.states == ["completed", "completed", "failed", "pending"]
    assert record.run["status"] == status
    assert record.run["section"] == "Second"
    assert record.run["cells"] == {"completed": 2, "failed": 1, "pending": 1, "running": 0}
    assert "incomplete" in record.banner
    assert "2 of 4 code cells ran" in record.banner
    assert "vmq-run-banner" in record.nb.cells[0].metadata.tags
    assert record.nb.metadata.papermill["exception"] is True
    stopped = record.code[2]
    assert stopped.metadata.papermill["exception"] is True
    assert any(output.output_type == "error" for output in stopped.outputs)
    assert record.printed(1) == "before\n"
    assert record.code[3].outputs == []


def test_what_a_dying_kernel_printed_is_kept(broken: Callable[[str], Path], run: Callable[..., Any]) -> None:
    assert "last words" in run(broken("dies")).printed(2)


def test_exit_leaves_the_cells_after_it_unrun(broken: Callable[[str], Path], run: Callable[..., Any]) -> None:
    record = run(broken("quits"))
    assert isinstance(record.error, RunFailed)
    assert record.states == ["completed", "completed", "completed", "pending"]
    assert record.run["status"] == "exited"
    assert "incomplete" in record.banner


@pytest.mark.parametrize("ending", ["hangs", "sleeps"])
def test_a_cell_that_takes_too_long_is_given_up_and_says_where_it_was(
    broken: Callable[[str], Path], run: Callable[..., Any], ending: str
) -> None:
    record = run(broken(ending), cell_timeout=1.0)
    assert isinstance(record.error, DeadlinePassed)
    assert record.states == ["completed", "completed", "failed", "pending"]
    assert record.run["status"] == "timed-out"
    assert "given up after 1 s, the time given to one cell" in record.banner
    assert record.printed(2) != ""
    error = next(output for output in record.code[2].outputs if output.output_type == "error")
    assert error.ename == "KeyboardInterrupt"


def test_the_whole_run_has_a_deadline(broken: Callable[[str], Path], run: Callable[..., Any]) -> None:
    record = run(broken("sleeps"), deadline=4.0)
    assert isinstance(record.error, DeadlinePassed)
    assert "4 s, the time given to the whole run" in record.banner
    assert record.states[-1] == "pending"


def test_a_kernel_that_never_comes_up_leaves_every_cell_pending(
    broken: Callable[[str], Path], run: Callable[..., Any]
) -> None:
    from vmqlib.record.kernel import start_kernel

    kernel = start_kernel(environment={"PYTHONHOME": "/nonexistent"})
    record = run(broken("fails"), kernel=kernel)
    assert isinstance(record.error, RunFailed)
    assert set(record.states) == {"pending"}
    assert record.run["status"] == "kernel-died"
    assert "Before the first cell" in record.banner
    assert "it said" in record.banner
    assert not kernel.folder.exists()


def test_the_banner_cannot_be_written_by_an_error(
    broken: Callable[[str], Path], run: Callable[..., Any]
) -> None:
    banner = run(broken("fails")).banner
    assert "<img" not in banner
    assert "\n\n" not in banner  # a blank line would end the block of HTML and let Markdown begin
    for live in ("`code`", "$x$", "[link]", "|"):
        assert live not in banner


def test_the_banner_names_the_command_that_mends_the_record(
    broken: Callable[[str], Path], run: Callable[..., Any]
) -> None:
    record = run(broken("dies"), {"incident_id": "INC-20261123-001"})
    assert "vmq render INC-20261123-001" in record.banner


def test_an_incident_id_that_is_none_is_not_put_into_a_command(
    broken: Callable[[str], Path], run: Callable[..., Any]
) -> None:
    assert "rm -rf" not in run(broken("dies"), {"incident_id": "x; rm -rf ~"}).banner


def test_secrets_in_errors_and_prints_do_not_reach_the_disk(
    notebook: Callable[..., Path], run: Callable[..., Any]
) -> None:
    secret = "AKIA" + "IOSFODNN7EXAMPLE"
    code = 'key = "AKIA" + "IOSFODNN7EXAMPLE"\nprint("with", key)\nraise RuntimeError(f"denied for {key}")'
    record = run(notebook("# Record", code))
    assert record.states == ["failed"]
    assert secret not in record.path.read_text("utf-8")


def test_a_printed_traceback_counts_as_a_failure(
    notebook: Callable[..., Path], run: Callable[..., Any]
) -> None:
    code = "try:\n    1 / 0\nexcept ZeroDivisionError:\n    get_ipython().showtraceback()"
    record = run(notebook(code, "1"))
    assert isinstance(record.error, RunFailed)
    assert record.states == ["failed", "pending"]


def test_the_times_are_the_clocks(notebook: Callable[..., Path], run: Callable[..., Any]) -> None:
    record = run(notebook("1"), clock=FixedClock(parse_iso("2026-11-23T09:00:00Z")))
    assert record.run["started_at"] == record.run["ended_at"] == "2026-11-23T09:00:00.000000Z"


def test_progress_names_the_section(broken: Callable[[str], Path], run: Callable[..., Any]) -> None:
    seen: list[Any] = []
    run(broken("fails"), progress=seen.append)
    assert [(p.done, p.total, p.section) for p in seen] == [
        (0, 4, "First"),
        (1, 4, "First"),
        (2, 4, "Second"),
    ]


def test_outputs_updated_later_are_saved_in_the_cell_that_showed_them(
    notebook: Callable[..., Path], run: Callable[..., Any]
) -> None:
    shows = 'handle = display("old", display_id=True)'
    record = run(notebook(shows, 'handle.update("new")', "1"))
    assert record.code[0].outputs[0].data["text/plain"] == "'new'"


def test_a_run_from_within_an_event_loop_works(
    notebook: Callable[..., Path], run: Callable[..., Any]
) -> None:
    import asyncio

    path = notebook("6 * 7")

    async def as_in_jupyterlab() -> Any:
        return run(path)

    assert asyncio.run(as_in_jupyterlab()).states == ["completed"]
