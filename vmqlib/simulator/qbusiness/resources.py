"""Applications, indices, retrievers, data sources and web experiences: created, read, changed and deleted.

They are told apart by a table; the members that an answer has are those of botocore's model. Creation is
immediate: a resource is ACTIVE at once. Sizes of pages are the model's maxima.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from typing import Any

from vmqlib.simulator.qbusiness.connector import S3Connector, connector_type
from vmqlib.simulator.qbusiness.context import Context
from vmqlib.simulator.qbusiness.exceptions import QuotaExceeded, ResourceNotFound, Validation
from vmqlib.simulator.qbusiness.paging import page
from vmqlib.simulator.qbusiness.schedule import Schedule
from vmqlib.simulator.qbusiness.timing import now

__all__ = ["KINDS", "Kind", "Resource", "Resources", "output_members"]

_MOST_TAGS = 200


@dataclass(frozen=True)
class Kind:
    """One kind of resource.

    Parameters
    ----------
    name:
        As errors name it, for example ``DATA_SOURCE``.
    operation:
        As operations name it, for example ``DataSource``.
    plural:
        As the list operation names it.
    id_member, arn_member:
        The members that hold its id and ARN.
    list_member:
        The member of the list operation's answer.
    parents:
        The members that name what it belongs to, outermost first.
    path:
        Its part of the ARN.
    page_size:
        The most that one page lists.
    """

    name: str
    operation: str
    plural: str
    id_member: str
    arn_member: str
    list_member: str
    parents: tuple[str, ...]
    path: str
    page_size: int


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "APPLICATION",
            "Application",
            "Applications",
            "applicationId",
            "applicationArn",
            "applications",
            (),
            "application",
            100,
        ),
        Kind("INDEX", "Index", "Indices", "indexId", "indexArn", "indices", ("applicationId",), "index", 100),
        Kind(
            "RETRIEVER",
            "Retriever",
            "Retrievers",
            "retrieverId",
            "retrieverArn",
            "retrievers",
            ("applicationId",),
            "retriever",
            50,
        ),
        Kind(
            "DATA_SOURCE",
            "DataSource",
            "DataSources",
            "dataSourceId",
            "dataSourceArn",
            "dataSources",
            ("applicationId", "indexId"),
            "data-source",
            10,
        ),
        Kind(
            "WEB_EXPERIENCE",
            "WebExperience",
            "WebExperiences",
            "webExperienceId",
            "webExperienceArn",
            "webExperiences",
            ("applicationId",),
            "web-experience",
            100,
        ),
    )
}
_KIND_OF_MEMBER = {kind.id_member: kind.name for kind in KINDS.values()}


@dataclass(eq=False)
class Resource:
    """One resource.

    Parameters
    ----------
    kind:
        Of which kind.
    resource_id:
        Its id.
    arn:
        Its ARN.
    parents:
        The ids of what it belongs to, by member name.
    settings:
        What it was created and updated with, by member name.
    created_at, updated_at:
        UTC.
    status:
        ``ACTIVE``, or what a scenario sets.
    tags:
        By key.
    """

    kind: Kind
    resource_id: str
    arn: str
    parents: dict[str, str]
    settings: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    status: str = "ACTIVE"
    tags: dict[str, str] = field(default_factory=dict)

    def members(self) -> dict[str, Any]:
        """Everything that an answer may say of it."""
        return {
            **self.settings,
            **self.parents,
            self.kind.id_member: self.resource_id,
            self.kind.arn_member: self.arn,
            "status": self.status,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        }


class Resources:
    """All resources of the account.

    Parameters
    ----------
    context:
        Shared with the other parts.
    extras:
        Members of an answer that are not settings, by kind: an index's statistics.
    on_change:
        Called after a resource was created, updated or deleted: (what happened, resource). It may refuse a
        deletion by raising when told "deleting".
    """

    def __init__(
        self,
        context: Context,
        extras: Mapping[str, Callable[[Resource], dict[str, Any]]],
        on_change: Callable[[str, Resource], None],
    ) -> None:
        self._context = context
        self._extras = extras
        self._on_change = on_change
        self._stored: dict[str, dict[str, Resource]] = {name: {} for name in KINDS}

    def operations(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """The API operations that this part answers."""
        found: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }
        for kind in KINDS.values():
            found[f"Create{kind.operation}"] = partial(self._create, kind)
            found[f"Get{kind.operation}"] = partial(self._describe, kind)
            found[f"List{kind.plural}"] = partial(self._list, kind)
            found[f"Update{kind.operation}"] = partial(self._update, kind)
            found[f"Delete{kind.operation}"] = partial(self._delete, kind)
        return found

    def all(self, kind_name: str, **parents: str) -> Iterator[Resource]:
        """The resources of a kind, oldest first, optionally only those that belong to ``parents``."""
        for resource in self._stored[kind_name].values():
            if all(resource.parents.get(member) == parent for member, parent in parents.items()):
                yield resource

    def get(self, kind_name: str, params: Mapping[str, Any]) -> Resource:
        """The resource that ``params`` name by their ids, its parents checked first.

        Raises
        ------
        ResourceNotFound
            For the outermost id that does not exist, or does not belong where the ids say.
        """
        kind = KINDS[kind_name]
        for member in kind.parents:
            self.get(_KIND_OF_MEMBER[member], params)
        wanted = params[kind.id_member]
        resource = self._stored[kind_name].get(wanted)
        if resource is None or any(resource.parents[member] != params[member] for member in kind.parents):
            raise ResourceNotFound(wanted, kind_name)
        return resource

    def _create(self, kind: Kind, params: dict[str, Any]) -> dict[str, Any]:
        parents = {member: params[member] for member in kind.parents}
        if kind.parents:
            self.get(_KIND_OF_MEMBER[kind.parents[-1]], params)
        settings = {
            name: value
            for name, value in params.items()
            if name not in kind.parents and name not in ("tags", "clientToken") and value is not None
        }
        self._complete(kind, settings, params)
        resource_id = self._context.new_id()
        at = now()
        resource = Resource(
            kind,
            resource_id,
            self._context.arn(_path(kind, parents, resource_id)),
            parents,
            settings,
            created_at=at,
            updated_at=at,
            tags={tag["key"]: tag["value"] for tag in params.get("tags") or ()},
        )
        self._stored[kind.name][resource_id] = resource
        self._on_change("created", resource)
        return {kind.id_member: resource_id, kind.arn_member: resource.arn}

    def _complete(self, kind: Kind, settings: dict[str, Any], params: Mapping[str, Any]) -> None:
        """Checks what the model cannot say, and fills in what the service decides."""
        if kind.name == "APPLICATION":
            settings.setdefault("attachmentsConfiguration", {"attachmentsControlMode": "DISABLED"})
            settings.setdefault("qAppsConfiguration", {"qAppsControlMode": "DISABLED"})
            instance = settings.pop("identityCenterInstanceArn", None)
            if instance:
                settings["identityCenterApplicationArn"] = (
                    f"arn:{self._context.partition}:sso::{self._context.account_id}:application/"
                    f"{instance.rsplit('/', 1)[-1]}/apl-{self._context.new_id().replace('-', '')[:16]}"
                )
        elif kind.name == "INDEX":
            settings.setdefault("type", "ENTERPRISE")
            settings.setdefault("capacityConfiguration", {"units": 1})
        elif kind.name == "RETRIEVER":
            self._check_retriever(settings, params)
        elif kind.name == "DATA_SOURCE":
            settings["type"] = connector_type(settings["configuration"])
            settings.setdefault("syncSchedule", "")
            _check_data_source(settings)
        else:
            name = self._context.new_id().split("-")[0]
            settings.setdefault("samplePromptsControlMode", "ENABLED")
            settings["defaultEndpoint"] = f"https://{name}.chat.qbusiness.{self._context.region}.on.aws/"

    def _check_retriever(self, settings: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        native = settings["configuration"].get("nativeIndexConfiguration")
        if (settings["type"] == "NATIVE_INDEX") != (native is not None):
            raise Validation(
                "The retriever's type and configuration do not go together.",
                [("configuration", "does not fit the type")],
            )
        if native is not None:
            self.get("INDEX", {"applicationId": params["applicationId"], "indexId": native["indexId"]})

    def _describe(self, kind: Kind, params: dict[str, Any]) -> dict[str, Any]:
        resource = self.get(kind.name, params)
        extra = self._extras[kind.name](resource) if kind.name in self._extras else {}
        return _only(output_members(f"Get{kind.operation}"), {**resource.members(), **extra})

    def _list(self, kind: Kind, params: dict[str, Any]) -> dict[str, Any]:
        if kind.parents:
            self.get(_KIND_OF_MEMBER[kind.parents[-1]], params)
        parents = {member: params[member] for member in kind.parents}
        members = output_members(f"List{kind.plural}", kind.list_member)
        found, more = page(
            list(self.all(kind.name, **parents)),
            params,
            default=kind.page_size,
            scope="/".join([kind.list_member, *parents.values()]),
        )
        return {kind.list_member: [_only(members, resource.members()) for resource in found], **more}

    def _update(self, kind: Kind, params: dict[str, Any]) -> dict[str, Any]:
        resource = self.get(kind.name, params)
        ids = (*kind.parents, kind.id_member)
        changes = {name: value for name, value in params.items() if name not in ids and value is not None}
        settings = {**resource.settings, **changes}
        if kind.name == "DATA_SOURCE":
            if connector_type(settings["configuration"]) != settings["type"]:
                raise Validation(
                    "The type of a data source cannot be changed.",
                    [("configuration", "type cannot be changed")],
                )
            _check_data_source(settings)
        elif kind.name == "RETRIEVER":
            self._check_retriever(settings, params)
        resource.settings = settings
        resource.updated_at = now()
        self._on_change("updated", resource)
        return {}

    def _delete(self, kind: Kind, params: dict[str, Any]) -> dict[str, Any]:
        resource = self.get(kind.name, params)
        doomed = [*self._inside(resource), resource]
        for one in doomed:
            self._on_change("deleting", one)
        for one in doomed:
            del self._stored[one.kind.name][one.resource_id]
            self._on_change("deleted", one)
        return {}

    def _inside(self, resource: Resource) -> list[Resource]:
        member = resource.kind.id_member
        return [
            inner
            for kind in reversed(list(KINDS.values()))
            if member in kind.parents
            for inner in self.all(kind.name, **{member: resource.resource_id})
        ]

    def _by_arn(self, arn: str) -> Resource:
        for stored in self._stored.values():
            for resource in stored.values():
                if resource.arn == arn:
                    return resource
        raise ResourceNotFound(arn, "RESOURCE")

    def _tag(self, params: dict[str, Any]) -> dict[str, Any]:
        resource = self._by_arn(params["resourceARN"])
        tags = {**resource.tags, **{tag["key"]: tag["value"] for tag in params["tags"]}}
        if len(tags) > _MOST_TAGS:
            raise QuotaExceeded(
                f"A resource has at most {_MOST_TAGS} tags.", resource.resource_id, resource.kind.name
            )
        resource.tags = tags
        return {}

    def _untag(self, params: dict[str, Any]) -> dict[str, Any]:
        resource = self._by_arn(params["resourceARN"])
        resource.tags = {key: value for key, value in resource.tags.items() if key not in params["tagKeys"]}
        return {}

    def _list_tags(self, params: dict[str, Any]) -> dict[str, Any]:
        resource = self._by_arn(params["resourceARN"])
        return {"tags": [{"key": key, "value": value} for key, value in resource.tags.items()]}


@cache
def output_members(operation: str, of_list: str = "") -> frozenset[str]:
    """The members of an operation's answer, or of the items of its list ``of_list``, by botocore's model."""
    from moto.core.utils import get_service_model

    shape = get_service_model("qbusiness").operation_model(operation).output_shape
    return frozenset(shape.members[of_list].member.members if of_list else shape.members)


def _only(members: frozenset[str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in members}


def _path(kind: Kind, parents: Mapping[str, str], resource_id: str) -> str:
    parts = [f"{KINDS[_KIND_OF_MEMBER[member]].path}/{parents[member]}" for member in kind.parents]
    return "/".join([*parts, f"{kind.path}/{resource_id}"])


def _check_data_source(settings: Mapping[str, Any]) -> None:
    if settings["type"] in ("S3", "S3V2"):
        S3Connector.read(settings["configuration"])
    schedule = settings.get("syncSchedule", "")
    if schedule and settings["type"] == "CUSTOM":
        raise Validation(
            "A data source of type CUSTOM has no sync schedule.",
            [("syncSchedule", "is not allowed for type CUSTOM")],
        )
    Schedule(schedule)
