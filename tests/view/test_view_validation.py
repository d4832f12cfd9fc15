"""The section *Validation*: what passed, what did not, that it is older than the last change, or was never made."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from vmqlib import view
from vmqlib.errors import CorruptRecord
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.validation import Validation

AT = datetime(2026, 11, 23, 9, 12, 5, tzinfo=UTC)
INCIDENT = "INC-20261123-001"


def made(text: str = "It is in ALARM.", **more: Any) -> Validation:
    checks = (
        CheckResult("alarm is OK", False, text, text, mend=text),
        CheckResult("web experience is ACTIVE", None, text),
        CheckResult("no change half applied", True, "Every change that was begun has ended."),
    )
    return Validation(AT, checks, 7, **more)


def test_nobody_has_validated_yet() -> None:
    shown = view.validation(None, INCIDENT)
    assert "Nobody has validated yet" in shown.text
    assert f"vmq validate {INCIDENT}" in shown.text
    assert f"vmq validate {INCIDENT}" in str(shown.html)


def test_each_check_and_when_it_was_made() -> None:
    shown = view.validation(made, INCIDENT)
    for words in (
        "It is not over: 1 of 3 checks failed",
        "It is in ALARM.",
        "1 fail, 1 cannot tell, 1 pass",
        "09:12:05",
    ):
        assert words in shown.text
        assert words in str(shown.html)
    assert "look again" not in shown.text


def test_one_that_is_older_than_the_last_change_says_so() -> None:
    shown = view.validation(made(stale="After it, at 10:00: Restored: 1 object."), INCIDENT)
    assert "Restored: 1 object. This validation is older: look again." in shown.text
    assert f"vmq validate {INCIDENT}" in shown.text


def test_what_cannot_be_read_is_said_in_its_place() -> None:
    def broken() -> Validation:
        raise CorruptRecord("The journal is damaged.")

    assert "The journal is damaged." in view.validation(broken, INCIDENT).text


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script><img src=x onerror=alert(2)>",
        "\x1b[31mred\x1b[0m \x1b]0;title\x07 abc\u202egnp.exe\x00",
        "x" * 10_000,
    ],
    ids=["markup", "invisible", "long"],
)
def test_what_comes_from_outside_is_data(hostile: str) -> None:
    shown = view.validation(made(hostile, stale=hostile), INCIDENT)
    for written in (shown.text, str(shown.html)):
        assert not set(written) & set("\x00\x07\x1b\u202e")
    assert "<script" not in str(shown.html)
    assert "<img" not in str(shown.html)
    assert "could not be drawn" not in shown.text
    assert "x" * 4001 not in str(shown.html)
