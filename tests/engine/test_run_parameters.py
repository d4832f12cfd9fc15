"""Parameters: only declared names, only JSON types, never code."""

from __future__ import annotations

import enum
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmqlib.errors import BadInput
from vmqlib.record.parameters import Parameter, declared_parameters, validated_parameters

CELL = '''"""What the record is about."""
incident_id: str = ""  # which incident
window_hours: float = 48  # how far back, in hours
rows: int = 50  # rows shown of a table
trigger: Literal["sync-failed", "no-sync"] = "sync-failed"  # why
title: str | None = None
prefixes: list[str] = ["a#b"]  # with a # in its default
offline: bool = False
plain = 3
'''


class Text(str, enum.Enum):  # noqa: UP042 - the trap is the mixture
    EVIL = "x"


def declared(source: str = CELL) -> tuple[Parameter, ...]:
    return declared_parameters([{"metadata": {"tags": ["parameters"]}, "source": source}])


def test_the_cell_is_read_with_types_defaults_and_help() -> None:
    found = {p.name: p for p in declared()}
    assert found["window_hours"] == Parameter("window_hours", "float", 48, "how far back, in hours")
    assert found["prefixes"].default == ["a#b"]
    assert found["prefixes"].help == "with a # in its default"
    assert found["plain"].type == "int"
    assert found["title"].default is None
    assert declared_parameters([{"metadata": {}, "source": "x = 1"}]) == ()


@pytest.mark.parametrize(
    "source",
    ["import os", "x: int = 1 + y", "x: int = 'text'", "a, b = 1, 2", "x: int", "x = (", "x = b'1'", "f()"],
)
def test_anything_but_literals_is_refused_in_the_cell(source: str) -> None:
    with pytest.raises(BadInput, match="parameters cell"):
        declared(source)


def test_values_come_back_as_declared() -> None:
    given = {
        "window_hours": 3,
        "title": None,
        "incident_id": "012345678901",
        "prefixes": [],
        "trigger": "no-sync",
    }
    found = validated_parameters(declared(), given)
    assert found == {**given, "window_hours": 3.0}
    assert type(found["window_hours"]) is float
    assert found["incident_id"] == "012345678901"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", True),
        ("rows", 1.5),
        ("rows", "5"),
        ("offline", "false"),
        ("offline", 0),
        ("trigger", "else"),
        ("incident_id", None),
        ("incident_id", b"x"),
        ("incident_id", Text.EVIL),
        ("incident_id", "\ud800"),
        ("prefixes", ("a",)),
        ("prefixes", [1]),
        ("window_hours", float("nan")),
        ("window_hours", float("inf")),
        ("title", Path("x")),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(BadInput, match=name):
        validated_parameters(declared(), {name: value})


@pytest.mark.parametrize(
    "name",
    ["x = 1\nimport os\nos.system('true')\ny", "incident_id ", "", "__import__", "rows\n", "os.system"],
)
def test_a_name_that_is_not_declared_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="has no parameter") as refused:
        validated_parameters(declared(), {name: 1})
    assert "\n" not in str(refused.value)


def test_a_slip_of_the_pen_gets_a_suggestion_and_the_list() -> None:
    with pytest.raises(BadInput, match=r"Did you mean 'incident_id'\?") as refused:
        validated_parameters(declared(), {"incidentid": "x"})
    assert "window_hours (float)" in refused.value.hint


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.text(), st.integers(), st.booleans(), st.lists(st.text()), st.dictionaries(st.text(), JSON))
)
def test_what_is_injected_is_a_literal_of_the_same_value(value: Any) -> None:
    """papermill's text of an accepted value is one assignment that gives the value back, whatever it holds."""
    import ast

    from papermill.translators import PythonTranslator

    parameter = Parameter("x", "Any", None, "")
    try:
        accepted = parameter.checked(value)
    except BadInput:
        return
    body = ast.parse(PythonTranslator.codify({"x": accepted})).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Assign)
    assert ast.literal_eval(body[0].value) == value


@pytest.mark.notebooks
def test_a_refused_parameter_leaves_no_file_and_no_kernel(
    broken: Callable[[str], Path], tmp_path: Path
) -> None:
    from vmqlib.record.kernel import start_kernel
    from vmqlib.record.notebook import run

    kernel = start_kernel(warm=())
    with pytest.raises(BadInput):
        run(broken("fails"), tmp_path / "out.ipynb", {"rows\nimport os": 1}, kernel=kernel)
    assert not (tmp_path / "out.ipynb").exists()
    assert not kernel.alive


@pytest.mark.notebooks
def test_hostile_text_arrives_as_text(notebook: Callable[..., Path], run: Callable[..., Any]) -> None:
    text = '"""\'; import os; os._exit(1) #\n\\" {x} %s \u2028 é 🙂'
    template = notebook('incident_id: str = ""\nrows: int = 3', "print(ascii(incident_id), rows)")
    record = run(template, {"incident_id": text, "rows": 5})
    assert record.error is None
    assert record.printed(2) == f"{text!a} 5\n"
