"""Telephone, payment card and bank account numbers: told apart from all the other long numbers by their check
digits and shapes. Times, sizes, ids and hashes are made of digits, too."""

from __future__ import annotations

import re

__all__ = ["CARD", "IBAN", "PHONE", "is_card", "is_iban", "is_phone"]

_PLUS = r"(?<![\w+/=.-])\+[1-9]\d{0,2}(?:[ ./-]?\(?\d{1,5}\)?){2,6}(?!\w|[/+=])"
_NATIONAL = r"(?<![\w.+/-])(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[.-]\d{4}(?![\w/-])"
PHONE = re.compile(f"{_PLUS}|{_NATIONAL}")
"""What might be a telephone number: with a country code, or as North America writes it."""

_CARD = r"(?<![\w.-])[2-6]\d{3}[ -]?(?:\d{4}[ -]?\d{4}[ -]?\d{1,7}|\d{6}[ -]?\d{4,5})(?![\w-]|\.\d)"
_IBAN = r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}(?![A-Za-z0-9])"
CARD = re.compile(_CARD)
"""What might be a payment card's number."""
IBAN = re.compile(_IBAN)
"""What might be an international bank account number."""

# Issuers' prefixes and lengths (ISO/IEC 7812): a 16-digit time in microseconds starts with 1 and is none of
# them.
_ISSUERS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}(?:\d{3})?|3(?:0[0-5]|[689]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}"
    r"|62\d{14,17}|(?:5[06-8]|6[37])\d{14}"
)

# Lengths by country, from the registry of ISO 13616.
_IBAN_LENGTHS = {
    **dict.fromkeys(("NO",), 15), **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FO", "GL", "NL", "FK"), 18), **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "XK", "MN"), 20),
    **dict.fromkeys(("CH", "CR", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "TL", "OM", "SO"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25), **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29), **dict.fromkeys(("JO", "KW", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31), "LC": 32, "RU": 33,
}  # fmt: skip


def is_card(text: str) -> bool:
    """Whether these digits are of an issuer's form and their Luhn check digit is right."""
    digits = [int(c) for c in text if c.isdigit()]
    if not _ISSUERS.fullmatch("".join(map(str, digits))):
        return False
    doubled = [d if n % 2 == 0 else d * 2 - 9 * (d > 4) for n, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def is_iban(text: str) -> bool:
    """Whether this has its country's length and a right check number (ISO 7064, mod 97)."""
    bare = text.replace(" ", "")
    if len(bare) != _IBAN_LENGTHS.get(bare[:2]):
        return False
    turned = bare[4:] + bare[:4]
    return int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def is_phone(text: str) -> bool:
    """Whether a match of :data:`PHONE` has as many digits as a telephone number has (ITU-T E.164: at most
    15).

    Without any separator a number of fewer than ten digits is taken for a difference (``+10485760``).
    """
    count = sum(c.isdigit() for c in text)
    bare = text.removeprefix("+").isdigit()
    return (10 if bare else 8) <= count <= 15
