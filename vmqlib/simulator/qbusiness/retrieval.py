"""Finding what answers a question: the index searched as a user, filtered, quoted; SearchRelevantContent.

Retrieval is honest and simple: words in common, weighted as BM25 does. Nothing is generated: an answer quotes
documents.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from vmqlib.simulator.qbusiness.access import may_see
from vmqlib.simulator.qbusiness.context import Context
from vmqlib.simulator.qbusiness.exceptions import Validation
from vmqlib.simulator.qbusiness.index import Document, DocumentIndex, Hit, tokens
from vmqlib.simulator.qbusiness.paging import page
from vmqlib.simulator.qbusiness.resources import Resource, Resources

__all__ = ["Asker", "Retrieval", "passage", "web_uri"]

_SENTENCE = re.compile(r"[^\n.!?]+[.!?]*")
_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_-]{0,199}")
_CONFIDENCE = ((0.9, "VERY_HIGH"), (0.75, "HIGH"), (0.5, "MEDIUM"), (0.0, "LOW"))
_LONGEST = 2048


@dataclass(frozen=True)
class Asker:
    """Who asks.

    Parameters
    ----------
    user:
        The user's id, None for an anonymous one.
    groups:
        The groups that the user is in.
    """

    user: str | None
    groups: frozenset[str]


class Retrieval:
    """Searches the indices behind an application's retrievers.

    Parameters
    ----------
    context:
        Shared with the other parts; knows the users' groups.
    resources:
        Where retrievers are looked up.
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
        return {"SearchRelevantContent": self._search_operation}

    def find(
        self,
        retriever: Resource,
        question: str,
        asker: Asker,
        *,
        attributes: Mapping[str, Any] | None = None,
        data_sources: frozenset[str] | None = None,
    ) -> list[Hit]:
        """What the retriever's index has on ``question`` that ``asker`` may see, best first.

        Parameters
        ----------
        retriever:
            Searches its index.
        question:
            What is asked.
        asker:
            Who asks.
        attributes:
            An AttributeFilter of the API.
        data_sources:
            Restricts to these; None for all.
        """
        index = self._index_of(index_id(retriever))

        def accept(document: Document) -> bool:
            return (
                (data_sources is None or document.data_source_id in data_sources)
                and may_see(document, asker.user, asker.groups)
                and (not attributes or _passes(document, attributes))
            )

        return index.search(question, accept)

    def _search_operation(self, params: dict[str, Any]) -> dict[str, Any]:
        self._resources.get("APPLICATION", params)
        source = params["contentSource"]["retriever"]
        retriever = self._resources.get("RETRIEVER", {**params, **source})
        question = params["queryText"]
        if not question.strip():
            raise Validation("The queryText is empty.", [("queryText", "must not be empty")])
        hits = self.find(
            retriever, question, Asker(None, frozenset()), attributes=params.get("attributeFilter")
        )
        scope = f"content/{retriever.resource_id}/{question}"
        found, more = page(hits, params, default=10, scope=scope[:400])
        return {"relevantContent": [_content(hit, question) for hit in found], **more}


def index_id(retriever: Resource) -> str:
    """The index that a retriever searches; a Kendra one is not simulated and finds nothing."""
    configuration = retriever.settings["configuration"]
    native = configuration.get("nativeIndexConfiguration") or configuration["kendraIndexConfiguration"]
    return str(native["indexId"])


def passage(document: Document, question: str) -> str:
    """The sentence of ``document`` with most of the question's words, the first of equals; no headings."""
    wanted = set(tokens(question))
    text = document.content.text if document.content else ""
    best, most = document.title, -1
    for match in _SENTENCE.finditer(text):
        sentence = match.group().strip().lstrip("*->| ")
        if sentence.startswith("#"):
            continue
        common = len(wanted.intersection(tokens(sentence)))
        if sentence and common > most:
            best, most = sentence, common
    return best[:_LONGEST]


def web_uri(document: Document) -> str:
    """The document's address as the API's ``Url`` allows it; "" when it has none."""
    uri = quote(document.uri, safe=":/?#[]@!$&'()*+,;=%-._~")
    return uri if re.match(r"(https?|ftp|file)://", uri) and len(uri) <= _LONGEST else ""


def _content(hit: Hit, question: str) -> dict[str, Any]:
    document = hit.document
    found: dict[str, Any] = {
        "content": passage(document, question),
        "documentId": document.document_id,
        "documentTitle": document.title[:1024],
        "scoreAttributes": {
            "scoreConfidence": next(name for least, name in _CONFIDENCE if hit.coverage >= least)
        },
    }
    if uri := web_uri(document):
        found["documentUri"] = uri
    if attributes := _attributes(document):
        found["documentAttributes"] = attributes
    return found


def _attributes(document: Document) -> list[dict[str, Any]]:
    values = {"_source_uri": document.uri, **document.attributes}
    found = []
    for name, value in values.items():
        typed = _typed(value)
        if typed and _NAME.fullmatch(name):
            found.append({"name": name, "value": typed})
    return found


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, bool) or value is None:
        return {"stringValue": str(value).lower()} if value is not None else {}
    if isinstance(value, int):
        return {"longValue": value}
    if isinstance(value, datetime):
        return {"dateValue": value}
    if isinstance(value, list):
        return {"stringListValue": [str(item)[:_LONGEST] for item in value if str(item)]}
    return {"stringValue": str(value)[:_LONGEST]}


def _passes(document: Document, condition: Mapping[str, Any]) -> bool:
    """Whether ``document`` satisfies an AttributeFilter: all of its given members."""
    for name, operand in condition.items():
        if operand is None:
            continue
        if name == "andAllFilters":
            passed = all(_passes(document, one) for one in operand)
        elif name == "orAllFilters":
            passed = any(_passes(document, one) for one in operand)
        elif name == "notFilter":
            passed = not _passes(document, operand)
        else:
            passed = _compares(document, name, operand)
        if not passed:
            return False
    return True


def _compares(document: Document, how: str, operand: Mapping[str, Any]) -> bool:
    actual = {"_source_uri": document.uri, **document.attributes}.get(operand["name"])
    wanted = next(iter(operand["value"].values()))
    if actual is None:
        return False
    if how in ("containsAll", "containsAny"):
        have = set(actual if isinstance(actual, list) else [actual])
        asked = set(wanted if isinstance(wanted, list) else [wanted])
        return asked <= have if how == "containsAll" else bool(asked & have)
    if how == "equalsTo":
        return bool(actual == wanted)
    try:
        return bool(
            {
                "greaterThan": lambda: actual > wanted,
                "greaterThanOrEquals": lambda: actual >= wanted,
                "lessThan": lambda: actual < wanted,
                "lessThanOrEquals": lambda: actual <= wanted,
            }[how]()
        )
    except TypeError:  # of different types: not comparable
        return False
