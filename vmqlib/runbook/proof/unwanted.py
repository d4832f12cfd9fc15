"""What the index holds and must not: by the folders that are never documents, by ``forbidden`` in the settings, and by
the connector's own patterns. Pure.

Whatever the incident is about: a sync that SUCCEEDED may have left it there, because the connector's patterns still
take it in, or because the deletion safeguard keeps it. The rules are those of the trigger ``content``
(:mod:`vmqlib.runbook.triggers.indexed`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vmqlib.runbook.affecteddocuments import FAILED, GONE
from vmqlib.runbook.checks import CheckResult
from vmqlib.runbook.proof.judging import Judged
from vmqlib.runbook.proof.results import UNWANTED
from vmqlib.runbook.proof.seen import Sight
from vmqlib.runbook.triggers.indexed import never_documents

if TYPE_CHECKING:
    from vmqlib.settings import Connector, Settings

__all__ = ["nothing_unwanted", "unwanted"]

_KEPT = ("documents", "resources")
_FEW = 3
_WHY = {
    "housekeeping": "from folders that are never documents",
    "forbidden": "that the setting `forbidden` names",
    "outside": "that the connector's own patterns leave out",
}


def unwanted(sight: Sight, settings: Settings, connector: Connector) -> dict[str, str]:
    """Keys of documents in the index that must not be there, each with the first reason that fits.

    Of a connector that reads no bucket nothing is said: its documents' names are no keys.
    """
    if not connector.bucket:
        return {}
    never = never_documents(connector)
    found: dict[str, str] = {}
    for key, document in (sight.index or {}).items():
        if document.status in (*GONE, *FAILED):
            continue
        if key.startswith(never):
            found[key] = "housekeeping"
        elif settings.forbids(key):
            found[key] = "forbidden"
        elif sight.scope is not None and document.named and not sight.scope.is_document(key):
            found[key] = "outside"
    return found


def nothing_unwanted(sight: Sight, why: Mapping[str, str], judged: Sequence[Judged]) -> CheckResult:
    """Whether the index holds nothing that must not be there.

    Parameters
    ----------
    why:
        :func:`unwanted`.
    judged:
        Every key: which of them a sync held back.
    """
    if why:
        parts = [
            f"{len(keys):,} {_WHY[kind]}: {_folders(keys)}"
            for kind in _WHY
            if (keys := sorted(key for key, one in why.items() if one == kind))
        ]
        be = "document is" if len(why) == 1 else "documents are"
        text = f"{len(why):,} {be} in the index that must not be: {'; '.join(parts)}."
        return CheckResult(UNWANTED, False, text, mend=_mend(sight, why, judged), evidence=_KEPT)
    if sight.index is None or sight.index_why:
        return CheckResult(
            UNWANTED, None, f"Not all documents could be seen: {sight.index_why}", evidence=_KEPT
        )
    if sight.index_unnamed:
        text = f"{sight.index_unnamed:,} documents have ids that name no key: what they are is not known."
        return CheckResult(UNWANTED, None, text, evidence=_KEPT)
    if sight.scope is None:
        text = "The connector's configuration was not seen: what it leaves out is not known."
        return CheckResult(UNWANTED, None, text, evidence=_KEPT)
    text = (
        f"Each of the {len(sight.index):,} documents that the index lists is one that the connector takes in, "
        "in no folder that is never documents, and none that `forbidden` names."
    )
    return CheckResult(UNWANTED, True, text, evidence=_KEPT)


def _mend(sight: Sight, why: Mapping[str, str], judged: Sequence[Judged]) -> str:
    """What the patterns still take in stays with every sync; what they leave out a sync takes out, unless it is held
    back."""
    lines = []
    taken = sorted(key for key in why if sight.scope is not None and sight.scope.is_document(key))
    if taken:
        folders = ", ".join(dict.fromkeys(_folder(key) for key in taken))
        lines.append(
            f"The connector's patterns take in {len(taken):,} of them: leave {folders} out (exclusionPrefixes; in "
            "exclusionPatterns a star stops at a slash: `**` reaches the folders below) and update-data-source, "
            f"then sync: {sight.sync}"
        )
    held = next((one for one in judged if one.verdict == "held back" and one.expected.key in why), None)
    if held is not None:
        lines.append(held.mend)
    return "\n".join(lines) or sight.sync


def _folder(key: str) -> str:
    return f"{key.partition('/')[0]}/" if "/" in key else key


def _folders(keys: Sequence[str]) -> str:
    """How many below each first folder; of a few the keys."""
    if len(keys) <= _FEW:
        return ", ".join(keys)
    counts: dict[str, int] = {}
    for key in keys:
        counts[_folder(key)] = counts.get(_folder(key), 0) + 1
    most = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    told = ", ".join(f"{folder} {count:,}" for folder, count in most[:_FEW])
    rest = sum(count for _, count in most[_FEW:])
    return f"{told}, elsewhere {rest:,}" if rest else told
