"""The command that plans again: what it makes is the same plan, while nothing changed."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click
import pytest
from support.rollback_rig import Rig

from vmqlib.cli.rollback import rollback_command
from vmqlib.runbook import rollback
from vmqlib.runbook.rollback.replanning import plan_again
from vmqlib.times import iso


@pytest.fixture(scope="module")
def local(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws(None)


@pytest.fixture
def rig(local: Any, point_at: Callable[[Any], None]) -> Rig:
    point_at(local)
    return Rig(local)


def typed(command: str) -> dict[str, Any]:
    """What a command line says, as `vmq rollback plan` reads it."""
    words = shlex.split(command)
    assert words[:3] == ["vmq", "rollback", "plan"]
    found = rollback_command.get_command(click.Context(rollback_command), "plan")
    assert found is not None
    said = found.make_context("plan", words[3:]).params
    return {name: said[name] for name in ("to", "prefix", "exclude", "keys", "since", "ambiguous")}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prefix": "doc-0"},
        {"exclude": ["doc-001", "odd '"]},
        {"keys": ["doc-000.md", "lost.md"]},
        {"ambiguous": "exclude"},
        {"to": "previous", "keys": ["doc-000.md"]},
        {"to": "previous", "since": "1h"},
        {"to": "last-good"},
    ],
)
def test_it_makes_the_same_plan(rig: Rig, options: dict[str, Any]) -> None:
    rig.spoiled()
    rig.jobs = (("SUCCEEDED", rig.good),)
    plan = rig.plan(**options)
    said = typed(plan_again(rig.incident, plan.head))
    again = rollback.plan(rig.again(), **{**said, "exclude": said["exclude"] or None})
    assert plan.changes == again.changes > 0
    assert (again.target, again.scope, again.head.ambiguous) == (plan.target, plan.scope, plan.head.ambiguous)
    assert [*again.iter_items()] == [*plan.iter_items()]


def test_a_whole_second_stays_one(rig: Rig) -> None:
    rig.spoiled()
    second = rig.good.replace(microsecond=0) + timedelta(seconds=1)
    plan = rig.plan(to=iso(second)[:19] + "Z")
    assert typed(plan_again(rig.incident, plan.head))["to"] == iso(second)[:19] + "Z"


def test_touch_and_undo_have_commands_of_their_own(rig: Rig) -> None:
    rig.spoiled()
    plan = rig.plan()
    rollback.apply(rig.incident, plan, digest=plan.digest)
    back = rollback.undo(rig.incident)
    assert plan_again(rig.incident, back.head) == f"vmq rollback undo {rig.incident.id}"
    from vmqlib.runbook import touch

    made = touch.plan(rig.incident, keys=["doc-000.md"])
    assert plan_again(rig.incident, made.head) == f"vmq sync touch {rig.incident.id} --key doc-000.md"
