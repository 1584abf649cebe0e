"""One sampling: ask the model, and say in events what came of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from freehold.core.decide import abandoned_span
from freehold.core.drafts import Draft
from freehold.core.events import (
    AgentCustomToolUse,
    AgentMessage,
    AgentThinking,
    AgentToolUse,
    Event,
    Json,
    ModelRequestEnd,
    SessionError,
)
from freehold.core.permissions import evaluate
from freehold.errors import ModelError
from freehold.harness.prompt import build_request
from freehold.harness.sessions import SessionHandle
from freehold.ports.model import Model, ModelEvent, ModelResponse
from freehold.ports.sandbox import Layout

log = logging.getLogger(__name__)

_ERROR_TYPES = {
    "overloaded": "model_overloaded_error",
    "rate_limited": "model_rate_limited_error",
    "billing": "billing_error",
    "invalid_request": "unknown_error",
}


async def sample(handle: SessionHandle, span_id: str, model: Model, layout: Layout) -> list[Draft]:
    """Sample once for the request whose span is open; the events that close it."""
    spec = await handle.spec()
    transcript = await handle.transcript()
    request = build_request(spec, transcript.messages, layout)
    try:
        response = await _complete(model.stream(request))
    except ModelError as error:
        log.warning("model request of %s failed: %s", handle.session_id, error.message)
        return failed(span_id, error)
    return answered(span_id, response, spec.agent["tools"])


async def _complete(parts: AsyncIterator[ModelEvent]) -> ModelResponse:
    response: ModelResponse | None = None
    async for part in parts:
        if isinstance(part, ModelResponse):
            response = part
    if response is None:
        raise ModelError("connection", "the model's answer ended before it was complete")
    return response


def answered(span_id: str, response: ModelResponse, tools: list[Json]) -> list[Draft]:
    """An answer in the order of spec 6.7: thinking, message, tool uses, the end of the span."""
    thinking = [
        Draft(AgentThinking())
        for block in response.content
        if block["type"] in {"thinking", "redacted_thinking"}
    ]
    text = [
        {"type": "text", "text": block["text"]}
        for block in response.content
        if block["type"] == "text" and block["text"]
    ]
    message = [Draft(AgentMessage(content=text))] if text else []
    calls = [
        Draft(_tool_use(block, tools), private={"tool_use_id": block["id"]})
        for block in response.content
        if block["type"] == "tool_use"
    ]
    end = Draft(
        ModelRequestEnd(model_request_start_id=span_id, model_usage=response.usage, is_error=False),
        private={
            "content": response.content,
            "stop_reason": response.stop_reason,
            "stop_details": response.stop_details,
        },
    )
    return [*thinking, *message, *calls, end]


def _tool_use(block: Json, tools: list[Json]) -> Event:
    name, arguments = block["name"], block["input"]
    verdict = evaluate(tools, name)
    if verdict.kind == "custom":
        return AgentCustomToolUse(name=name, input=arguments)
    return AgentToolUse(
        name=name,
        input=arguments,
        evaluated_permission=verdict.permission,
        evaluation=verdict.evaluation,
    )


def failed(span_id: str, error: ModelError) -> list[Draft]:
    """A request that brought nothing.

    Only a request that can never succeed ends the session: a bad key or an unpaid bill is the
    operator's to mend, and the session goes on with the next message.
    """
    status = "terminal" if error.kind == "invalid_request" else "exhausted"
    return [
        abandoned_span(span_id),
        Draft(
            SessionError(
                error={
                    "type": _ERROR_TYPES.get(error.kind, "model_request_failed_error"),
                    "message": error.message,
                    "retry_status": {"type": status},
                }
            )
        ),
    ]
