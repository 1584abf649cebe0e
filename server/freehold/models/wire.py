"""A model request in the Messages API's wire form, with prompt-caching breakpoints.

The provider caches by prefix: tools, then system, then messages. A breakpoint is a mark on a
block that says "cache up to here"; marks are no part of what is compared. Two sections get one at
their end, and two messages: the last user message, and the one that was last in the request
before. So each request finds the whole of its predecessor cached, however many blocks came since
(the provider itself looks back 20 blocks at most).
"""

from __future__ import annotations

from typing import Any

import orjson

from freehold.core.events import Content, Json
from freehold.core.model_catalog import ModelCapabilities, describe, effort_for, thinking_for
from freehold.errors import ModelError
from freehold.models.blindness import without_images
from freehold.ports.model import ModelRequest

CACHE_MARK: Json = {"type": "ephemeral"}
FAST_BETA = "fast-mode-2026-02-01"
INTERLEAVED_BETA = "interleaved-thinking-2025-05-14"

_UNMARKABLE = frozenset({"thinking", "redacted_thinking"})


def body(request: ModelRequest, capabilities: ModelCapabilities | None = None) -> Json:
    """The JSON object to POST to ``/v1/messages``. The request's own objects stay untouched.

    ``capabilities`` are the model's, where they are known better than by its id.
    """
    capabilities = capabilities or describe(request.model)
    marks = capabilities.cache_breakpoints
    built: Json = {
        "model": request.model,
        "max_tokens": capabilities.max_output_tokens,
        "stream": True,
    }
    thinking = thinking_for(capabilities, request.effort)
    if thinking is not None:
        built["thinking"] = thinking
    effort = effort_for(capabilities, request.effort)
    if effort is not None:
        built["output_config"] = {"effort": effort}
    if request.speed == "fast" and capabilities.fast:
        built["speed"] = "fast"
    if request.inference_geo is not None:
        built["inference_geo"] = request.inference_geo
    if request.tools:
        built["tools"] = _mark_last(request.tools) if marks else request.tools
    if request.system:
        built["system"] = _mark_last(request.system) if marks else request.system
    messages = request.messages if capabilities.images else without_images(request.messages)
    built["messages"] = _mark_messages(messages) if marks else messages
    return built


def encode(request: ModelRequest, capabilities: ModelCapabilities | None = None) -> bytes:
    """:func:`body` as bytes.

    Raises:
        ModelError: ``invalid_request``, when a text is not valid Unicode.
    """
    try:
        return orjson.dumps(body(request, capabilities))
    except orjson.JSONEncodeError as err:
        raise ModelError(
            "invalid_request", f"the conversation cannot be written as JSON: {err}"
        ) from None


def betas(request: ModelRequest, capabilities: ModelCapabilities | None = None) -> list[str]:
    """Values of the ``anthropic-beta`` header this request needs."""
    capabilities = capabilities or describe(request.model)
    needed = []
    if request.speed == "fast" and capabilities.fast:
        needed.append(FAST_BETA)
    if capabilities.thinking == "budget":
        # Without it these models think once a turn, not again after each tool result.
        needed.append(INTERLEAVED_BETA)
    return needed


def breakpoints(messages: list[Json]) -> list[int]:
    """Indices of the messages that get a mark, rising: the boundary before this one, and this."""
    ends: list[int] = []
    last_assistant: int | None = None
    for index in range(len(messages) - 1, -1, -1):
        role = messages[index]["role"]
        if role == "assistant":
            last_assistant = index
            if ends:
                break
        elif role == "user" and not ends and _last_markable(messages[index]["content"]) is not None:
            ends.append(index)
    if last_assistant is not None and ends:
        for index in range(min(last_assistant, ends[0]) - 1, -1, -1):
            message = messages[index]
            if message["role"] == "user" and _last_markable(message["content"]) is not None:
                ends.append(index)
                break
    return sorted(ends)


def _mark_messages(messages: list[Json]) -> list[Json]:
    marked = list(messages)
    for index in breakpoints(messages):
        message = messages[index]
        marked[index] = {**message, "content": _mark_content(message["content"])}
    return marked


def _mark_content(content: str | Content) -> Content:
    if isinstance(content, str):
        return [{"type": "text", "text": content, "cache_control": CACHE_MARK}]
    position = _last_markable(content)
    blocks = list(content)
    if position is not None:
        blocks[position] = {**blocks[position], "cache_control": CACHE_MARK}
    return blocks


def _mark_last(blocks: list[Json]) -> list[Json]:
    position = _last_markable(blocks)
    if position is None:
        return blocks
    marked = list(blocks)
    marked[position] = {**blocks[position], "cache_control": CACHE_MARK}
    return marked


def _last_markable(content: str | list[Json]) -> int | None:
    """Where the mark goes; None when no block may carry it."""
    if isinstance(content, str):
        return 0 if content.strip() else None
    for index in range(len(content) - 1, -1, -1):
        if _markable(content[index]):
            return index
    return None


def _markable(block: dict[str, Any]) -> bool:
    kind = block.get("type")
    if kind == "text":
        return bool(str(block.get("text", "")).strip())
    return kind not in _UNMARKABLE
