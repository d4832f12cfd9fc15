"""``vmq versions`` as people and scripts meet it: tables that pipe, one JSON document, a diff that is only text."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.versioned import VersionedBucket

SINCE = "2026-11-20T10:00:30Z"  # half a minute after the moment that versions are written from
HOSTILE = "<b>\x1b[31mred\n\u202egnp.exe [bold]x[/bold] password=hunter2hunter2"


@pytest.fixture(scope="module")
def empty(start_local_aws: Callable[..., Any]) -> Any:
    return start_local_aws(None)


@pytest.fixture
def bucket(
    empty: Any, point_at: Any, request: pytest.FixtureRequest, monkeypatch: Any
) -> Iterator[VersionedBucket]:
    point_at(empty)
    made = VersionedBucket.made(empty, f"kb-{zlib.crc32(request.node.name.encode()):x}")
    monkeypatch.setenv("BUCKET_NAME", made.name)
    empty.faults.clear()
    yield made
    empty.faults.clear()


@pytest.fixture
def failed(sync_failed_aws: Any, point_at: Any) -> None:
    """The local AWS after a bad promotion. To be read only."""
    point_at(sync_failed_aws)


# What changed


def test_what_changed_since_the_last_good_sync(command: Any, failed: None) -> None:
    done = command("versions")
    assert done.code == 0
    assert "phases-mirage.md" in done.out
    assert "during the promotion of" in done.out
    assert "(the last good sync)" in done.err
    assert "_staging/" not in done.out


def test_changes_as_json(command: Any, failed: None) -> None:
    done = command("versions", "guides/", "--limit", "2", "--json")
    assert (done.code, done.err) == (0, "")
    found = done.json
    assert set(found) == {
        "bucket", "prefix", "exclude", "since", "since_why", "until", "listed", "seen", "changed", "source",
        "promotions_problem", "complete", "stopped", "keys",
    }  # fmt: skip
    assert found["prefix"] == "guides/"
    assert found["since_why"] == "the last good sync"
    assert found["changed"] > 2 == len(found["keys"])
    one = found["keys"][0]
    assert set(one) == {
        "key", "what", "at", "changes", "versions", "delete_markers", "same_content", "doubt", "then", "now",
        "promoted",
    }  # fmt: skip
    assert one["key"].startswith("guides/")
    assert one["now"]["delete_marker"] is (one["what"] == "deleted")
    assert one["promoted"]["relation"] == "during"
    assert one["promoted"]["promotions"][0]["record"].startswith("audit/promotions/")


def test_a_prefix_that_is_left_out_otherwise(command: Any, failed: None) -> None:
    found = command("versions", "_staging/guides/", "--json").json
    assert found["exclude"] == ["ci/", "audit/"]
    assert found["keys"]
    assert all(one["key"].startswith("_staging/guides/") for one in found["keys"])


def test_every_key_and_a_limit_that_is_said(command: Any, failed: None) -> None:
    every = command("versions", "--all", "--json").json
    assert len(every["keys"]) == every["seen"] > every["changed"]
    done = command("versions", "--limit", "3")
    assert "more: leave out --limit" in done.err


def test_without_a_sync_history_it_is_the_last_seven_days(command: Any, bucket: VersionedBucket) -> None:
    done = command("versions", "--json")
    assert done.code == 0
    assert "7 days, since the sync history cannot be seen" in done.json["since_why"]
    again = command("versions", "--since", "last-good")
    assert again.code == 2
    assert "no last good sync" in again.err


def test_an_empty_bucket(command: Any, bucket: VersionedBucket) -> None:
    done = command("versions", "--since", SINCE)
    assert (done.code, done.out) == (0, "")
    assert "There is no key" in done.err


def test_nothing_changed(command: Any, bucket: VersionedBucket) -> None:
    bucket.put("a.md", "one", 0)
    done = command("versions", "--since", SINCE)
    assert (done.code, done.out) == (0, "")
    assert "none changed" in done.err


def test_markers_alone_and_a_second_that_is_doubtful(command: Any, bucket: VersionedBucket) -> None:
    bucket.delete("never.md", 60)
    bucket.put("tie.md", "one", 30)
    bucket.put("tie.md", "two", 60)
    done = command("versions", "--since", SINCE, "--until", "2026-11-20T11:00Z")
    assert "came and went" in done.out
    assert "very second" in done.out


def test_a_window_that_ends_before_it_begins(command: Any, bucket: VersionedBucket) -> None:
    done = command("versions", "--since", SINCE, "--until", "2026-11-19T11:00Z")
    assert done.code == 2
    assert "before it begins" in done.err


# One key


def test_a_history(command: Any, bucket: VersionedBucket) -> None:
    first = bucket.put("a.md", "one", 0)
    second = bucket.put("a.md", "two!", 40)
    bucket.promotion(35, 45)
    third = bucket.put("a.md", "one", 4000)
    done = command("versions", "--key", f"s3://{bucket.name}/a.md")
    assert done.code == 0
    rows = [line for line in done.out.splitlines() if "STANDARD" in line]
    assert [line.split()[0] for line in rows] == [third, second, first]
    assert "current" in rows[0]
    assert f"as {first}" in rows[0]
    assert "during the promotion of 9c1f2ab4 by ci-deploy" in rows[1]
    assert "3 versions, 0 delete markers" in done.err
    kept = command(
        "versions", "--key", "a.md", "--since", SINCE, "--until", "2026-11-20T10:01Z", "--json"
    ).json
    assert [one["version_id"] for one in kept["versions"]] == [second]


def test_a_history_as_json(command: Any, bucket: VersionedBucket) -> None:
    bucket.put("a.md", "one", 0)
    marker = bucket.delete("a.md", 60)
    found = command("versions", "--key", "a.md", "--json").json
    assert set(found) == {
        "bucket", "key", "as_of", "source", "promotions_problem", "complete", "stopped", "versions",
    }  # fmt: skip
    newest, oldest = found["versions"]
    assert newest | {"age_s": 0} == {
        "version_id": marker, "at": "2026-11-20T10:01:00.000000Z", "size": None, "etag": "", "storage_class": "",
        "delete_marker": True, "age_s": 0, "current": True, "same_as": "", "promoted": None,
    }  # fmt: skip
    assert (oldest["size"], oldest["current"]) == (3, False)
    assert newest["age_s"] < oldest["age_s"]


def test_a_key_that_is_none_names_its_neighbours(command: Any, bucket: VersionedBucket) -> None:
    bucket.put("guides/backup.md", "x")
    done = command("versions", "--key", "guides/bakup.md")
    assert (done.code, done.out) == (2, "")
    assert "'guides/backup.md'" in done.err


def test_a_bucket_that_is_none(command: Any, bucket: VersionedBucket, monkeypatch: Any) -> None:
    monkeypatch.setenv("BUCKET_NAME", "nobodys-bucket")
    for words in (("versions", "--since", "1d"), ("versions", "--key", "a")):
        done = command(*words)
        assert done.code == 3
        assert "nobodys-bucket" in done.err


# Two versions


@pytest.fixture
def edited(bucket: VersionedBucket) -> VersionedBucket:
    """``a.md`` with three versions."""
    bucket.put("a.md", "# Title\n\nfirst\n", 0)
    bucket.put("a.md", "# Title\n\nsecond\n", 60)
    bucket.put("a.md", "# Title\n\nthird\npassword=hunter2hunter2\n", 120)
    return bucket


def test_a_diff_is_all_that_is_on_stdout(command: Any, edited: VersionedBucket) -> None:
    done = command("versions", "--key", "a.md", "--diff")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith("--- a.md  version ")
    assert lines[1].endswith("(the current version)")
    assert lines[2:] == ["@@ -1,3 +1,4 @@", " # Title", " ", "-second", "+third", "+password=[password]"]
    assert "2 lines added, 1 line removed." in done.err
    assert "1 secret masked" in done.err


@pytest.mark.parametrize(
    ("names", "removed", "added"),
    [
        (("@2026-11-20T10:00:30Z", "previous"), "-first", "+second"),
        (("@2026-11-20T10:00:30Z",), "-first", "+third"),
        (("current", "previous"), "-third", "+second"),
    ],
)
def test_versions_by_name(
    command: Any, edited: VersionedBucket, names: tuple[str, ...], removed: str, added: str
) -> None:
    out = command("versions", "--key", "a.md", "--diff", *names, "--context", "0").out.splitlines()
    assert removed in out
    assert added in out


def test_versions_by_the_beginning_of_their_ids(command: Any, edited: VersionedBucket) -> None:
    ids = [one["version_id"] for one in command("versions", "--key", "a.md", "--json").json["versions"]]
    found = command("versions", "--key", "a.md", "--diff", ids[2][:20], ids[0], "--json").json
    assert (found["before"]["version_id"], found["after"]["version_id"]) == (ids[2], ids[0])
    assert set(found) == {
        "bucket",
        "key",
        "before",
        "after",
        "finding",
        "notes",
        "added",
        "removed",
        "unified",
    }
    assert "hunter2" not in str(found)


def test_the_same_version_twice(command: Any, edited: VersionedBucket) -> None:
    done = command("versions", "--key", "a.md", "--diff", "current", "current")
    assert done.out == "Both are the same version.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--diff",), "--diff needs --key"),
        (("a", "b"), "'b' is too much"),
        (("a", "--key", "a.md"), "'a' is too much"),
        (("--key", "a.md", "--diff", "x", "y", "z"), "'z' is too much"),
        (("--key", "a.md", "--diff", "--since", "2d"), "takes two versions"),
        (("--key", "a.md", "--all"), "--all goes without --key"),
        (("--key", "a.md", "--diff", "nonesuch"), "has no version 'nonesuch'"),
        (("--key", "a.md", "--diff", "@soon"), "'soon' is not a time"),
        (("--since", "soon"), "'soon' is not a time"),
        (("--limit", "-1"), "--limit"),
        (("--incident", "INC-20200101-001"), "INC-20200101-001"),
        (("--data-source", "x"), "not a data source id"),
    ],
)
def test_what_makes_no_sense(
    command: Any, edited: VersionedBucket, words: tuple[str, ...], said: str
) -> None:
    done = command("versions", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert len(done.err.strip().splitlines()) >= 2, "no hint"


def test_a_single_version_has_nothing_to_be_compared_with(command: Any, bucket: VersionedBucket) -> None:
    bucket.put("a.md", "x")
    done = command("versions", "--key", "a.md", "--diff")
    assert done.code == 2
    assert "one version only" in done.err


def test_what_cannot_be_read_is_told_with_exit_code_3(command: Any, bucket: VersionedBucket) -> None:
    bucket.put("a.md", "x", 0, StorageClass="DEEP_ARCHIVE")
    bucket.put("a.md", "y", 60)
    done = command("versions", "--key", "a.md", "--diff")
    assert done.code == 3
    assert "archived (DEEP_ARCHIVE)" in done.out
    assert "restore-object" in done.err


def test_binary_by_size_and_type(command: Any, bucket: VersionedBucket) -> None:
    bucket.put("a.png", b"\x89PNG\r\n\x1a\n" + bytes(90), 0, ContentType="image/png")
    bucket.put("a.png", b"\x89PNG\r\n\x1a\n" + bytes(91), 60, ContentType="image/png")
    done = command("versions", "--key", "a.png", "--diff")
    assert done.code == 0
    assert "98 bytes of PNG picture, stored as image/png" in done.out
    assert "changed by +1 bytes" in done.out


# Hostile, huge, piped


def test_nothing_can_steer_the_terminal(command: Any, bucket: VersionedBucket) -> None:
    bucket.put(HOSTILE, "one\n", 0)
    bucket.put(HOSTILE, f"{HOSTILE}\n\u2028\x9b31m\n", 60, ContentType="text/plain")
    for words in (
        ("--since", SINCE),
        ("--key", HOSTILE),
        ("--key", HOSTILE, "--diff"),
        ("--key", HOSTILE + "x"),
    ):
        done = command("versions", *words)
        for text in (done.out, done.err):
            assert not set(text) & set("\x1b\x9b\u202e\u2028\x07")
        assert "[bold]x[/bold]" in done.out + done.err
    assert "hunter2hunter2" not in command("versions", "--key", HOSTILE, "--diff").out.split("@@", 1)[1]
    assert command("versions", "--key", HOSTILE, "--json").json["key"] == HOSTILE


def test_huge_lines_are_whole_when_piped(command: Any, bucket: VersionedBucket) -> None:
    bucket.put("a.txt", "x" * 200_000, 0)
    bucket.put("a.txt", "x" * 200_000 + "y", 60)
    out = command("versions", "--key", "a.txt", "--diff").out
    assert "+" + "x" * 200_000 + "y\n" in out


def test_a_reader_that_leaves_early_is_no_error(failed: None) -> None:
    code = f"{sys.executable} -m vmqlib.cli versions --all | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_terminals(edited: VersionedBucket, more: dict[str, str], coloured: bool) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "vmqlib.cli", "versions", "--key", "a.md", "--diff"],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=os.environ | more | {"TERM": "xterm"},
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    assert done.wait() == 0
    assert b"third" in said
    assert (b"\x1b[3" in said) is coloured


# Offline


@pytest.fixture
def example(project: Path) -> str:
    """The example's incident in this test's folder; nothing can be asked of AWS."""
    (name,) = (one.name for one in (project / "notebooks" / "examples").glob("INC-*") if one.is_dir())
    shutil.copytree(project / "notebooks" / "examples" / name, Path("incidents") / name)
    return name


def test_an_incident_offline(command: Any, example: str) -> None:
    done = command("versions", "--incident", example, "--json")
    assert (done.code, done.err) == (0, "")
    found = done.json
    assert found["since_why"] == "the last good sync before the incident"
    assert found["source"].startswith("versions-")
    key = found["keys"][0]["key"]
    known = command("versions", "--incident", example, "--key", key, "--json").json
    # The incident's own repairs came later: they are in the history, and not in what had changed when it was opened.
    assert found["keys"][0]["now"]["version_id"] in [one["version_id"] for one in known["versions"]]
    assert command("versions", "--incident", example).code == 0
    unknown = command("versions", "--incident", example, "--key", key + "x")
    assert unknown.code == 2
    assert key in unknown.err


def test_an_incident_that_nobody_looked_at(command: Any) -> None:
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Settings

    made = Incident.open(Settings.load(), None, trigger="sync-failed")
    done = command("versions", "--incident", made.id)
    assert done.code == 2
    assert "Nobody has looked yet" in done.err
