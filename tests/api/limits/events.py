"""Limits of events."""

from __future__ import annotations

from typing import Any

from tests.api.limits.kinds import ABSENT, VALUE, Call, Items, Row, Text, Whole, listed


def text(value: Any) -> Any:
    return {"type": "text", "text": value}


def sending(**event: Any) -> Call:
    return Call("POST", "/v1/sessions/{fresh}/events", {"events": [event]}, readable=False)


def message(*content: Any) -> Call:
    return sending(type="user.message", content=list(content))


def outcome(**fields: Any) -> Call:
    base = {"type": "user.define_outcome", "description": "It is done.", "rubric": RUBRIC}
    return sending(**{**base, **fields})


def a_document(_: int) -> Any:
    return {"type": "document", "source": {"type": "file", "file_id": "{file}"}}


RUBRIC: Any = {"type": "text", "content": "Look."}
IMAGE: Any = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}

NO_OUTCOMES = "outcomes are not supported yet"

ROWS = [
    Row(
        "EventSendParams.events",
        Items(
            1, 50, listed(lambda number: {"type": "user.message", "content": [text(f"{number}")]})
        ),
        "25 (10)",
        Call("POST", "/v1/sessions/{fresh}/events", {"events": VALUE}, readable=False),
        shown="data.*.content",
        shows=lambda value: [one["content"] for one in value],
    ),
    Row(
        "UserMessageParams.content",
        Items(1, None, listed(lambda number: text(f"{number}"))),
        "6.3",
        sending(type="user.message", content=VALUE),
    ),
    Row("TextBlockParams.text", Text(1, None), "A", message(text(VALUE))),
    Row(
        "Base64SourceParams.media_type",
        Text(1, None),
        "A",
        message({"type": "image", "source": {**IMAGE, "media_type": VALUE}}),
    ),
    Row(
        "Base64SourceParams.data",
        Text(1, None, lambda count: "a" * count),
        "A",
        message({"type": "image", "source": {**IMAGE, "data": VALUE}}),
    ),
    Row(
        "URLSourceParams.url",
        Text(1, None),
        "A",
        message({"type": "image", "source": {"type": "url", "url": VALUE}}),
    ),
    Row(
        "FileSourceParams.file_id",
        Text(1, None),
        "A",
        message({"type": "document", "source": {"type": "file", "file_id": VALUE}}),
        elsewhere=ABSENT,
    ),
    Row(
        "TextSourceParams.data",
        Text(1, None),
        "A",
        message(
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": VALUE},
            }
        ),
    ),
    Row(
        "UserToolConfirmationParams.tool_use_id",
        Text(1, 128),
        "A",
        sending(type="user.tool_confirmation", tool_use_id=VALUE, result="allow"),
        elsewhere=ABSENT,
    ),
    Row(
        "UserToolConfirmationParams.deny_message",
        Text(0, 10_000),
        "A",
        Call(
            "POST",
            "/v1/sessions/{asking}/events",
            {
                "events": [
                    {
                        "type": "user.tool_confirmation",
                        "tool_use_id": "{asked}",
                        "result": "deny",
                        "deny_message": VALUE,
                    }
                ]
            },
            readable=False,
        ),
    ),
    Row(
        "UserCustomToolResultParams.custom_tool_use_id",
        Text(1, 128),
        "A",
        sending(type="user.custom_tool_result", custom_tool_use_id=VALUE),
        elsewhere=ABSENT,
    ),
    Row(
        "UserToolResultParams.tool_use_id",
        Text(1, 128),
        "6.3",
        sending(type="user.tool_result", tool_use_id=VALUE),
        elsewhere="an API key sends no such event",
    ),
    Row(
        "UserDefineOutcomeParams.description",
        Text(1, None),
        "ours",
        outcome(description=VALUE),
        elsewhere=NO_OUTCOMES,
    ),
    Row(
        "UserDefineOutcomeParams.max_iterations",
        Whole(1, 20),
        "6.3",
        outcome(max_iterations=VALUE),
        elsewhere=NO_OUTCOMES,
    ),
    Row(
        "TextRubricParams.content",
        Text(0, 262_144),
        "A",
        outcome(rubric={"type": "text", "content": VALUE}),
        elsewhere=NO_OUTCOMES,
    ),
    Row(
        "FileRubricParams.file_id",
        Text(1, 128),
        "ours",
        outcome(rubric={"type": "file", "file_id": VALUE}),
        elsewhere=NO_OUTCOMES,
    ),
    Row(
        "SystemMessageParams.content",
        Items(1, 1000, listed(lambda number: text(f"{number}"))),
        "6.3",
        sending(type="system.message", content=VALUE),
    ),
    Row(
        "documents from files in a request",
        Items(0, 100, listed(a_document)),
        "5.2",
        sending(type="user.message", content=VALUE),
        constant="FILE_DOCUMENTS",
        declared=False,
        refusal="^events: at most 100 document blocks may name a file$",
    ),
    Row(
        "EventListQuery.limit",
        Whole(1, 1000),
        "1.8",
        Call("GET", "/v1/sessions/{session}/events", query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "EventStreamQuery.event_deltas",
        Items(0, 100, listed(lambda _: "agent.message")),
        "6.1",
        Call("GET", "/v1/sessions/{session}/events/stream", query={"event_deltas[]": VALUE}),
        at="event_deltas",
        shown=None,
    ),
]
