"""Runs every check of a gap against moto over HTTP and prints what failed as JSON: ``run.py plain|patched``.

A process of its own, since patches cannot be taken back.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from werkzeug.serving import make_server

REGION = "eu-west-1"
ACCOUNT = "123456789012"
CHECKS: dict[str, Callable[[Peer], None]] = {}


def check(gap: str) -> Callable[[Callable[[Peer], None]], Callable[[Peer], None]]:
    """Registers the check of a gap: it raises on plain moto and passes with the patches."""

    def register(function: Callable[[Peer], None]) -> Callable[[Peer], None]:
        assert gap not in CHECKS, f"two checks for {gap}"
        CHECKS[gap] = function
        return function

    return register


def same(found: object, wanted: object) -> None:
    assert found == wanted, f"{found!r} is not {wanted!r}"


class Peer:
    """moto at ``url``, and a clock that only moto lives by."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._moment: datetime | None = None

    def client(self, service: str, **config: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(retries={"max_attempts": 0}, **config),
        )

    @cached_property
    def s3(self) -> Any:
        return self.client("s3", s3={"addressing_style": "path"})

    @cached_property
    def cloudwatch(self) -> Any:
        return self.client("cloudwatch")

    @cached_property
    def logs(self) -> Any:
        return self.client("logs")

    @cached_property
    def cloudtrail(self) -> Any:
        return self.client("cloudtrail")

    def bucket(self, versioning: str = "Enabled") -> str:
        name = f"b{uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        if versioning:
            self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning})
        return name

    def error(self, call: Callable[..., Any], **parameters: Any) -> tuple[int, str]:
        """HTTP status and error code of a call, (200, "") if it went well."""
        try:
            call(**parameters)
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        return 200, ""

    def denied(self, call: Callable[..., Any], **parameters: Any) -> str:
        """The action of S3 that a 403 says is missing, empty if it went well."""
        try:
            call(**parameters)
        except ClientError as error:
            same(error.response["ResponseMetadata"]["HTTPStatusCode"], 403)
            return error.response["Error"]["Message"].partition("perform: s3:")[2].partition(" ")[0]
        return ""

    def set_time(self, moment: datetime) -> None:
        """moto's clock stands at ``moment`` (aware)."""
        import moto.core.utils

        if self._moment is None:
            real = moto.core.utils.utcnow
            for name, module in list(sys.modules.items()):
                if name.startswith("moto.") and module.__dict__.get("utcnow") is real:
                    module.__dict__["utcnow"] = self._utcnow
        self._moment = moment

    def _utcnow(self) -> datetime:
        assert self._moment is not None
        return self._moment.replace(tzinfo=None)


def main(kind: str) -> None:
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    if kind == "patched":
        from vmqlib.simulator.aws_gaps import install

        install()
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )

    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    peer = Peer(f"http://127.0.0.1:{server.server_port}")
    result: dict[str, str] = {}
    only = sys.argv[2:]
    for name, function in CHECKS.items():
        if only and name not in only:
            continue
        try:
            function(peer)
            result[name] = ""
        except Exception:  # noqa: BLE001 - whatever went wrong is the finding
            result[name] = traceback.format_exc(limit=-3)
    json.dump(result, sys.stdout)
    sys.stdout.flush()
