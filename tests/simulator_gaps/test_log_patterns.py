"""Filter patterns and Insights conditions: what they match, and that what cannot be read is said."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmqlib.simulator.aws_gaps.logs.conditions import BadQuery, compile_condition
from vmqlib.simulator.aws_gaps.logs.insights import run_query
from vmqlib.simulator.aws_gaps.logs.patterns import BadPattern, compile_pattern

EVENT: dict[str, Any] = {
    "level": "ERROR",
    "code": 403,
    "ratio": 0.5,
    "none": None,
    "yes": True,
    "text": "7",
    "user": {"id": "u-1", "tags": ["a", "b"]},
    "rows": [{"id": 1}, {"id": 2}],
}


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ('{ $.level = "ERROR" }', True),
        ("{ $.level = ERROR }", True),
        ('{ $.level = "error" }', False),
        ('{ $.level != "ERROR" }', False),
        ('{ $.missing != "ERROR" }', False),
        ('{ $.level = "ER*" }', True),
        ('{ $.level = "*RR*" }', True),
        ("{ $.level = %^ERR% }", True),
        ("{ $.code = 403 }", True),
        ("{ $.code = 4* }", True),
        ("{ $.code > 403 }", False),
        ("{ $.code >= 403 && $.ratio < 1e0 }", True),
        ("{ $.ratio <= 0.4 || $.text = 7 }", True),
        ("{ $.none IS NULL }", True),
        ("{ $.level IS NULL }", False),
        ("{ $.yes IS TRUE }", True),
        ("{ $.yes IS FALSE }", False),
        ("{ $.missing NOT EXISTS }", True),
        ("{ $.none NOT EXISTS }", False),
        ('{ $.user.id = "u-1" }', True),
        ('{ $.user.tags[1] = "b" }', True),
        ('{ $.user.tags[*] = "a" }', True),
        ("{ $.rows[*].id = 2 }", True),
        ("{ $.rows[2].id = 2 }", False),
        ('{ ($.level = "INFO" || $.code = 403) && $.user.id = "u-*" }', True),
        ('{ $.level = "INFO" || $.code = 403 && $.user.id = "x" }', False),
    ],
)
def test_json_patterns(pattern: str, wanted: bool) -> None:
    assert compile_pattern(pattern)(json.dumps(EVENT)) is wanted


def test_json_patterns_match_nothing_but_json_objects() -> None:
    matches = compile_pattern("{ $.level NOT EXISTS }")
    assert [matches(text) for text in ("{}", "[]", "level", '{"broken', "")] == [
        True,
        False,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("pattern", "message", "wanted"),
    [
        (None, "anything", True),
        ("  ", "anything", True),
        ("a b", "b a", True),
        ('"a b"', "b a", False),
        (r'"say \"hi\""', 'say "hi"', True),
        ("-a", "b", True),
        ("-a", "a b", False),
        ("?a ?b", "xb", True),
        ("?a ?b", "xc", False),
        ("?a c", "c", True),
        ("[bracketed", None, None),
        ("%a.c% -z", "abc", True),
        ("%a.c% -z", "abcz", False),
    ],
)
def test_term_patterns(pattern: str | None, message: str | None, wanted: bool | None) -> None:
    if message is None:
        with pytest.raises(BadPattern):
            compile_pattern(pattern)
    else:
        assert compile_pattern(pattern)(message) is wanted


@given(st.text(string.printable, max_size=40))
def test_any_text_is_a_pattern_or_a_bad_pattern(text: str) -> None:
    try:
        matches = compile_pattern(text)
    except BadPattern:
        return
    assert matches("some message") in (True, False)


@given(st.lists(st.text(string.ascii_letters, min_size=1, max_size=5), min_size=1, max_size=4), st.data())
def test_a_message_of_all_terms_matches(terms: list[str], data: st.DataObject) -> None:
    message = " ".join(data.draw(st.permutations(terms)))
    assert compile_pattern(" ".join(terms))(message)
    assert not compile_pattern(f"-{terms[0]}")(message)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('level = "ERROR" and code > 400', True),
        ("level = 'INFO' or code in [200, 403]", True),
        ("not level like /^ERR/", False),
        ("level not like 'INFO'", True),
        ("ispresent(user.id) and strcontains(user.id, 'u-')", True),
        ("isblank(none)", True),
        ("code = 403.0 and yes = true", True),
        ("missing > 1", False),
    ],
)
def test_insights_conditions(text: str, wanted: bool) -> None:
    assert compile_condition(text)({**EVENT, "user.id": "u-1"}) is wanted


@pytest.mark.parametrize(
    "text", ["level =", "= 1", "level = 'x", "(level = 1", "level ~ 1", "level = 1 level = 2"]
)
def test_insights_conditions_that_are_none(text: str) -> None:
    with pytest.raises(BadQuery):
        compile_condition(text)


def test_insights_bins_and_sorts() -> None:
    rows = [
        {"@timestamp": at * 60_000, "@message": json.dumps({"n": at}), "@ptr": str(at)}
        for at in (1, 2, 7, 12)
    ]
    found = run_query("stats count(*) as c, max(n) by bin(5m) as slot | sort slot asc", rows)
    assert [(row["slot"][11:16], row["c"], row["max(n)"]) for row in found] == [
        ("00:00", 2, 2.0),
        ("00:05", 1, 7.0),
        ("00:10", 1, 12.0),
    ]
    assert [row["@ptr"] for row in run_query("fields n | sort n desc | limit 2", rows)] == ["12", "7"]
