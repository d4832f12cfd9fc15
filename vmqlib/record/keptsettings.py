"""The settings that an incident is judged by: kept in its journal, so that a record is the same where they are others,
or none.

Sending and changing go by the settings of whoever does it: of how mail is sent nothing is kept but the addresses, which
a record does not mask. Nothing that is, or may hold, a secret is: no arguments of scripts, no names of variables or
secrets, no folders of a machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from vmqlib.errors import SettingsError

if TYPE_CHECKING:
    from vmqlib.record.identity import Identity
    from vmqlib.settings import Settings

__all__ = ["KEPT", "addresses_of", "differing", "judged_by", "kept_of", "of_identity"]

KEPT: Final = (
    "region", "account_id", "app_id", "index_id", "retriever_id", "ds_id", "web_experience_id", "bucket_name",
    "kms_key_id", "connectors", "alarms", "contacts", "email", "dashboard", "log_groups", "slack_channel",
    "update_minutes", "stakeholder_hours", "read_conversations", "canaries", "guardrail_prompts", "forbidden",
    "detection", "severity_rule", "stabilize",
)  # fmt: skip
"""Names of the settings that are kept."""

_CONNECTOR: Final = {"name", "data_source_id", "bucket", "prefix", "exclude", "script"}
_EMAIL: Final = {"sender", "stakeholders"}


def kept_of(settings: Settings) -> dict[str, Any]:
    """What is kept of these settings, in JSON types."""
    kept = settings.model_dump(mode="json", include=set(KEPT))
    kept["connectors"] = [
        {name: value for name, value in one.items() if name in _CONNECTOR} for one in kept["connectors"]
    ]
    kept["email"] = {name: value for name, value in kept["email"].items() if name in _EMAIL}
    return kept


def addresses_of(kept: Mapping[str, Any]) -> tuple[str, ...]:
    """Addresses of the people whom the kept settings name, as :attr:`vmqlib.settings.Settings.addresses` has them."""
    contacts, email = kept.get("contacts") or {}, kept.get("email") or {}
    named = [contacts.get("knowledge_ops"), contacts.get("security"), email.get("sender")]
    return tuple(str(one) for one in [*named, *(email.get("stakeholders") or ())] if one)


def of_identity(identity: Identity) -> dict[str, Any]:
    """What is known of the settings of an incident whose journal does not keep them: its resources."""
    there = {"region": identity.region, "account_id": identity.account, **identity.resources}
    return {name: value for name, value in there.items() if value and name in KEPT}


def differing(kept: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the settings that are not what was kept."""
    return tuple(name for name in KEPT if kept.get(name) != now.get(name))


def judged_by(settings: Settings, kept: Mapping[str, Any]) -> Settings:
    """These settings, with those in place that were kept. One that this version of the kit does not take any more is
    left as it is now."""
    known = {name: value for name, value in kept.items() if name in KEPT}
    if not differing(known, kept_of(settings)):
        return settings
    return settings.model_copy(update=_typed(known))


def _typed(known: Mapping[str, Any]) -> dict[str, Any]:
    from vmqlib.settings import Settings

    try:
        made = Settings.load(**known)
    except SettingsError:
        if len(known) == 1:
            return {}
        return {name: value for each in known.items() for name, value in _typed(dict([each])).items()}
    return {name: getattr(made, name) for name in known}
