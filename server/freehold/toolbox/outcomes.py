"""What a tool answers: content blocks, and whether it failed."""

from __future__ import annotations

import re
from typing import Any

Block = dict[str, Any]
Outcome = dict[str, Any]

NO_OUTPUT = "(no output)"
"""For an empty text, which the Messages API does not take; the SDK's runner says the same."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class ToolError(Exception):
    """The tool failed; the text is for the model."""


def clean(text: str) -> str:
    """The text without what is not valid UTF-8 or what a database would refuse (NUL)."""
    return _UNSTORABLE.sub("\ufffd", text)


def text_block(text: str) -> Block:
    """A text block; an empty text becomes :data:`NO_OUTPUT`."""
    return {"type": "text", "text": clean(text) or NO_OUTPUT}


def success(content: str | list[Block]) -> Outcome:
    """The outcome of a tool that did its work."""
    return {
        "content": [text_block(content)] if isinstance(content, str) else content,
        "is_error": False,
    }


def failure(text: str) -> Outcome:
    """The outcome of a tool that did not."""
    return {"content": [text_block(text)], "is_error": True}


def noted(outcome: Outcome, *notes: str) -> Outcome:
    """The outcome with notes below its text; empty ones are none."""
    said = "\n".join(filter(None, notes))
    if not said:
        return outcome
    *others, last = outcome["content"]
    if last.get("type") != "text":
        return {**outcome, "content": [*outcome["content"], text_block(said)]}
    shown = "" if last["text"] == NO_OUTPUT else f"{last['text']}\n"
    return {**outcome, "content": [*others, text_block(shown + said)]}
