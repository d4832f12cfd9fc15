"""One key is brought back on a bad day: lost answers, errors inside a 200, conflicts, archives, keys of others."""

from __future__ import annotations

import hashlib
import random
import shlex
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from typing import Any
from unittest.mock import patch

import pytest
from support.one_key import Shelf, shelf_in

from vmqlib.errors import AccessDenied, AwsError, CredentialsExpired, Throttled, Unreachable
from vmqlib.runbook.rollback import looking
from vmqlib.runbook.rollback.items import Entry, Item
from vmqlib.runbook.rollback.objects import Objects
from vmqlib.runbook.rollback.thawing import Thaw
from vmqlib.s3 import Answer, NoAnswer
from vmqlib.sources.versionlisting import ObjectVersion, list_versions

PART = 5 * 1024**2
LARGE = b"0123456789abcdef" * (PART // 16) + b"tail"
KMS = {
    "ServerSideEncryption": "aws:kms",
    "SSEKMSKeyId": "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555",
}


@pytest.fixture(scope="module")
def once(start_local_aws: Callable[..., Any]) -> Shelf:
    return shelf_in(start_local_aws(None))


@pytest.fixture
def shelf(once: Shelf) -> Any:
    once.local.faults.clear()
    yield once.empty()
    once.local.faults.clear()


def copyable(shelf: Shelf, **put: Any) -> Item:
    shelf.put("k", b"one", **put)
    shelf.put("k", b"two")
    return shelf.inspected("k")


def instead(answer: Answer, *, method: str = "PUT", after: bool = False) -> Callable[..., Any]:
    """A wire that answers the first request of that method itself, before or after it was carried out."""

    def wrap(shelf: Shelf) -> Any:
        send, given = shelf.s3.send, []

        def sending(verb: str, key: str = "", **more: Any) -> Answer:
            if verb != method or given:
                return send(verb, key, **more)
            given.append(verb)
            if after:
                send(verb, key, **more)
            return answer

        return patch.object(shelf.s3, "send", sending)

    return wrap


def error_body(code: str, message: str = "Said so.") -> bytes:
    return f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()


# --- answers that are not what they look like


def test_an_error_inside_a_200_is_an_error(shelf: Shelf) -> None:
    item = copyable(shelf)
    with (
        instead(Answer(200, {}, b"   \n" + error_body("InternalError")))(shelf),
        pytest.raises(Unreachable) as raised,
    ):
        shelf.objects.apply(item)
    assert raised.value.code == "InternalError"
    assert not isinstance(raised.value, NoAnswer)
    with instead(Answer(200, {}, error_body("SlowDown")))(shelf), pytest.raises(Throttled):
        shelf.objects.apply(item)
    with instead(Answer(200, {}, error_body("AccessDenied")))(shelf):
        assert shelf.objects.apply(item).code == "no-permission"
    assert shelf.get("k") == b"two"


@pytest.mark.parametrize("body", [b"", b"<CopyObjectResult><ETa", b"<html>proxy</html>"])
def test_a_200_that_is_cut_short_is_in_doubt(shelf: Shelf, body: bytes) -> None:
    item = copyable(shelf)
    with instead(Answer(200, {}, body), after=True)(shelf), pytest.raises(Unreachable):
        shelf.objects.apply(item)
    assert shelf.objects.apply(item, in_doubt=True).result == "found"
    assert len(shelf.history("k")) == 3


@pytest.mark.parametrize("action", ["COPY", "UNDELETE", "DELETE"])
@pytest.mark.parametrize("way", ["reset", "500"])
def test_a_lost_answer_is_found_out(shelf: Shelf, action: Any, way: str) -> None:
    shelf.put("k", b"one")
    if action == "UNDELETE":
        shelf.delete("k")
    else:
        shelf.put("k", b"two")
    item = shelf.item("k", "DELETE") if action == "DELETE" else shelf.inspected("k", action)
    operation = "DeleteObject" if action == "DELETE" else "CopyObject"
    how: dict[str, Any] = {"reset": True} if way == "reset" else {"code": "InternalError"}
    shelf.local.faults.add(service="s3", operation=operation, after=True, times=1, **how)
    with pytest.raises(NoAnswer if way == "reset" else Unreachable):
        shelf.objects.apply(item)
    found = shelf.objects.apply(item, in_doubt=True)
    assert found.result == "found"
    assert found.version_id == shelf.history("k")[0]
    assert len(shelf.history("k")) == 3


def test_throttled_and_turned_away_is_surely_not_done(shelf: Shelf) -> None:
    item = copyable(shelf)
    for code, status in (
        ("SlowDown", 503),
        ("ConditionalRequestConflict", 409),
        ("KMS.ThrottlingException", 400),
    ):
        shelf.local.faults.add(service="s3", operation="CopyObject", code=code, status=status, times=1)
        with pytest.raises(Throttled) as raised:
            shelf.objects.apply(item)
        assert raised.value.code == code
    assert shelf.get("k") == b"two"
    assert shelf.objects.apply(item).result == "done"


def test_a_conflict_with_somebody_elses_write_is_a_change(shelf: Shelf) -> None:
    item = copyable(shelf)
    shelf.put("k", b"theirs")
    shelf.local.faults.add(
        service="s3", operation="CopyObject", code="ConditionalRequestConflict", status=409, times=1
    )
    assert shelf.objects.apply(item).result == "changed"


def test_expired_credentials_stop_everything(shelf: Shelf) -> None:
    item = copyable(shelf)
    shelf.local.faults.add(service="s3", operation="CopyObject", code="ExpiredToken", status=400, times=1)
    with pytest.raises(CredentialsExpired):
        shelf.objects.apply(item)


def test_a_refusal_names_the_permission(shelf: Shelf) -> None:
    item = copyable(shelf)
    shelf.local.faults.add(service="s3", operation="CopyObject", code="AccessDenied", times=1)
    outcome = shelf.objects.apply(item)
    assert (outcome.result, outcome.code) == ("failed", "no-permission")
    assert f"s3:PutObject on arn:aws:s3:::{shelf.name}/k" in outcome.hint
    delete = shelf.item("k", "DELETE")
    shelf.local.faults.add(service="s3", operation="DeleteObject", code="AccessDenied", times=1)
    assert "s3:DeleteObject" in shelf.objects.apply(delete).hint


# --- what our own change looks like where ETags do not tell


def test_our_copy_is_known_again_though_its_etag_is_another(shelf: Shelf) -> None:
    for put in (KMS, {**KMS, "Metadata": {"owner": "a"}, "ChecksumAlgorithm": "SHA256"}):
        item = copyable(shelf.empty(), **put)
        done = shelf.objects.apply(item)
        assert done.etag != item.target.etag
        assert shelf.objects.apply(item, in_doubt=True).result == "found"


@pytest.mark.parametrize(
    "theirs",
    [
        {"Body": b"six", "ChecksumAlgorithm": "SHA256"},
        {"Body": b"one", "Metadata": {"owner": "b"}},
        {"Body": b"longer"},
    ],
    ids=["another checksum", "other metadata", "another size"],
)
def test_a_like_version_of_somebody_else_is_not_taken_for_ours(shelf: Shelf, theirs: dict[str, Any]) -> None:
    item = copyable(shelf, **KMS, ChecksumAlgorithm="SHA256")
    shelf.client.put_object(Bucket=shelf.name, Key="k", **KMS, **theirs)
    assert shelf.objects.apply(item, in_doubt=True).result == "changed"


def test_a_version_under_a_key_of_somebody_elses_is_not_ours(shelf: Shelf) -> None:
    item = copyable(shelf)
    shelf.put("k", b"six", SSECustomerAlgorithm="AES256", SSECustomerKey=b"0" * 32)
    assert shelf.objects.apply(item).result == "changed"


def test_a_refusal_without_a_reason_in_sight_is_reported(shelf: Shelf) -> None:
    item = copyable(shelf)
    shelf.local.faults.add(service="s3", operation="CopyObject", code="PreconditionFailed", times=1)
    outcome = shelf.objects.apply(item)
    assert (outcome.result, outcome.code) == ("failed", "PreconditionFailed")
    assert shelf.get("k") == b"two"


def test_who_may_not_look_leaves_the_item_in_doubt(shelf: Shelf) -> None:
    item = copyable(shelf)
    shelf.local.faults.add(service="s3", operation="ListObjectVersions", code="AccessDenied")
    with pytest.raises(AccessDenied):
        shelf.objects.apply(item, in_doubt=True)
    assert shelf.get("k") == b"two"


def test_equal_size_and_other_content_is_not_ours(shelf: Shelf) -> None:
    item = copyable(shelf)
    shelf.put("k", b"six")
    assert shelf.objects.apply(item, in_doubt=True).result == "changed"


def test_a_version_in_parts_becomes_one_and_is_known_again(shelf: Shelf) -> None:
    upload = shelf.client.create_multipart_upload(Bucket=shelf.name, Key="k")["UploadId"]
    part = shelf.client.upload_part(Bucket=shelf.name, Key="k", UploadId=upload, PartNumber=1, Body=b"one")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    shelf.client.complete_multipart_upload(Bucket=shelf.name, Key="k", UploadId=upload, MultipartUpload=parts)
    shelf.put("k", b"two")
    item = shelf.inspected("k")
    assert item.target.etag.endswith("-1")
    assert not shelf.objects.apply(item).etag.endswith("-1")
    assert shelf.objects.apply(item, in_doubt=True).result == "found"


# --- in parts


def large(shelf: Shelf) -> Item:
    shelf.put("k", LARGE)
    shelf.put("k", b"two")
    shelf.objects = Objects(shelf.s3, multipart_above=PART, part_size=PART)
    return shelf.inspected("k")


def uploads(shelf: Shelf) -> list[Any]:
    return shelf.client.list_multipart_uploads(Bucket=shelf.name).get("Uploads", [])


def test_a_copy_in_parts_is_conditional_and_given_up_when_refused(shelf: Shelf) -> None:
    item = large(shelf)
    theirs = shelf.put("k", b"theirs")
    outcome = shelf.objects.apply(item)
    assert (outcome.result, outcome.version_id) == ("changed", theirs)
    assert uploads(shelf) == []


def test_an_undelete_in_parts_is_conditional(shelf: Shelf) -> None:
    large(shelf)
    shelf.delete("k")
    item = shelf.inspected("k", "UNDELETE", back=2)
    theirs = shelf.put("k", b"theirs")
    assert shelf.objects.apply(item).version_id == theirs
    shelf.client.delete_object(Bucket=shelf.name, Key="k", VersionId=theirs)
    assert shelf.objects.apply(item).result == "done"
    assert shelf.get("k") == LARGE


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload"])
def test_a_copy_in_parts_that_fails_leaves_nothing(shelf: Shelf, operation: str) -> None:
    item = large(shelf)
    shelf.local.faults.add(service="s3", operation=operation, code="AccessDenied", times=1)
    outcome = shelf.objects.apply(item)
    assert (outcome.result, outcome.code) == ("failed", "no-permission")
    assert uploads(shelf) == []
    assert shelf.get("k") == b"two"


def test_a_part_is_asked_for_again(shelf: Shelf) -> None:
    item = large(shelf)
    shelf.local.faults.add(
        service="s3", operation="UploadPartCopy", code="InternalError", after=True, times=1
    )
    with patch.object(shelf.s3, "pause", lambda *_: None):
        assert shelf.objects.apply(item).result == "done"
    assert shelf.get("k") == LARGE


def test_a_lost_completion_is_found_out(shelf: Shelf) -> None:
    item = large(shelf)
    shelf.local.faults.add(service="s3", operation="CompleteMultipartUpload", reset=True, after=True, times=1)
    with pytest.raises(NoAnswer):
        shelf.objects.apply(item)
    assert shelf.objects.apply(item, in_doubt=True).result == "found"
    assert len(shelf.history("k")) == 3
    assert uploads(shelf) == []


def test_a_conflict_at_completion_begins_anew(shelf: Shelf) -> None:
    item = large(shelf)
    shelf.local.faults.add(
        service="s3",
        operation="CompleteMultipartUpload",
        code="ConditionalRequestConflict",
        status=409,
        times=1,
    )
    with pytest.raises(Throttled):
        shelf.objects.apply(item)
    assert uploads(shelf) == []
    assert shelf.objects.apply(item).result == "done"


# --- what cannot be copied


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_archived_says_how_to_restore_and_thaw_does_it(shelf: Shelf, storage_class: str) -> None:
    key = "it's; $(cold).md"
    shelf.put(key, b"one", StorageClass=storage_class)
    shelf.put(key, b"two")
    item = shelf.item(key, "COPY")
    blocked = shelf.objects.inspect(item)
    assert (blocked.action, blocked.code) == ("BLOCKED", "archived")
    assert storage_class in blocked.reason
    command = blocked.remedy.partition("): ")[2].partition(". --thaw")[0]
    words = shlex.split(command)
    assert words[:3] == ["aws", "s3api", "restore-object"]
    assert f"--key={key}" in words
    assert f"--version-id={item.target.version_id}" in words

    shelf.objects.thaw(blocked, days=3, tier="Bulk")
    shelf.objects.thaw(blocked, days=3, tier="Bulk")  # already under way: nothing to complain of
    again = shelf.objects.inspect(item)
    assert (again.code, "under way" in again.reason) == ("archived", True)
    shelf.local.clock.advance(timedelta(hours=49))
    ready = shelf.objects.inspect(item)
    assert ready.action == "COPY"
    assert storage_class in ready.reason
    assert shelf.objects.apply(ready).result == "done"
    assert shelf.get(key) == b"one"  # STANDARD: whoever crawls the bucket can read it


def test_the_command_in_the_remedy_is_taken_by_the_cli_parser() -> None:
    """Its values are what RestoreObject's model takes."""
    import json

    import botocore.session
    from botocore.validate import ParamValidator

    from vmqlib.runbook.rollback.thawing import command

    for storage_class in ("GLACIER", "INTELLIGENT_TIERING"):
        words = shlex.split(command("b", "-k", "v", storage_class))
        options = dict(word.removeprefix("--").split("=", 1) for word in words[3:])
        request = json.loads(options.pop("restore-request"))
        assert options == {"bucket": "b", "key": "-k", "version-id": "v"}
        shape = botocore.session.get_session().get_service_model("s3").operation_model("RestoreObject")
        given = {"Bucket": "b", "Key": "-k", "VersionId": "v", "RestoreRequest": request}
        assert not ParamValidator().validate(given, shape.input_shape).has_errors()


def test_archive_tiers_of_intelligent_tiering(shelf: Shelf) -> None:
    from moto.s3.models import s3_backends

    shelf.put("k", b"one", StorageClass="INTELLIGENT_TIERING")
    shelf.put("k", b"two")
    item = shelf.inspected("k")  # not archived: copied as it is
    backend: Any = s3_backends["123456789012"]["aws"]
    key = backend.get_object(shelf.name, "k", version_id=item.target.version_id)
    key.vmq_archive_status = "DEEP_ARCHIVE_ACCESS"
    blocked = shelf.objects.inspect(item)
    assert (blocked.code, "DEEP_ARCHIVE_ACCESS" in blocked.reason) == ("archived", True)
    assert "Days" not in blocked.remedy  # not taken for this class
    assert "12 hours" in blocked.remedy
    shelf.objects.thaw(blocked, days=3, tier="Standard")
    shelf.local.clock.advance(timedelta(hours=13))
    assert shelf.objects.apply(shelf.objects.inspect(item)).result == "done"
    assert shelf.head("k")["StorageClass"] == "INTELLIGENT_TIERING"


def test_archived_since_the_plan(shelf: Shelf) -> None:
    from moto.s3.models import s3_backends

    item = copyable(shelf)
    backend: Any = s3_backends["123456789012"]["aws"]
    backend.get_object(shelf.name, "k", version_id=item.target.version_id).set_storage_class("GLACIER")
    outcome = shelf.objects.apply(item)
    assert (outcome.result, outcome.code) == ("failed", "archived")
    shelf.objects = Objects(shelf.s3, thaw=Thaw(days=1, tier="Expedited"))
    item = replace(item, target=replace(item.target, storage_class="GLACIER"))
    outcome = shelf.objects.apply(item)
    assert "asked for" in outcome.problem
    assert "under way" in shelf.objects.inspect(item).reason


@pytest.mark.parametrize("bad", [{"days": 0, "tier": "Standard"}, {"days": 1, "tier": "Fast"}])
def test_a_restore_that_there_is_not(shelf: Shelf, bad: dict[str, Any]) -> None:
    shelf.put("k", StorageClass="GLACIER")
    with pytest.raises(ValueError, match="days must be"):
        shelf.objects.thaw(Item("k", "BLOCKED", *shelf.objects.look("k"), *shelf.objects.look("k")), **bad)


def test_encrypted_with_a_key_of_its_writers(shelf: Shelf) -> None:
    theirs = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"0" * 32}
    shelf.put("k", b"one", **theirs)
    shelf.put("k", b"two")
    blocked = shelf.objects.inspect(shelf.item("k", "COPY"))
    assert (blocked.action, blocked.code) == ("BLOCKED", "sse-c")
    # As the current version it is in nobody's way: it is covered, not read.
    shelf.put("k", b"three", **theirs)
    item = shelf.inspected("k")
    assert shelf.objects.still_planned([item]) == {"k"}
    assert shelf.objects.apply(item).result == "done"
    assert shelf.get("k") == b"two"


def test_no_permission_names_it(shelf: Shelf) -> None:
    shelf.put("k", b"one")
    shelf.put("k", b"two")
    for operation in ("HeadObject", "GetObject"):
        shelf.local.faults.add(
            service="s3", operation=operation, code="AccessDenied", message="Access Denied", times=1
        )
    blocked = shelf.objects.inspect(shelf.item("k", "COPY"))
    assert (blocked.action, blocked.code) == ("BLOCKED", "no-permission")
    assert "s3:GetObjectVersion" in blocked.remedy


def test_what_is_no_verdict_on_the_key_is_raised(shelf: Shelf) -> None:
    shelf.put("k", b"one")
    shelf.put("k", b"two")
    item = shelf.item("k", "COPY")
    shelf.local.faults.add(service="s3", operation="HeadObject", code="SlowDown")
    with patch.object(shelf.s3, "pause", lambda *_: None), pytest.raises(Unreachable):
        shelf.objects.inspect(item)


def test_default_retention_is_in_nobodys_way(once: Shelf) -> None:
    """Under Object Lock nothing that a rollback does is refused: it destroys no version."""
    name = f"{once.name}-locked"
    once.client.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        ObjectLockEnabledForBucket=True,
    )
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 9}}
    once.client.put_object_lock_configuration(
        Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    from support.one_key import wire_in

    shelf = Shelf(name, once.client, wire_in(once.local, name), "simulator", once.local)
    for body in (b"one", b"two"):
        shelf.put("k", body, ContentMD5=b64encode(hashlib.md5(body).digest()).decode())
    item = shelf.inspected("k")
    assert "retention period" in item.reason
    assert shelf.objects.apply(item).result == "done"
    assert shelf.head("k")["ObjectLockMode"] == "COMPLIANCE"
    assert shelf.objects.apply(shelf.item("k", "DELETE")).result == "done"
    assert shelf.objects.apply(shelf.inspected("k", "UNDELETE")).result == "done"


# --- many keys looked at again


def filled(shelf: Shelf, keys: list[str], *, filler: int = 0) -> list[Item]:
    """Items for these keys, among others; written without HTTP, since they are many."""
    from moto.s3.models import s3_backends

    backend: Any = s3_backends["123456789012"]["aws"]
    for key in keys:
        backend.put_object(shelf.name, key, b"1")
        backend.put_object(shelf.name, key, b"2")
        for number in range(filler):
            backend.put_object(shelf.name, f"{key}-{number:03d}", b"f")
    listed = groupby(list_versions(shelf.s3, shards=1), key=lambda entry: entry.key)
    entries = {key: [_entry(entry) for entry in versions] for key, versions in listed}
    return [Item(key, "COPY", *entries[key][:2]) for key in keys]


def _entry(row: ObjectVersion) -> Entry:
    return Entry(row.version_id, row.at, row.is_delete_marker, row.size, row.etag, row.storage_class)


def test_dense_keys_are_looked_at_by_the_page(shelf: Shelf) -> None:
    keys = [f"docs/{number:04d} é.md" for number in range(800)]
    items = filled(shelf, keys)
    random.Random(7).shuffle(items)
    theirs = {keys[0], keys[399], keys[400], keys[799]}
    for key in theirs:
        shelf.put(key, b"2")  # of equal content
    shelf.delete(keys[100])
    shelf.s3.asked.clear()
    assert shelf.objects.still_planned(items) == set(keys) - theirs - {keys[100]}
    assert len(shelf.s3.asked) <= 5
    assert not {one for one in shelf.s3.asked if not one.startswith(("GET", "HEAD"))}


def test_sparse_keys_are_looked_at_one_by_one(shelf: Shelf) -> None:
    items = filled(shelf, [f"{number:03d}" for number in range(60)], filler=40)
    shelf.put("010")
    shelf.s3.asked.clear()
    assert shelf.objects.still_planned(items) == {item.key for item in items} - {"010"}
    asked = shelf.s3.asked
    assert asked.count("HEAD key") >= 50
    assert asked.count("GET bucket") <= 3


@pytest.mark.parametrize("seed", range(6))
def test_both_ways_say_the_same(shelf: Shelf, seed: int) -> None:
    """Whatever lies between the keys: pages and single looks agree with a look at each key."""
    chance = random.Random(seed)
    alphabet = ["a", "b", "/", "é", "\U0001f600", "\uffff", " ", "+"]
    keys = sorted({"".join(chance.choices(alphabet, k=chance.randint(1, 4))) for _ in range(40)})
    items = filled(shelf, keys, filler=chance.choice([0, 3]))
    for key in keys:
        what = chance.random()
        if what < 0.2:
            shelf.put(key, b"2")
        elif what < 0.3:
            shelf.delete(key)
    with patch.multiple(looking, _PAGE=chance.choice([3, 10, 1000]), _WORTH=chance.choice([1, 3])):
        found = shelf.objects.still_planned(items)
    assert found == {
        item.key for item in items if looking.is_same(shelf.objects.look(item.key)[0], item.current)
    }


def test_looking_again_at_nothing(shelf: Shelf) -> None:
    assert shelf.objects.still_planned([]) == set()
    assert shelf.objects.look("never there") == ()


def test_a_bucket_that_may_not_be_read(shelf: Shelf) -> None:
    item = copyable(shelf)
    shelf.local.faults.add(service="s3", code="AccessDenied")
    with pytest.raises(AccessDenied) as raised:
        shelf.objects.still_planned([item])
    assert "s3:ListBucketVersions" in raised.value.hint
    assert isinstance(raised.value, AwsError)
