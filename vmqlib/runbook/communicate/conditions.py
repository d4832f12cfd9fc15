"""What messages say of how it stands: what fires, who is hit, what users notice; of each, when that was looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from vmqlib.times import show_time

if TYPE_CHECKING:
    from vmqlib.record.observation import Observation
    from vmqlib.runbook.affected import Affected
    from vmqlib.runbook.questions import Asked
    from vmqlib.runbook.triggers import Detection

__all__ = ["Looks", "conditions", "content", "impact", "moment"]


class Looks:
    """When each source was looked at last.

    Parameters
    ----------
    seen:
        Observations by the source's name.
    now:
        What a time of the same day is short for, UTC.
    """

    def __init__(self, seen: Mapping[str, Observation], now: datetime) -> None:
        self._at = {name: one.at for name, one in seen.items() if one.available and one.at is not None}
        self._now = now

    def clock(self, at: datetime) -> str:
        """A time to the minute, with its day where that is another one."""
        return f"{at:%H:%M} UTC" if at.date() == self._now.date() else moment(at)

    def before(self, name: str, moment: datetime | None) -> bool:
        """Whether that source was looked at last before a moment."""
        return moment is not None and name in self._at and self._at[name] < moment

    def of(self, names: Iterable[str]) -> str:
        """As of when something holds that rests on these sources; empty where none of them was seen."""
        found = sorted(self._at[name] for name in set(names) if name in self._at)
        if not found:
            return ""
        first, last = self.clock(found[0]), self.clock(found[-1])
        return f" (as of {first})" if first == last else f" (looked at between {first} and {last})"


def moment(at: datetime) -> str:
    """A time to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def conditions(said: Detection, found: Affected, looks: Looks) -> Iterable[str]:
    """What fires, and who and what is hit."""
    for one in said.triggers:
        if one.verdict != "firing":
            continue
        telling = [each for each in one.reasons if each.says == "firing"]
        why = f": {telling[0].text}" if telling else "."
        since = f" since {show_time(one.since)}" if one.since else ""
        yield _dated(
            f"Trigger {one.trigger} fires{since}{why}", looks.of(each.source for each in telling[:1])
        )
    if not said.firing:
        quiet = [one for one in said.triggers if one.verdict != "unknown"]
        when = looks.of(each.source for one in quiet for each in one.reasons)
        unknown = [one.trigger for one in said.triggers if one.verdict == "unknown"]
        told = f"; of {', '.join(unknown)} it cannot be told" if unknown else ""
        words = f"No trigger is seen to fire{told}." if told else "None of the runbook's triggers fires."
        yield _dated(words, when)
    for hit in found.connectors:
        if hit.hit:
            yield _dated(f"Connector {hit.name or hit.data_source_id}: {hit.why}.", looks.of(["sync-jobs"]))
    documents = looks.of(["documents"])
    if found.unauthorized:
        yield _dated(f"{found.unauthorized}.", documents)
    index = found.index
    if (
        index.failing is not None
        and index.documents is not None
        and (index.failing or not found.unauthorized)
    ):
        yield _dated(
            f"{index.failing:,} of {index.documents:,} documents are failed in the index"
            f"{f', and {index.kept}' if index.kept else ''}.",
            documents,
        )
    yield _customers(said, found, looks)


def _customers(said: Detection, found: Affected, looks: Looks) -> str:
    """Whether customers are hit. Where nothing fires any more, the questions that were counted tell of before."""
    advice, asked = found.severity, found.questions.after
    when = looks.of(["metrics", "resources"])
    if advice.customers != "hit" or said.firing or asked is None or _down(found):
        return _dated(advice.reason, when)
    until = looks.clock(asked.until)
    return f"Customers were hit, by the questions until the last look at {until}: {advice.figures}."


def _down(found: Affected) -> list[str]:
    """The web experiences that are not up."""
    down = (one for one in found.web or () if one.status not in ("", "ACTIVE"))
    return [f"The web experience {one.name or one.id} is {one.status}" for one in down]


def _dated(words: str, when: str) -> str:
    """A sentence with the time before its full stop."""
    return f"{words.removesuffix('.')}{when}." if when else words


def impact(found: Affected, looks: Looks, back: datetime | None = None) -> Iterable[str]:
    """What users notice, in words for people who do not run it.

    Parameters
    ----------
    back:
        When the first sync ended that succeeded again: what was seen of the index before that is told as such.
    """
    index, asked, usual = found.index, found.questions.after, found.questions.before
    unwanted = found.documents.unwanted_count or 0
    if unwanted:
        be = "document is" if unwanted == 1 else "documents are"
        yield _dated(
            f"Answers may show what they must not: {unwanted:,} {be} in the index that must not be there.",
            looks.of(["documents"]),
        )
    if index.failing and index.documents:
        share = index.failing / index.documents
        if looks.before("documents", back):
            words = f"Before the sync that succeeded, {share:.0%} of the documents could not be indexed"
            yield _dated(f"{words}; since then it was not looked.", looks.of(["documents"]))
        else:
            words = (
                f"Answers may be missing or out of date: {share:.0%} of the documents could not be indexed."
            )
            yield _dated(words, looks.of(["documents"]))
    unanswered = asked.no_answer_share if asked else None
    if asked is not None and unanswered is not None:
        told = f"{unanswered:.0%} had no answer{_usual(usual, 'no_answer_share')}"
        # Metrics are counted in periods: that of the first bad sign is counted whole.
        yield f"Of {asked.asked:,} questions from {looks.clock(asked.since)} until {looks.clock(asked.until)}, {told}."
    before = (usual.blocked_share if usual else None) or 0.0
    if asked is not None and asked.blocked_share is not None and asked.blocked_share > 2 * before:
        yield f"{asked.blocked_share:.0%} of them were blocked{_usual(usual, 'blocked_share')}."
    yield from (_dated(f"{one}.", looks.of(["resources"])) for one in _down(found))
    if not index.failing and not unwanted and unanswered is None and not _down(found):
        yield "How much of it users notice could not be told yet."


def _usual(usual: Asked | None, name: str) -> str:
    share = getattr(usual, name) if usual is not None else None
    return "" if share is None else f" (before: {share:.0%})"


def content(said: Detection, found: Affected, looks: Looks) -> Iterable[str]:
    """Documents that are indexed and must not be."""
    verdict = next((one for one in said.triggers if one.trigger == "content"), None)
    if verdict is not None:
        for each in verdict.reasons:
            if each.says == "firing":
                yield _dated(each.text, looks.of([each.source]))
        new = [each for each in said.findings if each.kind == "new-folder"]
        yield from (f"{each.text} {each.remedy}" for each in new)
    if found.documents.unwanted:
        named = ", ".join(found.documents.unwanted)
        if (more := (found.documents.unwanted_count or 0) - len(found.documents.unwanted)) > 0:
            named += f" and {more:,} more"
        yield _dated(f"Indexed, and not to be: {named}.", looks.of(["documents"]))
