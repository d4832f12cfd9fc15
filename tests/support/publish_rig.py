"""A closed incident's record, and a bucket to publish it in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.rollback_rig import Rig

from vmqlib.record.evidence import Question
from vmqlib.record.incident import Incident
from vmqlib.record.notebook import RECORD_MIME
from vmqlib.runbook import publish
from vmqlib.runbook.publish import Published, PublishPlan

__all__ = ["A_NOTEBOOK", "Record", "manifest_key"]

A_NOTEBOOK = json.dumps({"nbformat": 4, "cells": [{"outputs": [{"data": {RECORD_MIME: {"events": 1000}}}]}]})
"""A record that tells of every event that a test writes, the closing among them."""


class Record(Rig):
    """A closed incident with a page, a notebook, evidence and a plan, and a bucket for it."""

    def closed(self) -> Incident:
        incident = self.incident
        question = Question("looked-at", "s3:ListObjectVersions", self.now())
        ref = incident.evidence.add(question, [{"key": "a.md"}], incident.redactor)
        incident.conclude("triage", "Seen.", evidence=[ref])
        (incident.dir / "rollback").mkdir(mode=0o700)
        (incident.dir / "rollback" / "plan-0.jsonl.gz").touch(mode=0o600)
        (incident.dir / "incident.html").write_text("<html>a é</html>")
        (self.incident.dir / "incident.ipynb").write_text(A_NOTEBOOK)
        self.incident.close("over")
        return self.incident

    def holds_keys(self) -> set[str]:
        """What can be read now, by key alone: records are no text."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {each["Key"] for page in pages for each in page.get("Contents", [])}

    @property
    def target(self) -> str:
        return f"s3://{self.bucket}/audit/incidents/"

    def published(self, incident: Incident, made: PublishPlan | None = None, **options: Any) -> Published:
        made = made or publish.plan(incident, self.target)
        options.setdefault("include_unmasked", True)
        return publish.apply(incident, made, digest=made.digest, **options)

    def download(self, folder: Path, identity: str) -> Path:
        """What is published, as a folder."""
        prefix = f"audit/incidents/{identity}/"
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
            for one in page["Contents"]:
                path = folder / identity / one["Key"].removeprefix(prefix)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.s3.get_object(Bucket=self.bucket, Key=one["Key"])["Body"].read())
        return folder / identity


def manifest_key(incident: Incident) -> str:
    return f"audit/incidents/{incident.id}/MANIFEST.json"
