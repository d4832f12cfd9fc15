"""What the last message of an incident says: from when to when people were hit, and what they see now.

Only what was seen: the end of an outage is the sync that succeeded again; what customers see is what validating asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from vmqlib.runbook.checks import worst
from vmqlib.runbook.proof.results import AGREE
from vmqlib.runbook.validation.names import ALARM, PROMPT, QUESTION_CHECK, WEB
from vmqlib.sources.syncjobs import TERMINAL

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.affected import Affected
    from vmqlib.runbook.validation import Validation

__all__ = ["now", "recovered_at"]


def recovered_at(jobs: Observation | None, found: Affected) -> datetime | None:
    """When the first sync ended that succeeded after the last one that did not, of all connectors that were hit;
    ``None`` where that was not seen of each."""
    hit = [one for one in found.connectors if one.hit]
    if jobs is None or not jobs.available or not hit:
        return None
    rows = jobs.frame[jobs.frame["status"].isin(TERMINAL)].sort_values("started_at", kind="stable")
    ends = []
    for one in hit:
        mine = rows[rows["data_source_id"].eq(one.data_source_id)]
        bad = mine[mine["status"].ne("SUCCEEDED")]
        good = mine if bad.empty else mine[mine["started_at"] > bad["started_at"].iloc[-1]]
        good = good[good["ended_at"].notna()]
        if one.first_bad_at is None or good.empty:
            return None
        ends.append(good["ended_at"].iloc[0].to_pydatetime())
    last: datetime = max(ends)
    return last


_NOW: Final = (
    (
        WEB,
        "The web experience is up.",
        "The web experience is not up.",
        "Whether the web experience is up was not seen.",
    ),
    (
        PROMPT,
        "Test prompts are blocked, or answered, as they should be.",
        "Not every test prompt is blocked, or answered, as it should be.",
        "",
    ),
    (
        AGREE,
        "The index holds what the bucket holds.",
        "The index does not hold what the bucket holds.",
        "Whether the index holds what the bucket holds was not seen.",
    ),
    (ALARM, "All alarms are OK.", "Not every alarm is OK.", "Whether all alarms are OK was not seen."),
)


def now(made: Validation | None) -> Iterable[str]:
    """What customers see now, as far as it was validated; of what was not, that it was not."""
    checks = made.checks if made is not None and not made.stale else ()
    asked = [one for one in checks if one.name == QUESTION_CHECK]
    answers = worst(asked) if asked else None
    well = sum(one.ok is True for one in asked)
    if answers is None:
        yield "Whether the assistant answers was not tested."
    elif len(asked) == 1:
        yield f"The assistant {'answers' if answers else 'does not answer'} the test question as expected."
    else:
        yield f"The assistant answers {well} of {len(asked)} test questions as expected."
    for name, well_said, ill_said, unknown in _NOW:
        mine = [one for one in checks if one.name == name]
        ok = worst(mine) if mine else None
        if said := unknown if ok is None else well_said if ok else ill_said:
            yield said
