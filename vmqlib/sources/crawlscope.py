"""Which keys of a bucket a connector takes for documents, read from its configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["METADATA_SUFFIX", "CrawlScope", "DeletionSafeguard", "crawl_scope"]

METADATA_SUFFIX = ".metadata.json"
"""How the name of a document's metadata file ends."""

_DEFAULT_THRESHOLD = 15.0


@dataclass(frozen=True)
class DeletionSafeguard:
    """Whether a sync holds deletions back (S3 connector: ``enableDeletionProtection``).

    Parameters
    ----------
    on:
        Whether it is switched on.
    threshold:
        Percent (``deletionProtectionThreshold``, 15 unless given).
    """

    on: bool
    threshold: float = _DEFAULT_THRESHOLD

    def holds_back(self, deletions: int, scanned: int) -> bool:
        """Whether so many deletions are skipped by a sync that finds ``scanned`` documents: above the threshold of
        ``100 * deletions / (scanned + deletions)``. All other changes are synced."""
        return self.on and deletions > 0 and 100 * deletions / (scanned + deletions) > self.threshold


@dataclass(frozen=True)
class CrawlScope:
    """What an S3 connector crawls (Q Business user guide, S3 connector: patterns and prefixes; exclusion wins).

    Parameters
    ----------
    include, exclude:
        Glob patterns on keys; no inclusion pattern means every key. One without a slash is held against the file's
        name; ``*`` and ``?`` stop at a slash, ``**`` does not: ``ci/*`` leaves ``ci/logs/a.json`` in (API reference,
        S3DataSourceConfiguration, which has the examples).
    acl_key:
        The access control file, which is no document; empty where there is none.
    safeguard:
        What the configuration says of deletions; ``None`` where there is none that could be read.
    include_prefixes, exclude_prefixes:
        Beginnings of keys; no inclusion prefix means every key.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    acl_key: str = ""
    safeguard: DeletionSafeguard | None = None
    include_prefixes: tuple[str, ...] = ()
    exclude_prefixes: tuple[str, ...] = ()

    def documents(self, keys: pd.Series[str]) -> pd.Series[bool]:
        """Which of these keys are documents: not the ACL file, not a metadata file, and as the patterns say."""
        there = keys.ne(self.acl_key) & ~keys.str.endswith(METADATA_SUFFIX)
        there &= ~keys.str.startswith(self.exclude_prefixes)
        if self.include_prefixes:
            there &= keys.str.startswith(self.include_prefixes)
        if self.include:
            there &= keys.str.match(_any(self.include))
        if self.exclude:
            there &= ~keys.str.match(_any(self.exclude))
        return there.astype(bool)

    def is_document(self, key: str) -> bool:
        """:meth:`documents` for one key: quick, for streams of them."""
        if key == self.acl_key or key.endswith(METADATA_SUFFIX) or key.startswith(self.exclude_prefixes):
            return False
        if self.include_prefixes and not key.startswith(self.include_prefixes):
            return False
        included, excluded = self._patterns
        return (included is None or included(key) is not None) and (excluded is None or excluded(key) is None)

    @cached_property
    def _patterns(self) -> tuple[_Match | None, _Match | None]:
        found = [re.compile(_any(one)).match if one else None for one in (self.include, self.exclude)]
        return found[0], found[1]


_Match = Callable[[str], re.Match[str] | None]


def _any(patterns: Iterable[str]) -> str:
    return "|".join(map(_regex, patterns))


_TOKEN = re.compile(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|\{[^{}]*\})")
_SET = re.compile(r"\[!?\]?[^\]]*\]")
_END = translate("")[-2:]  # a regular expression's end of all: which letter says it depends on the Python
_MEANS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _regex(pattern: str) -> str:
    """A glob as a regular expression for a whole key."""
    anywhere = "" if "/" in pattern else "(?:.*/)?"
    return f"(?s:{anywhere}{_translated(pattern)}){_END}"


def _translated(pattern: str) -> str:
    made = []
    for part in _TOKEN.split(pattern):
        if part in _MEANS:
            made.append(_MEANS[part])
        elif part.startswith("{") and part.endswith("}"):
            made.append(f"(?:{'|'.join(map(_translated, part[1:-1].split(',')))})")
        elif _SET.fullmatch(part):
            made.append(f"(?:{translate(part).removesuffix(_END)})")
        else:
            made.append(re.escape(part))
    return "".join(made)


def crawl_scope(
    resources: pd.DataFrame | Sequence[Mapping[str, Any]], data_source_id: str = ""
) -> CrawlScope:
    """The scope that the source ``resources``, as a frame or as rows, gives for a data source, or for its first one.

    What the configuration does not say (another template, another kind of connector) restricts nothing.
    """
    configs = _configs(resources, data_source_id)
    whole = _read(configs[0]) if configs else {}
    more = whole.get("additionalProperties")
    if not isinstance(more, dict):
        return CrawlScope()
    acl = str(more.get("aclConfigurationFilePath") or "")
    return CrawlScope(
        include=tuple(more.get("inclusionPatterns") or ()),
        exclude=tuple(more.get("exclusionPatterns") or ()),
        acl_key=acl.split("/", 3)[3] if acl.startswith("s3://") and acl.count("/") > 2 else acl,
        safeguard=_safeguard({**whole, **more}),
        include_prefixes=tuple(filter(None, more.get("inclusionPrefixes") or ())),
        exclude_prefixes=tuple(filter(None, more.get("exclusionPrefixes") or ())),
    )


def _configs(resources: pd.DataFrame | Sequence[Mapping[str, Any]], data_source_id: str) -> list[str]:
    if isinstance(resources, Sequence):
        sources = [one for one in resources if one.get("kind") == "data-source"]
        return [
            one["config"] for one in sources if one.get("config") and data_source_id in ("", one.get("id"))
        ]
    frame = resources[resources["kind"] == "data-source"]
    if data_source_id:
        frame = frame[frame["id"] == data_source_id]
    return list(frame["config"].dropna())


def _read(config: str) -> Mapping[str, Any]:
    try:
        found = json.loads(config)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _safeguard(config: Mapping[str, Any]) -> DeletionSafeguard | None:
    """Switch and threshold are text in the connector's template; JSON's own types are taken, too."""
    on = str(config.get("enableDeletionProtection") or "false").lower() == "true"
    try:
        return DeletionSafeguard(on, float(config.get("deletionProtectionThreshold") or _DEFAULT_THRESHOLD))
    except (TypeError, ValueError):
        return None
