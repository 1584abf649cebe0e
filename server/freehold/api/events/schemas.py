"""Session events on the wire (spec 6.1, 6.3, 6.5; appendix B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BaseModel, Field, GetJsonSchemaHandler, StringConstraints, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from freehold.api.events.content import MessageBlock, ResultBlock, TextBlockParams, content
from freehold.api.requests import INTEGER, Moment, Params, Query
from freehold.api.schemas import Shown, Timestamp
from freehold.core import events as log
from freehold.core import limits
from freehold.core.events import ClientEvent
from freehold.ports.clock import Clock

EventType = Literal[
    "user.message",
    "user.interrupt",
    "user.tool_confirmation",
    "user.custom_tool_result",
    "agent.custom_tool_use",
    "agent.message",
    "agent.thinking",
    "agent.mcp_tool_use",
    "agent.mcp_tool_result",
    "agent.tool_use",
    "agent.tool_result",
    "agent.thread_message_received",
    "agent.thread_message_sent",
    "agent.thread_context_compacted",
    "session.error",
    "session.status_rescheduled",
    "session.status_running",
    "session.status_idle",
    "session.status_terminated",
    "session.thread_created",
    "span.outcome_evaluation_start",
    "span.outcome_evaluation_end",
    "span.model_request_start",
    "span.model_request_end",
    "span.outcome_evaluation_ongoing",
    "user.define_outcome",
    "session.thread_status_running",
    "session.thread_status_idle",
    "session.thread_status_terminated",
    "user.tool_result",
    "session.thread_status_rescheduled",
    "session.updated",
    "system.message",
    "session.usage",
    "workflow_run.created",
    "workflow_run.status_running",
    "workflow_run.status_idle",
    "workflow_run.status_ended",
    "workflow_run.error",
    "workflow_run.phase_started",
    "workflow_run.phase_ended",
]

_Id = Annotated[str, StringConstraints(min_length=1, max_length=limits.ID)]


class UserMessageParams(Params):
    """The user says something."""

    type: Literal["user.message"]
    content: Annotated[list[MessageBlock], Field(min_length=1)]


class UserInterruptParams(Params):
    """The user wants the agent to stop."""

    type: Literal["user.interrupt"]
    session_thread_id: str | None = None


class UserToolConfirmationParams(Params):
    """The user lets a call run, or not."""

    type: Literal["user.tool_confirmation"]
    tool_use_id: _Id
    result: Literal["allow", "deny"]
    deny_message: Annotated[str, StringConstraints(max_length=limits.DENY_MESSAGE)] | None = None
    session_thread_id: str | None = None


class UserCustomToolResultParams(Params):
    """What the client's own tool gave."""

    type: Literal["user.custom_tool_result"]
    custom_tool_use_id: _Id
    content: list[ResultBlock] | None = None
    is_error: bool | None = None
    session_thread_id: str | None = None


class UserToolResultParams(Params):
    """What a self-hosted worker's tool gave."""

    type: Literal["user.tool_result"]
    tool_use_id: _Id
    content: list[ResultBlock] | None = None
    is_error: bool | None = None
    session_thread_id: str | None = None


class TextRubricParams(Params):
    """A rubric."""

    type: Literal["text"]
    content: Annotated[str, StringConstraints(max_length=limits.RUBRIC)]


class FileRubricParams(Params):
    """A rubric in an uploaded file."""

    type: Literal["file"]
    file_id: _Id


class UserDefineOutcomeParams(Params):
    """What the session is to achieve."""

    type: Literal["user.define_outcome"]
    description: Annotated[str, StringConstraints(min_length=1)]
    rubric: Annotated[TextRubricParams | FileRubricParams, Field(discriminator="type")]
    max_iterations: Annotated[int, Field(ge=1, le=20)] | None = None


class SystemMessageParams(Params):
    """Instructions in the middle of a session."""

    type: Literal["system.message"]
    content: Annotated[
        list[Annotated[TextBlockParams, Field()]],
        Field(min_length=1, max_length=limits.SYSTEM_BLOCKS),
    ]


EventParams = Annotated[
    UserMessageParams
    | UserInterruptParams
    | UserToolConfirmationParams
    | UserCustomToolResultParams
    | UserToolResultParams
    | UserDefineOutcomeParams
    | SystemMessageParams,
    Field(discriminator="type"),
]
InitialEventParams = Annotated[
    UserMessageParams | UserDefineOutcomeParams, Field(discriminator="type")
]


class EventSendParams(Params):
    """Body of ``POST /v1/sessions/{session_id}/events``."""

    events: Annotated[list[EventParams], Field(min_length=1, max_length=limits.EVENTS_PER_SEND)]


class EventListQuery(Query):
    """Parameters of ``GET /v1/sessions/{session_id}/events``."""

    limit: Annotated[int, Field(ge=1, le=limits.EVENTS_PAGE_MAX), INTEGER] = (
        limits.EVENTS_PAGE_DEFAULT
    )
    page: str | None = None
    order: Literal["asc", "desc"] = "asc"
    types: list[EventType] = Field(default=[], alias="types[]")
    created_at_gt: Moment | None = Field(default=None, alias="created_at[gt]")
    created_at_gte: Moment | None = Field(default=None, alias="created_at[gte]")
    created_at_lt: Moment | None = Field(default=None, alias="created_at[lt]")
    created_at_lte: Moment | None = Field(default=None, alias="created_at[lte]")


class EventStreamQuery(Query):
    """Parameters of the streams."""

    event_deltas: Annotated[
        list[Literal["agent.message", "agent.thinking"]], Field(max_length=limits.EVENT_DELTAS)
    ] = Field(default=[], alias="event_deltas[]")


def client_events(events: Sequence[EventParams], clock: Clock) -> list[ClientEvent]:
    """What clients sent, as the log knows it."""
    return [_client_event(event, clock) for event in events]


def _client_event(event: EventParams, clock: Clock) -> ClientEvent:
    match event:
        case UserMessageParams():
            return log.UserMessage(content=content(event.content))
        case UserInterruptParams():
            return log.UserInterrupt(session_thread_id=event.session_thread_id)
        case UserToolConfirmationParams():
            return log.UserToolConfirmation(**event.model_dump(exclude_none=True))
        case UserCustomToolResultParams():
            return log.UserCustomToolResult(
                custom_tool_use_id=event.custom_tool_use_id,
                content=None if event.content is None else content(event.content),
                is_error=event.is_error,
                session_thread_id=event.session_thread_id,
            )
        case UserToolResultParams():
            return log.UserToolResult(
                tool_use_id=event.tool_use_id,
                content=None if event.content is None else content(event.content),
                is_error=event.is_error,
                session_thread_id=event.session_thread_id,
            )
        case UserDefineOutcomeParams():
            return log.UserDefineOutcome(
                description=event.description,
                rubric=event.rubric.model_dump(),
                max_iterations=event.max_iterations,
                outcome_id=clock.mint("outc"),
            )
        case SystemMessageParams():
            return log.SystemMessage(content=content(event.content))


class _Described(BaseModel):
    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> JsonSchemaValue:
        # A serializer of its own would make the event any object.
        plain = {key: value for key, value in schema.items() if key != "serialization"}
        described = handler(cast("CoreSchema", plain))
        found = handler.resolve_ref_schema(described)
        found["required"] = ["type", *(n for n in found.get("required", ()) if n != "type")]
        return described


def _as_shown(event: type[BaseModel]) -> type[BaseModel]:
    """An event with what the API puts around it; for the document, nothing is made of it."""
    pending = event.model_fields["type"].default in (
        "user.message",
        "user.interrupt",
        "user.tool_confirmation",
        "system.message",
    )
    moment: Any = (Timestamp | None, None) if pending else (Timestamp, ...)
    return create_model(
        f"{event.__name__}Event", __base__=(event, _Described), id=(str, ...), processed_at=moment
    )


def _union(annotated: Any) -> Any:
    shown = [
        _as_shown(event)
        for event in get_args(get_args(annotated)[0])
        if event.model_fields["type"].default not in log.PRIVATE_TYPES
    ]
    return Annotated[tuple_union(shown), Field(discriminator="type")]


def tuple_union(types: Sequence[type[BaseModel]]) -> Any:
    """``A | B | …`` of types that are only known when the module runs."""
    union: Any = types[0]
    for other in types[1:]:
        union = union | other
    return union


SessionEvent: Any = _union(log.Event)
SentEvent: Any = _union(log.ClientEvent)


class EventPage(Shown):
    """A page of events; the last has no ``next_page``."""

    data: list[SessionEvent]
    next_page: str | None = None


class SentEvents(Shown):
    """What was accepted, with ids."""

    data: list[SentEvent]
