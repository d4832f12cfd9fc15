"""The notice to security says how many documents it does not name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vmqlib.runbook.affecteddocuments import AffectedDocuments
from vmqlib.runbook.communicate.conditions import Looks, content
from vmqlib.times import SystemClock


@pytest.mark.parametrize(("count", "said"), [(337, "b.md and 335 more."), (2, "b.md."), (None, "b.md.")])
def test_what_is_not_named_is_counted(count: int | None, said: str) -> None:
    documents = AffectedDocuments(unwanted=("_staging/a.md", "_staging/b.md"), unwanted_count=count)
    found: Any = SimpleNamespace(documents=documents)
    detection: Any = SimpleNamespace(triggers=(), findings=())
    (told,) = content(detection, found, Looks({}, SystemClock().now()))
    assert told == f"Indexed, and not to be: _staging/a.md, _staging/{said}"
