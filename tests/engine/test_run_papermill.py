"""Stock papermill with our engine, by hand; and what papermill's own help says of a template."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.notebooks


def papermill(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "papermill", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_engine_is_found_by_its_entry_point(
    broken: Callable[[str], Path], tmp_path: Path, read: Callable[..., Any]
) -> None:
    output = tmp_path / "out.ipynb"
    done = papermill("--engine", "vmq", "-p", "rows", 4, "--no-progress-bar", broken("dies"), output)
    assert done.returncode != 0
    assert "RunFailed" in done.stderr
    record = read(output)
    assert record.states == ["completed", "completed", "completed", "failed", "pending"]
    assert record.run["status"] == "kernel-died"
    assert "incomplete" in record.banner


def test_a_good_run_by_hand_is_a_complete_record_and_can_be_run_again(
    notebook: Callable[..., Path], tmp_path: Path, read: Callable[..., Any], broken: Callable[[str], Path]
) -> None:
    output, again = tmp_path / "out.ipynb", tmp_path / "again.ipynb"
    done = papermill("--engine", "vmq", "--progress-bar", notebook("# Record", "6 * 7"), output)
    assert done.returncode == 0, done.stderr
    assert "cell" in done.stderr  # papermill's bar is shown
    assert read(output).states == ["completed"]
    papermill("--engine", "vmq", broken("fails"), output)
    assert read(output).banner
    fixed = json.loads(output.read_text("utf-8"))
    for cell in fixed["cells"]:
        if "raise ValueError" in "".join(cell["source"]):
            cell["source"] = "print('mended')"
    output.write_text(json.dumps(fixed), "utf-8")
    assert papermill("--engine", "vmq", output, again).returncode == 0
    assert read(again).banner == ""


def test_a_foreign_kernel_is_refused_with_a_way_out(notebook: Callable[..., Path], tmp_path: Path) -> None:
    done = papermill("--engine", "vmq", "-k", "ir", "-l", "R", notebook("1"), tmp_path / "out.ipynb")
    assert done.returncode != 0
    assert "Leave --kernel out" in done.stderr


def test_the_kernel_reads_nobodys_configuration(
    notebook: Callable[..., Path], run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    startup = tmp_path / "home" / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("injected = True")
    (Path.cwd() / "json.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "home" / ".ipython"))
    record = run(notebook('import json\nprint("injected" in globals())'))
    assert record.printed(0) == "False\n"


def test_importing_papermill_does_not_import_the_kit_whole() -> None:
    code = "import papermill, sys; print(sorted(m for m in sys.modules if m in ('pandas', 'matplotlib', 'nbconvert')))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_quick_imports_leave_no_trace() -> None:
    code = (
        "import sys\nfrom vmqlib.record._quick import quick_imports\n"
        "with quick_imports():\n    import nbformat\n"
        "assert not {'rfc3987_syntax', 'isoduration', 'rfc3986_validator'} & sys.modules.keys()\n"
        "nbformat.validate(nbformat.v4.new_notebook())\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)


def test_opening_imports_nothing_heavy_before_the_kernel_is_on_its_way() -> None:
    """Each of these costs tenths of a second, in which the kernel could be starting."""
    code = (
        "import sys\nfrom vmqlib.cli.main import main, vmq\n"
        "for name in ('open', 'render'):\n    vmq.get_command(None, name)\n"
        "from vmqlib.cli.output import progress_bar\n"
        "with progress_bar() as bar:\n    bar.update(bar.add_task('x', total=None), description='y')\n"
        "heavy = {'rich', 'boto3', 'pandas', 'matplotlib', 'pydantic', 'papermill', 'nbconvert', 'IPython'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
