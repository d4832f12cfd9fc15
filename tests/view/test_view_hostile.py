"""Text from AWS is data: whatever it says, no view lets it become markup, mathematics, or a trick of the terminal."""

from __future__ import annotations

import html.parser
import inspect
import json
from datetime import timedelta
from typing import Any

import pytest

from vmqlib import view
from vmqlib.record.state import State, Update
from vmqlib.runbook.affected import affected
from vmqlib.runbook.communicate.clock import Cadence, clock
from vmqlib.runbook.resyncstory import ResyncStory, ScriptRun, Upload
from vmqlib.settings import Settings
from vmqlib.view.base import plain, tag

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"
HOSTILE = {
    "markup": MARKUP + '" onmouseover="alert(1)" x="<!channel> & <https://evil.example|click>',
    "invisible": "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b31m abc\u202egnp.exe\u2066\u200f a\r\nb\u2028c\x00d \ud83d",
    "formulas": r"cost $\frac{1}{0}$ and $broken {{ 7 * 7 }} %s {0} ${HOME}",
    "long": "x" * 10_000,
}


class Tags(html.parser.HTMLParser):
    """Collects the elements and attributes of a piece of HTML."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(markup)

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(name)
        self.attributes |= {key for key, _ in attrs}


ELEMENTS = {
    "code", "col", "colgroup", "del", "div", "em", "img", "ins", "li", "ol", "span", "strong", "table", "tbody", "td",
    "th", "thead", "tr", "ul", "wbr",
}  # fmt: skip
ATTRIBUTES = {"alt", "colspan", "scope", "src", "style", "title"}


def poisoned(story: Any, text: str) -> dict[str, Any]:
    """Every observation, with every text replaced that AWS, or whoever writes to it, decides on."""
    keep = {
        "data_source_id",
        "state",
        "new_state",
        "old_state",
        "status",
        "kind",
        "metric",
        "level",
        "statistic",
    }
    made = {}
    for name, rows in story.rows.items():
        bad = [
            {k: text if isinstance(v, str) and k not in keep else v for k, v in row.items()}
            for row in rows()[:40]
        ]
        bad += [
            rows()[0] | {"status": text, "level": text, "new_state": text, "state": text, "happened": text}
        ]
        made[name] = story.seen(
            name,
            [{k: v for k, v in row.items() if k != "happened"} for row in bad],
            stopped=text,
            complete=False,
        )
    return made


def cadence(story: Any, text: str) -> Cadence:
    """A clock with a message whose every word is ``text``."""
    update = Update(story.now, text, text, text, text, text, text, text, text, fallback=True)
    return clock(
        State(opened_at=story.day(15), updates=(update,)), story.now, stakeholders_after=timedelta(hours=2)
    )


def every_view(story: Any, text: str) -> dict[str, Any]:
    o = poisoned(story, text)
    marks = [{"at": story.promoted, "label": text, "kind": text}]
    events = story.timeline(
        [(n, at, "applied", text, text, text) for n, (_, at, *_) in enumerate(story.events)]
    )
    summary = story.summary(
        title=text, acknowledged_by=text, acknowledged_at=story.now, problems=(text,), trigger=text
    )
    steps = [(text, text, text), {"step": text, "why": text, "command": text}]
    lost = story.seen("alarms", [], available=False, problem=text, hint=text, evidence=None)
    told = story.told(o, text)
    return {
        "actions": view.actions(events),
        "affected": view.affected(affected(o, Settings.load(), story.now)),
        "alarm_timeline": view.alarm_timeline(o["alarm-history"], o["alarms"], marks=marks),
        "change_timeline": view.change_timeline(told.changed, told.ranking, opened=story.now, seen=o),
        "changed_versions": view.changed_versions(o["versions"], story.day(15)),
        "communication": view.communication(
            cadence(story, text), events.assign(kind="failed", step="communicate")
        ),
        "dashboard": view.dashboard(o, o, last_good=story.day(19), opened=story.day(20)),
        "failing_documents": view.failing_documents(o["document-report"], o["documents"]),
        "first_screen": view.first_screen(summary, told, o | {"alarms": lost}),
        "header": view.header(summary, o | {"alarms": lost}),
        "index_against_bucket": view.index_against_bucket(
            o["resources"], o["versions"], metrics=o["metrics"], last_good=story.day(15), marks=marks
        ),
        "log_summary": view.log_summary(o["connector-log"]),
        "metrics": view.metrics(o["metrics"], alarms=o["alarm-history"], marks=marks),
        "next_steps": view.next_steps(steps),
        "provenance": view.provenance(o | {"alarms": lost}, summary, events=events, versions={text: text}),
        "sync_history": view.sync_history(o["sync-jobs"], alarms=o["alarm-history"], marks=marks),
        "targeted_resync": view.targeted_resync(resyncs(story, text)),
        "table": view.table(o["documents"].frame.rename(columns={"status": text}), text),
        "timeline": view.timeline(
            events, story.timeline(story.events).assign(label=text)[["at", "label", "kind"]]
        ),
        "suspects": view.suspects(told.ranking, told.changed),
        "suspect_versions": view.suspect_versions(story.suspects_of(text)),
        "unavailable": view.unavailable(lost),
        "verdicts": view.verdicts(told.detection),
        "version_diff": view.version_diff(story.diff_of(text)),
        "version_history": view.version_history(story.history_of(text)),
        "what_changed": view.what_changed(told.changed, told.ranking, seen=o),
    }


def resyncs(story: Any, text: str) -> ResyncStory:
    """A script and an upload in which everything is that text."""
    tail = ({"at": story.now, "stream": text, "text": text},)
    run = ScriptRun(text, text, text, story.now, text, text, 1, 2.0, text, 1, True, tail)
    trouble = {"key": text, "action": text, "result": text, "problem": text}
    upload = Upload(
        text, story.now, text, text, {text: 1}, text, text, {text: 1}, (trouble,), text, None, text
    )
    return ResyncStory((run,), (upload,))


# Those of a rollback, a proof, checks and the review are not made from observations: test_view_rollback.py, _proof,
# _validation and _retro give them hostile text of their own.
ELSEWHERE = {
    "desk",
    "last_good",
    "checks",
    "proof",
    "record",
    "retro_actions",
    "retro_events",
    "retro_gantt",
    "retro_record",
    "retro_remarks",
    "retro_summary",
    "retro_times",
    "retro_updates",
    "retro_witnesses",
    "retro_words",
    "rollback_plan",
    "rollback_result",
    "rollback_verification",
    "sync_facts",
    "validation",
}
NAMES = [name for name in view.__all__ if inspect.isfunction(getattr(view, name)) and name not in ELSEWHERE]


@pytest.fixture(scope="module", params=HOSTILE)
def hostile_views(request, story):
    return HOSTILE[request.param], every_view(story, HOSTILE[request.param])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_from_aws_becomes_markup(name, hostile_views):
    _, views = hostile_views
    shown = views[name]
    found = Tags(shown.html.markup)
    assert found.names <= ELEMENTS
    assert found.attributes <= ATTRIBUTES
    assert "could not be drawn" not in shown.text
    for piece in (shown.html.markup, shown.text):
        assert not set(piece) & set("\x00\x07\x1b\x9b\u202e\u2066\u200f\ud83d")
        piece.encode("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_text_without_end_does_not_fill_the_page(name, hostile_views):
    text, views = hostile_views
    if len(text) > 1000:
        assert "x" * 2001 not in views[name].html.markup


def test_the_record_for_programs_keeps_text_as_text(story):
    text = MARKUP
    made = view.record(
        story.summary(title=text), poisoned(story, text), [{"step": text, "why": text, "command": text}]
    )
    data = made._repr_mimebundle_()[view.RECORD_MIME]
    assert data["title"] == text
    assert data["next_steps"] == [{"step": text, "command": text}]
    assert json.loads(json.dumps(data)) == data


def test_attributes_cannot_be_left_from_inside():
    assert tag("a", "x", title='" onclick="y').markup == '<a title="&quot; onclick=&quot;y">x</a>'


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("a\u202eb", "ab"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("naïve – ünï 東京", "naïve – ünï 東京"),
    ],
)
def test_plain_takes_out_what_cannot_be_seen(text, clean):
    assert plain(text) == clean


def test_no_view_shows_how_python_writes_its_markup(story, hostile_views):
    _, full = hostile_views
    o = {name: story.seen(name, []) for name in story.rows}
    bare = {
        "alarm_timeline": view.alarm_timeline(o["alarm-history"], o["alarms"]),
        "changed_versions": view.changed_versions(o["versions"], story.day(15)),
        "never_good": view.changed_versions(o["versions"], None),
        "dashboard": view.dashboard(None, o),
        "failing_documents": view.failing_documents(o["document-report"], o["documents"]),
        "index_against_bucket": view.index_against_bucket(o["resources"], o["versions"]),
        "log_summary": view.log_summary(o["connector-log"]),
        "metrics": view.metrics(o["metrics"]),
        "sync_history": view.sync_history(o["sync-jobs"]),
        "header": view.header(story.summary(), o),
        "provenance": view.provenance(o, story.summary()),
        "next_steps": view.next_steps([]),
    }
    for shown in (*bare.values(), *full.values()):
        assert "Html(markup" not in shown.html.markup
        assert "could not be drawn" not in shown.text
    assert "<strong>Failing documents</strong>: no document failed" in bare["failing_documents"].html.markup
