"""What the index says of each document (runbook step 1), and failures grouped."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from vmqlib.awserrors import aws_errors
from vmqlib.sources.base import (
    TEXT,
    TIME,
    Column,
    Reading,
    Row,
    Source,
    data_source_ids,
    gather_by_source,
    moment,
    not_asked,
)

if TYPE_CHECKING:
    import pandas as pd

    from vmqlib.aws import Aws
    from vmqlib.settings import Settings
    from vmqlib.times import Window

__all__ = ["SOURCE", "error_kind", "failing", "read"]

_COLUMNS = {
    "data_source_id": Column(TEXT, "", "the data source"),
    "document_id": Column(TEXT, "", "documentId, as Q Business forms it"),
    "status": Column(TEXT, "", "RECEIVED, PROCESSING, INDEXED, UPDATED, FAILED, DELETING, DELETED, …"),
    "error_code": Column(TEXT, "", "error.errorCode"),
    "error_message": Column(TEXT, "", "error.errorMessage"),
    "created_at": Column(TIME, "", "when it was first indexed"),
    "updated_at": Column(TIME, "", "when it was last indexed"),
}


def read(aws: Aws, settings: Settings, _window: Window, *, data_source_id: str = "") -> Reading:
    """Every document of the data sources, as the index has it now (``qbusiness:ListDocuments``). One data source that
    cannot be seen leaves out its own documents.

    Raises
    ------
    AwsError
        ``qbusiness:ListDocuments`` refused or not reached, for every data source.
    SettingsError
        Where APP_ID, INDEX_ID or DS_ID is not set.
    """
    settings.require("app_id", "index_id")
    ids = data_source_ids(settings, data_source_id)
    rows, missing = gather_by_source(ids, partial(_documents, aws, settings))
    return Reading(
        source="documents",
        call="qbusiness:ListDocuments",
        parameters={"applicationId": settings.app_id, "indexId": settings.index_id, "dataSourceIds": ids},
        rows=rows,
        complete=not missing,
        stopped="; ".join(missing.values()),
        missing=missing | not_asked(settings, ids),
    )


SOURCE = Source("documents", "Documents in the index", read, _COLUMNS)


def _documents(aws: Aws, settings: Settings, data_source_id: str) -> list[Row]:
    paginator = aws.client("qbusiness").get_paginator("list_documents")
    rows: list[Row] = []
    with aws_errors("qbusiness:ListDocuments", f"data source {data_source_id}"):
        pages = paginator.paginate(
            applicationId=settings.app_id,
            indexId=settings.index_id,
            dataSourceIds=[data_source_id],
            PaginationConfig={"PageSize": 100},
        )
        for page in pages:
            for item in page.get("documentDetailList", []):
                error = item.get("error") or {}
                rows.append(
                    {
                        "data_source_id": data_source_id,
                        "document_id": item.get("documentId", ""),
                        "status": item.get("status", ""),
                        "error_code": error.get("errorCode", ""),
                        "error_message": error.get("errorMessage", ""),
                        "created_at": moment(item.get("createdAt")),
                        "updated_at": moment(item.get("updatedAt")),
                    }
                )
    return rows


# What differs between two messages about the same fault: names, ids, numbers.
_VARYING = (
    (re.compile(r"\b[a-z0-9]+://\S+", re.IGNORECASE), "<uri>"),
    (re.compile(r"""(["'`])[^"'`]{1,512}\1"""), "<name>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\S*[\w-]/[\w./-]+|\b[\w-]+\.(?:md|json|txt|pdf|html?|docx?|csv)\b"), "<name>"),
    (re.compile(r"(?<![\w-])\d+(?:[.,]\d+)*"), "N"),
)


def error_kind(code: str, message: str) -> str:
    """What kind of failure this is: the code and the message without the parts that name one document."""
    for pattern, name in _VARYING:
        message = pattern.sub(name, message)
    message = " ".join(message.split())
    return ": ".join(part for part in (code, message) if part) or "no reason given"


def failing(report: pd.DataFrame, *, examples: int = 5) -> pd.DataFrame:
    """Failures in a frame of the ``document-report`` source, grouped by error, most documents first.

    Parameters
    ----------
    report:
        The frame. Its rows may be in any order.
    examples:
        How many keys to name for each error.

    Returns
    -------
    pandas.DataFrame
        ``error`` (text), ``documents`` (distinct), ``reports`` (failures reported, over all syncs),
        ``still_failing`` (documents whose newest report is a failure), ``first_seen``, ``last_seen`` (UTC),
        ``examples`` (newest first, one a line).
    """
    import pandas as pd

    ordered = report.sort_values("at", kind="stable")
    names = ordered["uri"].fillna("").where(lambda text: text != "", ordered["document_id"].fillna(""))
    ordered = ordered.assign(name=names, failed=ordered["status"].fillna("").eq("FAILED"))
    newest = ordered.drop_duplicates("document_id", keep="last")
    still = set(newest.loc[newest["failed"], "document_id"])
    failed = ordered[ordered["failed"]]
    if failed.empty:
        return pd.DataFrame(
            {
                "error": pd.Series(dtype="str"),
                "documents": pd.Series(dtype="Int64"),
                "reports": pd.Series(dtype="Int64"),
                "still_failing": pd.Series(dtype="Int64"),
                "first_seen": pd.Series(dtype=TIME),
                "last_seen": pd.Series(dtype=TIME),
                "examples": pd.Series(dtype="str"),
            }
        )
    pairs = zip(failed["error_code"].fillna(""), failed["message"].fillna(""), strict=True)
    failed = failed.assign(error=[error_kind(code, message) for code, message in pairs])
    failed["current"] = failed["document_id"].where(failed["document_id"].isin(still))
    grouped = failed.groupby("error", sort=False)
    table = grouped.agg(
        documents=("document_id", "nunique"),
        reports=("document_id", "size"),
        still_failing=("current", "nunique"),
        first_seen=("at", "min"),
        last_seen=("at", "max"),
        examples=("name", lambda name: "\n".join(list(dict.fromkeys(reversed(list(name))))[:examples])),
    ).reset_index()
    counts = ["documents", "reports", "still_failing"]
    table[counts] = table[counts].astype("Int64")
    return table.sort_values(["documents", "last_seen"], ascending=False, kind="stable", ignore_index=True)
