"""Which promotion a version belongs to: no more is said than its audit record and the times of writes tell."""

from __future__ import annotations

import pytest
from support.versioned import T0, at

from vmqlib.runbook.promoters import Promoters
from vmqlib.times import iso


def promoters(*records: tuple[float, float | None], writes: tuple[float, ...] = ()) -> Promoters:
    """Promotions by ``ts`` and the moment when their record was stored, and known writes: seconds after T0."""
    rows = [
        {
            "at": iso(at(ts)),
            "ci_sha": f"{n:x}" * 8,
            "performed_by": "ci",
            "written_at": written and iso(at(written)),
        }
        for n, (ts, written) in enumerate(records, 1)
    ]
    return Promoters.of_rows(rows).knowing([at(one) for one in writes])


@pytest.mark.parametrize(
    ("seconds", "relation"),
    [
        (0, "during"),
        (120, "during"),
        (181, "during"),  # the record's own second
        (-5, "during"),  # the runner's clock is not S3's
        (-6, "near"),
        (182, "near"),  # the record is written after the last copy
        (180 + 15 * 60, "near"),
        (182 + 15 * 60, None),
        (-6 - 15 * 60, None),
    ],
)
def test_during_a_promotion_is_between_its_time_and_its_record(seconds: float, relation: str | None) -> None:
    found = promoters((0, 180)).of("a.md", at(seconds))
    assert (found and found.relation) == relation


def test_where_the_time_is_that_of_the_end_the_unbroken_run_of_writes_before_it_counts() -> None:
    known = promoters((100, 101), writes=(40, 49, 58, 66, 75, 85, 94, 100))
    assert [known.of("a", at(s)).relation for s in (40, 66, 100)] == ["during"] * 3  # type: ignore[union-attr]
    assert known.of("a", at(29)).relation == "near"  # type: ignore[union-attr]
    pause = promoters((100, 101), writes=(40, 94, 100))
    assert pause.of("a", at(40)).words == "54 s before the promotion of 11111111 by ci"  # type: ignore[union-attr]


def test_where_the_time_is_that_of_the_beginning_what_came_right_before_does_not_count() -> None:
    known = promoters((100, 160), writes=(86, 91, 100, 130, 160))
    assert known.of("a", at(91)).relation == "near"  # type: ignore[union-attr]


def test_without_the_time_of_the_record_the_run_of_writes_reaches_both_ways() -> None:
    known = promoters((100, None), writes=(92, 100, 109, 118, 150))
    assert [known.of("a", at(s)).relation for s in (92, 118, 150)] == ["during", "during", "near"]  # type: ignore[union-attr]


def test_a_run_of_writes_that_never_ends_is_not_all_one_promotion() -> None:
    known = promoters((7200, 7201), writes=tuple(range(0, 7201, 9)))
    assert known.of("a", at(3700)).relation == "during"  # type: ignore[union-attr]
    assert known.of("a", at(3500)).relation == "near"  # type: ignore[union-attr]
    assert known.of("a", at(1000)) is None


def test_two_promotions_at_once_are_both_named() -> None:
    found = promoters((0, 60), (30, 90)).of("a", at(45))
    assert found is not None
    assert found.words == "during the promotions of 11111111 by ci and 22222222 by ci"


@pytest.mark.parametrize("key", ["_staging/a.md", "ci/sync-jobs.json", "audit/promotions/x.json"])
def test_housekeeping_is_not_promoted(key: str) -> None:
    assert promoters((0, 60)).of(key, at(30)) is None


def test_a_promoter_is_named_by_the_end_of_its_arn() -> None:
    rows = [{"at": iso(T0), "ci_sha": "9c1f2ab4de", "performed_by": "arn:aws:sts::1:assumed-role/ci/run-7"}]
    found = Promoters.of_rows(rows).of("a", T0)
    assert found is not None
    assert found.words == "during the promotion of 9c1f2ab4 by run-7"
