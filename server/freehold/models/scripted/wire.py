"""The Messages API's own form of what the scripted provider answers: SSE events and objects."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from freehold.core.events import Content, Json
from freehold.core.model_catalog import describe
from freehold.errors import ModelErrorKind
from freehold.models.scripted.model import Answer, pieces

STATUS: dict[ModelErrorKind, tuple[int, str]] = {
    "overloaded": (529, "overloaded_error"),
    "rate_limited": (429, "rate_limit_error"),
    "server": (500, "api_error"),
    "authentication": (401, "authentication_error"),
    "billing": (402, "billing_error"),
    "invalid_request": (400, "invalid_request_error"),
}
"""Status and error type of each kind; ``connection`` has none."""

JSON_PIECE = 40


def events(result: Answer, model: str, message_id: str) -> Iterator[Json]:
    """The stream of an answer; a failing one ends in the middle of its text."""
    failing = result.failure is not None
    usage = _usage(result)
    opening = {**message_object(result, model, message_id), "content": []}
    opening |= {"stop_reason": None, "stop_details": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": opening}
    yield {"type": "ping"}
    content: Content = result.content
    if result.failure is not None:
        partial = result.failure.partial
        content = [{"type": "text", "text": partial}] if partial else []
    for index, block in enumerate(content):
        yield from _block_events(index, block)
        if not failing:
            yield {"type": "content_block_stop", "index": index}
    if failing:
        return
    yield {
        "type": "message_delta",
        "delta": {
            "stop_reason": result.stop_reason,
            "stop_sequence": None,
            "stop_details": result.stop_details,
        },
        "usage": usage,
    }
    yield {"type": "message_stop"}


def _block_events(index: int, block: Json) -> Iterator[Json]:
    def start(opening: Json) -> Json:
        return {"type": "content_block_start", "index": index, "content_block": opening}

    def delta(value: Json) -> Json:
        return {"type": "content_block_delta", "index": index, "delta": value}

    match block["type"]:
        case "text":
            yield start({"type": "text", "text": ""})
            for piece in pieces(block["text"]):
                yield delta({"type": "text_delta", "text": piece})
            for citation in block.get("citations", ()):
                yield delta({"type": "citations_delta", "citation": citation})
        case "thinking":
            yield start({"type": "thinking", "thinking": "", "signature": ""})
            for piece in pieces(block["thinking"]):
                yield delta({"type": "thinking_delta", "thinking": piece})
            yield delta({"type": "signature_delta", "signature": block["signature"]})
        case "web_search_tool_result":
            yield start(block)
        case _:
            yield start({**block, "input": {}})
            source = orjson.dumps(block["input"]).decode()
            yield delta({"type": "input_json_delta", "partial_json": ""})
            for begin in range(0, len(source), JSON_PIECE):
                piece = source[begin : begin + JSON_PIECE]
                yield delta({"type": "input_json_delta", "partial_json": piece})


def message_object(result: Answer, model: str, message_id: str) -> Json:
    """The answer as one object, as a request that does not stream gets it."""
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": result.content,
        "stop_reason": result.stop_reason,
        "stop_sequence": None,
        "stop_details": result.stop_details,
        "usage": _usage(result),
    }


def _usage(result: Answer) -> Json:
    usage = result.usage.model_dump(exclude_none=True)
    searches = [b for b in result.content if b["type"] == "web_search_tool_result"]
    if searches:
        # What fails is not billed.
        made = sum(isinstance(block["content"], list) for block in searches)
        usage["server_tool_use"] = {"web_search_requests": made, "web_fetch_requests": 0}
    return usage


def frame(event: Json) -> bytes:
    """One SSE frame."""
    name: str = event["type"]
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"


def model_info(name: str) -> Json:
    """The entry of a model in ``GET /v1/models``."""
    capabilities = describe(name)
    return {
        "id": name,
        "type": "model",
        "display_name": name,
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "max_input_tokens": capabilities.context_window,
        "max_tokens": capabilities.max_output_tokens,
        "capabilities": None,
        "allowed_fallback_models": None,
    }
