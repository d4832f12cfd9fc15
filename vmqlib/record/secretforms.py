"""What secrets look like: the patterns of :mod:`vmqlib.record.redaction`, and a quick look that says which to
try.

Forms are those that the issuers document (AWS IAM's key prefixes, Slack's, GitHub's, Google's and
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


def _folded(code: int) -> str:
    char = chr(code).lower() if code < 128 else "?"
    return "0" if char.isdigit() else "-" if char in " -." else char


_FOLDED = "".join(_folded(code) for code in range(256)).encode()


def look(text: str) -> int:  # noqa: C901 - one flat list of tests, of which nearly all fail
    """Which groups of patterns might match. Quick, and never misses one.

    The text is searched in a form where capitals are small, every digit is 0, and spaces and dots are dashes: then a
    card, a telephone number or an IBAN shows by a few zeros. A search for one character costs a fifth of one for a
    word: where every form has a rare character, that one is looked for first.
    """
    found = 0
    if "@" in text or "%40" in text:
        found = _EMAIL | _NAMED
    if "+" in text:
        found |= _PHONE
    if "IA" in text or len(text) == 40:
        found |= _AWS
    # Through bytes and back: bytes.translate is a table, and searching in str is twice as quick as in bytes.
    folded = text.encode("utf-8", "replace").translate(_FOLDED, b"()").decode("latin-1")
    if "pass" in folded or "secret" in folded or "token" in folded or ("w" in folded and "pwd" in folded):
        found |= _NAMED | _AWS | _TOKEN
    if "key" in folded and ("api" in folded or "private" in folded):
        found |= _NAMED | _PEM
    if "bearer" in folded or "basic" in folded or ("z" in folded and "authoriz" in folded):
        found |= _AUTH
    if "j" in folded and ("eyj" in folded or "ojb0j" in folded):
        found |= _JWT | _AWS
    if "x" in folded and "yxdz" in folded:
        found |= _AWS
    if "x" in folded and ("xox" in folded or "xapp-" in folded or "x-amz-" in folded or "att0x" in folded):
        found |= _TOKEN | _NAMED
    if "_" in folded and ("gh" in folded or "k_" in folded):
        found |= _TOKEN
    if "hooks-slack" in folded or ("z" in folded and "aiza" in folded):
        found |= _TOKEN
    if "000-000" in folded:
        found |= _NUMBER | _PHONE | _IBAN
    elif "0000000000" in folded:
        found |= _NUMBER | _IBAN
    return found


PEM = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    # A log may have cut it off: then all that still looks like its body goes.
    r"(?:.*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|(?:[A-Za-z0-9+/=]|\\+[nr]|\s)*)",
    re.DOTALL,
)

AWS_KEY_ID = re.compile(r"(?<![A-Z0-9])A(?:KIA|SIA|BIA)[A-Z0-9]{16}(?![A-Z0-9])")
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
    r"|(?P<other>gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|AIza[A-Za-z0-9_-]{30,}|ATATT3x[A-Za-z0-9_=-]{20,}"
    r"|(?<![A-Za-z0-9])[sr]k_(?:live|test)_[A-Za-z0-9]{16,})"
)

URL_PASSWORD = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s/@:\"'<>]{0,256}:)(?P<value>[^\s/\"'<>\\]{1,256})(?=@)"
)

_STRICT = (
    r"pass(?:word|wd|phrase|code)|pwd|secret(?:[_ -]?access)?[_ -]?key|secret[_-]?string|secret"
    r"|private[_ -]?key|(?:x-)?api[_ -]?key"
)
_LOOSE = r"x-amz-signature|x-amz-security-token|token"
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
