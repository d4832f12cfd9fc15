"""What secrets look like: the patterns of :mod:`vmqlib.record.redaction`, and a quick look that says which to
try.

Forms are those that the issuers document (AWS IAM's key prefixes, Slack's, GitHub's, GitLab's, Google's and
Atlassian's token prefixes, RFC 7235 and 7519, RFC 7468 for keys); everything else is known by the name before
it."""

from __future__ import annotations

import re
from enum import IntFlag
from itertools import pairwise

__all__ = [
    "AUTHORIZATION",
    "AWS_KEY_ID",
    "AWS_SECRET",
    "AWS_SESSION",
    "BASIC",
    "BEARER",
    "EMAIL",
    "JWT",
    "NAMED",
    "NOT_A_PERSON",
    "OPTION",
    "PEM",
    "TOKENS",
    "URL_PASSWORD",
    "Look",
    "is_sensitive_name",
    "look",
    "looks_random",
    "looks_secret",
]


class Look(IntFlag):
    """Groups of patterns that a text calls for."""

    NOTHING = 0
    EMAIL = 1
    AWS = 2
    NAMED = 4
    AUTH = 8
    JWT = 16
    PEM = 32
    TOKEN = 64
    PHONE = 128
    NUMBER = 256
    IBAN = 512


# Plain integers inside the quick look: an IntFlag's own `|` takes a microsecond.
_EMAIL, _AWS, _NAMED, _AUTH, _JWT, _PEM, _TOKEN, _PHONE, _NUMBER, _IBAN = (1 << n for n in range(10))


def _shape(code: int) -> str:
    char = chr(code)
    return "0" if char in "0123456789" else "A" if "A" <= char <= "Z" else "-" if char in " -." else "?"


_SHAPES = "".join(_shape(code) for code in range(256)).encode()


def look(text: str) -> int:  # noqa: C901 - one flat list of tests, most of which fail
    """Which groups of patterns might match. Quick, and never misses one."""
    found = 0
    if "@" in text or "%40" in text:
        found = _EMAIL | _NAMED
    if "+" in text:
        found |= _PHONE
    if "AKIA" in text or "ASIA" in text or "ABIA" in text or "ACCA" in text:
        found |= _AWS
    if "eyJ" in text:
        found |= _JWT
    low = text.lower()
    if "pass" in low or "secret" in low or "token" in low or "pwd" in low:
        found |= _NAMED | _AWS
    if "key" in low or "credential" in low or "signature" in low:
        found |= _NAMED | _AWS | _PEM
    if "bearer" in low or "basic" in low or "authoriz" in low:
        found |= _AUTH
    if "_" in text and ("gh" in low or "sk_" in low):
        found |= _TOKEN
    if "x" in low and ("xox" in low or "xapp-" in low):
        found |= _TOKEN
    if "hooks.slack" in low or "glpat-" in low or "AIza" in text or "ATATT" in text or "ya29." in text:
        found |= _TOKEN
    if "oJb3JpZ2" in text or "GZXIvYXdz" in text or "oDYXdz" in text or len(text) == 40:
        found |= _AWS
    shape = text.encode("utf-8", "replace").translate(_SHAPES, b"()")
    if b"000-000" in shape:
        found |= _NUMBER | _PHONE
    if b"00000000000000" in shape:
        found |= _NUMBER
    if b"AA00" in shape:
        found |= _IBAN
    return found


PEM = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    # A log may have cut it off: then all that still looks like its body goes.
    r"(?:.*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|(?:[A-Za-z0-9+/=]|\\+[nr]|\s)*)",
    re.DOTALL,
)

AWS_KEY_ID = re.compile(r"(?<![A-Z0-9])A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Z0-9])")
AWS_SESSION = re.compile(
    r"(?:IQoJb3JpZ2|FwoGZXIvYXdz|FQoGZXIvYXdz|AQoDYXdz)(?:[A-Za-z0-9/+=_-]|%2[BFbf]|%3[Dd]){16,}"
)
AWS_SECRET = re.compile(r"(?:(?<![A-Za-z0-9/+=._-])|(?<=\\[nrt]))[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=._-])")

JWT = re.compile(r"eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]+){1,4}")
AUTHORIZATION = re.compile(
    r"(?P<name>(?i:authorization)\\*[\"']?\s*[:=]\s*\\*[\"']?)"
    r"(?P<value>(?i:aws4-hmac-sha256|digest)\s[^\"'\\\r\n]+"
    r"|(?i:(?:bearer|basic|token|apikey|negotiate|ntlm)\s+)?[^\s\"'\\,;]+)"
)
BEARER = re.compile(r"(?P<name>\b(?i:bearer)\s+)(?P<value>[A-Za-z0-9._~+/=-]{8,})")
BASIC = re.compile(r"(?P<name>\b(?i:basic)\s+)(?P<value>[A-Za-z0-9+/_-]{4,}={0,2})")

TOKENS = re.compile(
    r"(?P<webhook>https?://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]+)"
    r"|(?P<slack>xox[a-z]{1,2}-(?:\d-)?[A-Za-z0-9-]{8,}|xapp-\d-[A-Za-z0-9-]{8,})"
    r"|(?P<other>gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}|ATATT[A-Za-z0-9_=-]{20,}"
    r"|(?<![A-Za-z0-9])[sr]k_(?:live|test)_[A-Za-z0-9]{16,})"
)

URL_PASSWORD = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s/@:\"'<>]{0,256}:)(?P<value>[^\s/\"'<>\\]{1,256})(?=@)"
)

_STRICT = (
    r"pass(?:word|wd|phrase|code)|pwd|secret(?:[_ -]?access)?[_ -]?key|secret[_-]?string|secret"
    r"|private[_ -]?key|(?:x-)?api[_ -]?key"
)
_LOOSE = r"credential|x-amz-signature|x-amz-security-token|signature|token"
_MASK = r"\[[a-z-]+(?::[0-9a-f]+)?\]"
NAMED = re.compile(
    rf"(?P<name>(?i:(?P<strict>{_STRICT})|{_LOOSE})s?)(?P<is>\\*[\"']?\s*(?:=>|:=|[:=])\s*)"
    rf"(?:(?P<quote>\\*[\"'])(?P<quoted>(?s:.*?))(?:(?<!\\)(?P=quote)|\Z)|(?P<bare>{_MASK}|[^\s\"'&;,}}\])<>\\]+))"
)
"""``name = value`` and ``"name": "value"``, the quotes escaped any number of times. ``strict`` names hold
secrets whatever their value looks like; the others only where the value looks like one (``token: expired`` is
a remark)."""
OPTION = re.compile(r"(?P<name>--[a-z-]*(?:password|passphrase|secret|token|api-key)\s+)(?P<value>[^\s-]\S*)")

EMAIL = re.compile(
    r"(?<![\w.%+-])(?P<local>[\w.%+-]{1,64}?(?:'[\w.%+-]{1,32})?)(?P<at>@|%40)"
    r"(?P<domain>(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+(?:xn--[\w-]{2,59}|[^\W\d_]{2,24}))"
)
NOT_A_PERSON = re.compile(r"git@[\w.-]+|.+@\dx\.(?:png|jpe?g|gif|svg|webp|avif)", re.IGNORECASE)
"""What has an e-mail address's form and is none: a git remote, a picture for a fine display."""

_SENSITIVE = re.compile(
    r"(?:.*(?:password|passwd|passphrase|passcode|pwd|secret|secretkey|secretaccesskey|secretstring|privatekey|apikey"
    r"|webhook|webhookurl)|pass)s?"
)
_FIELD = re.compile(r"[\w .:/-]{1,80}")
_SENSITIVE_IF_RANDOM = re.compile(r".*(?:credential|authorization|token|signature|cookie)s?")
_HARMLESS_TOKEN = re.compile(
    r".*(?:next|continuation|page|client|request|start|forward|backward|marker)_?tokens?"
)


def is_sensitive_name(name: str) -> bool | None:
    """Whether a field of that name holds a secret: yes, no, or ``None``, which means: if its value looks like
    one."""
    if not _FIELD.fullmatch(name):
        return False
    bare = "".join(c for c in name.lower() if c.isalnum())
    if _SENSITIVE.fullmatch(bare):
        return True
    if _SENSITIVE_IF_RANDOM.fullmatch(bare) and not _HARMLESS_TOKEN.fullmatch(bare):
        return None
    return False


def looks_secret(value: str) -> bool:
    """Whether a value after a loose name (``token``) is one: long enough, and no ordinary word."""
    if len(value) < 8 or value.startswith("arn:") or not re.search(r"\d", value):
        return (
            len(value) >= 20 and value != value.lower() and " " not in value and not value.startswith("arn:")
        )
    return " " not in value


def looks_random(value: str) -> bool:
    """Whether 40 characters are an AWS secret key: not a path, not a git hash, not words run together.

    A random key changes between capitals, small letters, digits and signs at two thirds of its places; a path
    with words in it at a third."""
    kinds = [0 if c.islower() else 1 if c.isupper() else 2 if c.isdigit() else 3 for c in value]
    changes = sum(a != b for a, b in pairwise(kinds))
    return {0, 1, 2} <= set(kinds) and changes >= 16
