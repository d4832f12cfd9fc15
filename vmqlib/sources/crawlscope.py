"""Which keys of a bucket a connector takes for documents, read from its configuration."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CrawlScope", "crawl_scope"]

_METADATA = ".metadata.json"


@dataclass(frozen=True)
class CrawlScope:
    """What an S3 connector crawls (Q Business user guide, S3 connector: patterns; exclusion wins).

    Parameters
    ----------
    include, exclude:
        Glob patterns on keys; no inclusion pattern means every key.
    acl_key:
        The access control file, which is no document; empty where there is none.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    acl_key: str = ""

    def documents(self, keys: pd.Series[str]) -> pd.Series[bool]:
        """Which of these keys are documents: not the ACL file, not a metadata file, and as the patterns say."""
        there = keys.ne(self.acl_key) & ~keys.str.endswith(_METADATA)
        if self.include:
            there &= keys.str.match(_any(self.include))
        if self.exclude:
            there &= ~keys.str.match(_any(self.exclude))
        return there.astype(bool)


def _any(patterns: Iterable[str]) -> str:
    return "|".join(map(translate, patterns))


def crawl_scope(resources: pd.DataFrame, data_source_id: str = "") -> CrawlScope:
    """The scope that a frame of the source ``resources`` gives for a data source, or for its first one.

    What the configuration does not say (another template, another kind of connector) restricts nothing.
    """
    sources = resources[resources["kind"] == "data-source"]
    if data_source_id:
        sources = sources[sources["id"] == data_source_id]
    configs = sources["config"].dropna()
    more = _additional(configs.iloc[0]) if len(configs) else {}
    acl = str(more.get("aclConfigurationFilePath") or "")
    return CrawlScope(
        include=tuple(more.get("inclusionPatterns") or ()),
        exclude=tuple(more.get("exclusionPatterns") or ()),
        acl_key=acl.split("/", 3)[3] if acl.startswith("s3://") and acl.count("/") > 2 else acl,
    )


def _additional(config: str) -> Mapping[str, Any]:
    try:
        found = json.loads(config).get("additionalProperties")
    except (ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}
