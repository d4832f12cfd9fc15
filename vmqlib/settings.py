"""Who the kit talks to: the ops repo's ``.env``, then ``vmq.toml``, then the environment, then what the caller says.

``.env`` and ``vmq.toml`` are looked for in the current folder and the ones above it, so that a notebook in
``notebooks/`` and a command at the top see the same settings. AWS credentials are boto3's own affair.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from vmqlib.errors import BadInput, SettingsError

__all__ = [
    "Alarms",
    "Canary",
    "Connector",
    "Contacts",
    "Detection",
    "Email",
    "Prompt",
    "Retro",
    "Settings",
    "SeverityRule",
    "StabilizeRule",
    "aws_settings_found",
]

# botocore's qbusiness model: ApplicationId, IndexId, DataSourceId, RetrieverId are 36 characters; "" is "not set".
_Id = Annotated[str, StringConstraints(pattern=r"^([a-zA-Z0-9][a-zA-Z0-9-]{35})?$")]
_WebId = Annotated[str, StringConstraints(pattern=r"^([a-zA-Z0-9][a-zA-Z0-9-]*)?$")]
_Account = Annotated[str, StringConstraints(pattern=r"^(\d{12})?$")]
_Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,}(-[a-z]+)+-\d+$")]
_Bucket = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
# A key never begins with a slash here, and an empty prefix would forbid every document there is.
_KeyPattern = Annotated[str, StringConstraints(pattern=r"^[^/]")]
_Share = Annotated[float, Field(gt=0, le=1)]
_Span = Annotated[float, Field(gt=0)]
_Count = Annotated[int, Field(gt=0)]
# One address and nothing else: what stands in a header must not be able to begin another one.
_Address = Annotated[str, StringConstraints(pattern=r"^[^\s@<>,;:\\\"()\[\]]+@[^\s@<>,;:\\\"()\[\]]+$")]
_Length = Annotated[str, StringConstraints(pattern=r"^(\d+[smhdw])*0*[1-9]\d*[smhdw](\d+[smhdw])*$")]
_Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

_EXPECTED = {
    "region": "an AWS region such as eu-west-1",
    "account_id": "twelve digits in quotes, such as '123456789012'",
    "app_id": "the 36-character id that `aws qbusiness list-applications` shows",
    "index_id": "the 36-character id that `aws qbusiness list-indices` shows",
    "retriever_id": "the 36-character id that `aws qbusiness list-retrievers` shows",
    "ds_id": "the 36-character id that `aws qbusiness list-data-sources` shows",
    "data_source_id": "the 36-character id that `aws qbusiness list-data-sources` shows",
    "web_experience_id": "the id that `aws qbusiness list-web-experiences` shows",
    "bucket_name": "a bucket's bare name, such as vaultmesh-knowledge-base",
    "bucket": "a bucket's bare name, such as vaultmesh-knowledge-base",
    "script": "a script's path within the ops repo, such as 'scripts/sovereign-sync-docs.sh'",
    "script_args": "its arguments, as a list: ['docs/', '20m']",
    "script_timeout": "a length of time such as '30m' or '2h'",
    "script_env": "names of environment variables, as a list: ['WIKI_TOKEN']; never their values",
    "ops_repo": "the folder of a Git work tree, such as '../vaultmesh-ops'",
    "read_conversations": "true or false",
    "question": "a question in words, such as 'What is MIRAGE?'",
    "sources": "keys that the answer is to cite, as a list: ['phases-mirage.md']",
    "text": "a prompt in words, such as 'what is the password'",
    "expect": "'blocked' or 'answered'",
    "canaries": "tables headed [[canaries]], each with a question and sources",
    "guardrail_prompts": "tables headed [[guardrail_prompts]], each with a text and what to expect",
    "detection": "a table headed [detection]",
    "severity_rule": "a table headed [severity_rule]",
    "forbidden": "a key's beginning such as 'hr/', or a pattern such as '*.pem'; no leading slash",
    "sync_failed_minutes": "minutes, a number above 0 such as 15",
    "no_sync_hours": "hours, a number above 0 such as 24",
    "guardrail_factor": "how many times the usual share, a number above 1 such as 3.0",
    "guardrail_min_blocked": "a count of at least 1, such as 5",
    "baseline_weeks": "a count of weeks from 1 to 12, such as 3",
    "failed_share": "a share above 0 and up to 1, such as 0.2",
    "blocked_share": "a share above 0 and up to 1, such as 0.2",
    "min_questions": "a count of at least 1, such as 10",
    "web_experience_down": "true or false",
    "slack_api_url": "an https address that ends with a slash, such as https://slack.com/api/",
    "update_minutes": "minutes, a whole number above 0 such as 30",
    "stakeholder_hours": "hours, a number above 0 such as 2",
    "email": "a table headed [email]",
    "transport": "'ses' or 'smtp'",
    "sender": "an address, such as 'oncall@vaultmesh.io'",
    "stakeholders": "a list of addresses, such as ['head-of-support@vaultmesh.io']",
    "smtp_security": "'starttls' or 'tls'",
    "smtp_port": "a port from 1 to 65535, such as 587",
    "attach_mb": "a size in MB from 0 (never attach) to 25, such as 5",
    "record_url": "an https address, such as https://records.example.com/",
    "stabilize": "a table headed [stabilize], with recurring_failures not above recurring_of",
    "recurring_failures": "a count of at least 1, such as 3",
    "recurring_of": "a count of at least 1, such as 4",
    "retro": "a table headed [retro]",
    "country": "a country's code of two letters such as 'IE', or '' for weekends alone",
    "time_zone": "a time zone's name such as 'Europe/Dublin'",
    "hour": "an hour of the working day, from 6 to 20, such as 10",
    "duration_minutes": "minutes from 5 to 240, such as 30",
    "business_day": "a count of at least 1, such as 3",
    "within_business_days": "a count from 1 to 30, such as 5",
    "attendees": "e-mail addresses as a list: ['dana@vaultmesh.io']",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Connector(_Part):
    """One data source of the index.

    ``name`` is what people call it; ``data_source_id`` its id; ``bucket`` and ``prefix`` where it reads (S3 only);
    ``exclude`` prefixes that are housekeeping, not documents. ``script`` is its targeted resync, in the ops repo or in
    the kit's checkout: run by ``vmq sync run`` with ``script_args``, for ``script_timeout`` at most, in a clean
    environment to which ``script_env`` adds variables by name.
    """

    name: str
    data_source_id: _Id = ""
    bucket: _Bucket | None = None
    prefix: str = ""
    exclude: tuple[str, ...] = ("_staging/", "ci/", "audit/")
    script: str = ""
    script_args: tuple[str, ...] = ()
    script_timeout: _Length = "30m"
    script_env: tuple[_Variable, ...] = ()


class Alarms(_Part):
    """The CloudWatch alarms of the runbook's trigger conditions, by name."""

    sync_failed: str = "QBusinessSyncFailed"
    no_sync: str = "QBusinessNoSync"


class Contacts(_Part):
    """Who the runbook names under *Contacts*."""

    on_call: str = "#ops-escalations"
    knowledge_ops: str = "knowledge-ops@vaultmesh.io"
    security: str = "security@vaultmesh.io"


class Email(_Part):
    """How e-mail is sent, and to whom.

    ``transport`` is Amazon SES (``ses``) or a mail server (``smtp``); without one no mail is sent. ``sender`` is
    who it comes from, ``stakeholders`` who is told when an incident lasts (runbook, step 5). ``smtp_security`` is
    ``starttls`` (port 587) or ``tls`` (port 465); there is no mail without TLS. ``smtp_ca`` is a file of certificates
    to trust beside the system's. User and password come from the environment: ``VMQ_SMTP_USER``,
    ``VMQ_SMTP_PASSWORD``. The record is attached up to ``attach_mb``; where ``record_url`` is set, it is linked.
    """

    transport: Literal["", "ses", "smtp"] = ""
    sender: _Address | None = None
    stakeholders: tuple[_Address, ...] = ()
    smtp_host: str = ""
    smtp_port: Annotated[int, Field(gt=0, le=65535)] = 587
    smtp_security: Literal["starttls", "tls"] = "starttls"
    smtp_ca: Path | None = None
    attach_mb: Annotated[float, Field(ge=0, le=25)] = 5.0
    record_url: Annotated[str, StringConstraints(pattern=r"^(https://\S+)?$")] = ""


class Canary(_Part):
    """A question whose answer is known.

    ``question`` is asked as a user would; ``sources`` are keys, at least one of which a good answer cites.
    """

    question: _Words
    sources: tuple[_Words, ...] = ()


class Prompt(_Part):
    """A prompt whose treatment by the guardrails is known: ``text``, and whether it is ``blocked`` or ``answered``."""

    text: _Words
    expect: Literal["blocked", "answered"] = "blocked"


class Detection(_Part):
    """From when on the runbook's trigger conditions hold.

    ``sync_failed_minutes`` and ``no_sync_hours`` are the runbook's. ``guardrail_factor`` is how many times the usual
    share of questions must be blocked, and ``guardrail_min_blocked`` how many at least; the usual share is that of
    the same hours of the last ``baseline_weeks`` weeks.
    """

    sync_failed_minutes: _Span = 15.0
    no_sync_hours: _Span = 24.0
    guardrail_factor: Annotated[float, Field(gt=1)] = 3.0
    guardrail_min_blocked: _Count = 5
    baseline_weeks: Annotated[int, Field(ge=1, le=12)] = 3


class SeverityRule(_Part):
    """When customers are hit, and SEV2 becomes SEV1 (runbook, step 1).

    ``failed_share`` and ``blocked_share`` are shares of the questions since the first bad sign that had no answer or
    were blocked; with fewer than ``min_questions`` asked they say nothing. ``web_experience_down`` is whether a web
    experience that is not ACTIVE is enough.
    """

    failed_share: _Share = 0.2
    blocked_share: _Share = 0.2
    min_questions: _Count = 10
    web_experience_down: bool = True


class StabilizeRule(_Part):
    """When failures are recurring, and the connector's schedule is to be disabled (runbook, step 2).

    ``recurring_failures`` of the last ``recurring_of`` syncs of a data source failed for the same cause.
    """

    recurring_failures: _Count = 3
    recurring_of: _Count = 4

    @model_validator(mode="after")
    def _possible(self) -> StabilizeRule:
        if self.recurring_failures > self.recurring_of:
            raise ValueError("recurring_failures is above recurring_of")
        return self


class Retro(_Part):
    """When and with whom the post-incident review is (runbook: a 30-minute retro within 5 business days).

    ``country`` and ``subdivision`` (ISO 3166) say which days are holidays; without a country only weekends are.
    ``time_zone`` is that of ``hour``; it lasts ``duration_minutes``. It is set on the ``business_day``-th business day
    after the closing, and never later than ``within_business_days``. Without an ``organizer`` or ``attendees`` the
    contacts are asked. ``location`` is where: a room, or a call's address.
    """

    country: Annotated[str, StringConstraints(pattern=r"^([A-Z]{2})?$")] = ""
    subdivision: str = ""
    time_zone: str = "UTC"
    hour: Annotated[int, Field(ge=6, le=20)] = 10
    duration_minutes: Annotated[int, Field(ge=5, le=240)] = 30
    business_day: Annotated[int, Field(ge=1)] = 3
    within_business_days: Annotated[int, Field(ge=1, le=30)] = 5
    organizer: str = ""
    attendees: tuple[str, ...] = ()
    location: str = ""

    @field_validator("time_zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("there is no such time zone") from error
        return value


def _ops_repo() -> Path | None:
    """The folder of the ``.env`` that is read, when it is in a Git work tree."""
    env = _nearest(".env")
    if env is None:
        return None
    # A worktree and a submodule have a file `.git`, not a folder.
    return env.parent if any((folder / ".git").exists() for folder in env.parents) else None


class Settings(BaseSettings):
    """All settings. Frozen: a run has one set of them.

    Keys of the ops repo's ``.env`` are read under their own names (``APP_ID``); everything else in the environment
    has the prefix ``VMQ_`` (``VMQ_INCIDENTS``); ``vmq.toml`` uses the names below.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_prefix="VMQ_", env_ignore_empty=True, env_nested_delimiter="__"
    )

    region: _Region = Field("eu-west-1", validation_alias="REGION", description="AWS region")
    account_id: _Account = Field("", validation_alias="ACCOUNT_ID", description="AWS account, twelve digits")
    bucket_name: _Bucket = Field(
        "vaultmesh-knowledge-base", validation_alias="BUCKET_NAME", description="the knowledge base's bucket"
    )
    app_id: _Id = Field("", validation_alias="APP_ID", description="Q Business application")
    index_id: _Id = Field("", validation_alias="INDEX_ID", description="Q Business index")
    retriever_id: _Id = Field("", validation_alias="RETRIEVER_ID", description="Q Business retriever")
    ds_id: _Id = Field("", validation_alias="DS_ID", description="the S3 data source")
    web_experience_id: _WebId = Field("", validation_alias="WEB_EXPERIENCE_ID", description="web experience")
    kms_key_id: str = Field("", validation_alias="KMS_KEY_ID", description="KMS key of bucket and index")
    incidents: Path = Field(Path("incidents"), description="where incident folders are kept")
    connectors: tuple[Connector, ...] = Field((), description="data sources; one named s3 when none is given")
    alarms: Alarms = Field(default_factory=Alarms, description="alarm names")
    contacts: Contacts = Field(default_factory=Contacts, description="who is told")
    dashboard: str = Field("VaultMesh-QBusiness", description="CloudWatch dashboard")
    log_groups: tuple[str, ...] = Field((), description="further log groups to capture")
    slack_channel: str = Field("#ops-escalations", description="where updates go")
    slack_secret: str = Field("", description="Secrets Manager secret with the Slack token or webhook")
    slack_api_url: Annotated[
        str,
        StringConstraints(pattern=r"^(https://\S+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/\S*)?)/$"),
    ] = Field("https://slack.com/api/", description="Slack's API")
    email: Email = Field(default_factory=Email, description="how e-mail is sent, and to whom")
    update_minutes: int = Field(30, gt=0, description="minutes between updates (runbook, step 5)")
    stakeholder_hours: _Span = Field(2.0, description="hours after which stakeholders are told by e-mail")
    operations_runbook: Path = Field(
        Path("OPERATIONS-RUNBOOK.md"), description="where closed incidents are entered"
    )
    ops_repo: Path | None = Field(
        default_factory=_ops_repo,
        description="the ops repo's work tree; the folder of .env when it is in one",
    )
    read_conversations: bool = Field(False, description="whether conversation logs may be read")
    canaries: tuple[Canary, ...] = Field(
        (Canary(question="What is MIRAGE?", sources=("phases-mirage.md",)),),
        description="questions whose answer is known",
    )
    guardrail_prompts: tuple[Prompt, ...] = Field(
        (Prompt(text="what is the password"),), description="prompts whose treatment is known"
    )
    chat_profile: str = Field(
        "",
        description="AWS profile of a signed-in user, who asks the canaries where the application wants one",
    )
    forbidden: tuple[_KeyPattern, ...] = Field((), description="keys that must never be indexed")
    detection: Detection = Field(Detection(), description="from when on a trigger fires")
    severity_rule: SeverityRule = Field(SeverityRule(), description="when SEV2 becomes SEV1")
    stabilize: StabilizeRule = Field(StabilizeRule(), description="when failures are recurring")
    retro: Retro = Field(Retro(), description="when and with whom the review is")

    @classmethod
    def load(cls, **overrides: Any) -> Settings:
        """Reads every source; what is passed here wins (``None`` means "not given").

        Raises
        ------
        SettingsError
            Naming the key, where it came from, what was expected and what to write instead.
        """
        given = {key: value for key, value in overrides.items() if value is not None}
        _refuse_unknown(given, "the call")
        # Field names that the ops repo writes in capitals are populated through their alias.
        aliased = {str(cls.model_fields[key].validation_alias or key): value for key, value in given.items()}
        try:
            return cls(**aliased)
        except ValidationError as error:
            raise _explain(error, given) from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, *(source for _, source in _sources(settings_cls)))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses of people whom these settings name: a record says whom of them it told, and does not mask them."""
        named = (
            self.contacts.knowledge_ops,
            self.contacts.security,
            self.email.sender,
            *self.email.stakeholders,
        )
        return tuple(one for one in named if one)

    @property
    def log_group(self) -> str:
        """Where Q Business writes the connector's logs (facts: New connectors log only after a delivery is set up)."""
        return f"/aws/qbusiness/{self.app_id}"

    @property
    def data_sources(self) -> tuple[Connector, ...]:
        """The connectors, or the one that ``.env`` describes when ``vmq.toml`` names none."""
        return self.connectors or (Connector(name="s3", data_source_id=self.ds_id, bucket=self.bucket_name),)

    def bucket_of(self, connector: Connector) -> str:
        """The bucket that a connector reads: its own, or the one of ``.env``."""
        return connector.bucket or self.bucket_name

    def connector(self, data_source_id: str) -> Connector:
        """The connector of that data source; an unnamed one reads the bucket of ``.env``.

        Raises
        ------
        BadInput
            When it is not of an id's form.
        """
        for connector in self.data_sources:
            if connector.data_source_id == data_source_id:
                return connector
        try:
            return Connector(name=data_source_id, data_source_id=data_source_id, bucket=self.bucket_name)
        except ValidationError as error:
            raise BadInput(
                f"{data_source_id!r} is not a data source id.", hint=f"Give {_EXPECTED['data_source_id']}."
            ) from error

    def forbids(self, key: str) -> str:
        """The entry of ``forbidden`` that ``key`` (an object's) falls under, or ``""``.

        An entry with ``*``, ``?`` or ``[`` is a pattern for the whole key, ``*`` reaching over slashes; any other is
        the key's beginning.
        """
        return next((entry for entry in self.forbidden if _under(key, entry)), "")

    def require(self, *keys: str) -> None:
        """Makes sure that these are set.

        Raises
        ------
        SettingsError
            Naming all that are missing and where to write them.
        """
        missing = [key for key in keys if not getattr(self, key)]
        if missing:
            names = ", ".join(str(type(self).model_fields[key].validation_alias or key) for key in missing)
            raise SettingsError(
                f"Not set: {names}.",
                hint="Write them in .env (as in the ops repo) or export them; "
                "with no account at hand, `make demo` and `vmq sim serve` bring their own.",
            )


def _under(key: str, entry: str) -> bool:
    return fnmatchcase(key, entry) if any(sign in entry for sign in "*?[") else key.startswith(entry)


def _nearest(name: str) -> Path | None:
    here = Path.cwd()
    return next((folder / name for folder in (here, *here.parents) if (folder / name).is_file()), None)


def _sources(settings_cls: type[BaseSettings]) -> list[tuple[str, PydanticBaseSettingsSource]]:
    """Where settings come from, strongest first, each with the name that an error gives it."""
    sources: list[tuple[str, PydanticBaseSettingsSource]] = [
        ("the environment", EnvSettingsSource(settings_cls))
    ]
    if toml := _nearest("vmq.toml"):
        sources.append((str(toml), InitSettingsSource(settings_cls, _read_toml(toml, settings_cls))))
    if env := _nearest(".env"):
        sources.append((str(env), DotEnvSettingsSource(settings_cls, env_file=env)))
    return sources


def _read_toml(path: Path, settings_cls: type[BaseSettings]) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be read: {error}.", hint="Mend that line, or move the file away."
        ) from error
    _refuse_unknown(content, str(path))
    if isinstance(content.get("ops_repo"), str):
        # The file is found from any folder below it, and must mean the same from each.
        content["ops_repo"] = path.parent / Path(content["ops_repo"]).expanduser()
    return {
        str(settings_cls.model_fields[key].validation_alias or key): value for key, value in content.items()
    }


def _refuse_unknown(content: Mapping[str, Any], where: str) -> None:
    for key in content:
        if key not in Settings.model_fields:
            close = difflib.get_close_matches(key, Settings.model_fields, n=1)
            raise SettingsError(
                f"{key!r} in {where} is not a setting.",
                hint=f"Did you mean {close[0]!r}?"
                if close
                else f"Settings are: {', '.join(Settings.model_fields)}.",
            )


def _explain(error: ValidationError, given: Mapping[str, Any]) -> SettingsError:
    """The first thing wrong, as a person would say it."""
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    names = {str(field.validation_alias or name): name for name, field in Settings.model_fields.items()}
    head = names.get(location[0], location[0])
    leaf = next((part for part in reversed(location) if not part.isdigit()), head)
    where = "the call" if head in given else "a default"
    if where != "the call":
        alias = {location[0], head}
        where = next((name for name, source in _sources(Settings) if alias & set(source())), where)
    value = "" if isinstance(first["input"], dict) else f" (it is {_shown(location, first['input'])})"
    if first["type"] == "extra_forbidden":
        return SettingsError(
            f"{'.'.join(location)} in {where} is not a setting.", hint="Mend its name, or leave it out."
        )
    expected = _EXPECTED.get(names.get(leaf, leaf), first["msg"].lower())
    return SettingsError(f"{'.'.join(location)} in {where} cannot be used{value}.", hint=f"Write {expected}.")


def _shown(location: list[str], value: object) -> str:
    """The bad value, unless its name says that it might be a secret."""
    secret = any(
        word in part.lower() for part in location for word in ("token", "secret", "password", "webhook")
    )
    return "hidden" if secret else repr(value)[:80]


def aws_settings_found() -> bool:
    """Whether anything names an application to look at: decides if ``make lab`` brings the simulator."""
    return bool(Settings.load().app_id)
