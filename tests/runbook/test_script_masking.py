"""Lines of a script: nothing steers the terminal, nothing secret stays, across streams and lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vmqlib.record.redaction import Redactor
from vmqlib.runbook.targeted.masking import LineMasker

KEY = "AKIAIOSFODNN7EXAMPLE"


def masker(**environment: str) -> LineMasker:
    return LineMasker(Redactor(key=b"k" * 32), environment)


def test_terminal_sequences_are_taken_out_before_masking() -> None:
    mask = masker()
    assert mask("stdout", b"\x1b[31mred\x1b[0m\tx") == "red     x"
    assert mask("stdout", b"\x1b]0;title\x07after \x1b]8;;http://evil\x1b\\link") == "after link"
    hidden = f"{KEY[:8]}\x1b[0m{KEY[8:]}".encode()
    assert KEY not in (mask("stdout", b"key " + hidden) or "")
    assert mask("stderr", b"a\x07b\x00c\xe2\x80\xaed\xff") == "a\ufffdb\ufffdc\ufffdd\\xff"


def test_values_of_secret_variables_are_masked_wherever_they_turn_up() -> None:
    mask = masker(
        WIKI_TOKEN="s3cr3t-plain-word",
        AWS_SECRET_ACCESS_KEY="abc/def+123456",
        REGION="eu-west-1",
        API_KEY="x",
    )
    assert (
        mask("stdout", b"a s3cr3t-plain-word b abc/def+123456 c eu-west-1 x")
        == "a [secret] b [secret] c eu-west-1 x"
    )


def test_a_secret_of_several_lines_is_masked_line_by_line() -> None:
    mask = masker(DEPLOY_PASSWORD="first-line-secret\nsecond-line-secret")
    assert mask("stdout", b"first-line-secret") == "[secret]"
    assert mask("stdout", b"= second-line-secret") == "= [secret]"


def test_a_private_key_spans_lines_of_its_own_stream() -> None:
    mask = masker()
    assert mask("stdout", b"x -----BEGIN RSA PRIVATE KEY-----") == "x [private-key]"
    assert mask("stderr", b"between") == "between"
    assert mask("stdout", b"MIIEowIBAAKCAQEA") is None
    assert mask("stdout", b"-----END RSA PRIVATE KEY-----") is None
    assert mask("stdout", b"after") == "after"


def test_a_key_that_never_ends_hides_no_more_than_a_key() -> None:
    mask = masker()
    mask("stdout", b"-----BEGIN PRIVATE KEY-----")
    said = [mask("stdout", b"line") for _ in range(400)]
    assert said[:200] == [None] * 200
    assert said[-1] == "line"


@given(st.binary(max_size=200))
def test_whatever_it_writes_is_printable(raw: bytes) -> None:
    text = masker()("stdout", raw)
    assert text is None or text.isprintable()
