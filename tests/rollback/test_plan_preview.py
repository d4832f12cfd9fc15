"""What a plan says would come of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmqlib.runbook.rollback import planfile
from vmqlib.runbook.rollback.items import Entry, Item, Scope, Target
from vmqlib.runbook.rollback.plan import PlanHead
from vmqlib.runbook.rollback.planner import Seen
from vmqlib.runbook.rollback.preview import Preview, shown, size_text
from vmqlib.runbook.rollback.prices import PRICES
from vmqlib.runbook.rollback.survey import Survey
from vmqlib.sources.crawlscope import CrawlScope, DeletionSafeguard
from vmqlib.times import iso

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
CRAWL = CrawlScope(include=("*.md",), acl_key="conf/acl.json", safeguard=DeletionSafeguard(on=True))
GB = 1_000_000_000


def entry(size: int = 100, days: int = 1, storage_class: str = "STANDARD") -> Entry:
    return Entry(f"v{days}", iso(AT - timedelta(days=days)), False, size, "e", storage_class)


def copy(key: str, target: Entry | None = None, **given: object) -> Item:
    made = Item(key, "COPY", entry(7, 0), target or entry(), document=CRAWL.is_document(key))
    return replace(made, **given)  # type: ignore[arg-type]


def delete(key: str) -> Item:
    return Item(key, "DELETE", entry(7, 0), document=CRAWL.is_document(key))


def surveyed(items: list[Item], crawl: CrawlScope | None = CRAWL) -> Survey:
    survey = Survey(crawl)
    for item in items:
        survey.add(item)
    return survey


def row(preview: Preview, name: str) -> str:
    return dict(preview.rows())[name]


def test_counts_and_bytes_by_action() -> None:
    held = copy("h.md", action="BLOCKED", code="archived")
    made = surveyed([copy("a.md"), copy("b.md"), delete("c.md"), copy("d.md", action="SKIP"), held]).preview()
    assert made.counts == {"COPY": 2, "DELETE": 1, "SKIP": 1, "BLOCKED": 1}
    assert made.bytes == {"COPY": 200, "DELETE": 7, "SKIP": 100, "BLOCKED": 100}
    assert made.blocked == {"archived": 1}
    assert row(made, "COPY") == "2 keys, 200 bytes"
    assert row(made, "BLOCKED: archived") == "1 key"


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), max_size=60))
def test_the_largest_and_the_oldest_ten(given_items: list[tuple[int, int]]) -> None:
    items = [copy(f"{number}.md", entry(size, days)) for number, (size, days) in enumerate(given_items)]
    made = surveyed(items).preview()
    largest = sorted(items, key=lambda item: -item.target.size)[:10]
    oldest = sorted(items, key=lambda item: item.target.at)[:10]
    assert [one.key for one in made.largest] == [item.key for item in largest]
    assert [one.key for one in made.oldest] == [item.key for item in oldest]


def test_what_the_index_will_make_of_it() -> None:
    undelete = Item("u.md", "UNDELETE", Entry("m", iso(AT), True), entry(), document=True)
    names = ["a.md", "x.png", "y.png", "conf/acl.json", "meta/a.md.metadata.json"]
    made = surveyed([undelete, *map(copy, names), delete("c.md"), copy("s.png", action="SKIP")]).preview(
        Seen(listed=5000, keys=100, there=95, documents=90)
    )
    assert (made.reindexed, made.removed) == (2, 1)
    assert (made.outside, made.outside_first) == (2, ("x.png", "y.png"))
    assert made.acl == ("conf/acl.json",)
    assert (made.metadata, made.metadata_first) == (1, ("meta/a.md.metadata.json",))
    assert row(made, "next sync") == (
        "for this plan alone: 2 documents indexed again, 1 deleted; also those of 1 metadata file; "
        "also those that the access control files rule"
    )
    assert row(made, "no effect on the index") == "2 keys: x.png, y.png"
    # 90 are there now, one comes back, one goes.
    assert (made.safeguard.scanned, made.safeguard.deletions) == (90, 1)
    assert made.safeguard.percent == pytest.approx(100 / 91)
    assert made.safeguard.holds_back is False


@pytest.mark.parametrize(
    ("deletions", "documents", "held"), [(15, 100, False), (16, 100, True), (1, 1, True), (0, 0, False)]
)
def test_the_safeguard_counts_as_the_connector_does(deletions: int, documents: int, held: bool) -> None:
    """100 * toDelete / (scanned + toDelete), above the threshold: 15 of 100 are not held back, 16 are."""
    survey = surveyed([delete(f"{number}.md") for number in range(deletions)])
    seen = Seen(keys=documents, there=documents, documents=documents)
    made = survey.preview(seen)
    assert made.safeguard.holds_back is held
    assert any("safeguard" in one for one in survey.warnings(seen)) is held


def test_the_safeguard_is_not_guessed() -> None:
    items = [delete("a.md")]
    off = surveyed(items, replace(CRAWL, safeguard=DeletionSafeguard(on=False))).preview(Seen(documents=2))
    assert off.safeguard.holds_back is False
    assert "off" in off.safeguard.text
    unknown = surveyed(items, None).preview(Seen(documents=2))
    assert (unknown.safeguard.on, unknown.safeguard.holds_back) == (None, None)
    assert "not known" in unknown.safeguard.text
    assert surveyed(items).preview(None).safeguard.holds_back is None


def test_a_part_of_the_bucket_says_little_of_the_safeguard() -> None:
    def safeguard(scope: Scope, documents: int, crawl: CrawlScope = CRAWL) -> bool | None:
        survey = Survey(crawl, scope)
        survey.add(delete("docs/a.md"))
        return survey.preview(Seen(documents=documents)).safeguard.holds_back

    part, named = Scope("bucket", "docs/"), Scope("bucket", keys=("docs/a.md",))
    assert safeguard(Scope("bucket"), 2) is True
    assert safeguard(part, 2) is None  # what else there is may make it a small share
    assert safeguard(named, 1) is None
    assert safeguard(part, 100) is False  # and never a larger one
    assert safeguard(part, 2, replace(CRAWL, include_prefixes=("docs/",))) is True


def test_cost_and_time_are_an_estimate_from_a_price_list() -> None:
    items = [copy(f"{number}.md", entry(1000)) for number in range(999)]
    items += [copy("ia.md", entry(2 * GB, storage_class="STANDARD_IA")), delete("d.md")]
    items += [copy("big.md", entry(6 * GB))]
    made = surveyed(items).preview(Seen(listed=4001))
    standard, rare = PRICES.of("STANDARD"), PRICES.of("STANDARD_IA")
    parts = 6 * GB // (512 * 1024**2) + 1
    assert made.cost.requests == {"list": 15, "head": 1001, "copy": 1001 + parts + 1, "delete": 1}
    requests = 15 * PRICES.listing + (1000 + parts + 1) * standard.write + 1000 * standard.read
    once = (requests + rare.write + rare.read) / 1000 + 2 * rare.retrieval
    assert made.cost.once == pytest.approx(once, abs=1e-5)
    assert made.cost.month == pytest.approx(6.000999 * standard.month + 2 * rare.month, abs=1e-5)
    assert made.seconds == pytest.approx(8_000_999_000 / 500e6, abs=0.1)
    assert made.cost.source in row(made, "cost, estimated")
    assert row(made, "time, estimated").startswith("16 s (at 500 changes")
    assert PRICES.of("NEW_CLASS") == standard


def test_nothing_to_do_says_no_more_than_that() -> None:
    made = surveyed([copy("a.md", action="SKIP")]).preview(Seen(listed=10, keys=5))
    assert [name for name, _ in made.rows()] == ["SKIP"]
    assert Preview().lines() == []


# Warnings


def test_a_time_before_everything_is_shouted() -> None:
    survey = surveyed([delete("a.md"), delete("b.png")])
    first, *_ = survey.warnings(Seen(listed=9, keys=3, there=2, documents=1))
    assert first.startswith("EVERY object in scope (2) would be deleted")
    some = survey.warnings(Seen(listed=9, keys=10, there=10, documents=9))
    assert some[0].startswith("2 of 10 objects (20 %) would be deleted")
    assert survey.warnings(Seen(listed=900, keys=100, there=100, documents=90)) == ()
    named = Survey(CRAWL, Scope("bucket", keys=("b.png",)))
    named.add(delete("b.png"))
    assert named.warnings(Seen(listed=1, keys=1, there=1)) == ()


def test_an_empty_scope_is_told() -> None:
    assert "No key was found" in surveyed([]).warnings(Seen())[0]
    assert surveyed([]).warnings(Seen(listed=1, keys=1, unchanged=1, there=1)) == ()


def test_what_is_held_back_and_access_files_are_told() -> None:
    codes = ["ambiguous", "ambiguous", "unknown", "suspended", "archived"]
    held = [copy(f"{number}.md", action="BLOCKED", code=code) for number, code in enumerate(codes)]
    told = surveyed([copy("conf/acl.json"), *held]).warnings(Seen(keys=9, there=9))
    assert "open to everyone" in told[0]
    assert [one.rsplit(" ", 1)[1] for one in told[1:]] == ["2.", "1.", "1.", "1."]


# For people


def test_rows_are_safe_to_print_and_masked() -> None:
    items = [copy("\x1b[31m\n\u202e<b>.md"), copy("anna@example.com.png")]
    made = surveyed(items).preview()
    text = "\n".join(made.lines(mask=lambda key: key.replace("anna@example.com", "[email]")))
    assert "\\x1b[31m\\n\\u202e<b>.md" in text
    assert "[email].png" in text
    assert "anna" not in text
    assert not any(char in text for char in "\x1b\u202e")
    assert shown("docs/ä 😀.md") == "docs/ä 😀.md"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2.5e9, "2.5 GB"), (3e15, "3,000.0 TB")],
)
def test_sizes_for_people(size: float, text: str) -> None:
    assert size_text(size) == text


def test_it_goes_through_json_and_into_the_plan(tmp_path: Path) -> None:
    survey = surveyed([copy("a.md"), copy("x.png"), copy("conf/acl.json"), delete("d.md")])
    seen = Seen(listed=10, keys=7, unchanged=3, there=6, documents=5)
    made = survey.preview(seen)
    assert Preview.from_json(json.loads(json.dumps(made.to_json()))) == made
    head = PlanHead("INC-1", Scope("bucket"), Target("as-of", AT), AT)
    plan = planfile.write(
        tmp_path,
        head,
        [copy("a.md"), copy("x.png"), copy("conf/acl.json"), delete("d.md")],
        seen=seen,
        crawl=CRAWL,
    )
    assert planfile.read(plan.path).head.preview == made
    assert plan.warnings == survey.warnings(seen) != ()
    assert (plan.head.listed, plan.head.keys, plan.head.unchanged) == (10, 7, 3)
    assert plan.summary == (
        "s3://bucket/, as-of 2026-11-20 10:00:00 UTC: 3 COPY, 1 DELETE; 3 of 7 keys unchanged."
    )
