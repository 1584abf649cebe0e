"""From the events of a Messages stream to the content that must be sent back next time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from freehold.core.events import Content, Json, ModelUsage
from freehold.errors import ModelError
from freehold.ports.model import BlockStarted, ModelEvent, ModelResponse, TextDelta

_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_CUT = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})
"""Reasons to stop in the middle of a block."""
_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)


class Accumulator:
    """Takes a stream's events in order; :meth:`response` is what they add up to.

    Blocks of kinds it does not know are kept as they started, so that they go back verbatim.
    """

    def __init__(self) -> None:
        self._blocks: dict[int, Json] = {}
        self._pieces: dict[int, list[str]] = {}
        self._open: set[int] = set()
        self._usage: dict[str, int] = {}
        self._speed: str | None = None
        self._stop_reason: str | None = None
        self._stop_details: Json | None = None
        self._stopped = False

    def feed(self, event: Json) -> Iterator[ModelEvent]:
        """Take in one event; yields what a watcher may be shown of it."""
        match event.get("type"):
            case "content_block_delta":
                yield from self._delta(event["index"], event["delta"])
            case "content_block_start":
                yield from self._start(event["index"], event["content_block"])
            case "content_block_stop":
                self._close(event["index"])
            case "message_start":
                self._count(event["message"].get("usage") or {})
            case "message_delta":
                self._count(event.get("usage") or {})
                delta = event["delta"]
                self._stop_reason = delta.get("stop_reason") or self._stop_reason
                self._stop_details = delta.get("stop_details") or self._stop_details
            case "message_stop":
                self._stopped = True

    def response(self) -> ModelResponse:
        """The whole answer.

        Raises:
            ModelError: ``connection``, when the stream ended before the answer did.
        """
        if self._stop_reason is None or (self._open and not self._stopped):
            raise ModelError("connection", "the stream of the answer ended before its end")
        for index in list(self._open):
            self._close(index)
        return ModelResponse(
            content=_sendable(
                [self._blocks[index] for index in sorted(self._blocks)], self._stop_reason
            ),
            stop_reason=self._stop_reason,
            usage=ModelUsage.model_validate({**self._usage, "speed": self._speed}),
            stop_details=self._stop_details,
        )

    def _start(self, index: int, block: Json) -> Iterator[ModelEvent]:
        self._blocks[index] = dict(block)
        self._pieces[index] = []
        self._open.add(index)
        yield BlockStarted(index, block["type"])
        if block["type"] == "text" and block.get("text"):
            yield TextDelta(index, _well_formed(block["text"]))

    def _delta(self, index: int, delta: Json) -> Iterator[ModelEvent]:
        block = self._blocks[index]
        match delta.get("type"):
            case "text_delta":
                self._pieces[index].append(delta["text"])
                if delta["text"]:
                    yield TextDelta(index, _well_formed(delta["text"]))
            case "input_json_delta":
                self._pieces[index].append(delta["partial_json"])
            case "thinking_delta":
                self._pieces[index].append(delta["thinking"])
            case "signature_delta":
                block["signature"] = (block.get("signature") or "") + delta["signature"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or []), delta["citation"]]
            case _:
                pass

    def _close(self, index: int) -> None:
        if index not in self._open:
            return
        self._open.discard(index)
        block = self._blocks[index]
        joined = "".join(self._pieces.pop(index))
        if block["type"] in _CALLS:
            if joined:
                block["input"] = _tool_input(joined)
        elif joined and block["type"] in {"text", "thinking"}:
            key = block["type"]
            block[key] = _well_formed(block.get(key, "") + joined)

    def _count(self, usage: Json) -> None:
        # A stream's counts are cumulative: the later one holds, unless it is absent.
        for name in _COUNTS:
            if usage.get(name) is not None:
                self._usage[name] = usage[name]
        if usage.get("speed") in {"standard", "fast"}:
            self._speed = usage["speed"]


def _tool_input(text: str) -> Any:
    """The input of a call; empty when its JSON was cut short or is no object (spec 12.2)."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _sendable(content: Content, stop_reason: str) -> Content:
    # A thought that was cut off was not signed, and the API takes back only what is.
    if stop_reason in _CUT and content and content[-1]["type"] == "thinking":
        content = content if content[-1].get("signature") else content[:-1]
    # The API answers with blank text blocks at times and refuses them as input.
    return [block for block in content if block["type"] != "text" or block.get("text", "").strip()]


def _well_formed(text: str) -> str:
    """The text with lone surrogates, which no UTF-8 encoder takes, joined or replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
