"""An index that was changed many times finds what one finds that was filled at once."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from vmqlib.simulator.qbusiness.failures import Failure
from vmqlib.simulator.qbusiness.index import Content, Document, DocumentIndex

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
WORDS = ("vault", "anchor", "ledger", "quorum", "restart")
texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
names = st.tuples(st.sampled_from("ab"), st.sampled_from("123"))
changes = st.one_of(
    st.tuples(st.just("put"), names, st.none() | texts),
    st.tuples(st.just("remove"), names, st.none()),
    st.tuples(st.just("remove source"), names, st.none()),
    st.tuples(st.just("search"), names, texts),
)


def document(source, name, text):
    content = None if text is None else Content(name, text)
    failure = Failure("EmptyDocument", "It is empty.", "crawl") if text is None else None
    return Document(name, source, name, "", name, "", AT, AT, content=content, failure=failure)


@given(st.lists(changes, max_size=25), texts)
def test_searching_between_changes_does_not_matter(history, question):
    index = DocumentIndex()
    for what, (source, name), text in history:
        if what == "put":
            index.put(document(source, name, text))
        elif what == "remove":
            index.remove(source, name)
        elif what == "remove source":
            index.remove_source(source)
        else:
            index.search(text)
    fresh = DocumentIndex()
    for one in index:
        fresh.put(one)
    found = [(hit.document, hit.score, hit.coverage) for hit in index.search(question)]
    assert sorted(found, key=str) == sorted(
        [(hit.document, hit.score, hit.coverage) for hit in fresh.search(question)], key=str
    )
    assert index.count() == fresh.count() == sum(one.content is not None for one in index)
