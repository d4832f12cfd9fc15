"""The S3 connector's configuration: which keys are documents, and what else it says. Pure.

The template is that of "Connecting Amazon Q Business to Amazon S3 using APIs" in the user guide (types ``S3``
and ``S3V2``). Exclusion wins over inclusion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from vmqlib.simulator.qbusiness.content import MAX_DOCUMENT_BYTES
from vmqlib.simulator.qbusiness.exceptions import Validation
from vmqlib.simulator.qbusiness.failures import SourceFailed

__all__ = ["Acl", "S3Connector", "connector_type", "parse_acl"]

_METADATA_SUFFIX = ".metadata.json"
_SYNC_MODES = ("FULL_CRAWL", "FORCED_FULL_CRAWL")

Acl = tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class S3Connector:
    """What a data source of type S3 is told to do.

    Parameters
    ----------
    bucket:
        Where the documents are.
    forced:
        FORCED_FULL_CRAWL: take every document anew, changed or not.
    inclusion_patterns, exclusion_patterns:
        Globs on keys. Without a slash a glob is matched against the file's name; ``**`` crosses slashes.
    inclusion_prefixes, exclusion_prefixes:
        Beginnings of keys.
    max_bytes:
        Larger documents fail.
    acl_path:
        Key of the ACL file, "" for none.
    metadata_prefix:
        Where metadata files are; "" for beside the documents.
    protects_deletion:
        Whether the deletion safeguard is on.
    deletion_threshold:
        Percentage above which deletions are held back.
    """

    bucket: str
    forced: bool = False
    inclusion_patterns: tuple[str, ...] = ()
    exclusion_patterns: tuple[str, ...] = ()
    inclusion_prefixes: tuple[str, ...] = ()
    exclusion_prefixes: tuple[str, ...] = ()
    max_bytes: int = MAX_DOCUMENT_BYTES
    acl_path: str = ""
    metadata_prefix: str = ""
    protects_deletion: bool = False
    deletion_threshold: float = 15.0

    @classmethod
    def read(cls, configuration: Mapping[str, Any]) -> S3Connector:
        """Reads the configuration of a data source.

        Raises
        ------
        Validation
            When it does not fit the connector's JSON schema.
        """
        options = _options(configuration)
        mode = configuration.get("syncMode", "FULL_CRAWL")
        if mode not in _SYNC_MODES:
            raise Validation(
                f"The syncMode {mode!r} is not one of {', '.join(_SYNC_MODES)}.",
                [("configuration", "syncMode is not valid")],
            )
        acl = configuration.get("accessControlConfiguration") or {}
        return cls(
            bucket=_bucket(configuration),
            forced=mode == "FORCED_FULL_CRAWL",
            inclusion_patterns=_strings(options, "inclusionPatterns"),
            exclusion_patterns=_strings(options, "exclusionPatterns"),
            inclusion_prefixes=_strings(options, "inclusionPrefixes"),
            exclusion_prefixes=_strings(options, "exclusionPrefixes"),
            max_bytes=_megabytes(options),
            acl_path=_key(
                options.get("aclConfigurationFilePath") or acl.get("aclConfigurationFilePath") or ""
            ),
            metadata_prefix=_key(options.get("metadataFilesPrefix") or ""),
            protects_deletion=str(_either(configuration, options, "enableDeletionProtection", False)).lower()
            == "true",
            deletion_threshold=_number(_either(configuration, options, "deletionProtectionThreshold", 15)),
        )

    def is_document(self, key: str) -> bool:
        """Whether ``key`` is a document in the sync's scope."""
        if key.endswith(("/", _METADATA_SUFFIX)) or key == self.acl_path:
            return False
        if self.metadata_prefix and key.startswith(self.metadata_prefix.rstrip("/") + "/"):
            return False
        if key.startswith(self.exclusion_prefixes) or _any(self.exclusion_patterns, key):
            return False
        if self.inclusion_prefixes and not key.startswith(self.inclusion_prefixes):
            return False
        return not self.inclusion_patterns or _any(self.inclusion_patterns, key)

    def metadata_key(self, key: str) -> str:
        """Where the metadata of the document ``key`` is looked for."""
        name = key + _METADATA_SUFFIX
        return f"{self.metadata_prefix.rstrip('/')}/{name}" if self.metadata_prefix else name

    def holds_back(self, to_delete: int, scanned: int) -> bool:
        """Whether the deletion safeguard stops ``to_delete`` deletions beside ``scanned`` documents found."""
        if not self.protects_deletion or not to_delete:
            return False
        return 100 * to_delete / (scanned + to_delete) > self.deletion_threshold


def connector_type(configuration: Mapping[str, Any]) -> str:
    """The connector's type as GetDataSource names it, for example ``S3`` or ``CUSTOM``.

    Raises
    ------
    Validation
        When the configuration names none.
    """
    kind = configuration.get("type")
    if not isinstance(kind, str) or not kind:
        raise Validation("The configuration names no type.", [("configuration", "type is required")])
    return kind.upper()


def parse_acl(connector: S3Connector, data: bytes) -> Callable[[str], Acl | None]:
    """Reads the ACL file; what is returned tells a key's entries, None where the file names no prefix for it.

    "How Amazon Q Business connector crawls Amazon S3 ACLs": a prefix that the file does not name is open to
    everyone.

    Raises
    ------
    SourceFailed
        When the file is malformed.
    """
    try:
        rules = [
            (_acl_prefix(str(rule["keyPrefix"]), connector.bucket), _acl_entries(rule["aclEntries"]))
            for rule in json.loads(data.decode("utf-8"))
        ]
    except (ValueError, TypeError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceFailed(
            "InvalidRequest",
            f"The ACL file s3://{connector.bucket}/{connector.acl_path} is malformed: {reason}.",
            "InvalidAclFile",
        ) from error

    def entries_of(key: str) -> Acl | None:
        matching = [(len(prefix), entries) for prefix, entries in rules if key.startswith(prefix)]
        return max(matching)[1] if matching else None

    return entries_of


def _acl_entries(entries: Any) -> Acl:
    found = []
    for entry in entries:
        name, kind, access = str(entry["Name"]), str(entry["Type"]).upper(), str(entry["Access"]).upper()
        if kind not in ("USER", "GROUP") or access not in ("ALLOW", "DENY"):
            raise ValueError(f"an entry has Type {kind} and Access {access}")
        found.append((name, kind, access))
    return tuple(found)


def _acl_prefix(prefix: str, bucket: str) -> str:
    return prefix.removeprefix(f"s3://{bucket}/").lstrip("/")


def _options(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    options = configuration.get("additionalProperties") or configuration.get("filterConfiguration") or {}
    if not isinstance(options, Mapping):
        raise Validation(
            "The configuration's additionalProperties must be an object.",
            [("configuration", "additionalProperties must be an object")],
        )
    return options


def _bucket(configuration: Mapping[str, Any]) -> str:
    connection = configuration.get("connectionConfiguration") or {}
    bucket = None
    if isinstance(connection, Mapping):
        bucket = (connection.get("repositoryEndpointMetadata") or {}).get("BucketName") or connection.get(
            "bucketName"
        )
    if not isinstance(bucket, str) or not bucket:
        where = "connectionConfiguration.repositoryEndpointMetadata.BucketName"
        raise Validation(
            f"The configuration names no bucket ({where}).", [("configuration", f"{where} is required")]
        )
    return bucket


def _either(configuration: Mapping[str, Any], options: Mapping[str, Any], name: str, default: Any) -> Any:
    value = options.get(name, configuration.get(name))
    return default if value in (None, "") else value


def _strings(options: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = options.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise Validation(
            f"{name} must be a list of strings.", [("configuration", f"{name} must be a list of strings")]
        )
    return tuple(value for value in values if value)


def _megabytes(options: Mapping[str, Any]) -> int:
    given = options.get("maxFileSizeInMegaBytes")
    if given in (None, ""):
        return MAX_DOCUMENT_BYTES
    return min(int(_number(given) * 1024 * 1024), MAX_DOCUMENT_BYTES)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise Validation(
            f"{value!r} is not a number.", [("configuration", f"{value!r} is not a number")]
        ) from None


def _key(path: Any) -> str:
    return re.sub(r"^s3://[^/]+/", "", str(path)).lstrip("/")


def _any(patterns: tuple[str, ...], key: str) -> bool:
    name = key.rsplit("/", 1)[-1]
    return any(_glob(pattern).fullmatch(key if "/" in pattern else name) for pattern in patterns)


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(known.get(part, re.escape(part)) for part in parts), re.DOTALL)
