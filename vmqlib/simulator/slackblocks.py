"""Slack's limits on blocks, whom a message mentions, and how it looks (docs.slack.dev: Block Kit)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["check_blocks", "mentioned", "shown"]

_MOST, _ALL = 50, 13_200
_TEXT = {"header": 150, "section": 3_000}
_MENTION = re.compile(r"<(?:!(channel|here|everyone)|@([UW][A-Z0-9]*)|!subteam\^(S[A-Z0-9]*))[^>]*>")
_RICH = frozenset({"rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"})
_LEAVES = frozenset({"text", "link", "emoji", "user", "usergroup", "broadcast", "channel", "date", "color"})


def check_blocks(blocks: object) -> tuple[str, str]:
    """Slack's word for what is wrong with the blocks, and more of it in words; two empty texts where nothing is."""
    if not isinstance(blocks, list):
        return "invalid_blocks_format", "blocks must be an array"
    if len(blocks) > _MOST:
        return "invalid_blocks", f"no more than {_MOST} items allowed [json-pointer:/blocks]"
    for place, block in enumerate(blocks):
        if problem := _block(block):
            return "invalid_blocks", f"{problem} [json-pointer:/blocks/{place}]"
    if sum(len(text) for block in blocks for text, _ in _texts(block)) > _ALL:
        return "msg_blocks_too_long", "blocks are too long together"
    return "", ""


def _block(block: object) -> str:
    if not isinstance(block, dict):
        return "must be an object"
    kind = block.get("type")
    if kind == "header":
        return _text(block.get("text"), _TEXT["header"], ("plain_text",))
    if kind == "section":
        fields = block.get("fields") or []
        if not block.get("text") and not fields:
            return "missing required field: text"
        if len(fields) > 10:
            return "no more than 10 fields allowed"
        problems = [_text(one, 2_000, ("mrkdwn", "plain_text")) for one in fields]
        if block.get("text"):
            problems.append(_text(block["text"], _TEXT["section"], ("mrkdwn", "plain_text")))
        return next((one for one in problems if one), "")
    if kind == "context":
        elements = block.get("elements") or []
        if not 1 <= len(elements) <= 10:
            return "between 1 and 10 elements needed"
        found = (
            _text(one, 3_000, ("mrkdwn", "plain_text")) for one in elements if one.get("type") != "image"
        )
        return next((one for one in found if one), "")
    if kind == "rich_text":
        return _rich(block.get("elements"))
    return "" if kind in ("divider", "image", "markdown") else f"unsupported type: {kind}"


def _text(value: object, limit: int, kinds: Sequence[str]) -> str:
    if not isinstance(value, dict) or value.get("type") not in kinds:
        return f"must be a text object of type {' or '.join(kinds)}"
    text = value.get("text")
    if not isinstance(text, str) or not text:
        return "must be more than 0 characters"
    if value["type"] == "mrkdwn" and "emoji" in value:
        return "emoji is for plain_text"
    return f"must be less than {limit + 1} characters" if len(text) > limit else ""


def _rich(elements: object) -> str:
    if not isinstance(elements, list) or not elements:
        return "must have at least one element"
    for one in elements:
        if not isinstance(one, dict) or one.get("type") not in _RICH:
            return f"unsupported element: {one.get('type') if isinstance(one, dict) else one}"
        inner = one.get("elements")
        if not isinstance(inner, list) or not inner:
            return "must have at least one element"
        if one["type"] == "rich_text_list":
            if one.get("style") not in ("bullet", "ordered"):
                return "a list needs a style"
            if any(item.get("type") != "rich_text_section" for item in inner):
                return "a list holds sections"
            problem = next(
                (found for found in (_leaves(item.get("elements")) for item in inner) if found), ""
            )
        else:
            problem = _leaves(inner)
        if problem:
            return problem
    return ""


def _leaves(elements: object) -> str:
    if not isinstance(elements, list) or not elements:
        return "must have at least one element"
    for one in elements:
        if one.get("type") not in _LEAVES:
            return f"unsupported element: {one.get('type')}"
        if one["type"] == "text" and not (isinstance(one.get("text"), str) and one["text"]):
            return "must be more than 0 characters"
    return ""


def _texts(block: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text of a block, with how Slack reads it: ``mrkdwn``, ``plain_text`` or ``literal``."""
    for value in (block.get("text"), *(block.get("fields") or ())):
        if isinstance(value, dict):
            yield str(value.get("text", "")), str(value.get("type"))
    for one in _inside(block.get("elements") or ()):
        if isinstance(one.get("text"), str):
            yield one["text"], "literal" if one.get("type") == "text" else str(one.get("type"))


def _inside(elements: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    for one in elements:
        if isinstance(one, dict):
            yield one
            yield from _inside(one.get("elements") or ())


def mentioned(text: str, blocks: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Whom a message pages: mentions in mrkdwn, and the elements of rich text that are mentions."""
    read = [text, *(one for block in blocks for one, how in _texts(block) if how in ("mrkdwn", "plain_text"))]
    found = [next(filter(None, match)) for one in read for match in _MENTION.findall(one)]
    found += [
        str(one.get("range") or one.get("user_id") or one.get("usergroup_id"))
        for block in blocks
        for one in _inside(block.get("elements") or ())
        if one.get("type") in ("broadcast", "user", "usergroup")
    ]
    return tuple(dict.fromkeys(found))


def shown(blocks: Sequence[Mapping[str, Any]]) -> list[str]:
    """The blocks as lines of text."""
    lines: list[str] = []
    for block in blocks:
        if block.get("type") != "rich_text":
            lines += [text for text, _ in _texts(block)]
            continue
        for part in block["elements"]:
            if part["type"] == "rich_text_list":
                lines += [f"• {_joined(item['elements'])}" for item in part["elements"]]
            else:
                pad = "    " if part["type"] == "rich_text_preformatted" else ""
                lines += [f"{pad}{line}" for line in _joined(part["elements"]).rstrip("\n").split("\n")]
    return lines


def _joined(elements: Iterable[Mapping[str, Any]]) -> str:
    return "".join(str(one.get("text", "")) for one in elements)
