"""What a request to S3 has to be allowed, where IAM is enforced (moto's ``enable_iam_authentication``).

Service authorization reference: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html;
user guide: using-with-s3-policy-actions.html; each operation's page in the API reference names its permissions.
Identity policies only; conditions in them are moto's affair, which does not know S3's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

from moto.core.authorization import ActionAuthenticatorMixin
from moto.s3.exceptions import S3AccessDeniedError
from moto.s3.models import FakeKey
from moto.s3.responses import S3Response

from vmqlib.simulator.aws_gaps.gap import replace
from vmqlib.simulator.aws_gaps.s3.errors import S3Error

__all__ = ["install", "needed"]

_SSE = "x-amz-server-side-encryption"
Need = tuple[str, str]  # action, resource


def needed(self: S3Response) -> Iterator[Need]:
    """The actions and resources that the request must be allowed."""
    key_name = self.parse_key_name()
    if not key_name:
        yield f"s3:{self._get_action()}", f"arn:aws:s3:::{self.bucket_name or '*'}"
        return
    query = parse_qs(urlparse(self.uri).query, keep_blank_values=True)
    resource = f"arn:aws:s3:::{self.bucket_name}/{key_name}"
    how = {"GET": _reading, "HEAD": _reading, "PUT": _putting, "POST": _posting, "DELETE": _deleting}
    for action in how.get(self.method, _nothing)(self, query, key_name):
        yield action if isinstance(action, tuple) else (f"s3:{action}", resource)


def _nothing(*_: object) -> Iterator[Any]:
    yield from ()


def _reading(self: S3Response, query: dict[str, Any], key_name: str) -> Iterator[Any]:
    version = "Version" if query.get("versionId") else ""
    for name, action in (("tagging", f"GetObject{version}Tagging"), ("acl", f"GetObject{version}Acl")):
        if name in query:
            yield action
            return
    if "uploadId" in query:
        yield "ListMultipartUploadParts"
        return
    yield f"GetObject{version}"
    if _object(self, self.bucket_name, key_name, query.get("versionId", [None])[0]) is None:
        # who may not list is not told that something is not there
        yield "s3:ListBucket", f"arn:aws:s3:::{self.bucket_name}"
    if self.method == "GET" or self.headers.get("x-amz-checksum-mode") == "ENABLED":
        yield from _opening(self, self.bucket_name, key_name, query.get("versionId", [None])[0])


def _putting(self: S3Response, query: dict[str, Any], _key_name: str) -> Iterator[Any]:
    version = "Version" if query.get("versionId") else ""
    for name, action in (
        ("tagging", f"PutObject{version}Tagging"),
        ("acl", f"PutObject{version}Acl"),
        ("retention", "PutObjectRetention"),
        ("legal-hold", "PutObjectLegalHold"),
    ):
        if name in query:
            yield action
            return
    yield from _writing(self)
    if "x-amz-copy-source" in self.headers:
        yield from _copying(self, in_parts="uploadId" in query)


def _writing(self: S3Response) -> Iterator[Any]:
    yield "PutObject"
    if self.headers.get("If-Match"):
        yield "GetObject"
    if self.headers.get("x-amz-tagging"):
        yield "PutObjectTagging"
    if self.headers.get("x-amz-acl"):
        yield "PutObjectAcl"
    if self.headers.get(_SSE, "").startswith("aws:kms"):
        yield "kms:GenerateDataKey", _key_arn(self, self.headers.get(f"{_SSE}-aws-kms-key-id"))


def _copying(self: S3Response, *, in_parts: bool) -> Iterator[Any]:
    parsed = urlparse(str(self.headers.get("x-amz-copy-source")))
    bucket, _, key_name = unquote(parsed.path).removeprefix("/").partition("/")
    version_id = parse_qs(parsed.query).get("versionId", [None])[0]
    version = "Version" if version_id else ""
    source = f"arn:aws:s3:::{bucket}/{key_name}"
    yield f"s3:GetObject{version}", source
    yield from _opening(self, bucket, key_name, version_id)
    if in_parts or self.headers.get("x-amz-tagging-directive") == "REPLACE":
        return
    found = _object(self, bucket, key_name, version_id)
    if found is not None and self.backend.tagger.get_tag_dict_for_resource(found.arn):
        yield f"s3:GetObject{version}Tagging", source
        yield "PutObjectTagging"


def _posting(self: S3Response, query: dict[str, Any], _key_name: str) -> Iterator[Any]:
    if "restore" in query:
        yield "RestoreObject"
        return
    yield from _writing(self)
    upload: Any = self.backend.get_bucket(self.bucket_name).multiparts.get(query.get("uploadId", [""])[0])
    if upload is not None and str(upload.sse_encryption).startswith("aws:kms"):
        yield "kms:Decrypt", _key_arn(self, upload.kms_key_id)


def _deleting(self: S3Response, query: dict[str, Any], _key_name: str) -> Iterator[Any]:
    version = "Version" if query.get("versionId") else ""
    if "uploadId" in query:
        yield "AbortMultipartUpload"
    elif "tagging" in query:
        yield f"DeleteObject{version}Tagging"
    else:
        yield f"DeleteObject{version}"
        if self.headers.get("If-Match", "*") != "*":
            yield "GetObject"


def _opening(self: S3Response, bucket: str, key_name: str, version_id: str | None) -> Iterator[Any]:
    found = _object(self, bucket, key_name, version_id)
    if found is not None and str(found.encryption).startswith("aws:kms"):
        yield "kms:Decrypt", _key_arn(self, found.kms_key_id)


def _object(self: S3Response, bucket: str, key_name: str, version_id: str | None) -> FakeKey | None:
    found: Any = self.backend.get_object(bucket, key_name, version_id=version_id)
    return found if isinstance(found, FakeKey) else None


def _key_arn(self: S3Response, key_id: str | None) -> str:
    if key_id and key_id.startswith("arn:"):
        return key_id
    return f"arn:aws:kms:{self.region}:{self.current_account}:key/{key_id or 'aws/s3'}"


def _authorize(original: Callable[..., None]) -> Callable[..., None]:
    def authorize(self: S3Response, bucket_name: str | None = None, key_name: str | None = None) -> None:
        from moto import settings
        from moto.iam.access_control import S3IAMRequest

        if ActionAuthenticatorMixin.request_count < settings.INITIAL_NO_AUTH_ACTION_COUNT:
            original(self, bucket_name, key_name)
            return
        query = urlparse(self.uri).query
        request: Any = S3IAMRequest(
            account_id=self.current_account,
            method=self.method,
            path=f"{self.raw_path}?{query}" if query else self.raw_path,
            data=self.data,
            body=self.raw_body,
            headers=self.headers,
            action=self._get_action(),
        )
        request.check_signature()
        for action, resource in needed(self):
            request._action = action
            try:
                request.check_action_permitted(resource)
            except S3AccessDeniedError as error:
                who = request._access_key.arn
                raise S3Error(
                    "AccessDenied",
                    f'User: {who} is not authorized to perform: {action} on resource: "{resource}" '
                    f"because no identity-based policy allows the {action} action",
                ) from error

    return authorize


def install() -> None:
    """Sets S3's permissions on moto's S3."""
    replace(
        S3Response,
        _authenticate_and_authorize_s3_action=_authorize(S3Response._authenticate_and_authorize_s3_action),
    )
