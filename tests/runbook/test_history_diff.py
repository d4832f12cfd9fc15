"""Two versions compared: lines, what bytes are, and what cannot be shown."""

from __future__ import annotations

import difflib
import gzip
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.versioned import T0, VersionedBucket, at

from vmqlib.errors import Throttled, Unreachable
from vmqlib.record.redaction import Redactor
from vmqlib.runbook import history
from vmqlib.runbook.contents import Content, fetch, sniff, visible
from vmqlib.runbook.keyhistory import KeyHistory, Version
from vmqlib.runbook.linediff import LineDiff
from vmqlib.runbook.versiondiff import compare, compare_contents

TEXTS = st.lists(
    st.sampled_from(["a\n", "b\n", "\n", "c d\n", "long " * 9 + "\n", "\x1b[31m\u202e\n"]), max_size=14
)


TAILS = st.tuples(st.sampled_from(["", "end"]), st.sampled_from(["", "end"]))


@given(left=TEXTS, right=TEXTS, tails=TAILS, context=st.integers(0, 4))
def test_a_unified_diff_makes_one_text_of_the_other(
    left: list[str], right: list[str], tails: tuple[str, str], context: int
) -> None:
    before, after = [*left, tails[0]], [*right, tails[1]]
    made = LineDiff.of("".join(before), "".join(after))
    mine = list(made.unified(context))
    assert "\x1b" not in "".join(mine)
    assert bool(mine) == ("".join(before) != "".join(after))
    assert apply([one for one in before if one], mine) == [
        visible(one.removesuffix("\n")) for one in after if one
    ]


@given(changed=st.sets(st.integers(0, 40)), gone=st.sets(st.integers(0, 40)), context=st.integers(0, 4))
def test_a_unified_diff_reads_as_that_of_everybody(changed: set[int], gone: set[int], context: int) -> None:
    left = [f"line {n}\n" for n in range(41)]
    right = [f"other {n}\n" if n in changed else left[n] for n in range(41) if n not in gone]
    theirs = [line.removesuffix("\n") for line in difflib.unified_diff(left, right, n=context)][2:]
    assert list(LineDiff.of("".join(left), "".join(right)).unified(context)) == theirs


def apply(lines: list[str], diff: list[str]) -> list[str]:
    """The lines that a unified diff makes of ``lines``, control characters visible as in the diff."""
    shown = [visible(one.removesuffix("\n")) for one in lines]
    out: list[str] = []
    done = 0
    for line in diff:
        if line.startswith("@@"):
            first = line.split()[1][1:].split(",")
            start = int(first[0]) - (0 if first[1:] == ["0"] else 1)
            out += shown[done:start]
            done = start
        elif line[:1] == " ":
            assert shown[done] == line[1:]
            out.append(line[1:])
            done += 1
        elif line[:1] == "-":
            assert shown[done] == line[1:]
            done += 1
        elif line[:1] == "+":
            out.append(line[1:])
    return out + shown[done:]


@given(left=TEXTS, right=TEXTS)
def test_side_by_side_holds_every_line_of_both_sides_once(left: list[str], right: list[str]) -> None:
    made = LineDiff.of("".join(left), "".join(right))
    rows = list(made.rows())
    if not made.differs:
        assert rows == []
        return
    skipped = sum(one.skipped for one in rows)
    for side, lines in (("left", left), ("right", right)):
        numbers = [n for one in rows if (n := getattr(one, f"{side}_number")) is not None]
        assert numbers == sorted(set(numbers))
        assert len(numbers) + skipped == len(lines)
        for one in rows:
            if (number := getattr(one, f"{side}_number")) is not None:
                text = "".join(piece for piece, _ in getattr(one, side))
                assert text.removesuffix("⏎") == visible(lines[number - 1].removesuffix("\n"))


def test_changed_words_are_told_apart() -> None:
    (one,) = LineDiff.of("stays below 1000 ms\n", "stays below 2200 ms\n").rows()
    assert [text for text, differs in one.left if differs] == ["1000"]
    assert [text for text, differs in one.right if differs] == ["2200"]


def test_a_missing_last_line_end_is_told() -> None:
    assert list(LineDiff.of("a", "a\n").unified()) == [
        "@@ -1 +1 @@",
        "-a",
        "\\ No newline at end of file",
        "+a",
    ]


@pytest.mark.parametrize(
    ("body", "encoding", "kind"),
    [
        (b"", "utf-8", "no text"),
        (b"plain\n", "utf-8", "UTF-8 text"),
        ("naïve – 東京 🎉\n".encode(), "utf-8", "UTF-8 text"),
        ("mark".encode("utf-8-sig"), "utf-8-sig", "UTF-8 with a byte order mark text"),
        ("märk\n".encode("utf-16"), "utf-16", "UTF-16 text"),
        ("no mark, but text".encode("utf-16-le"), "utf-16-le", "UTF-16-LE text"),
        ("no mark, but text".encode("utf-16-be"), "utf-16-be", "UTF-16-BE text"),
        ("four bytes each".encode("utf-32"), "utf-32", "UTF-32 text"),
        (b"\x1b[31mcolours are text\x1b[0m\n", "utf-8", "UTF-8 text"),
        (
            b"one \xff bad byte in a long enough line of text",
            "utf-8",
            "UTF-8 text with 1 bytes that are none",
        ),
        (b"caf\xe9 \xe8\xe9\xea\xeb\xec", "", "bytes that are no text"),
        (b"nul \x00 in the middle", "", "bytes that are no text"),
        (bytes(range(1, 30)) * 9, "", "bytes that are no text"),
        (gzip.compress(b"x", mtime=0), "", "gzip"),
        (b"%PDF-1.7 ...", "", "PDF"),
        (b"\x89PNG\r\n\x1a\n....", "", "PNG picture"),
    ],
)
def test_text_or_what_instead(body: bytes, encoding: str, kind: str) -> None:
    assert sniff(body) == (encoding, kind)


def test_a_character_cut_at_the_end_of_what_was_read_is_no_fault() -> None:
    assert sniff("東京".encode()[:-1], whole=False) == ("utf-8", "UTF-8 text")


@given(st.text())
def test_nothing_invisible_is_shown(text: str) -> None:
    shown = visible(text)
    assert all(char.isprintable() or char == "\t" or char.isspace() for char in shown)
    assert not set(shown) & set("\n\r\x1b\x00\x7f\x9b\u202e\u2066\u2028")


def content(text: str, number: int = 1, **more: Any) -> Content:
    version = Version(f"v{number}", at(number), size=len(text), etag=f"e{number}")
    values: dict[str, Any] = {"kind": "UTF-8 text", "endings": "LF", "digest": f"d{text}"} | more
    return Content("text", f"v{number}", version, "text/plain", text=text, **values)


def test_line_ends_alone_are_told_and_no_line_differs() -> None:
    made = compare_contents("b", "k", content("a\n"), content("a\n", 2, endings="CRLF", digest="other"))
    assert list(made.unified()) == []
    assert "line ends" in made.finding
    assert made.notes == ("Line ends: LF before, CRLF after.",)


def test_nothing_on_both_sides() -> None:
    gone = Content("not there", problem="it was deleted", code="deleted")
    made = compare_contents("b", "k", gone, Content("not there", problem="it was not there", code="absent"))
    assert made.finding == "Before: it was deleted. After: it was not there."
    assert list(made.unified()) == []


def test_too_many_lines_are_said_not_compared() -> None:
    made = compare_contents("b", "k", content("x\n" * 20_001), content("y\n" * 20_001, 2))
    assert made.lines is None
    assert any("20,000 lines" in note for note in made.notes)


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ({"size": 5}, {"size": 7}, "changed by +2 bytes"),
        ({"size": 5, "etag": "e"}, {"size": 5, "etag": "e"}, "Size and ETag are equal"),
        ({"size": 5, "etag": "e"}, {"size": 5, "etag": "f"}, "the ETag is not"),
    ],
)
def test_large_ones_are_compared_by_size_and_etag(one: Any, other: Any, words: str) -> None:
    sides = [
        Content("too large", version=Version(f"v{n}", T0, **more), kind="PDF")
        for n, more in enumerate((one, other))
    ]
    assert words in compare_contents("b", "k", *sides).finding


def look(bucket: VersionedBucket, key: str) -> KeyHistory:
    return history.read_history(bucket.aws, bucket.settings, bucket.name, key)


def side(bucket: VersionedBucket, key: str, place: int = 0, **more: Any) -> Content:
    return fetch(bucket.aws, bucket.name, key, look(bucket, key).versions[place], Redactor(), **more)


def test_a_text_masked_and_its_line_ends(bucket: VersionedBucket) -> None:
    bucket.put("a.txt", "user\r\npassword=hunter2hunter2\r\n", ContentType="text/plain")
    found = side(bucket, "a.txt")
    assert (found.state, found.endings, found.content_type) == ("text", "CRLF", "text/plain")
    assert found.text == "user\npassword=[password]\n"
    assert found.masked == 1


def test_larger_than_the_cap_is_only_sniffed(bucket: VersionedBucket) -> None:
    bucket.put("big.bin", gzip.compress(bytes(5000), compresslevel=0))
    found = side(bucket, "big.bin", largest=1000)
    assert (found.state, found.kind, found.digest) == ("too large", "gzip", "")
    assert side(bucket, "big.bin").state == "binary"


def test_an_empty_file_is_an_empty_text(bucket: VersionedBucket) -> None:
    bucket.put("empty.md", b"")
    found = side(bucket, "empty.md")
    assert (found.state, found.text, found.described) == ("text", "", "an empty file")


def test_a_compressed_copy_is_recognised(bucket: VersionedBucket) -> None:
    bucket.put("a.md", "the same text\n", 0)
    bucket.put("a.md", gzip.compress(b"the same text\n", mtime=0), 5)
    made = compare(bucket.aws, look(bucket, "a.md"), Redactor())
    assert "gzip" in made.finding
    assert any("compressed with gzip" in note for note in made.notes)
    assert list(made.unified()) == []


def test_a_bomb_is_not_unpacked(bucket: VersionedBucket) -> None:
    bucket.put("bomb.gz", gzip.compress(bytes(50_000_000), mtime=0))
    found = side(bucket, "bomb.gz")
    assert (found.state, found.kind, found.unpacked) == ("binary", "gzip", "")


def test_archived_says_how_to_get_it(bucket: VersionedBucket) -> None:
    made = bucket.put("cold one.md", "x", StorageClass="GLACIER")
    found = side(bucket, "cold one.md")
    assert (found.state, found.code) == ("unreadable", "archived")
    assert "--key 'cold one.md'" in found.hint
    assert made in found.hint


def test_encrypted_with_a_customers_key(bucket: VersionedBucket) -> None:
    bucket.put("sealed.md", "x", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)
    found = side(bucket, "sealed.md")
    assert (found.state, found.code) == ("unreadable", "sse-c")


def test_denied_names_the_permission(bucket: VersionedBucket) -> None:
    bucket.put("a.md", "x")
    known = look(bucket, "a.md")
    bucket.local.faults.add("s3", "GetObject", code="AccessDenied", status=403)
    found = fetch(bucket.aws, bucket.name, "a.md", known.versions[0], Redactor())
    assert (found.state, found.code) == ("unreadable", "denied")
    assert "s3:GetObjectVersion" in found.hint
    made = compare_contents("b", "a.md", found, content("x\n"))
    assert not made.readable
    assert "Access denied" in made.finding


@pytest.mark.parametrize(
    ("code", "status", "kind"), [("SlowDown", 503, Throttled), ("InternalError", 500, Unreachable)]
)
def test_what_is_not_about_this_version_is_an_error(
    bucket: VersionedBucket, code: str, status: int, kind: type[Exception]
) -> None:
    bucket.put("a.md", "x")
    known = look(bucket, "a.md")
    bucket.local.faults.add("s3", "GetObject", code=code, status=status)
    with pytest.raises(kind):
        fetch(bucket.aws, bucket.name, "a.md", known.versions[0], Redactor())


def test_a_version_that_was_removed_meanwhile(bucket: VersionedBucket) -> None:
    bucket.put("a.md", "one\n", 0)
    bucket.put("a.md", "two\n", 5)
    known = look(bucket, "a.md")
    bucket.client.delete_object(Bucket=bucket.name, Key="a.md", VersionId=known.versions[1].version_id)
    made = compare(bucket.aws, known, Redactor())
    assert made.before.code == "missing"
    assert made.finding.startswith("Before, this version is no longer there")
    assert [line for line in made.unified() if line[:1] == "+"][1:] == ["+two"]


def test_a_deletion_removes_every_line(bucket: VersionedBucket) -> None:
    bucket.put("a.md", "one\ntwo\n", 0)
    bucket.delete("a.md", 60)
    made = compare(bucket.aws, look(bucket, "a.md"), Redactor())
    assert (made.added, made.removed) == (0, 2)
    assert "deleted (2026-11-20 10:01:00 UTC)" in made.finding


def test_secrets_that_changed_are_said_to_be_masked(bucket: VersionedBucket) -> None:
    bucket.put("a.md", "password=hunter2hunter2\n", 0)
    bucket.put("a.md", "password=hunter3hunter3\n", 60)
    made = compare(bucket.aws, look(bucket, "a.md"), Redactor())
    assert list(made.unified()) == []
    assert "masked" in made.finding
    assert "hunter" not in str(made.to_json())


def test_versions_at_a_time_and_before_there_was_any(bucket: VersionedBucket) -> None:
    bucket.put("a.md", "one\n", 0)
    bucket.put("a.md", "two\n", 3600)
    known = look(bucket, "a.md")
    made = compare(bucket.aws, known, Redactor(), "@2026-11-20T10:30Z", "last-good", last_good=at(7200))
    assert (made.before.text, made.after.text) == ("one\n", "two\n")
    assert "last good sync" in made.after.label
    early = compare(bucket.aws, known, Redactor(), "@2026-11-19T00:00Z", "current")
    assert early.finding.startswith("Before, it was not there")
