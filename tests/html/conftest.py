"""Records to make pages of.

Fixtures
--------
``save``
    ``save(cell, ...)``: writes a notebook of these cells and returns its path
``page_of``
    ``page_of(path)``: its page, as text
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    import nbformat

    def write(*cells: Any, name: str = "record", **metadata: Any) -> Path:
        for number, cell in enumerate(cells):
            cell["id"] = f"c{number}"
        path = tmp_path / f"{name}.ipynb"
        path.write_text(
            nbformat.writes(nbformat.v4.new_notebook(cells=list(cells), metadata=metadata)), "utf-8"
        )
        return path

    return write


@pytest.fixture
def page_of(tmp_path: Path) -> Callable[..., str]:
    def make(path: Path, **options: Any) -> str:
        from vmqlib.record.html import export

        return export(path, tmp_path / f"{path.stem}.html", **options).read_text("utf-8")

    return make
