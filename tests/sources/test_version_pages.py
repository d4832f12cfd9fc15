"""A page of versions is read in two ways that must agree: by one expression, and by an XML parser for the rest."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from vmqlib.errors import Unreachable
from vmqlib.sources import versionpages
from vmqlib.sources.versionpages import ObjectVersion, PageReader, parse_page, parsed

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
TAIL = "</ListVersionsResult>"
AWS = (
    "Key",
    "VersionId",
    "IsLatest",
    "LastModified",
    "ETag",
    "ChecksumAlgorithm",
    "Size",
    "Owner",
    "StorageClass",
)
SEAWEEDFS = ("Key", "VersionId", "IsLatest", "ETag", "Size", "Owner", "StorageClass", "LastModified")
MOTO = ("Key", "VersionId", "IsLatest", "LastModified", "ETag", "Size", "StorageClass", "Owner")

# What XML 1.0 can say at all; keys with other characters come url-encoded.
xml_text = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n"),
    max_size=12,
)
any_key = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
times = st.sampled_from(
    [
        "2026-11-23T10:00:00.000Z",
        "2026-11-23T10:00:00Z",
        "2026-11-23T10:00:00.574Z",
        "1999-12-31T23:59:59.123456Z",
    ]
)
owner = st.sampled_from(
    [
        "",
        "<Owner/>",
        "<Owner></Owner>",
        "<Owner><ID>x</ID></Owner>",
        "<Owner><ID>&lt;</ID><DisplayName>é</DisplayName></Owner>",
        "<Owner><DisplayName/></Owner>",
    ]
)
NEXT = "<NextKeyMarker>k+%C3%A9</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"


@st.composite
def entries(draw: st.DrawFn, *, encoded: bool, order: tuple[str, ...], gap: str) -> str:
    marker = draw(st.booleans())
    tag = "DeleteMarker" if marker else "Version"
    key = quote_plus(draw(any_key), safe="/") if encoded else escape(draw(xml_text))
    sums = draw(st.lists(st.sampled_from(["CRC64NVME", "SHA256"]), max_size=2))
    fields = {
        "Key": f"<Key>{key}</Key>",
        "VersionId": draw(
            st.sampled_from(["<VersionId>a-1_.x</VersionId>", "<VersionId>null</VersionId>", ""])
        ),
        "IsLatest": f"<IsLatest>{draw(st.sampled_from(['true', 'false']))}</IsLatest>",
        "LastModified": f"<LastModified>{draw(times)}</LastModified>",
        "ETag": draw(
            st.sampled_from(["&quot;ab-2&quot;", "&#34;ab&#34;", '"ab"', "ab", "&quot;a&amp;b&quot;", ""])
        ),
        "ChecksumAlgorithm": "".join(f"<ChecksumAlgorithm>{one}</ChecksumAlgorithm>" for one in sums),
        "Size": f"<Size>{draw(st.integers(0, 2**50))}</Size>",
        "StorageClass": draw(st.sampled_from(["STANDARD", "GLACIER", "", "A&amp;B"])),
        "Owner": draw(owner),
    }
    fields["ETag"] = f"<ETag>{fields['ETag']}</ETag>"
    fields["StorageClass"] = f"<StorageClass>{fields['StorageClass']}</StorageClass>"
    if marker:
        for name in ("ETag", "ChecksumAlgorithm", "Size", "StorageClass"):
            fields[name] = ""
    extra = draw(
        st.sampled_from(["", "", "", "<New>1</New>", "<!-- c -->", "<RestoreStatus><X>1</X></RestoreStatus>"])
    )
    inside = gap.join([*(fields[name] for name in order), extra])
    return f"<{tag}>{gap}{inside}{gap}</{tag}>"


@st.composite
def pages(draw: st.DrawFn) -> str:
    encoded = draw(st.booleans())
    order = draw(st.sampled_from([AWS, SEAWEEDFS, MOTO]) | st.permutations(AWS).map(tuple))
    gap = draw(st.sampled_from(["", "", "\n  ", "\r\n"]))
    body = gap.join(draw(st.lists(entries(encoded=encoded, order=order, gap=gap), max_size=4)))
    around = [
        f"<Name>b&amp;c</Name><IsTruncated>{draw(st.sampled_from(['true', 'false']))}</IsTruncated>",
        "<EncodingType>url</EncodingType>" if encoded else "",
        draw(st.sampled_from(["", NEXT])),
        draw(st.sampled_from(["", "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>", "<Unknown/>"])),
    ]
    cut = draw(st.integers(0, len(around)))
    return HEAD + gap.join([*around[:cut], body, *around[cut:]]) + TAIL


@examples(max_examples=150)
@given(pages())
def test_both_readers_give_the_same(page: str) -> None:
    assert parse_page(page.encode()) == parsed(page.encode())


def one(key: str = "k", more: str = "", tag: str = "Version") -> str:
    return (
        f"<{tag}><Key>{key}</Key><VersionId>v</VersionId><IsLatest>true</IsLatest>"
        f"<LastModified>2026-11-23T10:00:00.000Z</LastModified>{more}</{tag}>"
    )


PLAIN = ObjectVersion("k", "v", True, False, "2026-11-23T10:00:00.000000Z", 0, "", "STANDARD")


def no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(body: bytes) -> None:
        raise AssertionError("the parser was needed")

    monkeypatch.setattr(versionpages, "parsed", fail)


@pytest.mark.parametrize("order", [AWS, SEAWEEDFS, MOTO])
@pytest.mark.parametrize("gap", ["", "\n    "])
def test_what_servers_send_needs_no_parser(
    order: tuple[str, ...], gap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_parser(monkeypatch)
    fields = {
        "Key": "<Key>a+b%2B</Key>",
        "VersionId": "<VersionId>v</VersionId>",
        "IsLatest": "<IsLatest>false</IsLatest>",
        "LastModified": "<LastModified>2026-11-23T10:00:00Z</LastModified>",
        "ETag": "<ETag>&quot;e&quot;</ETag>",
        "ChecksumAlgorithm": "<ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>",
        "Size": "<Size>7</Size>",
        "Owner": f"<Owner>{gap}<ID>x</ID>{gap}</Owner>",
        "StorageClass": "<StorageClass>GLACIER</StorageClass>",
    }
    version = f"<Version>{gap}{gap.join(fields[name] for name in order)}{gap}</Version>"
    marker_fields = [
        fields[name] for name in order if name in ("Key", "VersionId", "IsLatest", "Owner", "LastModified")
    ]
    marker = f"<DeleteMarker>{gap}{gap.join(marker_fields)}{gap}</DeleteMarker>"
    page = f"{HEAD}<EncodingType>url</EncodingType>{gap}{version}{gap}{marker}{gap}{TAIL}"
    checksum = "SHA256" if order == AWS else ""
    at = "2026-11-23T10:00:00.000000Z"
    assert PageReader().read(page.encode()).entries == [
        ObjectVersion("a b+", "v", False, False, at, 7, "e", "GLACIER", checksum),
        ObjectVersion("a b+", "v", False, True, at),
    ]


@pytest.mark.parametrize(
    "page",
    [
        f"{HEAD}<!-- {one('ghost')} -->{one()}{TAIL}",
        f"{HEAD}{one()}<!-- {one('ghost')} -->{TAIL}",
        f"<!-- --><ListVersionsResult>{one()}<?pi {one('ghost')}?></ListVersionsResult>",
        f"{HEAD}<Other>{one('ghost')}</Other>{one()}{TAIL}",
        f"{HEAD}{one()}<Other><![CDATA[{one('ghost')}]]></Other>{TAIL}",
        f"<s:ListVersionsResult xmlns:s='x'>{one().replace('<', '<s:').replace('<s:/', '</s:')}</s:ListVersionsResult>",
        f"{HEAD}<Version a='1'>{one().removeprefix('<Version>')}{TAIL}",
        f"{HEAD}{one('<![CDATA[k]]>')}{TAIL}",
        f"{HEAD}{one('&#107;')}{TAIL}",
        f"<!DOCTYPE x [<!ENTITY k 'k'>]><ListVersionsResult>{one('&k;')}</ListVersionsResult>",
        f"{HEAD}{one(more='<Size></Size><ETag/><StorageClass/>')}{TAIL}",
    ],
)
def test_pages_that_only_a_parser_understands(page: str) -> None:
    assert parse_page(page.encode()).entries == [PLAIN] == parsed(page.encode()).entries


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"not xml",
        b"<html><body>Sign in to this network</body></html>",
        b"<ListVersionsResult><Version>",
        (HEAD + one()).encode(),
        (HEAD + one() + one()[:40]).encode(),
        (HEAD + one().replace("2026-11-23T10:00:00.000Z", "yesterday") + TAIL).encode(),
        (HEAD + one(more="<Size>many</Size>") + TAIL).encode(),
        HEAD.encode() + b"<Key>\xff</Key>" + TAIL.encode(),
    ],
)
@pytest.mark.parametrize("read", [parse_page, parsed])
def test_what_is_no_page_is_refused(page: bytes, read: Callable[[bytes], object]) -> None:
    with pytest.raises(Unreachable, match="cannot be read"):
        read(page)


def test_other_encodings_are_read() -> None:
    page = HEAD.replace("UTF-8", "ISO-8859-1") + one("é") + TAIL
    assert parse_page(page.encode("latin-1")).entries[0].key == "é"


def test_bytes_that_are_not_utf_8_come_through() -> None:
    page = HEAD + "<EncodingType>url</EncodingType>" + one("raw%FF+%80") + TAIL
    (entry,) = parse_page(page.encode()).entries
    assert entry.key.encode("utf-8", "surrogateescape") == b"raw\xff \x80"


def test_where_the_next_page_starts() -> None:
    truncated = "<IsTruncated>true</IsTruncated>"
    markers = "<NextKeyMarker>a+b</NextKeyMarker><NextVersionIdMarker>v2</NextVersionIdMarker>"
    named = f"{HEAD}{truncated}{markers}{one()}{TAIL}"
    assert parse_page(named.encode())[1:] == ("a+b", "v2")
    encoded = named.replace(truncated, truncated + "<EncodingType>url</EncodingType>")
    assert parse_page(encoded.encode())[1:] == ("a b", "v2")
    unnamed = f"{HEAD}{truncated}{one()}{TAIL}"
    assert parse_page(unnamed.encode())[1:] == ("k", "v")
    no_version = f"{HEAD}{truncated}<NextKeyMarker>other</NextKeyMarker>{one()}{TAIL}"
    assert parse_page(no_version.encode())[1:] == ("other", "")
    last = f"{HEAD}<IsTruncated>false</IsTruncated>{one()}{TAIL}"
    assert parse_page(last.encode())[1:] == (None, "")


def test_a_reader_follows_a_server_that_changes() -> None:
    reader = PageReader()
    aws = f"{HEAD}{one(more='<Size>1</Size>')}{TAIL}".encode()
    other = f"{HEAD}{one().replace('</Version>', '<Odd/></Version>')}{TAIL}".encode()
    fields = "<Key>k</Key><Owner><ID>a</ID></Owner><LastModified>2026-11-23T10:00:00Z</LastModified>"
    weed = f"{HEAD}<DeleteMarker>{fields}</DeleteMarker>{TAIL}".encode()
    for page in (aws, weed, other, aws, other, weed):
        assert reader.read(page) == parsed(page)
