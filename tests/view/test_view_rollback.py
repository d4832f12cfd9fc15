"""The rollback's sections: what would be done, what was done, whether it holds; and what stands there before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from vmqlib import view
from vmqlib.errors import CorruptRecord
from vmqlib.runbook.rollback import planfile
from vmqlib.runbook.rollback.items import NOTHING, Entry, Item, Scope, Target
from vmqlib.runbook.rollback.plan import Plan, PlanHead
from vmqlib.runbook.rollback.planner import Seen
from vmqlib.runbook.rollback.results import Applied, Difference, Problem, Status, Verification

AT = datetime(2026, 11, 23, 3, 46, 35, tzinfo=UTC)
THEN, NOW = "2026-11-10T08:00:00.000000Z", "2026-11-23T11:05:22.000000Z"
EVIL = "<script>alert(1)</script>\x1b[31m\u202ekey"


def entry(name: str, size: int = 622, *, at: str = THEN, gone: bool = False) -> Entry:
    return Entry(name, at, gone, 0 if gone else size, "" if gone else f"etag-{name}", "STANDARD")


def copy(key: str, **more: Any) -> Item:
    return Item(key, "COPY", entry("now", at=NOW), entry("then", 638), **more)


ITEMS = (
    copy("a.md"),
    Item("b.md", "UNDELETE", entry("mark", at=NOW, gone=True), entry("old", 512)),
    Item("new.md", "DELETE", entry("new", at=NOW), NOTHING),
    Item("same.md", "SKIP", entry("copy", at=NOW), entry("first")),
    Item(
        "tie.md", "BLOCKED", entry("x", at=NOW), entry("y"),
        code="ambiguous", reason="It changed within that second.", remedy="Plan again with --ambiguous.",
    ),
)  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Plan]:
    def write(items: Iterable[Item] = ITEMS, **more: Any) -> Plan:
        head = PlanHead(
            incident="INC-20261123-001",
            scope=Scope("vaultmesh-knowledge-base", "", ("_staging/", "ci/", "audit/")),
            target=Target("last-good", AT, "The start of the last good sync before the incident."),
            made_at=datetime(2026, 11, 23, 12, 47, tzinfo=UTC),
            caller="arn:aws:iam::123456789012:user/on-call",
        )
        seen = Seen(listed=964, keys=300, unchanged=295, there=290, documents=280)
        return planfile.write(tmp_path / "rollback", replace(head, **more), items, seen=seen)

    return write


def planned(plan: Plan) -> Status:
    return Status("planned", plan, command=f"vmq rollback apply INC-20261123-001 --digest {plan.digest[:12]}")


def applied(plan: Plan, ending: Any = "applied", **more: Any) -> Status:
    numbers = {"done": 3} | {
        name: more.pop(name) for name in ("found", "changed", "failed", "left") if name in more
    }
    last = Applied(
        plan.digest, "last-good", ending, **numbers, seconds=2.5, at=AT, by="on-call",
        log="apply-0f.jsonl", log_sha256="ab" * 32, problems=more.pop("problems", ()),
    )  # fmt: skip
    return Status(ending, plan, last, (last,), **more)


def test_one_that_was_stopped_and_resumed_took_as_long_as_both(made):
    whole = applied(made())
    assert "from its first beginning" not in view.rollback_result(whole).html.markup
    last = replace(whole.applied, seconds=0.4, begun_at=AT - timedelta(seconds=10))
    shown = view.rollback_result(replace(whole, applied=last, applies=(last,)))
    assert "10 s from its first beginning to its end; the last run 0 s" in shown.html.markup


class TestPlan:
    def test_says_what_it_does_to_what_and_how_to_approve_it(self, made):
        plan = made()
        shown = view.rollback_plan(planned(plan))
        assert (
            "last-good 2026-11-23 03:46:35 UTC: 1 COPY, 1 UNDELETE, 1 DELETE, 1 SKIP, 1 BLOCKED" in shown.text
        )
        assert plan.digest in shown.text
        assert plan.digest in shown.html.markup
        command = f"vmq rollback apply INC-20261123-001 --digest {plan.digest[:12]}"
        assert shown.text.endswith(command)
        assert command in shown.html.markup
        assert "next sync" in shown.text
        assert "deletion safeguard" in shown.text
        assert f"rollback/{plan.path.name}" in shown.html.markup

    def test_shows_deletions_first_and_leaves_out_what_does_not_change(self, made):
        text = view.rollback_plan(planned(made())).text
        places = [text.index(f"{key} | ") for key in ("new.md", "b.md", "a.md")]
        assert places == sorted(places)
        assert "new.md | DELETE | 622 B | 2026-11-23 11:05:22 UTC | becomes | not there" in text
        assert "b.md | UNDELETE | deleted" in text
        assert "same.md" not in text

    def test_names_what_is_held_back_with_reason_and_remedy(self, made):
        shown = view.rollback_plan(planned(made()))
        assert (
            "ambiguous | 1 | It changed within that second. | Plan again with --ambiguous. | tie.md"
            in shown.text
        )
        assert "Plan again with --ambiguous." in shown.html.markup

    def test_of_many_items_shows_some_and_says_where_the_rest_is(self, made):
        plan = made([copy(f"k{n:04d}.md") for n in range(400)])
        shown = view.rollback_plan(planned(plan))
        assert f"… 375 more in rollback/{plan.path.name}" in shown.html.markup
        assert shown.html.markup.count("k0") < 60

    def test_that_changes_nothing_asks_for_nothing(self, made):
        shown = view.rollback_plan(Status("planned", made([])))
        assert "nothing to do" in shown.text
        assert "vmq rollback apply" not in shown.text

    def test_that_is_not_there_says_why_and_what_to_type(self):
        assert "vmq rollback plan" in view.rollback_plan(Status()).text
        shown = view.rollback_plan(Status(), lambda: "AccessDenied: grant s3:ListBucketVersions.")
        assert not shown.ok
        assert "No rollback could be planned: AccessDenied: grant s3:ListBucketVersions." in shown.text
        unread = view.rollback_plan(Status("planned", problem="rollback/plan-0f.jsonl.gz was edited."))
        assert "The plan cannot be read: rollback/plan-0f.jsonl.gz was edited." in unread.text

    def test_whose_file_was_damaged_meanwhile_costs_its_own_section(self, made):
        plan = made()
        plan.path.write_bytes(plan.path.read_bytes()[:-20])
        shown = view.rollback_plan(planned(plan))
        assert not shown.ok
        assert "cut short" in shown.text

    def test_whose_state_cannot_be_had_says_so(self):
        def broken() -> Status:
            raise CorruptRecord("journal.jsonl is damaged.")

        for draw in (view.rollback_plan, view.rollback_result, view.rollback_verification):
            shown = draw(broken)
            assert not shown.ok
            assert "journal.jsonl is damaged." in shown.text


class TestResult:
    def test_of_nothing_says_that_nothing_was_changed(self, made):
        assert "nothing in the bucket was changed" in view.rollback_result(Status()).text
        waiting = view.rollback_result(planned(made()))
        assert "Planned, and not applied: nothing in the bucket was changed." in waiting.text
        assert "vmq rollback apply INC-20261123-001 --digest" in waiting.text

    def test_says_how_many_who_and_how_to_go_back(self, made):
        plan = made()
        shown = view.rollback_result(applied(plan, command="vmq rollback verify INC-20261123-001"))
        assert shown.text.startswith("Restored: 3 objects.")
        assert f"plan {plan.digest[:12]}, by on-call, 2026-11-23 03:46:35 UTC" in shown.text
        assert "vmq rollback verify INC-20261123-001" in shown.html.markup
        assert "vmq rollback undo INC-20261123-001" in shown.html.markup
        assert "ab" * 32 in shown.html.markup

    def test_names_what_was_left_alone_and_how_to_go_on(self, made):
        problems = (Problem("b.md", "changed", "", "Somebody wrote it at 12:50.", "Plan again."),)
        state = applied(
            made(), "interrupted", changed=1, left=7, problems=problems, command="vmq rollback resume INC-20261123-001",
        )  # fmt: skip
        text = view.rollback_result(state).text
        assert "1 changed by somebody else and left alone, 7 not come to. Interrupted." in text
        assert "b.md | changed | Somebody wrote it at 12:50. | Plan again." in text
        assert "To go on: vmq rollback resume INC-20261123-001" in text

    def test_counts_what_it_does_not_show(self, made):
        problems = tuple(Problem(f"k{n}", "failed", "AccessDenied") for n in range(30))
        state = applied(made(), "failed", failed=900, problems=problems)
        assert "… 875 more in rollback/apply-0f.jsonl" in view.rollback_result(state).html.markup

    def test_tells_every_apply_when_there_were_several(self, made):
        state = applied(made())
        undo = replace(state.applies[0], kind="undo", digest="cd" * 32)
        shown = view.rollback_result(
            replace(
                state, state="undone", applied=undo, applies=(replace(state.applies[0], undone=True), undo)
            )
        )
        assert "Every apply of this incident" in shown.html.markup
        assert shown.text.startswith("Taken back: 3 objects.")
        assert "rollback undo" not in shown.text, "it was undone already"


class TestVerification:
    def test_of_nothing_says_so(self, made):
        assert "nothing to verify" in view.rollback_verification(Status()).text
        waiting = view.rollback_verification(
            applied(made(), command="vmq rollback verify INC-20261123-001")
        ).text
        assert "nobody has looked since" in waiting
        assert "vmq rollback verify INC-20261123-001" in waiting

    def test_says_that_it_holds(self, made):
        plan = made()
        seen = Verification(plan.digest, AT, True, 3, 3, held={"ambiguous": 1}, held_first=("tie.md",))
        text = view.rollback_verification(applied(plan, verification=seen)).text
        assert "3 objects as planned" in text
        assert "Held back by the plan and not restored: 1 ambiguous. First: tie.md." in text

    def test_names_each_difference(self, made):
        plan = made()
        wrong = Difference("a.md", "changed by somebody else", "v3", "v9", NOW, "Written after the apply.")
        seen = Verification(
            plan.digest, AT, False, 3, 2, {"changed by somebody else": 41}, (wrong,),
            outside=2, outside_first=(replace(wrong, key="other.md"),), path=Path("rollback/verify-0f.json"),
        )  # fmt: skip
        shown = view.rollback_verification(applied(plan, "differs", verification=seen))
        assert (
            "a.md | changed by somebody else | v3 | v9 | 2026-11-23 11:05:22 UTC | Written after"
            in shown.text
        )
        assert "… 40 more differences in rollback/verify-0f.json" in shown.html.markup
        assert "changed since it was made: 2 objects. First: other.md." in shown.text


def test_what_a_key_says_stays_data(made):
    plan = made(
        [
            copy(EVIL),
            Item(EVIL + "2", "BLOCKED", entry("x"), entry("y"), code=EVIL, reason=EVIL, remedy=EVIL),
        ],
        target=Target("as-of", AT, EVIL),
        caller=EVIL,
    )
    state = applied(
        plan, "failed", failed=1, problems=(Problem(EVIL, "failed", EVIL, EVIL, EVIL),), command=EVIL
    )
    wrong = Difference(EVIL, EVIL, EVIL, EVIL, NOW, EVIL)
    seen = Verification(
        plan.digest, AT, False, 1, 0, {EVIL: 1}, (wrong,), {EVIL: 1}, (EVIL,), 1, (wrong,), Path(EVIL)
    )
    state = replace(state, verification=seen, problem=EVIL)
    shown = [
        view.rollback_plan(state, EVIL),
        view.rollback_plan(replace(state, plan=None), EVIL),
        view.rollback_result(state),
        view.rollback_verification(state),
        view.rollback_verification(replace(state, verification=None)),
    ]
    for panel in shown:
        for text in (panel.html.markup, panel.text):
            assert "\x1b" not in text
            assert "\u202e" not in text
        assert "<script" not in panel.html.markup


def test_a_copy_with_another_etag_is_known_for_a_copy(story):
    """Where KMS encrypts, only the apply log tells that an object is back."""
    rows = story.rows["versions"]()
    then = {row["key"]: row for row in rows if row["order"] == 1}
    made = {}
    for row in [row for row in rows if row["is_latest"] and row["at"] >= story.promoted]:
        for one in rows:
            if one["key"] == row["key"]:
                one["order"], one["is_latest"] = one["order"] + 1, False
        old = then[row["key"]]
        rows.append(
            old
            | {
                "version_id": f"copy of {old['version_id']}",
                "etag": f"other {old['etag']}",
                "order": 0,
                "is_latest": True,
                "at": story.day(20, 9, 20),
            }
        )
        made[f"copy of {old['version_id']}"] = old["version_id"]
    versions = story.seen("versions", rows)
    blind = view.changed_versions(versions, story.day(15), story.day(20, 9, 10)).text
    assert "148 are other content of the same size as before" in blind
    text = view.changed_versions(versions, story.day(15), story.day(20, 9, 10), copies=lambda: made).text
    assert "148 are back, 0 are still changed." in text
