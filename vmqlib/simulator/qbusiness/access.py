"""Who may see a document: ACLs applied, and CheckDocumentAccess. A DENY wins; without entries all may see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vmqlib.simulator.qbusiness.context import Context
from vmqlib.simulator.qbusiness.exceptions import ResourceNotFound
from vmqlib.simulator.qbusiness.index import Document, DocumentIndex
from vmqlib.simulator.qbusiness.resources import Resources

__all__ = ["Access", "may_see"]


def may_see(document: Document, user: str | None, groups: frozenset[str]) -> bool:
    """Whether a user may see ``document``.

    Parameters
    ----------
    document:
        The document.
    user:
        The user's id, None for an anonymous one.
    groups:
        The groups that the user is in.
    """
    if not document.acl:
        return True
    matching = {
        access
        for name, kind, access in document.acl
        if (kind == "USER" and name == user) or (kind == "GROUP" and name in groups)
    }
    if "DENY" in matching:
        return False
    return "ALLOW" in matching or all(access == "DENY" for _, _, access in document.acl)


class Access:
    """Answers CheckDocumentAccess.

    Parameters
    ----------
    context:
        Shared with the other parts; knows the users' groups.
    resources:
        Where indices and data sources are looked up.
    index_of:
        Gives the documents of an index id.
    """

    def __init__(
        self, context: Context, resources: Resources, index_of: Callable[[str], DocumentIndex]
    ) -> None:
        self._context = context
        self._resources = resources
        self._index_of = index_of

    def operations(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """The API operations that this part answers."""
        return {"CheckDocumentAccess": self._check}

    def _check(self, params: dict[str, Any]) -> dict[str, Any]:
        index = self._index_of(self._resources.get("INDEX", params).resource_id)
        source_id = params.get("dataSourceId")
        if source_id is not None:
            self._resources.get("DATA_SOURCE", params)
        document = index.find(params["documentId"], source_id)
        if document is None or document.content is None:
            raise ResourceNotFound(params["documentId"], "DOCUMENT")
        user = params["userId"]
        groups = self._context.groups_of(user)
        return {
            "userGroups": [{"name": name, "type": "DATASOURCE"} for name in sorted(groups)],
            "userAliases": [{"id": user, "type": "DATASOURCE"}],
            "hasAccess": may_see(document, user, groups),
            "documentAcl": {
                "allowlist": _membership(document, "ALLOW"),
                "denyList": _membership(document, "DENY"),
            },
        }


def _membership(document: Document, wanted: str) -> dict[str, Any]:
    entries = [(name, kind) for name, kind, access in document.acl or () if access == wanted]
    if not entries:
        return {"memberRelation": "OR", "conditions": []}
    condition = {
        "memberRelation": "OR",
        "users": [{"id": name, "type": "DATASOURCE"} for name, kind in entries if kind == "USER"],
        "groups": [{"name": name, "type": "DATASOURCE"} for name, kind in entries if kind == "GROUP"],
    }
    return {"memberRelation": "OR", "conditions": [condition]}
