"""What a session's log is made of: one discriminated union (spec 6.3, 6.5).

A :data:`Event` is the part of a log record that the API shows, without the ``id`` and
``processed_at`` that every record has. The kinds in :data:`PRIVATE_TYPES` are Freehold's own
notes: they are in the log, because the log is all there is, and never shown.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    model_serializer,
)

from freehold.core import times

Json = dict[str, Any]
Content = list[Json]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Event(_Model):
    present_as_null: ClassVar[frozenset[str]] = frozenset()
    """Fields that the API shows as ``null`` where others are left out."""


# What clients send.


class UserMessage(_Event):
    type: Literal["user.message"] = "user.message"
    content: Content


class UserInterrupt(_Event):
    type: Literal["user.interrupt"] = "user.interrupt"
    session_thread_id: str | None = None


class UserToolConfirmation(_Event):
    type: Literal["user.tool_confirmation"] = "user.tool_confirmation"
    tool_use_id: str
    result: Literal["allow", "deny"]
    deny_message: str | None = None
    session_thread_id: str | None = None


class UserCustomToolResult(_Event):
    type: Literal["user.custom_tool_result"] = "user.custom_tool_result"
    custom_tool_use_id: str
    content: Content | None = None
    is_error: bool | None = None
    session_thread_id: str | None = None


class UserToolResult(_Event):
    type: Literal["user.tool_result"] = "user.tool_result"
    tool_use_id: str
    content: Content | None = None
    is_error: bool | None = None
    session_thread_id: str | None = None


class UserDefineOutcome(_Event):
    present_as_null = frozenset({"max_iterations"})
    type: Literal["user.define_outcome"] = "user.define_outcome"
    description: str
    rubric: Json
    max_iterations: int | None = None
    outcome_id: str


class SystemMessage(_Event):
    type: Literal["system.message"] = "system.message"
    content: Content


# What the agent does.


class AgentMessage(_Event):
    type: Literal["agent.message"] = "agent.message"
    content: Content


class AgentThinking(_Event):
    type: Literal["agent.thinking"] = "agent.thinking"


class AgentToolUse(_Event):
    type: Literal["agent.tool_use"] = "agent.tool_use"
    name: str
    input: Json
    evaluated_permission: Literal["allow", "ask", "deny"] | None = None
    evaluation: Json | None = None
    session_thread_id: str | None = None


class AgentToolResult(_Event):
    type: Literal["agent.tool_result"] = "agent.tool_result"
    tool_use_id: str
    content: Content | None = None
    is_error: bool | None = None


class AgentMcpToolUse(_Event):
    type: Literal["agent.mcp_tool_use"] = "agent.mcp_tool_use"
    name: str
    mcp_server_name: str
    input: Json
    evaluated_permission: Literal["allow", "ask", "deny"] | None = None
    evaluation: Json | None = None
    session_thread_id: str | None = None


class AgentMcpToolResult(_Event):
    type: Literal["agent.mcp_tool_result"] = "agent.mcp_tool_result"
    mcp_tool_use_id: str
    content: Content | None = None
    is_error: bool | None = None


class AgentCustomToolUse(_Event):
    type: Literal["agent.custom_tool_use"] = "agent.custom_tool_use"
    name: str
    input: Json
    session_thread_id: str | None = None


class AgentThreadContextCompacted(_Event):
    type: Literal["agent.thread_context_compacted"] = "agent.thread_context_compacted"


# How the session stands.


class StopReason(_Model):
    """Why a thread or session is idle (spec 6.6)."""

    type: Literal["end_turn", "requires_action", "retries_exhausted", "budget_reached", "refusal"]
    event_ids: list[str] | None = None


class SessionStatusRunning(_Event):
    type: Literal["session.status_running"] = "session.status_running"


class SessionStatusIdle(_Event):
    present_as_null = frozenset({"stop_details"})
    type: Literal["session.status_idle"] = "session.status_idle"
    stop_reason: StopReason
    stop_details: Json | None = None


class SessionStatusRescheduled(_Event):
    type: Literal["session.status_rescheduled"] = "session.status_rescheduled"


class SessionStatusTerminated(_Event):
    type: Literal["session.status_terminated"] = "session.status_terminated"


class ThreadStatusRunning(_Event):
    type: Literal["session.thread_status_running"] = "session.thread_status_running"
    session_thread_id: str
    agent_name: str


class ThreadStatusIdle(_Event):
    present_as_null = frozenset({"stop_details"})
    type: Literal["session.thread_status_idle"] = "session.thread_status_idle"
    session_thread_id: str
    agent_name: str
    stop_reason: StopReason
    stop_details: Json | None = None


class ThreadStatusRescheduled(_Event):
    type: Literal["session.thread_status_rescheduled"] = "session.thread_status_rescheduled"
    session_thread_id: str
    agent_name: str


class ThreadStatusTerminated(_Event):
    type: Literal["session.thread_status_terminated"] = "session.thread_status_terminated"
    session_thread_id: str
    agent_name: str


class SessionError(_Event):
    type: Literal["session.error"] = "session.error"
    error: Json


class SessionUpdated(_Event):
    """Only the fields that changed are set. A title or budget of ``None`` was removed."""

    type: Literal["session.updated"] = "session.updated"
    title: str | None = None
    metadata: dict[str, str] | None = None
    agent: Json | None = None
    budget: Json | None = None

    @model_serializer(mode="wrap")
    def _changes(self, handler: SerializerFunctionWrapHandler) -> Json:
        given: Json = handler(self)
        changed = {name: given[name] for name in given if name == "type" or self.changed(name)}
        nullable: Json = {"title": self.title, "budget": self.budget}
        return changed | {name: nullable[name] for name in nullable if self.changed(name)}

    def changed(self, name: str) -> bool:
        """Whether the update touched this field."""
        return name in self.model_fields_set


class SessionUsage(_Event):
    present_as_null = frozenset({"budget"})
    type: Literal["session.usage"] = "session.usage"
    usage: Json
    budget: Json | None = None


class SessionDeleted(_Event):
    type: Literal["session.deleted"] = "session.deleted"


# What a model request cost.


class ModelUsage(_Model):
    """Tokens of one model request."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    speed: Literal["standard", "fast"] | None = None

    @property
    def context(self) -> int:
        """Tokens the conversation takes up once the answer is part of it."""
        return (
            self.input_tokens
            + self.cache_creation_input_tokens
            + self.cache_read_input_tokens
            + self.output_tokens
        )


class ModelRequestStart(_Event):
    type: Literal["span.model_request_start"] = "span.model_request_start"


class ModelRequestEnd(_Event):
    present_as_null = frozenset({"is_error"})
    type: Literal["span.model_request_end"] = "span.model_request_end"
    model_request_start_id: str
    model_usage: ModelUsage
    is_error: bool | None = None


# Freehold's own notes, never shown.

ClientEvent = Annotated[
    UserMessage
    | UserInterrupt
    | UserToolConfirmation
    | UserCustomToolResult
    | UserToolResult
    | UserDefineOutcome
    | SystemMessage,
    Field(discriminator="type"),
]


class InputAccepted(_Event):
    """A client's event that waits for the agent. ``input_id`` is what it will be shown under."""

    type: Literal["input.accepted"] = "input.accepted"
    input_id: str
    event: ClientEvent


class SandboxAttached(_Event):
    """From here on tool calls run in the sandbox of this identity; ``None``: it was lost."""

    type: Literal["sandbox.attached"] = "sandbox.attached"
    sandbox_id: str | None
    boot: str | None = None
    """The run of its processes."""
    note: str | None = None
    """What the model is told of it with the next result of a call."""


class CallStarted(_Event):
    """A call that must not run twice is about to run where nobody keeps a journal of it."""

    type: Literal["call.started"] = "call.started"
    call_id: str


class McpToolsListed(_Event):
    """What an MCP server answered when it was asked for its tools."""

    type: Literal["mcp.tools_listed"] = "mcp.tools_listed"
    server: str
    tools: list[Json]
    """``name``, ``description`` and ``input_schema`` of each, sorted by name."""


class ModelAsked(_Event):
    """A model request beside the conversation, whose cost is the session's all the same.

    ``price`` are the rates of its day (:class:`freehold.core.prices.Rates`); ``None``: the model
    has no list price.
    """

    type: Literal["model.asked"] = "model.asked"
    purpose: Literal["judgement", "search"]
    model: str
    usage: ModelUsage
    price: Json | None = None


class SessionArchived(_Event):
    """The client archived the session. The hosted service shows no event for it (spec 25)."""

    type: Literal["session.archived"] = "session.archived"


Event = Annotated[
    UserMessage
    | UserInterrupt
    | UserToolConfirmation
    | UserCustomToolResult
    | UserToolResult
    | UserDefineOutcome
    | SystemMessage
    | AgentMessage
    | AgentThinking
    | AgentToolUse
    | AgentToolResult
    | AgentMcpToolUse
    | AgentMcpToolResult
    | AgentCustomToolUse
    | AgentThreadContextCompacted
    | SessionStatusRunning
    | SessionStatusIdle
    | SessionStatusRescheduled
    | SessionStatusTerminated
    | ThreadStatusRunning
    | ThreadStatusIdle
    | ThreadStatusRescheduled
    | ThreadStatusTerminated
    | SessionError
    | SessionUpdated
    | SessionUsage
    | SessionDeleted
    | ModelRequestStart
    | ModelRequestEnd
    | InputAccepted
    | SandboxAttached
    | CallStarted
    | McpToolsListed
    | ModelAsked
    | SessionArchived,
    Field(discriminator="type"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
CLIENT_EVENT: TypeAdapter[ClientEvent] = TypeAdapter(ClientEvent)

PRIVATE_TYPES = frozenset(
    {
        "input.accepted",
        "sandbox.attached",
        "call.started",
        "mcp.tools_listed",
        "model.asked",
        "session.archived",
    }
)


class Record(_Model):
    """One entry of a session's log.

    ``private`` is what the harness must remember beside what the API shows: the model's own
    content blocks with their signatures, the provider's id of a tool call. It never leaves the
    server except to the model.
    """

    seq: int
    id: str
    processed_at: datetime
    event: Event
    private: Json | None = None
    origin: Literal["client", "runner"] = "runner"
    """Who wrote it. A runner that finds another runner's records behind its back stops."""

    @property
    def public(self) -> bool:
        """Whether clients see this record."""
        return self.event.type not in PRIVATE_TYPES


def wire(id_: str, event: Event | ClientEvent, processed_at: datetime | None) -> Json:
    """The event as the API shows it; ``processed_at`` is left out while it is pending."""
    body = event.model_dump(mode="json", exclude_none=True)
    for name in event.present_as_null:
        body.setdefault(name, None)
    shown: Json = {"id": id_, **body}
    if processed_at is not None:
        shown["processed_at"] = times.render(processed_at)
    return shown
