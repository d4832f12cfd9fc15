"""Index and bucket agree *now*: a proof leaves out what changed after its sync began, a validation must not. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmqlib.runbook.proof.results import AGREE
from vmqlib.runbook.wording import many
from vmqlib.times import show_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmqlib.runbook.checks import CheckResult
    from vmqlib.runbook.proof.results import Later

__all__ = ["agreeing", "changed_keys", "names"]

_SHOWN = 5


def agreeing(check: CheckResult, later: Later | None, data_source_id: str, incident_id: str) -> CheckResult:
    """The check of a proof, with what changed after its sync began.

    It fails where the index cannot have that; where the sync may still have read it, nobody knows. Other checks stay as
    they are.

    Parameters
    ----------
    later:
        :attr:`vmqlib.runbook.proof.results.Proof.later`.
    data_source_id, incident_id:
        For what to type.
    """
    if check.name != AGREE or later is None:
        return check
    about = f"--data-source {data_source_id} --incident {incident_id}"
    wait = f"vmq sync wait {about}"
    began = f"the newest sync that read the bucket began ({show_time(later.began)})"
    told = []
    if later.lacking:
        told.append(
            f"the index does not have {changed_keys(later.lacking)} since {began}: {names(later.lacking)}"
        )
    if later.unsure:
        told.append(
            f"whether the index has {changed_keys(later.unsure)} since {began} is not known: {names(later.unsure)}"
        )
    said = "; ".join(told)
    finding = f"{check.finding.rstrip('.')}. But {said}."
    return replace(
        check,
        ok=False if later.lacking or check.ok is False else None,
        finding=finding,
        mend="\n".join(
            filter(None, (check.mend, wait if later.running else f"vmq sync start {about} && {wait}"))
        ),
    )


def changed_keys(keys: Sequence[str]) -> str:
    """How many keys changed, in words."""
    return f"{many(len(keys), 'key')} that changed"


def names(keys: Sequence[str]) -> str:
    """The first of them."""
    more = f" and {len(keys) - _SHOWN:,} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
