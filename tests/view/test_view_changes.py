"""What changed and what to suspect, as it is shown: what is left out or was not seen is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from vmqlib import view
from vmqlib.errors import StorageError
from vmqlib.runbook.changes import Change, WhatChanged, rank
from vmqlib.runbook.findings import Finding
from vmqlib.view.base import Plot
from vmqlib.view.changes import MOST_CHANGES, span_of


@pytest.fixture(scope="module")
def told(story, looks):
    return story.told(looks)


class TestTimeline:
    def test_says_in_words_what_it_shows(self, story, told, looks):
        shown = view.change_timeline(told.changed, told.ranking, opened=story.day(20, 9, 10), seen=looks)
        assert isinstance(shown, Plot)
        assert shown.png.startswith(b"\x89PNG")
        assert "promotions: 1" in shown.alt
        assert "suspect 1: promotion of 9c1f2ab4; during it: 140 objects rewritten, 8 deleted" in shown.alt
        assert "first bad sign 2026-11-19 02:00 UTC" in shown.alt
        assert "5 syncs did not succeed" in shown.alt
        assert "QBusinessSyncFailed in ALARM, and still is since 2026-11-23 02:05 UTC" in shown.alt
        assert "incident opened 2026-11-23 09:10 UTC" in shown.alt
        assert "not seen: AWS calls, schedule, ops repo commits" in shown.alt
        written = [text.get_text() for text in (*shown.figure.axes[0].texts, *shown.figure.texts)]
        assert any("not seen: nobody has looked at trail" in text for text in written)
        assert any("earlier changes" in text and "not drawn" in text for text in written)
        assert any("promotions-" in text for text in written), "where it was drawn from"

    @pytest.mark.parametrize("length", [timedelta(hours=2), timedelta(days=21)])
    def test_is_drawn_over_any_span(self, story, told, length):
        shown = view.change_timeline(told.changed, told.ranking, since=story.now - length)
        assert isinstance(shown, Plot)
        left, right = shown.figure.axes[0].get_xlim()
        assert right - left == pytest.approx(length / timedelta(days=1), rel=0.02), (
            "whole, with room at its end"
        )
        assert shown.png

    def test_of_a_calm_week_needs_no_sign(self, told):
        shown = view.change_timeline(replace(told.changed, changes=told.changed.changes[:8]), None)
        assert "nothing was seen to change since" in shown.text

    def test_that_cannot_be_told_says_why(self, told):
        def fails():
            raise StorageError("The disk is full.", hint="Make room.")

        for shown in (view.change_timeline(fails), view.what_changed(fails), view.suspects(fails)):
            assert not shown.ok
            assert "The disk is full." in shown.text
        assert isinstance(view.change_timeline(told.changed, fails), Plot), (
            "the changes are there all the same"
        )


class TestTable:
    def test_has_suspects_in_their_places_and_names_what_was_not_seen(self, told, looks):
        shown = view.what_changed(told.changed, told.ranking, seen=looks)
        (line,) = [one for one in shown.text.splitlines() if one.startswith("suspect 1")]
        assert "2026-11-18 14:02:11 UTC" in line
        assert "promotion of 9c1f2ab4" in line
        assert "ci-deploy" in line
        assert (
            "not seen: AWS calls and schedule changes, and who made them: nobody has looked at trail"
            in shown.text
        )
        assert "not seen: commits in the ops repo: nobody has looked at commits" in shown.text
        assert "S3 does not keep who wrote a version" in shown.text
        assert "left out" in shown.text
        assert "Changes that this cannot know of" in shown.html.markup

    def test_of_very_many_keeps_causes_and_says_how_many_are_left_out(self, story, told):
        at = story.day(18)
        many = tuple(
            Change(
                at + timedelta(minutes=n),
                at + timedelta(minutes=n),
                "sync",
                f"sync {n}",
                "sync",
                reference=str(n),
            )
            for n in range(200)
        )
        changed = WhatChanged(told.changed.since, story.now, (*told.changed.changes, *many))
        shown = view.what_changed(changed, told.ranking)
        assert shown.html.markup.count("<tr>") == MOST_CHANGES + 1
        assert "of the span left out, syncs and alarms first" in shown.text
        assert "suspect 1 |" in shown.text

    def test_begins_before_the_last_good_sync(self, told):
        sign = told.ranking.sign
        assert told.changed.since < span_of(told.changed, told.ranking) < sign.good_at


class TestSuspects:
    def test_show_every_part_of_their_points_and_state_no_guess_as_fact(self, told):
        shown = view.suspects(told.ranking, told.changed)
        lead, first, *_ = shown.text.splitlines()
        assert lead.startswith(
            "To look at first: promotion of 9c1f2ab4 by ci-deploy, 2026-11-18 14:02:11 UTC: it came 11 h"
        )
        assert "140 of 140 failing documents are among what was written during it" in lead
        assert first.startswith("1. [72: time 12 of 30, touched 50 of 50, actor 10 of 20]")
        assert "they are no likelihood" in shown.text
        assert "not seen: commits in the ops repo" in shown.text
        assert "caused" not in shown.text

    def test_without_support_say_so(self, story, told):
        at = told.ranking.sign.began_at - timedelta(minutes=9)
        call = Change(
            at,
            at,
            "aws-call",
            "PutBucketTagging",
            "aws-call:PutBucketTagging",
            who="lena",
            areas=frozenset({"other"}),
        )
        shown = view.suspects(rank([call], told.ranking.sign))
        assert shown.text.startswith("No change that was seen explains it")
        assert "nothing but its time speaks for it" in shown.text

    def test_when_nothing_fires_suspect_nobody(self, told):
        shown = view.suspects(rank(told.changed.changes, None))
        assert shown.text.startswith("No bad sign is known, so no change is suspected of anything.")


class TestVerdicts:
    def test_have_every_reason_with_where_it_was_read(self, told):
        shown = view.verdicts(told.detection)
        lines = shown.text.splitlines()
        assert lines[0].startswith("sync-failed, no-sync fire; ")
        assert any(line.startswith("sync-failed | firing | 2026-11-19 02:0") for line in lines)
        assert any(line.startswith("  firing: ") and line.endswith("[sync-jobs]") for line in lines)
        assert "content | unknown" in shown.text
        assert shown.html.markup.count("[alarms]") >= 2


class TestFirstScreen:
    def test_answers_the_first_questions_in_their_order(self, story, told, looks):
        text = view.first_screen(story.summary(), told, looks).text
        lines = text.splitlines()
        assert lines[0] == "SEV2 open: SyncFailed for more than 15 minutes"
        asked = list(
            dict.fromkeys(line.partition(":")[0] for line in lines[1:-1] if not line.startswith("  $"))
        )
        assert asked == ["wrong", "since", "how bad", "affected", "changed", "next", "who"]
        assert "wrong: sync-failed fires (high confidence)" in text
        assert "since: 2026-11-19 02:0" in text
        assert "last good sync before it: 2026-11-18 02:00 UTC (5 d 7 h ago)" in text
        assert "140 of 420 documents fail (33%)" in text
        assert "changed: suspect 1: promotion of 9c1f2ab4 by ci-deploy" in text
        assert "changed: changes that were not seen: AWS calls" in text
        assert "next: 3 Rollback: 152 objects.\n  $ vmq rollback plan INC-20261123-001" in text
        assert (
            "who: nobody has acknowledged it yet; next update in #ops-escalations due 2026-11-23 09:40"
            in text
        )

    def test_says_of_which_moment_a_number_is_and_no_share_of_nothing(self, story, told, looks):
        hit = told.affected
        after = replace(hit.questions.after, asked=0, no_answer=0, blocked=0)
        asked = replace(hit.questions, after=after, from_sign=True)
        index = replace(hit.index, failing=0, documents=298)
        later = story.told(looks)
        later.affected = replace(hit, questions=asked, index=index)
        text = view.first_screen(story.summary(), later, looks).text
        assert f"0 of 298 documents fail now; no question since {after.since:%Y-%m-%d %H:%M} UTC\n" in text
        one = replace(asked, after=replace(after, asked=1))
        later.affected = replace(hit, questions=one, index=index)
        text = view.first_screen(story.summary(), later, looks).text
        assert f"; 1 question since {after.since:%Y-%m-%d %H:%M} UTC: 0%" in text

    def test_says_when_the_rule_judged_where_its_figures_are_not_those_of_now(self, story, looks):
        at = story.day(20, 9, 10)
        event = SimpleNamespace(kind="severity", at=at, data=SimpleNamespace(by_rule=True))
        later = story.told(looks)
        later.incident.state = SimpleNamespace(severity="SEV1", severity_reason="Half of it was gone.")
        later.incident.journal = SimpleNamespace(events=lambda: [event])
        text = view.first_screen(story.summary(), later, looks).text
        assert f"SEV1 (by the rule at {at:%Y-%m-%d %H:%M} UTC): Half of it was gone." in text

    def test_names_an_alarm_that_is_blind(self, story, told, looks):
        blind = Finding("blind-alarm", "problem", "The alarm A never sees a datapoint.", "", "alarms")
        later = story.told(looks)
        later.detection = replace(told.detection, findings=(blind,))
        text = view.first_screen(story.summary(), later, looks).text
        assert "wrong: an alarm is blind: The alarm A never sees a datapoint." in text

    def test_puts_a_command_on_a_line_of_its_own(self, story, told, looks):
        html = view.first_screen(story.summary(), told, looks).html.markup
        assert "inline-block" not in html[html.index("152 objects.") : html.index("vmq rollback plan")]

    def test_says_overdue_and_who_has_it(self, story, looks):
        more = {
            "next_update_due": story.now - timedelta(minutes=5),
            "acknowledged_at": story.now,
            "acknowledged_by": "dana",
        }
        text = view.first_screen(story.summary(**more), story.told(looks, **more)).text
        assert "who: dana has it since 2026-11-23 09:30:00 UTC; next update in #ops-escalations due" in text
        assert "(overdue by 5 min)" in text

    def test_of_a_closed_incident_asks_for_nothing_more(self, story, looks):
        more = {"phase": "closed", "closed_at": story.now}
        shown = view.first_screen(story.summary(**more), story.told(looks, **more), looks)
        assert "closed: 2026-11-23 09:30:00 UTC" in shown.text
        assert "remediation: not stated" in shown.text
        assert "next:" not in shown.text
        assert "nobody has" not in shown.text

    def test_claims_nothing_that_was_not_seen(self, story, looks):
        blind = {name: replace(one, available=False, problem="AccessDenied.") for name, one in looks.items()}
        text = view.first_screen(story.summary(), story.told(blind), blind).text
        assert "wrong: No trigger could be told." in text
        assert "sync-failed cannot be told: " in text
        assert "failing documents: not seen; questions: not seen" in text
        assert "Not everything could be seen" in text
        assert "since: not known" in text
        assert "nothing fires" not in text

    def test_where_the_rules_fail_tells_what_was_seen_without_them(self, story, looks):
        def fails():
            raise ZeroDivisionError("by the kit")

        shown = view.first_screen(story.summary(), fails, looks)
        assert not shown.ok
        assert shown.text.startswith("The rules could not be evaluated: ZeroDivisionError: by the kit")
        assert "the last 5 of 21 runs did not succeed" in shown.text

    def test_shows_damage_to_the_record(self, story, told, looks):
        shown = view.first_screen(
            story.summary(problems=("The journal is damaged at event 3.",)), told, looks
        )
        assert "The journal is damaged at event 3." in shown.html.markup
