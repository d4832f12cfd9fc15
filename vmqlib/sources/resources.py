"""Application, index, retriever, data sources and web experience, as they are now (runbook step 1)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from vmqlib.awserrors import aws_errors
from vmqlib.errors import AwsError
from vmqlib.sources.base import COUNT, TEXT, TIME, Column, Reading, Row, Source, count, gather, moment

if TYPE_CHECKING:
    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["SOURCE", "read"]

_COLUMNS = {
    "kind": Column(TEXT, "", "application, index, retriever, data-source or web-experience"),
    "id": Column(TEXT, "", "its id"),
    "name": Column(TEXT, "", "its display name"),
    "status": Column(TEXT, "", "as Q Business says; empty when it could not be read (see error)"),
    "document_count": Column(COUNT, "documents", "index: indexed text documents"),
    "indexed_bytes": Column(COUNT, "bytes", "index: size of the indexed text"),
    "sync_schedule": Column(TEXT, "", "data source: cron expression in UTC; empty means on demand"),
    "error": Column(TEXT, "", "what Q Business says is wrong with it, or why it could not be read"),
    "code": Column(TEXT, "", "AWS's error code where it could not be read"),
    "updated_at": Column(TIME, "", "when it was last changed"),
    "config": Column(TEXT, "", "data source: its configuration as JSON text"),
}


def read(aws: Aws, settings: Settings, _window: Window, *, data_source_id: str = "") -> Reading:
    """One row per thing (``qbusiness:GetApplication``, ``GetIndex``, ``GetRetriever``, ``GetDataSource``,
    ``GetWebExperience``). An id that is not in the settings is looked for with the matching ``List…``.

    One that cannot be read has its row all the same, with the reason in ``error``, and the reading says so.

    Raises
    ------
    AwsError
        Where nothing at all could be read.
    SettingsError
        Where the application's id is not set.
    """
    settings.require("app_id")
    look = _Look(aws, settings)
    found = gather([look.indices, look.retrievers, look.web_experiences])
    index_ids, retriever_ids, web_ids = found
    sources = look.data_sources(index_ids, data_source_id)
    wanted = [
        ("application", settings.app_id, look.application),
        *(("index", one, look.index) for one in index_ids),
        *(("retriever", one, look.retriever) for one in retriever_ids),
        *(("data-source", one, look.data_source) for one in sources),
        *(("web-experience", one, look.web_experience) for one in web_ids),
    ]
    seen = gather([_one(kind, identifier, get) for kind, identifier, get in wanted])
    problems = [error for _, error in seen if error is not None]
    if len(problems) == len(seen):
        raise problems[0]
    missing = [*look.problems, *(f"{row['kind']} {row['id']}: {error}" for row, error in seen if error)]
    return Reading(
        source="resources",
        call="qbusiness:GetApplication",
        parameters={"applicationId": settings.app_id},
        rows=[row for row, _ in seen],
        complete=not missing,
        stopped="; ".join(missing),
    )


SOURCE = Source("resources", "Application, index and data sources", read, _COLUMNS)


def _one(
    kind: str, identifier: str, get: Callable[[str], dict[str, Any]]
) -> Callable[[], tuple[Row, AwsError | None]]:
    def call() -> tuple[Row, AwsError | None]:
        try:
            return {"kind": kind, "id": identifier, **get(identifier)}, None
        except AwsError as error:
            why = {"error": error.message, "code": error.code}
            return {"kind": kind, "id": identifier, "status": "", **why}, error

    return call


class _Look:
    """The calls, each as it becomes part of a row. Notes lists that could not be read."""

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._client = aws.client("qbusiness")
        self._settings = settings
        self._app = settings.app_id
        self._index_of: dict[str, str] = {}
        self.problems: list[str] = []

    # lists

    def indices(self) -> list[str]:
        return self._ids(self._settings.index_id, "ListIndices", "indices", "indexId")

    def retrievers(self) -> list[str]:
        return self._ids(self._settings.retriever_id, "ListRetrievers", "retrievers", "retrieverId")

    def web_experiences(self) -> list[str]:
        return self._ids(
            self._settings.web_experience_id, "ListWebExperiences", "webExperiences", "webExperienceId"
        )

    def data_sources(self, index_ids: list[str], data_source_id: str) -> list[str]:
        """Those of the settings, and whatever else feeds the same indices."""
        named = [data_source_id, *(connector.data_source_id for connector in self._settings.data_sources)]
        for index_id in index_ids:
            listed = self._list("ListDataSources", "dataSources", "dataSourceId", indexId=index_id)
            self._index_of.update(dict.fromkeys(listed, index_id))
        home = index_ids[0] if index_ids else self._settings.index_id
        for one in named:
            if one and home:
                self._index_of.setdefault(one, home)
        return list(self._index_of)

    def _ids(self, known: str, operation: str, member: str, key: str) -> list[str]:
        return [known] if known else self._list(operation, member, key)

    def _list(self, operation: str, member: str, key: str, **where: str) -> list[str]:
        from botocore import xform_name

        try:
            with aws_errors(f"qbusiness:{operation}", f"application {self._app}"):
                paginator: Any = self._client.get_paginator(xform_name(operation))  # type: ignore[call-overload]
                pages = list(paginator.paginate(applicationId=self._app, **where))
            return [item[key] for page in pages for item in page.get(member, [])]
        except AwsError as error:
            self.problems.append(f"{operation}: {error.message}")
            return []

    # single things

    def application(self, identifier: str) -> dict[str, Any]:
        with aws_errors("qbusiness:GetApplication", f"application {identifier}"):
            answer = self._client.get_application(applicationId=identifier)
        return _common(answer, "displayName")

    def index(self, identifier: str) -> dict[str, Any]:
        with aws_errors("qbusiness:GetIndex", f"index {identifier}"):
            answer = self._client.get_index(applicationId=self._app, indexId=identifier)
        text = answer.get("indexStatistics", {}).get("textDocumentStatistics", {})
        return _common(answer, "displayName") | {
            "document_count": count(text.get("indexedTextDocumentCount")),
            "indexed_bytes": count(text.get("indexedTextBytes")),
        }

    def retriever(self, identifier: str) -> dict[str, Any]:
        with aws_errors("qbusiness:GetRetriever", f"retriever {identifier}"):
            answer = self._client.get_retriever(applicationId=self._app, retrieverId=identifier)
        return _common(answer, "displayName")

    def data_source(self, identifier: str) -> dict[str, Any]:
        with aws_errors("qbusiness:GetDataSource", f"data source {identifier}"):
            answer = self._client.get_data_source(
                applicationId=self._app, indexId=self._index_of[identifier], dataSourceId=identifier
            )
        return _common(answer, "displayName") | {
            "sync_schedule": answer.get("syncSchedule", ""),
            "config": json.dumps(answer.get("configuration", {}), sort_keys=True, default=str),
        }

    def web_experience(self, identifier: str) -> dict[str, Any]:
        with aws_errors("qbusiness:GetWebExperience", f"web experience {identifier}"):
            answer = self._client.get_web_experience(applicationId=self._app, webExperienceId=identifier)
        return _common(answer, "title")


def _common(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    error = answer.get("error") or {}
    said = ": ".join(part for part in (error.get("errorCode"), error.get("errorMessage")) if part)
    return {
        "name": answer.get(name, ""),
        "status": answer.get("status", ""),
        "error": said,
        "updated_at": moment(answer.get("updatedAt")),
    }
