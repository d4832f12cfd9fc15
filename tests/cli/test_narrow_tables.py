"""On a terminal of 80 columns ids, times and statuses stay whole: they are there to be copied."""

from __future__ import annotations

import click
import pytest

from vmqlib.cli.output import table

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
