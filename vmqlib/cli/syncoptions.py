"""What the commands about data sources have in common: which ones are meant, and whom to talk to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vmqlib.aws import Aws
from vmqlib.settings import Settings

if TYPE_CHECKING:
    from vmqlib.record.incident import Incident

__all__ = [
    "connect",
    "connector_option",
    "incident_option",
    "loaded",
    "several",
    "source_option",
]

F = TypeVar("F", bound=Callable[..., Any])

source_option = click.option(
    "--data-source",
    "data_source_id",
    metavar="ID",
    help="The data source; default: the incident's, DS_ID, or the only connector.",
)
connector_option = click.option(
    "--connector", metavar="NAME", help="The data source by its name in vmq.toml."
)
incident_option = click.option(
    "--incident", "incident_id", metavar="ID", help="Write what happens into this incident's journal."
)

_SEVERAL = (
    click.option(
        "--data-source", "data_source_ids", multiple=True, metavar="ID",
        help="The data source; repeatable. Default: the incident's, DS_ID, or the only connector.",
    ),
    click.option(
        "--connector", "connectors", multiple=True, metavar="NAME",
        help="The data source by its name in vmq.toml; repeatable.",
    ),
    click.option("--all", "every", is_flag=True, help="Every connector of vmq.toml."),
)  # fmt: skip


def several(command: F) -> F:
    """``--data-source`` and ``--connector``, repeatable, and ``--all``."""
    for option in reversed(_SEVERAL):
        command = option(command)
    return command


def connect() -> tuple[Settings, Aws]:
    """Settings that name an application and an index, and the AWS that they talk to."""
    settings = Settings.load()
    settings.require("app_id", "index_id")
    return settings, Aws(settings)


def loaded(incident_id: str | None, settings: Settings, aws: Aws) -> Incident | None:
    """The incident of that id, if one was named."""
    if not incident_id:
        return None
    from vmqlib.record.incident import Incident

    return Incident.load(incident_id, settings=settings, aws=aws)
