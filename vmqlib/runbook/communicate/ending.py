"""What the last message of an incident says of what customers see now: what validating asked, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from vmqlib.runbook.checks import worst
from vmqlib.runbook.proof.results import AGREE, UNWANTED
from vmqlib.runbook.validation.names import ALARM, PROMPT, QUESTION_CHECK, WEB

if TYPE_CHECKING:
    from vmqlib.runbook.validation import Validation

__all__ = ["now"]


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
    (
        UNWANTED,
        "",
        "Documents are in the index that must not be there.",
        "",
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
