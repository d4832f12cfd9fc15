"""What is asked of S3 for one key: look at what is to come back, bring it back, tell what became of it.

One try each: whoever calls retries. No version is ever destroyed: an old version is copied on top, or a delete marker
is put on top, and only while the key's current entry is the planned one (If-Match, If-None-Match).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from vmqlib.errors import (
    AccessDenied,
    AwsError,
    CredentialsExpired,
    CredentialsMissing,
    ResourceMissing,
    Throttled,
    Unreachable,
)
from vmqlib.runbook.rollback import looking, multipart, properties, thawing
from vmqlib.runbook.rollback.items import CHANGES, NOTHING, Entry, Item
from vmqlib.runbook.rollback.outcome import Outcome, Result, became, overtaken

if TYPE_CHECKING:
    from vmqlib.runbook.rollback.thawing import Thaw
    from vmqlib.s3 import S3, Answer

__all__ = ["MULTIPART_ABOVE", "Objects", "Outcome", "Result"]

#: Bytes that CopyObject can copy.
MULTIPART_ABOVE = 5 * 1024**3

_BUSY = frozenset({"ConditionalRequestConflict", "OperationAborted", "409"})
_UNMET = _BUSY | {"PreconditionFailed", "412", "NoSuchKey", "NoSuchVersion", "404"}
_ARCHIVED = frozenset({"InvalidObjectState", "ObjectNotInActiveTierError"})
_READ, _COPY, _DELETE = "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject"


class Objects:
    """One bucket's objects, for a rollback. Safe to share between threads.

    Parameters
    ----------
    s3:
        The bucket.
    multipart_above:
        Bytes above which a version is copied in parts.
    part_size:
        Bytes of a part, unless the version was made of others.
    thaw:
        How a version that turns out to be archived is restored at once; ``None``: it is not.
    mark:
        When planning to touch: what the touched versions are to be known by.
    own:
        Versions that this incident made, and by what: they are nobody else's doing.
    """

    def __init__(
        self,
        s3: S3,
        *,
        multipart_above: int = MULTIPART_ABOVE,
        part_size: int = multipart.PART,
        thaw: Thaw | None = None,
        mark: str = "",
        own: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.s3 = s3
        self._multipart_above = multipart_above
        self._part_size = part_size
        self._thaw = thaw
        self._mark = mark
        self._own = own
        self._others: dict[str, Entry] = {}  # what is current instead of what was planned for

    # --- when planning

    def inspect(self, item: Item) -> Item:
        """Looks at the version that is to come back (s3:HeadObject with its version).

        Returns
        -------
        The item with ``properties``; or BLOCKED: ``archived``, ``sse-c``, ``no-permission``, ``missing``. An item that
        copies nothing comes back as it is.

        Raises
        ------
        AwsError
            S3 cannot be asked at all: no answer, throttled, no credentials.
        """
        if item.action not in ("COPY", "UNDELETE"):
            return item
        target = item.target
        try:
            head = multipart.head_of(self.s3, item.key, target.version_id)
        except ResourceMissing:
            return _blocked(
                item,
                "missing",
                "The version to restore is no longer there: it expired or was deleted since it was listed.",
                "Plan again.",
            )
        except (CredentialsExpired, CredentialsMissing, Throttled, Unreachable):
            raise
        except AwsError as error:  # an answer to HEAD has no body, so it does not say why
            return self._unreadable(item, error)
        etag = head.get("etag", "").strip('"')
        if target.version_id == "null" and target.etag and etag != target.etag:
            reason = "The null version to restore was overwritten since it was listed."
            return _blocked(item, "missing", reason, "Plan again.")
        if held := thawing.held_back(self.s3.bucket, item.key, target.version_id, head):
            return _blocked(item, "archived", *held)
        if self._mark:
            return _touched(item, head, self._mark)
        return replace(
            item, properties=properties.copy_headers(head), reason=item.reason or _worth_knowing(head)
        )

    def _unreadable(self, item: Item, error: AwsError) -> Item:
        """Why HEAD was refused: a GET of the first byte is refused for the same reason, and says it."""
        query, first = {"versionId": item.target.version_id}, {"range": "bytes=0-0"}
        answer = self.s3.send("GET", item.key, query=query, headers=first)
        if answer.status >= 300:
            error = self.s3.refuse(answer, _READ, self._arn(item.key))
        if isinstance(error, AccessDenied):
            return _blocked(item, "no-permission", error.message, error.hint)
        if b"Server Side Encryption" in answer.body:
            return _blocked(
                item,
                "sse-c",
                "The version to restore is encrypted with a key that its writer keeps (SSE-C): S3 cannot copy it "
                "without that key.",
                "Whoever holds the key must copy the version back by hand.",
            )
        return _blocked(item, error.code or "unreadable", error.message, error.hint)

    def thaw(self, item: Item, *, days: int = 7, tier: str = "Standard") -> None:
        """Asks for a readable copy of an archived version (s3:RestoreObject). Nothing happens where one was asked for.

        Parameters
        ----------
        days:
            How long the copy is kept.
        tier:
            ``Standard``, ``Bulk`` or ``Expedited``.

        Raises
        ------
        AwsError
            Refused.
        ValueError
            For other days or tiers than there are.
        """
        self._restore(item, thawing.Thaw(days, tier))

    def _restore(self, item: Item, how: Thaw) -> None:
        body = thawing.request(how, item.target.storage_class)
        query = {"restore": "", "versionId": item.target.version_id}
        answer = self.s3.send("POST", item.key, query=query, body=body)
        if answer.status >= 300:
            error = self.s3.refuse(answer, "s3:RestoreObject", self._arn(item.key))
            if error.code != "RestoreAlreadyInProgress":
                raise error

    # --- when applying

    def apply(self, item: Item, *, in_doubt: bool = False) -> Outcome:
        """Carries out one item: one request, when its properties are known and it is not too big.

        Parameters
        ----------
        in_doubt:
            An earlier try may have been carried out: looks first.

        Raises
        ------
        Throttled
            Surely not done: try again.
        NoAnswer, Unreachable
            Perhaps done: try again with ``in_doubt``.
        CredentialsExpired, CredentialsMissing
            Surely not done, and nothing else would be.
        ValueError
            The item changes nothing.
        """
        if item.action not in CHANGES:
            raise ValueError(f"{item.action} is nothing to apply")
        if in_doubt and (outcome := became(self.s3, item, self._own)):
            return outcome
        if item.action != "DELETE" and item.properties is None:
            item = self.inspect(item)
            if item.action == "BLOCKED":
                return Outcome("failed", code=item.code, problem=item.reason, hint=item.remedy)
        operation = _DELETE if item.action == "DELETE" else _COPY
        try:
            answer = self._request(item)
            said = multipart.fields(answer.body) if answer.body else {}
            if answer.status >= 300 or said.get("") == "Error":
                raise self.s3.refuse(answer, operation, self._arn(item.key))
        except (CredentialsExpired, CredentialsMissing, Throttled, Unreachable):
            raise
        except AwsError as error:
            return self._refused(item, error)
        if item.action != "DELETE" and not said.get("ETag"):
            raise Unreachable(
                f"The answer to the copy of {self._arn(item.key)} was cut short.",
                hint="Look whether it was made, then repeat.",
                operation=_COPY,
            )
        return Outcome("done", answer.headers.get("x-amz-version-id", ""), said.get("ETag", "").strip('"'))

    def _request(self, item: Item) -> Answer:
        """The one request that changes something, under its condition."""
        current = item.current
        condition = {"if-match": f'"{current.etag}"'} if current.there else {"if-none-match": "*"}
        if item.action == "DELETE":
            return self.s3.send("DELETE", item.key, headers=condition)
        target = item.target
        if target.size > self._multipart_above:
            mark = properties.touch_mark(item.properties)
            return multipart.copy_in_parts(
                self.s3,
                item.key,
                target.version_id,
                condition,
                part_size=self._part_size,
                more={properties.TOUCHED: mark} if mark else None,
            )
        headers = {
            "x-amz-metadata-directive": "COPY",
            **(item.properties or {}),
            **condition,
            "x-amz-copy-source": multipart.source_header(self.s3.bucket, item.key, target.version_id),
            "x-amz-tagging-directive": "COPY",
        }
        if target.version_id == "null":  # the one version that can be overwritten under its id
            headers["x-amz-copy-source-if-match"] = f'"{target.etag}"'
        return self.s3.send("PUT", item.key, headers=headers)

    def _refused(self, item: Item, error: AwsError) -> Outcome:
        if "Throttl" in error.code or error.code == "RequestTimeout":  # KMS's own, among others
            raise Throttled(error.message, hint=error.hint, operation=error.operation, code=error.code)
        if error.code in _UNMET:
            if outcome := became(self.s3, item, self._own):
                return outcome
            if error.code in _BUSY:
                raise Throttled(error.message, hint=error.hint, operation=error.operation, code=error.code)
            if item.target.version_id == "null" and not isinstance(error, ResourceMissing):
                problem = "The null version to restore was overwritten meanwhile."
                return Outcome("failed", code="missing", problem=problem, hint="Plan again.")
            if isinstance(error, ResourceMissing):
                problem = "The version to restore is no longer there: it expired or was deleted meanwhile."
                return Outcome("failed", code="missing", problem=problem, hint="Plan again.")
        if error.code in _ARCHIVED:
            return self._archived(item)
        if error.operation == _READ:  # a copy in parts looks at the version first
            held = self._unreadable(item, error)
            return Outcome("failed", code=held.code, problem=held.reason, hint=held.remedy)
        code = "no-permission" if isinstance(error, AccessDenied) else error.code
        return Outcome("failed", code=code, problem=error.message, hint=error.hint)

    def _archived(self, item: Item) -> Outcome:
        problem = "The version to restore lies in an archive."
        if self._thaw is None:
            hint = "Plan again: the plan then says how to restore it."
            return Outcome("failed", code="archived", problem=problem, hint=hint)
        try:
            self._restore(item, self._thaw)
        except AwsError as error:
            return Outcome("failed", code="archived", problem=error.message, hint=error.hint)
        wait = thawing.waiting_time(item.target.storage_class, self._thaw.tier)
        return Outcome(
            "failed",
            code="archived",
            problem=f"{problem} A restore was asked for.",
            hint=f"Plan again in about {wait}.",
        )

    # --- what is there

    def look(self, key: str) -> tuple[Entry, ...]:
        """The key's newest entries (at most a dozen), newest first.

        Raises
        ------
        AwsError
            The bucket cannot be listed.
        """
        return looking.newest(self.s3, key)

    def still_planned(self, items: Sequence[Item]) -> set[str]:
        """Which keys are still what was planned for, by version id, which conditions of requests do not know.

        See :func:`vmqlib.runbook.rollback.looking.still_planned`.
        """
        return looking.still_planned(self.s3, items, self._others)

    def changed(self, item: Item) -> Outcome:
        """What is to be said of an item that :meth:`still_planned` did not name."""
        return overtaken(self._others.pop(item.key, NOTHING), self._own)

    def _arn(self, key: str) -> str:
        return f"arn:aws:s3:::{self.s3.bucket}/{key}"


def _blocked(item: Item, code: str, reason: str, remedy: str) -> Item:
    return replace(item, action="BLOCKED", code=code, reason=reason, remedy=remedy)


def _touched(item: Item, head: Mapping[str, str], mark: str) -> Item:
    headers = properties.touch_headers(head, mark)
    if head.get("x-amz-missing-meta"):
        return _blocked(
            item,
            "metadata",
            "It has user metadata that S3 does not give out (x-amz-missing-meta): a copy would lose it.",
            "Upload it again from its source.",
        )
    if properties.metadata_size(headers) > properties.MOST_METADATA:
        return _blocked(
            item,
            "metadata",
            f"User metadata and the mark together are more than the {properties.MOST_METADATA:,} bytes that S3 takes.",
            "Upload it again from its source.",
        )
    return replace(item, properties=headers)


def _worth_knowing(head: Mapping[str, str]) -> str:
    """What a person may be surprised by; empty most often."""
    storage_class = head.get("x-amz-storage-class", "")
    if storage_class in properties.ARCHIVES:
        return f"Restored from {storage_class}; the new version is STANDARD, where the connector can read it."
    held = [
        text
        for name, text in (
            ("x-amz-object-lock-legal-hold", "a legal hold"),
            ("x-amz-object-lock-mode", "a retention period"),
        )
        if head.get(name, "OFF") != "OFF"
    ]
    if held:
        return (
            f"The old version is under {' and '.join(held)}, and stays so; the copy on top gets what the bucket gives "
            "to every new object."
        )
    return ""
