"""Secrets and personal data are masked before anything reaches the disk.

Masked are AWS access keys, secret keys and session tokens; bearer and basic authorization; JSON web tokens;
private keys; Slack's and other well-known tokens and webhooks; passwords in URLs and in ``key=value`` or
JSON; e-mail addresses, telephone, payment card and bank account numbers. Not masked are ids, version ids,
ETags, checksums, S3 keys, times and ARNs: they are what a record is about.

A mask says what it hides: ``[password]``. An e-mail address becomes ``[email:3f9a1c]``, the same for the same
address, by an HMAC whose key stays on this machine (:func:`redaction_key`): one can see that one person did
two things, and not who it was.

Most texts hold nothing to mask, so each is looked through for telltale characters and words first
(:func:`vmqlib.record.secretforms.look`), and only the patterns that these call for are run.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import re
import secrets
import string
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmqlib.errors import StorageError
from vmqlib.record import personalnumbers as numbers
from vmqlib.record import secretforms as forms
from vmqlib.record.secretforms import Look
from vmqlib.record.storage import storage_errors, write_atomically

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident
    from vmqlib.settings import Settings

__all__ = ["KEY_FILE", "Redactor", "has_mask", "redaction_key", "redactor_for"]

KEY_FILE = ".redaction-key"
"""The key's file in the incidents folder. It is never inside an incident, so it never travels with one."""

_MASK = re.compile(
    r"\[(?:aws-key-id|aws-secret|aws-session|authorization|jwt|private-key|slack-token|slack-webhook|token|password"
    r"|secret|phone|card|iban|email:[0-9a-f]{6})\]"
)
_NAME_CHARACTERS = string.ascii_letters + string.digits + "_-"
_SHORT = 160  # shorter texts come again and again (statuses, streams, keys): their outcome is remembered
_MOST_NAMES = 4096
_FOLDER = re.compile(r"(?:^|\n)(?:OLD)?PWD\Z")  # as `env` prints the working directory: no password
_PLAIN = frozenset({int, float, bool, type(None)})

_is_sensitive = lru_cache(maxsize=4096)(forms.is_sensitive_name)


def has_mask(text: str) -> bool:
    """Whether something in a text was masked: then it is no longer what it was read as."""
    return _MASK.search(text) is not None


class Redactor:
    """Masks secrets in texts and rows, and counts what it masked.

    Parameters
    ----------
    keep:
        E-mail addresses that stay as they are: the contacts of the settings.
    key:
        The key of the e-mail pseudonyms; by default a random one, so that they mean something in this process
        only.

    Attributes
    ----------
    counts:
        How many of each kind were masked so far.
    """

    def __init__(self, keep: Iterable[str] = (), *, key: bytes | None = None) -> None:
        self._keep = frozenset(address.lower() for address in keep)
        self._key = key or secrets.token_bytes(32)
        self.counts: Counter[str] = Counter()
        self._remembered = lru_cache(maxsize=8192)(self._mask)
        self._harmless: set[str] = (
            set()
        )  # names of fields that are no secret, and whose values need not be one

    def fresh(self) -> Redactor:
        """One that masks in the same way and has counted nothing yet."""
        other = Redactor(key=self._key)
        other._keep = self._keep
        return other

    def text(self, text: str) -> str:
        """``text`` with every secret masked. Doing it twice changes nothing more."""
        masked, counts = self._remembered(text) if len(text) <= _SHORT else self._mask(text)
        if counts:
            self.counts.update(dict(counts))
        return masked

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """``row`` with every secret masked, at any depth, in keys as well; values under a telling name
        (``password``) are masked whatever they look like. Numbers, times and truth values stay."""
        masked: dict[str, Any] = {}
        harmless = self._harmless
        for name, value in row.items():
            if name in harmless and name not in masked:  # nearly always: rows of one source are alike
                masked[name] = value if type(value) in _PLAIN else self.value(value)
                continue
            safe = name = str(name)
            if len(name) > 5:
                safe = self.text(name)
                while safe in masked:  # two secrets, one mask: neither value is lost
                    safe += "'"
            masked[safe] = self._named(name, value)
            if safe == name and _is_sensitive(name) is False and len(harmless) < _MOST_NAMES:
                harmless.add(name)
        return masked

    def value(self, value: Any) -> Any:
        """As :meth:`row`, for any JSON value."""
        if isinstance(value, str):
            return self.text(value) if len(value) > 5 else value
        if isinstance(value, dict | Mapping):
            return self.row(value)
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def _named(self, name: str, value: Any) -> Any:
        sensitive = (
            _is_sensitive(name) if isinstance(value, str | int | float | list | tuple | Mapping) else False
        )
        if sensitive is False or isinstance(value, bool):
            return self.value(value)
        if isinstance(value, Mapping):
            return {
                key: self._named(f"{key}{name}" if sensitive else key, item)
                for key, item in self.row(value).items()
            }
        if isinstance(value, list | tuple):
            return [self._named(name, item) for item in value]
        if not isinstance(value, str):
            return self._hide("password") if sensitive else value
        if sensitive is None and not forms.looks_secret(value):
            return self.text(value)
        return value if _stays(value) else self._hide("password" if sensitive else "token")

    def _hide(self, kind: str) -> str:
        self.counts[kind] += 1
        return f"[{kind}]"

    def _mask(self, text: str) -> tuple[str, tuple[tuple[str, int], ...]]:
        found = forms.look(text) if len(text) > 5 else 0
        if not found:
            return text, ()
        counts: Counter[str] = Counter()
        for groups, pattern, answer in self._rules:
            if found & groups:
                text = pattern.sub(lambda match, answer=answer: answer(self, match, counts), text)  # type: ignore[misc]
        return text, tuple(counts.items())

    def _email(self, match: re.Match[str], counts: Counter[str]) -> str:
        whole = match[0]
        before = match.string[match.start() - 1 : match.start()]
        # In JSON text a line's end is written \n: that n is no part of the name.
        lead = whole[:1] if before == "\\" and whole[0] in "nrt" and len(match["local"]) > 1 else ""
        address = whole[len(lead) :].replace("%40", "@").lower()
        if address in self._keep or forms.NOT_A_PERSON.fullmatch(address):
            return whole
        counts["email"] += 1
        pseudonym = hmac.new(self._key, address.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:6]
        return f"{lead}[email:{pseudonym}]"

    _rules: tuple[tuple[int, re.Pattern[str], _Answer], ...] = ()


_Answer = Callable[[Redactor, "re.Match[str]", "Counter[str]"], str]


def _whole(kind: str, check: Callable[[str], bool] | None = None) -> _Answer:
    """Masks a whole match, if ``check`` says that it is one."""

    def answer(_: Redactor, match: re.Match[str], counts: Counter[str]) -> str:
        if check is not None and not check(match[0]):
            return match[0]
        counts[kind] += 1
        return f"[{kind}]"

    return answer


def _after_name(kind: str, check: Callable[[str], bool] | None = None) -> _Answer:
    """Masks what comes after a name."""

    def answer(_: Redactor, match: re.Match[str], counts: Counter[str]) -> str:
        if _stays(match["value"]) or (check is not None and not check(match["value"])):
            return match[0]
        counts[kind] += 1
        return f"{match['name']}[{kind}]"

    return answer


def _named_value(_: Redactor, match: re.Match[str], counts: Counter[str]) -> str:
    quoted = match["quote"] is not None
    if match["is"] == ":" and match.string[match.start() - 1 : match.start()] == ":":
        return match[0]  # arn:aws:secretsmanager:…:secret:name
    value = match["quoted"] if quoted else match["bare"]
    if _stays(value) or (not quoted and value in {"null", "None", "true", "false"}):
        return match[0]
    if (
        value.startswith("/")
        and _FOLDER.search(match.string, 0, match.start("is"))
        and not forms.looks_secret(value)
    ):
        return match[0]
    strict = match["strict"] is not None
    if not strict:
        before = match.string[max(0, match.start() - 16) : match.start()]
        lead = before[len(before.rstrip(_NAME_CHARACTERS)) :]  # next in nextToken: that one is no secret
        if not forms.looks_secret(value) or forms.is_sensitive_name(lead + match["name"]) is False:
            return match[0]
    kind = "password" if strict else "token"
    counts[kind] += 1
    quote = match["quote"] if quoted else ""
    closed = quote if match[0].endswith(quote) else ""
    return f"{match['name']}{match['is']}{quote}[{kind}]{closed}"


def _token(_: Redactor, match: re.Match[str], counts: Counter[str]) -> str:
    kind = {"webhook": "slack-webhook", "slack": "slack-token"}.get(str(match.lastgroup), "token")
    counts[kind] += 1
    return f"[{kind}]"


def _stays(value: str) -> bool:
    """Values that are no secrets under any name: nothing, a reference to where the secret is kept, a mask."""
    return not value or value.startswith("arn:aws") or _MASK.fullmatch(value) is not None


def _is_credential(value: str) -> bool:
    scheme, _, rest = value.partition(" ")
    return forms.looks_secret(value) or (bool(rest.strip()) and bool(scheme))


def _is_bearer(value: str) -> bool:
    return forms.looks_secret(value) or len(value) >= 24


def _is_basic(value: str) -> bool:
    """Basic authorization is base64 of ``user:password``; "basic configuration" is not."""
    with contextlib.suppress(binascii.Error, ValueError):
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    return False


_RULES: tuple[tuple[Look, re.Pattern[str], _Answer], ...] = (
    (Look.PEM, forms.PEM, _whole("private-key")),
    (Look.EMAIL, forms.URL_PASSWORD, _after_name("password")),
    (Look.AUTH, forms.AUTHORIZATION, _after_name("authorization", _is_credential)),
    (Look.JWT, forms.JWT, _whole("jwt")),
    (Look.TOKEN, forms.TOKENS, _token),
    (Look.AWS, forms.AWS_KEY_ID, _whole("aws-key-id")),
    (Look.AWS, forms.AWS_SESSION, _whole("aws-session")),
    (Look.AUTH, forms.BEARER, _after_name("authorization", _is_bearer)),
    (Look.AUTH, forms.BASIC, _after_name("authorization", _is_basic)),
    (Look.NAMED, forms.NAMED, _named_value),
    (Look.NAMED, forms.OPTION, _after_name("password")),
    (Look.AWS, forms.AWS_SECRET, _whole("aws-secret", forms.looks_random)),
    (Look.EMAIL, forms.EMAIL, Redactor._email),
    (Look.NUMBER, numbers.CARD, _whole("card", numbers.is_card)),
    (Look.IBAN, numbers.IBAN, _whole("iban", numbers.is_iban)),
    (Look.PHONE, numbers.PHONE, _whole("phone", numbers.is_phone)),
)
# Plain integers: an IntFlag's own `&` takes a microsecond, for each rule and text.
Redactor._rules = tuple((int(groups), pattern, answer) for groups, pattern, answer in _RULES)


def redactor_for(settings: Settings, incident: Incident | None = None, *, kept: bool = False) -> Redactor:
    """The masks of an incident; where there is none, those that an incident of these settings would have.

    Parameters
    ----------
    kept:
        Whether what is masked stays on the disk: a pseudonym in it has to be the one that records have. Where it is
        only shown, looking makes no key, and one that this user may not read stops nothing.

    Raises
    ------
    StorageError
        As :func:`redaction_key`, for what is kept.
    """
    if incident is not None:
        return incident.redactor
    key = None
    with contextlib.suppress(*() if kept else (StorageError, OSError)):
        if kept or (settings.incidents / KEY_FILE).exists():
            key = redaction_key(settings.incidents)
    return Redactor(settings.addresses, key=key)


def redaction_key(root: Path) -> bytes:
    """The machine's key for e-mail pseudonyms, made when it is first needed and readable by its owner alone.

    Parameters
    ----------
    root:
        The incidents folder.

    Raises
    ------
    StorageError
        When it can neither be read nor made, or is no key.
    """
    path = root / KEY_FILE
    if not path.exists():
        with storage_errors(root):
            root.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # two processes at once: the first one's key holds
            write_atomically(path, secrets.token_bytes(32), mode=0o600, replace=False)
    with storage_errors(path, "read"):
        key = path.read_bytes()
    if len(key) != 32:
        raise StorageError(
            f"{path} is not a redaction key: it has {len(key)} bytes, not 32.",
            hint="Move it away: a new one is made, and e-mail pseudonyms differ from then on.",
        )
    return key
