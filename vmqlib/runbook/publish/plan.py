"""What would be published: which files, where to, what is there already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vmqlib.record.canonical import canonical, digest
from vmqlib.record.manifest import FILE
from vmqlib.runbook.objectcontent import Content
from vmqlib.runbook.rollback.preview import size_text
from vmqlib.runbook.wording import many

__all__ = ["PublishFile", "PublishPlan", "There"]

There = Literal["missing", "same", "ours", "other"]


@dataclass(frozen=True, slots=True)
class PublishFile:
    """One file of the record.

    Parameters
    ----------
    path:
        Within the incident's folder.
    key:
        The object's.
    content:
        What its bytes are known by, as the manifest has them.
    content_type:
        As the object gets it.
    unmasked:
        Whether it holds object keys as they are: it is readable for its owner alone here.
    there:
        What the target has under that key: nothing; the same content; another one that this incident itself sent
        there (``ours``), or that somebody else did (``other``).
    was, etag:
        SHA-256 and ETag of what is ``ours``: it is replaced only while it is that.
    """

    path: str
    key: str
    content: Content
    content_type: str
    unmasked: bool = False
    there: There = "missing"
    was: str = ""
    etag: str = ""


@dataclass(frozen=True)
class PublishPlan:
    """A publication, before anything is uploaded.

    Parameters
    ----------
    incident:
        The incident's id.
    folder:
        Its folder.
    bucket, prefix:
        Where to; the prefix ends with the id.
    files:
        By path, the manifest last: it is the sign that all of it is there.
    later:
        Files that were added after the incident was sealed: they are not published.
    kms_key_id:
        The key that objects are encrypted with; empty: the bucket's default.
    keeps_versions:
        Whether the bucket keeps what is replaced; None where nothing is, so nobody looked.
    warnings:
        Sentences that a person should read before approving.
    """

    incident: str
    folder: Path
    bucket: str
    prefix: str
    files: tuple[PublishFile, ...]
    later: tuple[str, ...] = ()
    kms_key_id: str = ""
    keeps_versions: bool | None = None
    warnings: tuple[str, ...] = ()

    @property
    def todo(self) -> tuple[PublishFile, ...]:
        """What is to be uploaded: what is new before what is replaced, the manifest last."""
        new = [one for one in self.files if one.there == "missing"]
        return tuple(sorted([*new, *self.replaced], key=lambda one: one.path == FILE))

    @property
    def replaced(self) -> tuple[PublishFile, ...]:
        """What is there as this incident sent it before, and is another one by now."""
        return tuple(one for one in self.files if one.there == "ours")

    @property
    def others(self) -> tuple[PublishFile, ...]:
        """What is there with another content."""
        return tuple(one for one in self.files if one.there == "other")

    @property
    def unmasked(self) -> tuple[PublishFile, ...]:
        """What holds object keys as they are."""
        return tuple(one for one in self.files if one.unmasked)

    @property
    def uri(self) -> str:
        """Where to."""
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def summary(self) -> str:
        """The plan in a sentence."""
        size = size_text(sum(one.content.size for one in self.todo))
        there = len(self.files) - len(self.todo) - len(self.others)
        also = f"; {there:,} there already" if there else ""
        differ = f"; {len(self.others):,} there with another content" if self.others else ""
        over = (
            f", {len(self.replaced):,} of them as new versions over what this incident published there before"
            if self.replaced
            else ""
        )
        return f"{many(len(self.todo), 'file')} of {len(self.files):,} ({size}) to {self.uri}{over}{also}{differ}."

    @property
    def manifest_sha256(self) -> str:
        """Of the manifest, which names all the others."""
        return next(one.content.sha256 for one in self.files if one.path == FILE)

    @property
    def digest(self) -> str:
        """What an approval names: the SHA-256 of what goes where."""
        files = [[one.path, one.content.size, one.content.sha256] for one in self.files]
        whole: dict[str, Any] = {
            "incident": self.incident,
            "bucket": self.bucket,
            "prefix": self.prefix,
            "kms_key_id": self.kms_key_id,
            "files": files,
        }
        # The manifest is replaced last: an interrupted publication goes on with the same digest.
        if over := next(one.was for one in self.files if one.path == FILE):
            whole["over"] = over
        return digest(canonical(whole))
