"""One sampling: ask the model, and say in events what came of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from freehold.core.catalog import Catalog
from freehold.core.decide import abandoned_span, reschedule
from freehold.core.drafts import Draft
from freehold.core.events import (
    AgentCustomToolUse,
    AgentMcpToolUse,
    AgentMessage,
    AgentThinking,
    AgentThreadContextCompacted,
    AgentToolUse,
    Event,
    Json,
    ModelRequestEnd,
    SessionError,
)
from freehold.core.mcp import NOT_OFFERED, OfferedTool, evaluate_mcp, guessed
from freehold.core.mcp import offered as mcp_offered
from freehold.core.permissions import evaluate
from freehold.core.prices import Rates
from freehold.core.state import SessionState
from freehold.core.web_tools import offered
from freehold.errors import ModelError
from freehold.harness.attachments import Attachments
from freehold.harness.backoff import Backoff
from freehold.harness.furnishing import Furnishing
from freehold.harness.judge import Judge
from freehold.harness.prompt import SUMMARY_PREFACE, build_request, build_summary_request
from freehold.harness.sessions import SessionHandle
from freehold.harness.sketch import EventIds, Sketch
from freehold.ports.clock import Clock
from freehold.ports.dispatcher import Fanout
from freehold.ports.log import SessionSpec
from freehold.ports.model import Model, ModelEvent, ModelRequest, ModelResponse
from freehold.ports.sandbox import Layout
from freehold.ports.web import Web

log = logging.getLogger(__name__)

_ERROR_TYPES = {
    "overloaded": "model_overloaded_error",
    "rate_limited": "model_rate_limited_error",
    "billing": "billing_error",
    "invalid_request": "unknown_error",
}


@dataclass(frozen=True)
class Sampler:
    """Asks the model for sessions, shows what it says as it says it, and counts its failures."""

    model: Model
    layout: Layout
    fanout: Fanout
    clock: Clock
    backoff: Backoff
    catalog: Catalog
    web: Web
    judge: Judge
    attachments: Attachments
    compact_at: float = 0.8
    """Share of the model's window at which the conversation is summed up."""
    furnishing: Furnishing = field(default_factory=Furnishing)
    """Tells what the sandbox was given."""

    async def sample(self, handle: SessionHandle, state: SessionState) -> list[Draft]:
        """Sample once for the request whose span is open; the events that close it."""
        span_id = state.open_span
        if span_id is None:
            raise AssertionError("a model request without an open span")
        spec = await handle.spec()
        transcript = await handle.transcript()
        tools = spec.agent["tools"]
        mcp_tools = mcp_offered(tools, transcript.mcp_tools)
        request = build_request(
            spec,
            transcript.messages,
            self.layout,
            self.web.offers,
            mcp_tools,
            contents=await self.furnishing.blocks(spec),
        )
        sketch = Sketch(handle.session_id, state.seq, self.fanout, self.clock)
        try:
            request = await self._with_files(spec, request)
            response = await _complete(self.model.stream(request), sketch)
        except ModelError as error:
            return self._failed(handle, state, span_id, error)
        rates = self._rates(request, response)
        window = self.catalog.capabilities(request.model).context_window
        drafts = answered(
            span_id,
            response,
            offered(tools, self.web.offers),
            sketch.ids,
            mcp_tools,
            compact_at=int(window * self.compact_at),
            rates=rates,
        )
        then = state.model_copy(update={"usage": state.usage.plus(response.usage, rates)})
        return await self.judge.settle(
            drafts,
            request.model,
            transcript.user_texts,
            spent=then.at_budget(self.clock.now()),
        )

    async def compact(self, handle: SessionHandle, state: SessionState) -> list[Draft]:
        """Have the conversation summed up, so that it fits the model's window again."""
        span_id = state.open_span
        if span_id is None:
            raise AssertionError("a model request without an open span")
        spec = await handle.spec()
        transcript = await handle.transcript()
        mcp_tools = mcp_offered(spec.agent["tools"], transcript.mcp_tools)
        request = build_summary_request(
            spec,
            transcript.messages,
            self.layout,
            self.web.offers,
            mcp_tools,
            contents=await self.furnishing.blocks(spec),
        )
        try:
            request = await self._with_files(spec, request)
            response = await _complete(self.model.stream(request), None)
            return compacted(span_id, response, self._rates(request, response))
        except ModelError as error:
            return self._failed(handle, state, span_id, error)

    async def _with_files(self, spec: SessionSpec, request: ModelRequest) -> ModelRequest:
        messages = await self.attachments.shown(spec.workspace_id, request.messages)
        return replace(request, messages=messages)

    def _rates(self, request: ModelRequest, response: ModelResponse) -> Rates | None:
        price = self.catalog.price(response.billed_as or request.model)
        return None if price is None else price.rates(response.usage)

    def _failed(
        self, handle: SessionHandle, state: SessionState, span_id: str, error: ModelError
    ) -> list[Draft]:
        log.warning("model request of %s failed: %s", handle.session_id, error.message)
        pause = self.backoff.pause(state.attempts, error)
        retry_at = None if pause is None else self.clock.now() + timedelta(seconds=pause)
        return failed(span_id, error, state, retry_at)


async def _complete(parts: AsyncIterator[ModelEvent], sketch: Sketch | None) -> ModelResponse:
    response: ModelResponse | None = None
    async for part in parts:
        if isinstance(part, ModelResponse):
            response = part
        elif sketch is not None:
            sketch.add(part)
    if response is None:
        raise ModelError("connection", "the model's answer ended before it was complete")
    return response


def _price(rates: Rates | None) -> Json:
    return {} if rates is None else {"price": rates.model_dump()}


def compacted(span_id: str, response: ModelResponse, rates: Rates | None = None) -> list[Draft]:
    """A summary takes the conversation's place; the log keeps all of it.

    ``rates`` as for :func:`answered`.

    Raises:
        ModelError: the answer has no text to go on with.
    """
    summary = "\n".join(b["text"] for b in response.content if b["type"] == "text").strip()
    if not summary:
        raise ModelError("server", "the model was asked to sum the conversation up and did not")
    return [
        Draft(
            ModelRequestEnd(
                model_request_start_id=span_id, model_usage=response.usage, is_error=False
            ),
            private={"compaction": True, **_price(rates)},
        ),
        Draft(
            AgentThreadContextCompacted(), private={"summary": f"{SUMMARY_PREFACE}\n\n{summary}"}
        ),
    ]


def answered(
    span_id: str,
    response: ModelResponse,
    tools: list[Json],
    ids: EventIds | None = None,
    mcp_tools: Sequence[OfferedTool] = (),
    *,
    compact_at: int | None = None,
    rates: Rates | None = None,
) -> list[Draft]:
    """An answer in the order of spec 6.7: thinking, message, tool uses, the end of the span.

    ``ids`` are those that previews have already named, ``mcp_tools`` what MCP servers offered;
    ``compact_at`` is the size in tokens from
    which on the conversation is summed up before the next request. ``rates`` are today's, and stay
    with the request: what it cost does not change with the price list.
    """
    ids = ids or EventIds()
    content = response.content
    if response.stop_reason == "refusal":
        # What a refused answer had begun to call is not run, and would stay without a result.
        content = [block for block in content if block["type"] != "tool_use"]
    thoughts = iter(ids.thinking)
    thinking = [
        Draft(AgentThinking(), id=next(thoughts, None))
        for block in content
        if block["type"] in {"thinking", "redacted_thinking"}
    ]
    text = [
        {"type": "text", "text": block["text"]}
        for block in content
        if block["type"] == "text" and block["text"]
    ]
    message = [Draft(AgentMessage(content=text), id=ids.message)] if text else []
    calls = [
        Draft(_tool_use(block, tools, mcp_tools), private={"tool_use_id": block["id"]})
        for block in content
        if block["type"] == "tool_use"
    ]
    end = Draft(
        ModelRequestEnd(model_request_start_id=span_id, model_usage=response.usage, is_error=False),
        private={
            "content": content,
            "stop_reason": response.stop_reason,
            "stop_details": response.stop_details,
            **_price(rates),
            **({"compact_at": compact_at} if compact_at is not None else {}),
        },
    )
    return [*thinking, *message, *calls, end]


def _tool_use(block: Json, tools: list[Json], mcp_tools: Sequence[OfferedTool]) -> Event:
    name, arguments = block["name"], block["input"]
    meant = next(((tool.server, tool.name) for tool in mcp_tools if tool.wire_name == name), None)
    known = meant is not None
    meant = meant or guessed(tools, name)
    if meant is not None:
        server, tool = meant
        # What was not offered is denied like what is not enabled (spec 12.4).
        judged = evaluate_mcp(tools, server, tool) if known else NOT_OFFERED
        return AgentMcpToolUse(
            name=tool,
            mcp_server_name=server,
            input=arguments,
            evaluated_permission=judged.permission,
            evaluation=judged.evaluation,
        )
    verdict = evaluate(tools, name)
    if verdict.kind == "custom":
        return AgentCustomToolUse(name=name, input=arguments)
    return AgentToolUse(
        name=name,
        input=arguments,
        evaluated_permission=verdict.permission,
        evaluation=verdict.evaluation,
    )


def failed(
    span_id: str, error: ModelError, state: SessionState, retry_at: datetime | None
) -> list[Draft]:
    """A request that brought nothing, to be tried again at ``retry_at`` or given up.

    Only a request that can never succeed ends the session: a bad key or an unpaid bill is the
    operator's to mend, and the session goes on with the next message.
    """
    status = "terminal" if error.kind == "invalid_request" else "exhausted"
    if retry_at is not None:
        status = "retrying"
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
        *(reschedule(state, retry_at) if retry_at is not None else ()),
    ]
