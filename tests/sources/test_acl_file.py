"""The connector's access control file, whole, missing and broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pandas as pd
import pytest
from support.stub_aws import Answer, Asked, StubAws, error

from vmqlib.aws import Aws
from vmqlib.errors import AccessDenied, SettingsError
from vmqlib.settings import Settings
from vmqlib.sources import acl, frame
from vmqlib.sources.base import Reading
from vmqlib.times import Window

SECOND = "8d1f4a7c-3b2e-4f6a-8c5d-e0b1a2c3d4f5"
BUCKET = "vaultmesh-knowledge-base"
ENTRY = {"Name": "security", "Type": "GROUP", "Access": "ALLOW"}

Look = Callable[[], tuple[Reading, pd.DataFrame]]


def config(path: str = "acl.json", kind: str = "S3", **more: Any) -> dict[str, Any]:
    return {"type": kind, "additionalProperties": {"aclConfigurationFilePath": path}} | more


@pytest.fixture
def look(stub: StubAws, aws: Aws, settings: Settings, window: Window) -> Look:
    stub.on.setdefault("GetDataSource", lambda _: {"configuration": config()})

    def read() -> tuple[Reading, pd.DataFrame]:
        reading = acl.read(aws, settings, window)
        return reading, frame(acl.SOURCE, reading.rows)

    return read


def test_the_file_of_the_local_aws(
    sync_failed_aws: Any, point_at: Callable[[Any], None], window: Window
) -> None:
    point_at(sync_failed_aws)
    aws = Aws(Settings.load())
    reading = acl.read(aws, aws.settings, window)
    aws.close()
    table = frame(acl.SOURCE, reading.rows)
    assert reading.outcome() == (True, "")
    assert table[["prefix", "type", "access", "key", "problem"]].values.tolist() == [
        ["security/", "GROUP", "ALLOW", "acl.json", ""]
    ]
    assert table["modified_at"].notna().all()
    keys = pd.Series(["security/a.md", "securityb.md", "runbooks/c.md"])
    assert acl.open_to_everyone(keys, table).tolist() == [False, True, True]
    assert acl.open_to_everyone(keys, table.iloc[:0]).all()


def test_prefixes_with_and_without_the_bucket(stub: StubAws, look: Look) -> None:
    said = ["hr/", "/legal/", f"s3://{BUCKET}/board/", f"s3://{BUCKET}", "s3://elsewhere/x/", ""]
    stub.on["GetObject"] = lambda _: json.dumps([{"keyPrefix": one, "aclEntries": [ENTRY]} for one in said])
    reading, table = look()
    assert reading.outcome() == (True, "")
    assert table["prefix"].tolist() == ["hr/", "legal/", "board/", "", "x/", ""]
    assert (table["problem"] != "").tolist() == [False, False, False, False, True, False]
    assert "elsewhere" in table["problem"].iloc[4]
    assert not acl.open_to_everyone(pd.Series(["x/a"]), table.iloc[:4]).any(), (
        "an empty prefix names every key"
    )
    assert acl.open_to_everyone(pd.Series(["x/a"]), table.iloc[[0, 4]]).all(), (
        "another bucket's prefix names none"
    )


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("acl.json", f"/{BUCKET}/acl.json"),
        ("/config/acl.json", f"/{BUCKET}/config/acl.json"),
        ("s3://other-bucket/a b/acl.json", "/other-bucket/a b/acl.json"),
    ],
)
def test_where_the_file_is(stub: StubAws, look: Look, path: str, asked: str) -> None:
    stub.on["GetDataSource"] = lambda _: {"configuration": config(path)}
    stub.on["GetObject"] = lambda _: "[]"
    assert look()[1].empty
    assert stub.asked[-1].path == asked


def test_the_older_template_names_it_elsewhere(stub: StubAws, look: Look) -> None:
    stub.on["GetDataSource"] = lambda _: {
        "configuration": {"type": "S3", "accessControlConfiguration": {"aclConfigurationFilePath": "a.json"}}
    }
    stub.on["GetObject"] = lambda _: "[]"
    look()
    assert stub.asked[-1].path == f"/{BUCKET}/a.json"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not JSON"),
        (b"[{", "not JSON"),
        (b"\xff\xfe\x00broken", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"null", "not a list"),
        (b'{"keyPrefix": "hr/", "aclEntries": []}', "not a list"),
        (b'{"hr/": [{"Name": "hr"}]}', "not a list"),
    ],
)
def test_a_file_that_is_none(stub: StubAws, look: Look, body: bytes, problem: str) -> None:
    stub.on["GetObject"] = lambda _: Answer(body)
    reading, table = look()
    assert reading.outcome() == (True, ""), "the file was seen, and that is what is in it"
    assert len(table) == 1
    assert problem in table["problem"].iloc[0]
    assert acl.open_to_everyone(pd.Series(["hr/a"]), table).all()


def test_what_is_broken_does_not_hide_what_is_whole(stub: StubAws, look: Look) -> None:
    rules: list[Any] = [
        7,
        {"aclEntries": [ENTRY]},
        {"keyPrefix": 3, "aclEntries": [ENTRY]},
        {"keyPrefix": "empty/", "aclEntries": []},
        {"keyPrefix": "none/"},
        {"keyPrefix": "odd/", "aclEntries": ["x", {"Name": "n", "Type": "ROLE", "Access": "ALLOW"}, {}]},
        {
            "keyPrefix": "hr/",
            "aclEntries": [ENTRY, {"Name": "a@b.example", "Type": "user", "Access": "deny"}],
        },
    ]
    stub.on["GetObject"] = lambda _: json.dumps(rules)
    table = look()[1]
    assert (table["problem"] != "").tolist() == [True] * 8 + [False] * 2
    assert table["prefix"].tolist()[-2:] == ["hr/", "hr/"]
    assert table.iloc[-1][["type", "access"]].tolist() == ["USER", "DENY"]
    assert "entry 2" in table["problem"].iloc[1]
    open_ones = acl.open_to_everyone(pd.Series(["empty/a", "odd/a", "hr/a"]), table)
    assert open_ones.tolist() == [True, True, False]


def test_a_file_that_is_gone(stub: StubAws, look: Look) -> None:
    stub.on["GetObject"] = lambda _: error("NoSuchKey", 404)
    reading, table = look()
    assert reading.outcome() == (True, "")
    assert table[["key", "problem"]].values.tolist() == [["acl.json", "the file does not exist"]]


def test_no_file_is_named(stub: StubAws, look: Look) -> None:
    stub.on["GetDataSource"] = lambda _: {"configuration": {"type": "S3"}}
    table = look()[1]
    assert table[["key", "problem"]].values.tolist() == [["", "the connector names no access control file"]]
    assert stub.operations() == ["GetDataSource"]


def test_other_connectors_have_none(stub: StubAws, look: Look) -> None:
    stub.on["GetDataSource"] = lambda _: {"configuration": {"type": "CONFLUENCEV2"}}
    reading, table = look()
    assert table.empty
    assert reading.outcome() == (True, "")


def test_a_file_that_is_too_large_is_not_read(
    stub: StubAws, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acl, "MOST_BYTES", 1024)
    stub.on["GetObject"] = lambda _: Answer(b"[" + b" " * 4096 + b"]")
    reading, table = look()
    complete, stopped = reading.outcome()
    assert not complete
    assert "larger than" in stopped
    assert "larger than" in table["problem"].iloc[0]


def test_a_hundred_thousand_entries(stub: StubAws, look: Look) -> None:
    body = json.dumps([{"keyPrefix": f"p{n}/", "aclEntries": [ENTRY] * 10} for n in range(10_000)])
    stub.on["GetObject"] = lambda _: body
    assert len(look()[1]) == 100_000


def test_refused(stub: StubAws, look: Look) -> None:
    stub.on["GetObject"] = lambda _: error("AccessDenied", 403)
    with pytest.raises(AccessDenied) as refused:
        look()
    assert f"s3:GetObject on s3://{BUCKET}/acl.json" in refused.value.hint


def test_one_connector_refused_does_not_hide_the_other(stub: StubAws, aws: Aws, window: Window) -> None:
    ids = aws.settings
    settings = Settings.load(
        app_id=ids.app_id,
        index_id=ids.index_id,
        connectors=[{"name": "a", "data_source_id": ids.ds_id}, {"name": "b", "data_source_id": SECOND}],
    )

    def answer(asked: Asked) -> Any:
        return error("AccessDeniedException", 403) if SECOND in asked.path else {"configuration": config()}

    stub.on["GetDataSource"] = answer
    stub.on["GetObject"] = lambda _: json.dumps([{"keyPrefix": "hr/", "aclEntries": [ENTRY]}])
    reading = acl.read(aws, settings, window)
    assert [row["data_source_id"] for row in reading.rows] == [ids.ds_id]
    complete, stopped = reading.outcome()
    assert not complete
    assert stopped.startswith(f"Access denied: qbusiness:GetDataSource on data source {SECOND}")
    assert reading.missing == {SECOND: stopped}


def listing(key: str, times: dict[str, datetime]) -> Answer:
    rows = "".join(
        f"<Version><Key>{key}</Key><VersionId>{name}</VersionId><IsLatest>false</IsLatest>"
        f"<LastModified>{at:%Y-%m-%dT%H:%M:%S.000Z}</LastModified><Size>2</Size></Version>"
        for name, at in times.items()
    )
    return Answer(f"<ListVersionsResult><IsTruncated>false</IsTruncated>{rows}</ListVersionsResult>")


@pytest.fixture
def versioned(stub: StubAws, window: Window) -> dict[str, datetime]:
    """A file of five versions: three of them were replaced lately, the oldest long ago."""
    ages = {"v5": 1, "v4": 30, "v3": 48, "v2": 24 * 9, "v1": 24 * 12}
    times = {name: window.until.replace(microsecond=0) - timedelta(hours=age) for name, age in ages.items()}

    def answer(asked: Asked) -> Answer:
        name = asked.values.get("versionId", "v5")
        headers = {"Last-Modified": format_datetime(times[name], usegmt=True), "x-amz-version-id": name}
        return Answer(json.dumps([{"keyPrefix": f"{name}/", "aclEntries": [ENTRY]}]), headers=headers)

    stub.on["GetObject"] = answer
    stub.on["ListObjectVersions"] = lambda _: listing("acl.json", times)
    return times


def test_versions_that_were_replaced_lately_are_read_too(look: Look, versioned: dict[str, datetime]) -> None:
    reading, table = look()
    assert reading.outcome() == (True, "")
    assert table["prefix"].tolist() == ["v5/", "v4/", "v3/", "v2/"]
    assert acl.current(table)["prefix"].tolist() == ["v5/"]
    assert acl.older(table)["replaced_at"].tolist() == [versioned[name] for name in ("v5", "v4", "v3")]
    keys = pd.Series(["v5/a", "v4/a"])
    assert acl.open_to_everyone(keys, table).tolist() == [False, True], "an older version closes nothing"


def test_older_versions_of_a_file_that_has_not_changed_lately_are_not_asked_for(
    stub: StubAws, look: Look, window: Window, versioned: dict[str, datetime]
) -> None:
    versioned["v5"] = window.until.replace(microsecond=0) - timedelta(days=8)
    assert look()[1]["prefix"].tolist() == ["v5/"]
    assert "ListObjectVersions" not in stub.operations()


def test_an_older_version_that_may_not_be_read_is_a_row_that_names_the_permission(
    stub: StubAws, look: Look, versioned: dict[str, datetime]
) -> None:
    newest = stub.on["GetObject"]
    stub.on["GetObject"] = lambda asked: (
        error("AccessDenied", 403) if "versionId" in asked.values else newest(asked)
    )
    reading, table = look()
    assert reading.outcome() == (True, ""), "the file as it is now was seen"
    assert acl.current(table)["prefix"].tolist() == ["v5/"]
    (problem,) = acl.older(table)["problem"]
    assert "s3:GetObjectVersion" in problem


def test_ids_that_are_not_set(aws: Aws, window: Window) -> None:
    with pytest.raises(SettingsError, match="APP_ID, INDEX_ID"):
        acl.read(aws, Settings.load(), window)
