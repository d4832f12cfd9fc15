"""The rules of the next step: read with clear errors, unknown facts fire nothing, every rule can fire, commands are
commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmqlib.errors import SettingsError
from vmqlib.runbook.nextsteps import Facts, Rollback, next_steps, plan_next, rules
from vmqlib.runbook.stepfacts import VOCABULARY, values_of
from vmqlib.runbook.steprules import Fact, Rule, apply_rules, read_rules

AT = datetime(2026, 11, 23, 9, 12, tzinfo=UTC)
BARE = Facts(
    incident_id="INC-20261123-001", data_source_id="f7c1bd87-4da5-4709-9471-3d60c8a70639", bucket="kb"
)
RULES = rules()
SMALL = {
    "always": Fact("text", "", always=True), "text": Fact("text", ""), "number": Fact("count", ""),
    "flag": Fact("flag", ""), "several": Fact("texts", ""), "at": Fact("time", ""), "ready": Fact("command", ""),
}  # fmt: skip


def read(tmp_path: Path, body: str) -> tuple[Rule, ...]:
    path = tmp_path / "rules.toml"
    path.write_text(body, encoding="utf-8")
    return read_rules(path, SMALL)


def one(when: str = '["flag == true"]', why: str = "Why.", command: str = "", more: str = "") -> str:
    return f"[[rule]]\nname = 'r'\nstep = '1'\nwhen = {when}\nwhy = '''{why}'''\ncommand = '''{command}'''\n{more}"


# -- reading


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("not toml", "cannot be read"),
        ("", "holds no rules"),
        ("x = 1", "holds no rules"),
        ("rule = 1", "holds no rules"),
        (one() + one(), "'r' is in .* twice"),
        (one(more="also = 1"), "'r' .*: also is no key"),
        (one().replace("name = 'r'\n", ""), "'number 1' .*: name is missing"),
        (one(why=" "), "'r' .*: why is missing"),
        (one().replace("command = ''''''", "command = 3"), "command is missing or is no text"),
        (one(when="[]"), "when is not a list"),
        (one(when='"flag == true"'), "when is not a list"),
        (one(when='["flog == true"]'), "when names 'flog', which is no fact"),
        (one(when='["flag ~ true"]'), "is no condition"),
        (one(when='["flag == true and number > 1"]'), "has 'flag == true and number > 1'"),
        (one(when='["flag"]'), "is no condition"),
        (one(when="[{none = ['flag set']}]"), "is no condition"),
        (one(when="[{any = []}]"), "is no condition"),
        (one(when="[{any = ['flag set'], all = ['flag set']}]"), "is no condition"),
        (one(when="[3]"), "is no condition"),
        (one(when='["flag > true"]'), "asks 'flag > true', but flag is a flag"),
        (one(when="[\"several == 'x'\"]"), "but several is a texts"),
        (one(when="[\"at == '2026'\"]"), "but at is a time"),
        (one(when='["number > 1.5"]'), "has 'number > 1.5'"),
        (one(when='["number > true"]'), "has 'number > true'"),
        (one(when="[\"number > '1'\"]"), "has \"number > '1'\""),
        (one(when='["number in 3"]'), "has 'number in 3'"),
        (one(when='["number == [3]"]'), r"has 'number == \[3\]'"),
        (one(when="[\"text in ['a', 2]\"]"), "has"),
        (one(when='["text == __import__(\'os\')"]'), "has"),
        (one(why="{nobody}"), "why names 'nobody', which is no fact"),
        (one(why="{number}"), "why shows number, which may be unknown"),
        (one(when="[{any = ['number > 1', 'flag == true']}]", why="{number}"), "may be unknown"),
        (one(when='["number unset"]', why="{number}"), "may be unknown"),
        (one(why="{flag:thing}"), "gives flag a noun"),
        (one(why="{always.__class__}"), "has a brace"),
        (one(why="{"), "has a brace"),
        (one(command="vmq {always!r}"), "has a brace"),
        (one(command="vmq '{always}'"), "cannot be read by a shell"),
        (one(command='vmq "{always}"'), "cannot be read by a shell"),
        (one(command="vmq 'x"), "cannot be read by a shell"),
        (one(command="vmq {several}", when='["several set"]'), "is no one word"),
        (one(command="vmq {ready}", when='["ready set"]'), "is a whole command"),
        (one(why="{ready}", when='["ready set"]'), "is a whole command"),
        (one(command="vmq {number:thing}", when='["number set"]'), "gives number a noun"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_told_with_its_name_and_key(tmp_path, body, said) -> None:
    with pytest.raises(SettingsError, match=said) as told:
        read(tmp_path, body)
    assert "rules.toml" in told.value.message
    assert told.value.hint


def test_a_file_that_is_not_there_is_told(tmp_path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml cannot be read"):
        read_rules(tmp_path / "none.toml", SMALL)


@pytest.mark.parametrize(
    ("when", "values", "fires"),
    [
        ('["flag == true"]', {"flag": True}, True),
        ('["flag == true"]', {"flag": None}, False),
        ('["flag != true"]', {"flag": None}, False),
        ('["flag != true"]', {}, False),
        ('["flag == false"]', {"flag": False}, True),
        ('["number > 0"]', {"number": 0}, False),
        ('["number >= 0"]', {"number": 0}, True),
        ('["number <= 2"]', {"number": 2}, True),
        ('["number < 2"]', {"number": 2}, False),
        ('["number in [1, 3]"]', {"number": 3}, True),
        ("[\"text in ['a', 'b']\"]", {"text": "c"}, False),
        ("[\"text == ''\"]", {"text": ""}, True),
        ("[\"several has 'a'\"]", {"several": ("a", "b")}, True),
        ("[\"several has 'a'\"]", {"several": ("ab",)}, False),
        ('["several set"]', {"several": ()}, False),
        ('["several unset"]', {"several": ()}, True),
        ('["number set"]', {"number": 0}, True),
        ('["flag set"]', {"flag": False}, True),
        ('["at unset"]', {}, True),
        ("[{any = ['flag == true', 'number > 1']}]", {"number": 2}, True),
        ("[{any = ['flag == true', {all = ['number > 1', 'number < 3']}]}]", {"number": 3}, False),
        ("['flag == true', 'number > 1']", {"flag": True}, False),
    ],
)
def test_what_a_condition_asks(tmp_path, when, values, fires) -> None:
    assert bool(apply_rules(read(tmp_path, one(when=when)), values)) == fires


def test_values_are_shown_for_people_and_quoted_for_the_shell(tmp_path) -> None:
    when = "['number set', 'at set', 'several set', 'text set']"
    made = read(
        tmp_path, one(when, "{number:object} at {at}, {several}, {text}.", "x --n {number} --at {at} {text}")
    )
    values = {"number": 1204, "at": AT, "several": ("a", "b"), "text": "$(rm) 'x"}
    (step,) = apply_rules(made, values)
    assert step.why == "1,204 objects at 2026-11-23 09:12:00 UTC, a, b, $(rm) 'x."
    assert shlex.split(step.command) == [
        "x",
        "--n",
        "1204",
        "--at",
        "2026-11-23T09:12:00.000000Z",
        "$(rm) 'x",
    ]
    assert apply_rules(made, values | {"number": 1})[0].why.startswith("1 object at")


# -- the rules that come with the kit


def test_every_fact_has_a_value_and_every_value_a_meaning() -> None:
    assert set(values_of(BARE)) == set(VOCABULARY)
    for name, fact in VOCABULARY.items():
        assert fact.meaning
        assert not fact.always or values_of(BARE)[name] is not None


def test_every_fact_is_asked_for_or_shown() -> None:
    text = (Path(__file__).parents[2] / "templates" / "next-steps.toml").read_text(encoding="utf-8")
    unused = {name for name in VOCABULARY if text.count(name) == 0}
    assert unused <= {"bucket", "promoted_failing"}


def solved(condition: Any, values: dict[str, Any]) -> None:
    """Sets the facts so that the condition holds."""
    if hasattr(condition, "parts"):
        for part in condition.parts if condition.every else condition.parts[:1]:
            solved(part, values)
        return
    name, value, sign = condition.fact, condition.value, condition.sign
    if sign == "set":
        known = {"flag": True, "count": 7, "text": "some", "texts": ("some",), "time": AT, "command": "vmq x"}
        values[name] = values.get(name) or known[VOCABULARY[name].kind]
    elif sign == "unset":
        values[name] = None
    elif sign == "!=":
        values[name] = {"SUCCEEDED": "FAILED", "closed": "open", "passed": "none"}[value]
    else:
        values[name] = {"==": value, ">=": value, "in": None, "has": (value,), ">": None}[sign]
        if values[name] is None:
            values[name] = value[0] if sign == "in" else value + 1


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_can_fire(rule) -> None:
    values = values_of(BARE) | {"rollback_plan": "It copies 5."}
    solved(rule.when, values)
    step = rule.apply(values)
    assert step is not None
    assert step.why[0] != " "
    assert step.why.endswith(".")
    assert "{" not in step.why + step.command
    assert "None" not in step.why
    assert step.step[0] in "123456P"


def words(rule: Rule, text: str) -> list[str]:
    values = {name: text if fact.kind == "text" else 3 for name, fact in VOCABULARY.items()}
    return shlex.split(Rule(**{**vars(rule), "why": "w", "when": _Always()}).apply(values).command)


class _Always:
    def holds(self, values: Any) -> bool:
        return True


@given(st.text(min_size=1).filter(lambda text: "\x00" not in text))
def test_no_value_breaks_out_of_its_word(text: str) -> None:
    for rule in RULES:
        if not rule.ready:
            plain = words(rule, "MARK")
            assert words(rule, text) == [word.replace("MARK", text) for word in plain]


def calls(program: str) -> Iterator[tuple[str, list[str]]]:
    for rule in RULES:
        if rule.command and not rule.ready:
            line: list[str] = []
            for word in [*words(rule, "INC-20261123-001"), "&&"]:
                if word == "&&":
                    if line[0] == program:
                        yield rule.name, line[1:]
                    line = []
                else:
                    line.append(word)


def test_commands_begin_with_a_program_that_people_have() -> None:
    for rule in RULES:
        assert not rule.command or rule.ready or rule.command.split()[0] in ("vmq", "aws", "git")


@pytest.mark.parametrize(("name", "arguments"), [*calls("vmq")])
def test_vmq_understands_its_own_commands(name, arguments) -> None:
    import click

    from vmqlib.cli.main import vmq

    command, called, rest = vmq, "vmq", list(arguments)
    while isinstance(command, click.Group):
        called, command, rest = command.resolve_command(click.Context(command), rest)
    assert command.make_context(called, rest).command is command, name


@pytest.mark.parametrize(("name", "arguments"), [*calls("aws")])
def test_aws_has_these_operations_and_options(name, arguments) -> None:
    import botocore.session
    from botocore import xform_name

    service, operation, *rest = arguments
    if service == "s3":
        assert operation in ("rm", "cp")
        return
    model = botocore.session.get_session().get_service_model(service)
    found = {xform_name(each, "-"): each for each in model.operation_names}
    shape = model.operation_model(found[operation]).input_shape
    members = {f"--{xform_name(member, '-')}" for member in shape.members}
    asked = {word for word in rest if word.startswith("--")}
    assert asked <= members | {"--region", "--query"}, name
    required = {f"--{xform_name(member, '-')}" for member in shape.required_members}
    assert required <= asked, name


@given(st.data())
def test_what_is_not_known_is_never_shown(data: st.DataObject) -> None:
    kinds = {
        "flag": st.booleans(), "count": st.integers(0, 3),
        "text": st.sampled_from(["", "a", "open", "none", "planned"]),
        "texts": st.sampled_from([(), ("guardrail",), ("content", "no-sync")]), "time": st.just(AT),
        "command": st.sampled_from(["", "vmq x"]),
    }  # fmt: skip
    values = {
        name: data.draw(kinds[fact.kind] if fact.always else st.none() | kinds[fact.kind])
        for name, fact in VOCABULARY.items()
    }
    for step in apply_rules(RULES, values):
        assert "None" not in step.why + step.command
        shlex.split(step.command)


# -- triage, by trigger


def names(known: Facts) -> list[str]:
    return [rule.name for rule in RULES if rule.apply(values_of(known))]


def test_the_first_step_is_to_acknowledge() -> None:
    first = plan_next(replace(BARE, acknowledged=False, opened_at=AT, missing=("Alarms",)))[0]
    assert (first.step, first.command) == ("1 Triage", "vmq ack INC-20261123-001 --post")
    assert "acknowledge" not in names(replace(BARE, acknowledged=True, opened_at=AT))
    recovered = replace(BARE, acknowledged=False, opened_at=AT, recovered=True)
    assert names(recovered)[0] == "acknowledge", "nobody has it, though a sync succeeded"
    assert "acknowledge" not in names(replace(recovered, closed=True))


FAILING = replace(
    BARE, about=("sync-failed",), last_status="INCOMPLETE", last_good_at=AT, failing=99, changed=128,
    failing_and_changed=99, promotion="9c1f2ab4 by ci", promotion_at=AT, promoted_failing=99,
)  # fmt: skip


def test_documents_that_all_fail_since_one_promotion_name_it() -> None:
    (step,) = [one for one in plan_next(FAILING) if one.step.startswith("3")]
    assert "all among the promotion of 2026-11-23 09:12:00 UTC (9c1f2ab4 by ci)" in step.why
    assert step.command == "vmq rollback plan INC-20261123-001"


@pytest.mark.parametrize("promoted", [98, 0, None])
def test_one_document_that_was_not_promoted_and_it_is_not_said(promoted) -> None:
    (step,) = [
        one for one in plan_next(replace(FAILING, promoted_failing=promoted)) if one.step.startswith("3")
    ]
    assert "promotion" not in step.why
    assert "99 of the 99 failing documents are among them" in step.why


@given(
    promoted=st.none() | st.integers(0, 3), failing=st.none() | st.integers(0, 3), both=st.none() | st.integers(0, 3),
    name=st.none() | st.just("p"),
)  # fmt: skip
def test_the_rollback_is_proposed_once(promoted, failing, both, name) -> None:
    known = replace(
        FAILING, promoted_failing=promoted, failing=failing, failing_and_changed=both, promotion=name,
        promotion_at=AT if name else None,
    )  # fmt: skip
    found = [one for one in names(known) if one.startswith("rollback")]
    assert len(found) <= 1
    if promoted is None or name:
        assert len(found) == 1


def test_failures_that_recur_stop_the_schedule_and_say_how_often() -> None:
    why = "3 of the last 4 syncs failed with the same error: AccessDenied."
    known = replace(FAILING, recurring_why=why, schedule="cron(15 14 * * ? *)")
    step = next(one for one in plan_next(known) if one.command.startswith("vmq schedule"))
    assert step.command == f"vmq schedule disable {known.incident_id}"
    assert why in step.why
    assert "cron(15 14 * * ? *)" in step.why
    assert "recurring" not in names(replace(known, schedule=""))
    assert "recurring" not in names(replace(known, recurring_why=None))
    assert "recurring" not in names(replace(known, schedules_off=("docs",)))


def test_a_schedule_that_is_off_is_put_back_before_the_end() -> None:
    known = replace(
        BARE, recovered=True, last_status="SUCCEEDED", schedules_off=("docs (cron(15 14 * * ? *))",)
    )
    assert names(known).index("schedule-back") < names(known).index("close")
    assert "schedule-back" not in names(replace(known, schedules_off=()))


def test_who_was_refused_and_by_which_call_comes_before_the_schedule() -> None:
    known = replace(
        FAILING, about=("sync-failed",), refused=True, recurring_why="3 of 4.", schedule="cron(0)",
        suspect_region="us-east-1", suspect="PutRolePolicy by tomasz, 2026-11-28", suspect_event_id="f1",
        suspect_role="r", suspect_policy="it's",
    )  # fmt: skip
    found = names(known)
    assert found.index("role-refused") < found.index("suspect-policy") < found.index("recurring")
    commands = [one.command for one in plan_next(known)]
    assert f"vmq doctor --incident {known.incident_id}" in commands
    assert ["aws", "iam", "get-role-policy", "--role-name", "r", "--policy-name", "it's"] in map(
        shlex.split, commands
    )
    other = replace(known, suspect_policy=None, suspect_role=None)
    (look,) = [one.command for one in plan_next(other) if "lookup-events" in one.command]
    assert look.endswith("AttributeKey=EventId,AttributeValue=f1 --region us-east-1")
    assert not {"role-refused", "suspect-call"} & set(names(replace(known, refused=False, suspect=None)))


def test_what_the_doctor_found_of_the_role_is_said_and_it_is_not_asked_again() -> None:
    known = replace(FAILING, about=("sync-failed",), refused=True)
    assert "role-refused" in names(known)
    looked = replace(known, role_seen_at=AT, role_lacks="docs: the role r is refused s3:GetObject.")
    assert "role-refused" not in names(looked)
    assert any("refused s3:GetObject" in one.why for one in plan_next(looked))
    assert not {"role-refused", "role-lacks"} & set(names(replace(looked, role_lacks=None))), (
        "it may read by now"
    )


def test_what_was_throttled_is_synced_again_in_its_own_words() -> None:
    known = replace(FAILING, throttled=True)
    assert "resync-throttled" in names(known)
    assert "resync" not in names(known)


def test_logs_are_read_since_the_first_bad_sync() -> None:
    (logs,) = [one.command for one in plan_next(FAILING) if one.command.startswith("vmq logs")]
    assert logs.endswith("--since 4h")
    known = replace(FAILING, logs_since="2026-11-28T01:53Z")
    assert any(one.command.endswith("--since 2026-11-28T01:53Z") for one in plan_next(known))


def test_a_schedule_that_was_emptied_is_set_again_by_a_command_that_can_be_copied() -> None:
    known = replace(
        BARE, about=("no-sync",), last_status="SUCCEEDED", schedule="", schedule_was="cron(40 10 * * ? *)",
        schedule_was_why="A sync began at 10:40.", schedule_emptied="UpdateDataSource by marco",
    )  # fmt: skip
    assert {"schedule-emptied", "schedule-again"} <= set(names(known))
    assert not {"no-schedule", "schedule-again-unknown"} & set(names(known))
    again = next(one for one in plan_next(known) if one.command.startswith("vmq schedule"))
    assert again.command.endswith("--to 'cron(40 10 * * ? *)'")
    assert any("UpdateDataSource by marco" in one.why for one in plan_next(known))


def test_no_sync_says_whether_there_is_a_schedule_at_all() -> None:
    known = replace(BARE, about=("no-sync",), last_status="SUCCEEDED", last_good_at=AT)
    assert "no-schedule" in names(replace(known, schedule=""))
    assert "schedule-again-unknown" in names(replace(known, schedule=""))
    assert "schedule-without-sync" in names(replace(known, schedule="cron(0)"))
    assert not {"no-schedule", "schedule-without-sync"} & set(names(known))
    assert "resync" in names(known)


def test_a_guardrail_names_who_changed_what_and_the_commit_to_revert() -> None:
    known = replace(
        BARE, about=("guardrail",), app_id="app", guardrail_at=AT, guardrail_who="dana",
        guardrail_what="phrase “the” added",
        commit="abc123", commit_at=AT, commit_about="Wider guardrails, by Dana", ops_repo="/ops repo",
    )  # fmt: skip
    change, show, revert = [one for one in plan_next(known) if one.step.startswith("2")]
    assert "dana changed the guardrails at 2026-11-23 09:12:00 UTC: phrase “the” added" in change.why
    assert show.command == "git -C '/ops repo' show abc123"
    assert revert.command == "git -C '/ops repo' revert --no-edit abc123"
    assert "guardrail-no-commit" in names(replace(known, commit=None))
    (log,) = [one.command for one in plan_next(replace(known, commit=None)) if "log -5" in one.command]
    assert log.startswith("git -C '/ops repo' log")
    assert "guardrail-no-repo" in names(replace(known, ops_repo=None))
    assert "guardrail-look" in names(replace(known, guardrail_at=None))
    assert not [one for one in names(replace(known, about=())) if one.startswith("guardrail")]


def test_unauthorized_content_is_told_to_security_and_removed_at_its_source() -> None:
    known = replace(
        BARE, about=("content",), content_why="2 documents are indexed from hr/.", content_uri="s3://kb/hr/pay rise.md",
        app_id="app", index_id="idx",
    )  # fmt: skip
    tell, remove, exclude = [one for one in plan_next(known) if one.step.startswith("2")]
    assert "security@vaultmesh.io" in tell.why
    assert shlex.split(remove.command)[:4] == ["aws", "s3", "rm", "s3://kb/hr/pay rise.md"]
    assert "exclusionPrefixes" in exclude.why
    values = replace(known, exclude_why='It takes in 3 of them: add "_staging/" to exclusionPrefixes.')
    (told,) = [one for one in plan_next(values) if "get-data-source" in one.command]
    assert told.why.startswith('It takes in 3 of them: add "_staging/" to exclusionPrefixes.')
    left = replace(known, recovered=True, proof_state="failed", left_why="3 documents are in the index.")
    assert "content-left" in names(left)
    assert "close" not in names(left)
    assert "close" in names(replace(left, left_why=None))
    assert "resync" in names(known)
    assert "content-unknown" in names(replace(known, content_why=None))


def test_customers_hit_later_are_escalated_unless_a_person_judged() -> None:
    known = replace(
        BARE,
        severity="SEV2",
        severity_by_person=False,
        customers="hit",
        customers_why="Customers are hit: it's bad.",
    )
    step = plan_next(known)[0]
    assert shlex.split(step.command)[:4] == ["vmq", "severity", "INC-20261123-001", "SEV1"]
    assert "escalate" not in names(replace(known, severity_by_person=True))
    assert "escalate" not in names(replace(known, severity="SEV1"))
    assert "escalate" not in names(replace(known, customers="unknown"))


def test_a_rollback_that_is_planned_says_the_promotion_too() -> None:
    made = Rollback("planned", "vmq rollback apply X", plan="It copies 5.", changes=5)
    (step,) = [one for one in plan_next(replace(FAILING, rollback=made)) if one.step.startswith("3")]
    assert "all among the promotion of 2026-11-23 09:12:00 UTC" in step.why
    assert "It copies 5." in step.why
    assert step.command == "vmq rollback apply X"


def test_a_finished_rollback_asks_for_the_resync_only() -> None:
    known = replace(FAILING, rollback=Rollback("verified", restored=True))
    assert [one for one in names(known) if one[:2] in ("ro", "re")] == ["resync-restored"]


def test_an_example_record_has_its_next_steps(project, example_id) -> None:
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Settings

    settings = Settings.load(incidents=project / "notebooks" / "examples")
    steps = next_steps(Incident.load(example_id, settings=settings))
    assert [one.step[0] for one in steps] == sorted(one.step[0] for one in steps)
    assert {one.step[0] for one in steps} >= {"5", "6"}
