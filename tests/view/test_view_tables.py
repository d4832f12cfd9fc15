"""Tables and panels: what they count, what they leave out, and what they say when there is nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from vmqlib import view
from vmqlib.record.notebook import RECORD_MIME
from vmqlib.record.state import Closing
from vmqlib.view.base import guarded
from vmqlib.view.errorkinds import error_kinds


class TestHeader:
    def test_answers_what_is_wrong_since_when_and_how_bad(self, story, looks):
        text = view.header(story.summary(), looks).text
        assert text.startswith("SEV2 open: SyncFailed for more than 15 minutes")
        assert (
            "the last 5 of 21 runs did not succeed: “Malformed access control list file acl.json at line 1”"
            in text
        )
        assert "first bad sync: the run that started 2026-11-19 02:00:00 UTC (4 d 7 h ago)" in text
        assert "last good sync: 2026-11-18 02:00:00 UTC (5 d 7 h ago)" in text
        assert "QBusinessSyncFailed in ALARM since 2026-11-23 02:05:00 UTC (7 h 25 min ago)" in text
        assert "140 of 420 are failed in the index" in text
        assert "44% of 380 questions had no answer in the last 24 h" in text
        assert "acknowledged: nobody has yet" in text
        assert "next update due: 2026-11-23 09:40:00 UTC (in 10 min)" in text

    def test_says_when_an_update_is_overdue(self, story, looks):
        late = story.summary(next_update_due=story.now - timedelta(minutes=5))
        assert "(overdue by 5 min)" in view.header(late, looks).text

    def test_of_a_closed_incident_asks_for_nothing_more(self, story, looks):
        text = view.header(story.summary(closed_at=story.now, phase="closed"), looks).text
        assert "closed: 2026-11-23 09:30:00 UTC" in text
        assert "due" not in text
        assert "nobody has yet" not in text

    def test_claims_nothing_that_was_not_seen(self, story, looks):
        blind = {name: replace(one, available=False, problem="AccessDenied") for name, one in looks.items()}
        shown = view.header(story.summary(), blind)
        assert "what is wrong: unknown: nothing could be seen" in shown.text
        assert "Not everything could be seen" in shown.html.markup
        assert "none is in ALARM" not in shown.text

    def test_shows_damage_to_the_record(self, story, looks):
        shown = view.header(story.summary(problems=("The journal is damaged at event 3.",)), looks)
        assert "The journal is damaged at event 3." in shown.html.markup

    def test_of_a_closed_incident_has_the_closing_words(self, story, looks):
        words = Closing(story.now, "on-call", impact="<b>9 %</b> & more", cause="A promotion.")
        closed = story.summary(phase="closed", closed_at=story.now, closing=words)
        shown = view.header(closed, looks)
        assert "closed: 2026-11-23 09:30:00 UTC by on-call, after 20 min" in shown.text
        assert "impact: <b>9 %</b> & more\nroot cause: A promotion.\nremediation: not stated" in shown.text
        assert "&lt;b&gt;9 %&lt;/b&gt; &amp; more" in shown.html.markup
        data = view.record(closed, looks)._repr_mimebundle_()[RECORD_MIME]
        assert data["closing"] == {
            "by": "on-call", "impact": "<b>9 %</b> & more", "cause": "A promotion.", "remediation": "",
            "outcome": "", "customers": "",
        }  # fmt: skip
        assert "remediation" not in view.header(story.summary(), looks).text

    def test_tells_the_outage_however_many_runs_succeeded_since(self, story):
        since = [
            {"data_source_id": story.data_source, "execution_id": f"g{n}", "status": "SUCCEEDED",
             "started_at": story.day(20, 9, 12 + n)}
            for n in range(3)
        ]  # fmt: skip
        looks = story.looked_at(sync_jobs=story.rows["sync-jobs"]() + since)
        text = view.header(story.summary(), looks).text
        assert "- last sync: SUCCEEDED (started 2026-11-23 09:14:00 UTC (16 min ago); before it 5 in" in text
        assert "- first bad sync: the run that started 2026-11-19 02:00:00 UTC" in text
        assert "- last good sync before the incident: 2026-11-18 02:00:00 UTC" in text


class TestFailingDocuments:
    def test_are_grouped_by_error_with_counts_and_times(self, looks):
        shown = view.failing_documents(looks["document-report"], looks["documents"])
        assert (
            "140 documents failed, with 3 kinds of error; 140 of 420 documents are failed in the index now."
            in shown.text
        )
        assert "2026-11-19 02:01:00 UTC | 2026-11-23" in shown.text

    def test_come_from_the_documents_where_the_report_is_missing(self, looks):
        lost = replace(looks["document-report"], available=False, problem="ResourceNotFound")
        shown = view.failing_documents(lost, looks["documents"])
        assert "140 documents failed" in shown.text
        assert "evidence unavailable" in shown.html.markup

    def test_messages_that_differ_only_in_the_document_are_one_kind(self, looks):
        import pandas as pd

        names = pd.Series(["https://b.s3.amazonaws.com/a/b/one.md", "s3://b/a/two.md", "c.md"])
        messages = pd.Series([
            "The document a/b/one.md is not UTF-8 (byte 17)", "The document a/two.md is not UTF-8 (byte 3)",
            "The document c.md is not UTF-8 (byte 1)",
        ])  # fmt: skip
        assert error_kinds(messages, names).nunique() == 1


class TestChangedVersions:
    def test_say_what_happened_to_each_key(self, story, looks):
        shown = view.changed_versions(looks["versions"], story.day(15))
        assert (
            "148 objects changed since the last good sync of 2026-11-18 02:00:00 UTC: 8 deleted, 140 rewritten."
            in shown.text
        )
        assert "… 123 more in evidence file versions-" in shown.text
        assert shown.html.markup.count("<tr>") == 26

    def test_after_a_restore_still_say_what_had_broken(self, story):
        rows = story.rows["versions"]()
        for row in [row for row in rows if row["is_latest"] and row["at"] >= story.promoted]:
            then = next(one for one in rows if one["key"] == row["key"] and one["order"] == 1)
            for one in rows:
                if one["key"] == row["key"]:
                    one["order"] += 1
            row["is_latest"] = False
            if row["key"] != "phases/doc-000.md":
                rows.append(then | {"version_id": "restored", "order": 0, "at": story.day(20, 9, 20)})
            else:
                rows.append(
                    row | {"version_id": "again", "order": 0, "etag": "e", "size": 9, "at": story.now}
                )
        versions = story.seen("versions", rows)
        text = view.changed_versions(versions, story.day(15), story.day(20, 9, 10)).text
        assert (
            "148 objects had changed between the last good sync of 2026-11-18 02:00:00 UTC and the opening of the "
            "incident (8 deleted, 140 rewritten); 147 are back" in text
        )
        assert "147 are back, 0 are still changed, 1 is changed again since." in text
        assert "| deleted | 2026-11-18 14:02:19 UTC |" in text
        calm = view.changed_versions(versions, story.day(20, 9, 12), story.day(20, 9, 13)).text
        assert "nothing had changed between" in calm

    def test_without_a_good_sync_there_is_nothing_to_compare_with(self, looks):
        assert "no sync succeeded" in view.changed_versions(looks["versions"], None).text

    def test_without_a_change_say_so(self, story, looks):
        assert "nothing changed since" in view.changed_versions(looks["versions"], story.now).text


class TestLogs:
    def test_are_counted_by_level_and_error(self, looks):
        text = view.log_summary(looks["connector-log"]).text
        assert "210 log lines, 50 of them errors," in text
        assert "ERROR | DOCUMENT_UNREADABLE | 50" in text

    def test_say_when_there_are_none(self, story):
        assert "logged nothing in the window" in view.log_summary(story.seen("connector-log", [])).text


class TestJournal:
    def test_actions_are_only_what_was_done(self, story):
        text = view.actions(story.timeline(story.events)).text
        assert "1 action, the last at 2026-11-23 09:20:00 UTC." in text
        assert "Restored 152 objects." in text
        assert "Sync history" not in text

    def test_without_an_action_says_so(self, story):
        assert (
            view.actions(story.timeline(story.events[:2])).text
            == "Nothing was changed and nobody was told yet."
        )

    def test_the_timeline_has_promotions_in_their_place(self, story):
        import pandas as pd

        marks = pd.DataFrame(story.marks).assign(at=lambda f: pd.to_datetime(f["at"], utc=True))
        lines = view.timeline(story.timeline(story.events), marks).text.splitlines()
        assert lines[0] == "5 events, from 2026-11-18 14:02:11 UTC to 2026-11-23 09:25:00 UTC."
        assert "promotion 9c1f2ab4" in lines[1]

    def test_ten_thousand_events_are_cut(self, story):
        events = story.timeline(
            [(n, story.day(1) + timedelta(seconds=n), "noted", "", "me", f"n{n}") for n in range(10_000)]
        )
        shown = view.timeline(events)
        assert "… 9,950 more in journal.jsonl" in shown.html.markup
        assert "n9999" in shown.text


class TestNextSteps:
    def test_have_the_exact_command(self):
        shown = view.next_steps(
            [{"step": "4 Force resync", "why": "Now.", "command": "vmq sync start && vmq sync wait"}]
        )
        assert "$ vmq sync start && vmq sync wait" in shown.text
        assert "vmq sync start &amp;&amp; vmq sync wait</code>" in shown.html.markup

    def test_that_cannot_be_told_do_not_stop_the_record(self, story, looks):
        def broken():
            raise KeyError("uri")

        assert "this section could not be drawn: KeyError: 'uri'" in view.next_steps(broken).text
        data = view.record(story.summary(), looks, broken)._repr_mimebundle_()[RECORD_MIME]
        assert data["next_steps"] == []
        assert "KeyError" in data["problem"]


def test_provenance_names_every_file_with_its_hash(story, looks):
    shown = view.provenance(looks, story.summary(), events=story.timeline(story.events))
    assert all(one.evidence.sha256 in shown.text for one in looks.values())
    assert "vmqlib" in shown.html.markup
    assert "arn:aws:iam::123456789012:user/on-call" in shown.html.markup


def test_the_record_for_programs_holds_state_findings_and_evidence(story, looks):
    data = view.record(story.summary(), looks)._repr_mimebundle_()[RECORD_MIME]
    assert data["id"] == "INC-20261123-001"
    assert data["sync"] == {
        "runs": 21, "not_succeeded_in_a_row": 5, "newest_status": "FAILED",
        "last_good": "2026-11-18T02:00:00.000000Z", "first_bad": "2026-11-19T02:00:00.000000Z",
        "recovered_from": 0, "outage_began": None, "last_good_before": None,
    }  # fmt: skip
    assert set(data["evidence"]) == set(looks)
    assert view.RECORD_MIME == RECORD_MIME


def test_a_table_of_anything_is_cut_at_fifty_rows(looks):
    shown = view.table(looks["documents"].frame)
    assert shown.text.startswith("420 rows")
    assert "… 370 more" in shown.text


def test_a_section_that_fails_names_where_and_goes_on():
    @guarded
    def sync_history():
        raise ValueError("<b>bad</b>")

    shown = sync_history()
    assert not shown.ok
    assert "sync history: this section could not be drawn: ValueError" in shown.text
    assert "&lt;b&gt;bad&lt;/b&gt;" in shown.html.markup
    assert "test_view_tables.py" in shown.text


@pytest.mark.parametrize("complete", [True, False])
def test_every_table_says_how_complete_its_evidence_is(complete, looks):
    seen = replace(
        looks["connector-log"], complete=complete, stopped="" if complete else "throttled at page 7"
    )
    assert ("INCOMPLETE: throttled at page 7" in view.log_summary(seen).text) is not complete


def test_provenance_counts_what_was_not_looked_at_as_not_seen(story, looks):
    void = replace(
        looks["alarms"], frame=looks["alarms"].frame.iloc[:0], complete=False, stopped="Not looked at."
    )
    cut = replace(looks["documents"], complete=False, stopped="Page 3.")
    text = view.provenance(looks | {"alarms": void, "documents": cut}, story.summary()).text
    seen = f"{len(looks) - 1} of {len(looks)} sources were seen"
    assert f"{seen}; not seen: {void.title}; not wholly: {cut.title}" in text
