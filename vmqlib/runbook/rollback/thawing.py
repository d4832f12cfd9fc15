"""Archived versions: how to say that one must be restored first, and the request that does it (s3:RestoreObject).

User guide: https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from vmqlib.runbook.rollback.properties import archived, restored

__all__ = ["TIERS", "Thaw", "command", "held_back", "request", "waiting_time"]

TIERS = ("Standard", "Bulk", "Expedited")

# User guide, "Archive retrieval options": until when most restores are there.
_HOURS: Mapping[tuple[str, str], str] = {
    ("DEEP", "Standard"): "12 hours",
    ("DEEP", "Bulk"): "48 hours",
    ("", "Expedited"): "1 to 5 minutes",
    ("", "Standard"): "3 to 5 hours",
    ("", "Bulk"): "5 to 12 hours",
}


@dataclass(frozen=True)
class Thaw:
    """How archived versions are restored.

    Parameters
    ----------
    days:
        How long the readable copy is kept; days. Not used for Intelligent-Tiering, where the object itself comes back.
    tier:
        ``Standard``, ``Bulk`` (cheaper, slower) or ``Expedited`` (not from the deep archives).
    """

    days: int = 7
    tier: str = "Standard"


def request(thaw: Thaw, storage_class: str) -> bytes:
    """The body of RestoreObject for a version of that storage class.

    Raises
    ------
    ValueError
        For days below 1 or an unknown tier.
    """
    wanted = _wanted(thaw, storage_class)
    days = f"<Days>{wanted['Days']}</Days>" if "Days" in wanted else ""
    return (
        '<RestoreRequest xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{days}<GlacierJobParameters><Tier>{thaw.tier}</Tier></GlacierJobParameters></RestoreRequest>"
    ).encode()


def _wanted(thaw: Thaw, storage_class: str) -> dict[str, object]:
    if thaw.days < 1 or thaw.tier not in TIERS:
        raise ValueError(f"{thaw}: days must be 1 or more, the tier one of {', '.join(TIERS)}")
    wanted: dict[str, object] = {} if storage_class == "INTELLIGENT_TIERING" else {"Days": thaw.days}
    return {**wanted, "GlacierJobParameters": {"Tier": thaw.tier}}


def command(bucket: str, key: str, version_id: str, storage_class: str, thaw: Thaw | None = None) -> str:
    """The same as a command of the AWS CLI, safe to paste into a shell."""
    wanted = json.dumps(_wanted(thaw or Thaw(), storage_class), separators=(",", ":"))
    words = ("aws", "s3api", "restore-object", f"--bucket={bucket}", f"--key={key}")
    return shlex.join([*words, f"--version-id={version_id}", f"--restore-request={wanted}"])


def waiting_time(where: str, tier: str) -> str:
    """About how long a restore takes from there, for people; ``where`` is a storage class or archive tier."""
    deep = "DEEP" if "DEEP" in where else ""
    return _HOURS.get((deep, tier)) or _HOURS[deep, "Standard"]


def held_back(bucket: str, key: str, version_id: str, head: Mapping[str, str]) -> tuple[str, str] | None:
    """Why an archived version cannot be copied now, and what to do about it; ``None`` when it can be.

    Parameters
    ----------
    head:
        HeadObject's answer about the version.
    """
    where = archived(head)
    if not where:
        return None
    storage_class = head.get("x-amz-storage-class", "")
    if restored(head) == "restoring":
        return (
            f"The version to restore lies in {where}; a restore is under way.",
            f"Plan again when it is there (about {waiting_time(where, 'Standard')} after it was asked for).",
        )
    return (
        f"The version to restore lies in {where} and cannot be copied from there.",
        (
            f"Restore it, then plan again (about {waiting_time(where, 'Standard')}): "
            f"{command(bucket, key, version_id, storage_class)}. --thaw makes this request."
        ),
    )
