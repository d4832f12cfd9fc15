"""The rules of the proof, over whatever could be seen: what is proved was seen, and less evidence never proves more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmqlib.runbook.proof.expecting import Deed, described, expect, expected_of
from vmqlib.runbook.proof.judging import Judged, judge
from vmqlib.runbook.proof.seen import Expected, Indexed, Job, Reported, Sight
from vmqlib.sources.crawlscope import CrawlScope

KEY = "guides/setup.md"
AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
IN = ("INDEXED", "UPDATED")


def at(minutes: int) -> datetime:
    return AT + timedelta(minutes=minutes)


moments = st.integers(-30, 30).map(at)
jobs = st.lists(
    st.builds(
        Job,
        st.sampled_from(["one", "two", "three"]),
        st.sampled_from(["SUCCEEDED", "INCOMPLETE", "FAILED", "ABORTED"]),
        moments,
        st.integers(0, 3),
        st.none() | st.integers(0, 3),
    ),
    max_size=3,
    unique_by=lambda job: job.execution_id,
).map(lambda made: sorted(made, key=lambda job: job.started_at, reverse=True))
lines = st.lists(
    st.builds(
        Reported,
        st.sampled_from(["one", "two", "three"]),
        st.sampled_from(["ADD", "MODIFY", "DELETE", "UNMODIFIED", ""]),
        st.sampled_from(["SUCCESS", "FAILED", "SKIPPED", ""]),
        st.sampled_from(["", "EmptyDocument: it is empty"]),
    ),
    max_size=3,
)
documents = st.builds(
    Indexed,
    st.just(f"s3://bucket/{KEY}"),
    st.sampled_from(["INDEXED", "UPDATED", "FAILED", "PROCESSING", "DELETING", "DELETED", "RECEIVED", ""]),
    st.just(""),
    st.none() | moments,
)
sights = st.builds(
    Sight,
    jobs=st.none() | jobs,
    jobs_why=st.just("AccessDenied."),
    running=st.sampled_from(["", "running"]),
    report=st.none() | lines.map(lambda made: {KEY: made} if made else {}),
    report_why=st.sampled_from(["", "it stopped early"]),
    report_unnamed=st.integers(0, 1),
    index=st.none() | (st.none() | documents).map(lambda one: {KEY: one} if one else {}),
    index_why=st.sampled_from(["", "it stopped early"]),
    index_unnamed=st.integers(0, 1),
    scope=st.none() | st.just(CrawlScope()) | st.just(CrawlScope(exclude=("guides/*",))),
)
wants = st.sampled_from(["restored", "touched", "deleted", "present", "absent"])
expected = st.builds(
    Expected, st.just(KEY), wants, st.none() | moments, st.none() | st.tuples(moments, moments)
)


def since(one: Expected, sight: Sight) -> list[Reported]:
    """The report's lines of syncs that began since."""
    ids = {job.execution_id for job in sight.since(one.since)}
    return [line for line in (sight.report or {}).get(KEY, ()) if line.execution_id in ids]


@given(expected, sights)
def test_every_verdict_says_why(one: Expected, sight: Sight) -> None:
    made = judge(one, sight)
    assert made.verdict
    assert made.finding.strip(" .")
    assert made.ok is not False or made.mend, "what is wrong comes with what to do"


@given(expected.filter(lambda one: one.want in ("restored", "touched")), sights)
def test_what_is_proved_was_reported_since_and_is_indexed(one: Expected, sight: Sight) -> None:
    made = judge(one, sight)
    if made.ok is not True:
        return
    assert sight.report is not None
    assert sight.index is not None
    assert sight.index[KEY].status in IN
    told = since(one, sight)
    assert told
    assert told[0].status != "FAILED"
    taken = any(line.action in ("ADD", "MODIFY") and line.status == "SUCCESS" for line in told)
    updated = sight.index[KEY].updated_at
    indexed = updated is not None and one.since is not None and updated >= one.since
    held = updated is not None and one.held is not None and one.held[0] <= updated < one.held[1]
    assert taken or (told[0].action == "UNMODIFIED" and (indexed or held))


@given(expected.filter(lambda one: one.want in ("deleted", "absent")), sights)
def test_what_is_gone_is_not_in_a_whole_listing(one: Expected, sight: Sight) -> None:
    made = judge(one, sight)
    if made.ok is not True:
        return
    assert sight.index is not None
    assert not sight.index_why
    assert not sight.index_unnamed
    assert KEY not in sight.index or sight.index[KEY].status == "DELETED"


@given(expected, sights, st.sampled_from(["report", "index", "jobs"]))
def test_less_evidence_never_proves_more(one: Expected, sight: Sight, lost: str) -> None:
    if judge(one, sight).ok is not True:
        without = judge(one, replace(sight, **{lost: None, f"{lost}_why": "AccessDenied."}))
        assert without.ok is not True


@given(expected.filter(lambda one: one.want != "absent"), sights)
def test_a_failure_in_the_newest_report_is_never_fine(one: Expected, sight: Sight) -> None:
    told = since(one, sight)
    if told and told[0].status == "FAILED" and one.want in ("restored", "touched"):
        assert judge(one, sight).ok is not True


SEEN = Sight(
    jobs=(Job("two", "SUCCEEDED", at(10), 5, 5),),
    report={KEY: [Reported("two", "MODIFY", "SUCCESS")]},
    index={KEY: Indexed("id", "UPDATED", "", at(11))},
    scope=CrawlScope(),
    incident="INC-20261123-001",
)
WANTED = Expected(KEY, "restored", at(0))


def changed(**more: object) -> Judged:
    return judge(WANTED, replace(SEEN, **more))  # type: ignore[arg-type]


UNMODIFIED = {KEY: [Reported("two", "UNMODIFIED", "SKIPPED")]}
FAILED = {KEY: [Reported("two", "UNMODIFIED", "FAILED", "EmptyDocument: it is empty")]}
LOST = {KEY: Indexed("id", "FAILED", "EmptyDocument")}


@pytest.mark.parametrize(
    ("more", "verdict", "ok"),
    [
        ({}, "indexed", True),
        ({"jobs": (Job("two", "SUCCEEDED", at(-1), 5, 5),)}, "not synced", False),
        ({"jobs": (), "running": "three"}, "not synced", None),
        ({"jobs": (Job("two", "FAILED", at(10), error="No role."),)}, "not synced", False),
        ({"jobs": (Job("two", "ABORTED", at(10)),)}, "not synced", False),
        ({"jobs": None}, "cannot tell", None),
        ({"report": None}, "cannot tell", None),
        ({"index": None}, "cannot tell", None),
        ({"report": {}}, "not seen", False),
        ({"report": {}, "report_unnamed": 1}, "cannot tell", None),
        ({"report": {}, "report_why": "cut short"}, "cannot tell", None),
        ({"report": {}, "jobs": (Job("two", "SUCCEEDED", at(10), 4, 5),)}, "cannot tell", None),
        ({"report": {}, "jobs": (Job("two", "SUCCEEDED", at(10), 0, 5),)}, "cannot tell", None),
        ({"index": {}}, "not in the index", False),
        ({"index": {}, "index_unnamed": 1}, "cannot tell", None),
        ({"index": {KEY: Indexed("id", "PROCESSING")}}, "cannot tell", None),
        ({"index": {KEY: Indexed("id", "FAILED", "too large")}}, "failed", False),
        ({"report": FAILED}, "failed", False),
        ({"report": UNMODIFIED}, "indexed", True),
        ({"report": UNMODIFIED, "index": {KEY: Indexed("id", "INDEXED", "", at(-5))}}, "unchanged", None),
        ({"scope": CrawlScope(exclude=("guides/*",)), "index": {}}, "out of scope", None),
    ],
)
def test_each_way_that_it_can_be(more: dict[str, object], verdict: str, ok: bool | None) -> None:
    made = changed(**more)
    assert (made.verdict, made.ok) == (verdict, ok), made.finding


def test_a_failure_that_is_not_retried_names_the_touch() -> None:
    made = changed(report=FAILED, index=LOST)
    assert made.stuck
    assert "EmptyDocument" in made.finding
    assert "vmq sync touch INC-20261123-001 --failed" in made.mend
    fresh = changed(report={KEY: [Reported("two", "MODIFY", "FAILED", "EmptyDocument: it is empty")]})
    assert not fresh.stuck


def test_a_document_that_the_connector_could_not_look_at_is_not_called_left_behind() -> None:
    """S3 throttled the connector: it counts as failed, the index keeps it, and the next sync looks again."""
    made = changed(report={KEY: [Reported("two", "UNMODIFIED", "FAILED", "SlowDown: reduce your rate")]})
    assert (made.verdict, made.ok, made.stuck) == ("failed", False, False)
    assert "keeps what it had" in made.finding


def test_a_sync_that_failed_as_a_whole_says_nothing_of_the_rest_of_the_bucket() -> None:
    jobs = (Job("three", "FAILED", at(20), error="No role."), *SEEN.jobs)  # type: ignore[misc]
    made = judge(Expected(KEY, "present", at(0)), replace(SEEN, jobs=jobs))
    assert (made.verdict, made.ok) == ("indexed", True)


def test_what_the_index_held_all_along_is_proved_by_its_times() -> None:
    """No sync had run between the bad version and the rollback: the index took the good one when it was current."""
    one = replace(WANTED, held=(at(-20), at(-2)))
    indexed = {KEY: Indexed("id", "INDEXED", "", at(-5))}
    assert judge(one, replace(SEEN, report=UNMODIFIED, index=indexed)).ok is True
    later = {KEY: Indexed("id", "INDEXED", "", at(-1))}
    assert judge(one, replace(SEEN, report=UNMODIFIED, index=later)).ok is None


def frame(*rows: tuple[str, str, datetime, bool]) -> object:
    import pandas as pd

    made = pd.DataFrame(rows, columns=["key", "version_id", "at", "is_delete_marker"])
    latest = ~made["key"].duplicated()
    return made.assign(at=made["at"].astype("datetime64[us, UTC]"), is_latest=latest.astype("boolean"))


def test_times_are_those_of_the_bucket() -> None:
    """The kit's clock may be wrong; the listing's versions say when each was written, and what it lies on."""
    versions = frame(("a", "new", at(3), False), ("a", "bad", at(-5), False), ("a", "old", at(-9), False))
    found = expect({"a": Deed("a", "restored", at(60), "new", "old")}, versions)  # type: ignore[arg-type]
    assert found["a"] == Expected("a", "restored", at(3), (at(-9), at(-5)))


def test_what_lies_on_top_of_ours_counts_as_it_is() -> None:
    versions = frame(("a", "theirs", at(5), True), ("a", "new", at(3), False))
    found = expect({"a": Deed("a", "restored", at(3), "new", "old")}, versions)  # type: ignore[arg-type]
    assert found["a"] == Expected("a", "absent", at(5))


def test_a_metadata_file_stands_for_its_document_wherever_it_lies() -> None:
    there = expected_of(frame(("guides/a.md", "1", at(-9), False)))  # type: ignore[arg-type]
    wanted = {
        "metadata/guides/a.md.metadata.json": Expected(
            "metadata/guides/a.md.metadata.json", "restored", at(0)
        )
    }
    assert described(wanted, there) == {"guides/a.md": Expected("guides/a.md", "restored", at(0))}
