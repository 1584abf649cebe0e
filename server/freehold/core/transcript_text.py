"""A session's log as a text to be read: what was said and done, nothing of how it was run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from freehold.core import times
from freehold.core.events import (
    AgentCustomToolUse,
    AgentMcpToolResult,
    AgentMcpToolUse,
    AgentMessage,
    AgentThreadContextCompacted,
    AgentToolResult,
    AgentToolUse,
    Content,
    Json,
    Record,
    SessionError,
    SystemMessage,
    UserCustomToolResult,
    UserInterrupt,
    UserMessage,
    UserToolResult,
)

CLIPPED = 16_000
"""Characters of a tool's input or result that are shown; the middle of a longer one is left out."""


def heading(session_id: str, title: str | None, created_at: datetime, agent: str) -> str:
    """The first lines."""
    named = "" if title is None else f"\nTitle: {_one_line(title)}"
    return (
        f"# Session {session_id}{named}\nAgent: {_one_line(agent)}\n"
        f"Created: {times.render(created_at)}\n"
    )


def passages(records: Iterable[Record]) -> Iterator[str]:
    """What the records come to, one passage each; most of what is no conversation is left out."""
    for record in records:
        said = _said(record)
        if said is not None:
            title, text = said
            yield f"\n## {title} ({times.render(record.processed_at)})\n\n{text}\n"


def _said(record: Record) -> tuple[str, str] | None:
    match record.event:
        case UserMessage(content=content):
            return "User", _text(content)
        case SystemMessage(content=content):
            return "System", _text(content)
        case AgentMessage(content=content):
            return "Agent", _text(content)
        case UserInterrupt():
            return "User", "(interrupted the agent)"
        case AgentToolUse(name=name, input=given) | AgentCustomToolUse(name=name, input=given):
            return f"Tool call: {_one_line(name)}", _input(given)
        case AgentMcpToolUse(name=name, mcp_server_name=server, input=given):
            return f"Tool call: {_one_line(name)} of {_one_line(server)}", _input(given)
        case (
            AgentToolResult(content=content, is_error=failed)
            | AgentMcpToolResult(content=content, is_error=failed)
            | UserCustomToolResult(content=content, is_error=failed)
            | UserToolResult(content=content, is_error=failed)
        ):
            return "Tool error" if failed else "Tool result", clipped(_text(content or []))
        case AgentThreadContextCompacted():
            return "Note", "(the agent's view of the conversation so far was summed up)"
        case SessionError(error=error):
            return "Error", _one_line(str(error.get("message", error.get("type", ""))))
        case _:
            return None


def clipped(text: str) -> str:
    """The text, or its beginning and its end."""
    if len(text) <= CLIPPED:
        return text
    half = CLIPPED // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n… ({left_out} characters left out) …\n{text[-half:]}"


def _input(given: Json) -> str:
    # Texts of several lines, such as scripts, are easier to read as they are.
    parts = [
        f"{name}: {value}" if isinstance(value, str) else f"{name}: {json.dumps(value)}"
        for name, value in given.items()
    ]
    return clipped("\n".join(parts))


def _text(content: Content) -> str:
    return "\n".join(_block(block) for block in content) or "(nothing)"


def _block(block: Json) -> str:
    if block["type"] == "text":
        return str(block["text"])
    return f"({block['type']})"


def _one_line(text: str) -> str:
    return " ".join(text.split())
