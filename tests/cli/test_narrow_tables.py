"""On a terminal of 80 columns ids, times, keys and commands stay whole: they are there to be copied."""

from __future__ import annotations

from typing import Any

import click
import pytest

from vmqlib.cli.columns import wrapped
from vmqlib.cli.output import notice, say, table

ID, EXECUTION, WHEN = "INC-20261128-001", "6bd1f046-339f-4b69-91cd-2c07a8f78b61", "2026-11-28 05:36:00 UTC"
PROSE = "The ACL configuration file cannot be read, since the role may not read it. " * 3


@pytest.mark.parametrize(
    "cells",
    [
        (ID, PROSE),
        (ID, "SEV2", "open", WHEN, "5 min 57 s", PROSE),
        (EXECUTION, "SUCCEEDED", WHEN, "cron(25 4 * * ? *)", PROSE, PROSE),
        ("pass", PROSE + EXECUTION, PROSE),
    ],
)
def test_what_is_copied_is_not_broken(
    cells: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    table([f"c{place}" for place in range(len(cells))], [cells, cells], title="Title")
    lines = click.unstyle(capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 80
    for cell in cells:
        for part in (cell,) if len(cell) <= 36 else cell.split():
            assert any(part in line for line in lines), part


def test_piped_it_is_as_wide_as_columns_says_and_else_one_line_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed() -> list[str]:
        table(["outcome", "check", "finding"], [("pass", EXECUTION, PROSE)], title="Title")
        out = capsys.readouterr().out
        assert out == click.unstyle(out)
        assert not [line for line in out.splitlines() if line != line.rstrip()]
        return out.splitlines()

    monkeypatch.setenv("COLUMNS", "100")
    narrow = printed()
    assert max(map(len, narrow)) <= 100
    assert " ".join(PROSE.split()).replace(" ", "") in "".join("".join(narrow).split()).replace(EXECUTION, "")
    for unset in ("", "wide", "0"):
        monkeypatch.setenv("COLUMNS", unset)
        assert any(PROSE.rstrip() in line for line in printed())


def shown(
    capsys: pytest.CaptureFixture[str], *columns: str, rows: list[tuple[object, ...]], **given: Any
) -> list[str]:
    table(columns, rows, **given)
    return click.unstyle(capsys.readouterr().out).splitlines()


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.usefixtures("narrow")
def test_a_key_is_whole_whatever_is_in_it_and_however_long_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    keys = [f"a/{'long-' * 10}key with  two blanks.md", "a/" + "x" * 300]
    lines = shown(
        capsys, "key", "verdict", "finding", rows=[(key, "failed", PROSE) for key in keys], whole=["key"]
    )
    for key in keys:
        assert any(key in line for line in lines), key
    assert max(len(line) for line in lines if "xxx" not in line) <= 80


@pytest.mark.usefixtures("narrow")
def test_a_command_is_whole_in_a_table_and_in_prose(capsys: pytest.CaptureFixture[str]) -> None:
    command = f"vmq sync start --data-source {EXECUTION} --incident {ID}"
    backquoted = f"It is not over. `{command}` starts a sync, and that takes its time."
    lines = shown(
        capsys, "outcome", "what to do", rows=[("fail", f"Sync again: {command}"), ("fail", backquoted)]
    )
    assert sum(command in line for line in lines) == 2
    for text in (backquoted, f"  Next, and before all else: {command}", f"{PROSE[:40]} `{command}`"):
        say(text)
        said = capsys.readouterr().out
        assert command in said
        assert " ".join(said.split()) == " ".join(text.split())
    assert all(len(line) <= 80 or command in line for line in wrapped(PROSE + backquoted, 80).splitlines())


@pytest.mark.usefixtures("narrow")
def test_what_fits_stands_in_columns_and_the_rest_below_with_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = shown(
        capsys, "version", "size", "ETag", "class", "none", numeric=["size"],
        rows=[(EXECUTION, 1540, "e" * 40, "STANDARD", ""), (EXECUTION, 7, "f" * 40, "GLACIER", "")],
    )  # fmt: skip
    assert lines == [
        f"version{' ' * 31}size  class",
        "  ETag",
        "\N{BOX DRAWINGS LIGHT HORIZONTAL}" * 52,
        f"{EXECUTION}  1540  STANDARD",
        f"  {'e' * 40}",
        f"{EXECUTION}     7  GLACIER",
        f"  {'f' * 40}",
    ]
    lines = shown(capsys, "name", "text", rows=[("n" * 30, "fits"), ("z", f"{PROSE}{'y' * 60}")])
    assert lines[0] == f"name{' ' * 28}text"
    assert lines[1:4] == ["\N{BOX DRAWINGS LIGHT HORIZONTAL}" * 36, f"{'n' * 30}  fits", "z"]
    assert lines[4].startswith(f"  {PROSE[:50]}")
    long = f"{PROSE}{'y' * 40}"
    lines = shown(capsys, "a", "b", "c", rows=[("x", long, long), ("z", "short", "too")])
    assert lines[0] == "a"
    assert lines[2] == "x"
    assert [line[:5] for line in lines if ":" in line] == ["  b: ", "  c: ", "  b: "]
    assert lines[-2:] == ["z", "  b: short  c: too"]


def test_what_is_needed_least_is_left_out_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {"rows": [(WHEN, "9 min", 1, 2)], "spare": ["took", "scanned"]}
    columns = ("started", "took", "failed", "scanned")
    for width, left_out in ((60, []), (40, ["took"]), (32, ["took", "scanned"])):
        monkeypatch.setenv("COLUMNS", str(width))
        assert list(table(columns, **given)) == left_out
        told = capsys.readouterr()
        assert told.out.splitlines()[0].split() == [name for name in columns if name not in left_out]
        assert " ".join(told.err.split()) == (
            f"Left out at this width: {', '.join(left_out)}." * bool(left_out)
        )


def test_prose_is_wrapped_by_words_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say(PROSE)
    notice(PROSE)
    assert [len(part.splitlines()) for part in capsys.readouterr()] == [1, 1]
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    say(f"    since {WHEN}: {PROSE}")
    notice(PROSE)
    said, told = capsys.readouterr()
    assert max(map(len, (said + told).splitlines())) <= 80
    assert [len(line) - len(line.lstrip()) for line in said.splitlines()] == [4, 6, 6, 6]
    assert " ".join(told.split()) == PROSE.strip()
    assert WHEN in said
