from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

from anthropic.types.beta.sessions import BetaManagedAgentsStreamSessionEvents
from pydantic import TypeAdapter
from rich.console import Console

from freehold.cli.transcript import Transcript

EVENT: TypeAdapter[Any] = TypeAdapter(BetaManagedAgentsStreamSessionEvents)


def printed(*events: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    transcript = Transcript(console)
    for event in events:
        always = {"id": "sevt_1", "processed_at": datetime.now(UTC).isoformat()}
        transcript.show(EVENT.validate_python(always | event))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def text(*lines: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": line} for line in lines]


def test_a_turn_reads_as_a_conversation() -> None:
    shown = printed(
        {"type": "session.status_running"},
        {"type": "user.message", "content": text("Write [bold]it[/] down.")},
        {"type": "agent.thinking"},
        {"type": "agent.tool_use", "name": "bash", "input": {"command": "echo hello"}},
        {"type": "agent.tool_result", "tool_use_id": "sevt_1", "content": text("hello")},
        {
            "type": "span.model_request_end",
            "model_request_start_id": "sevt_0",
            "is_error": None,
            "model_usage": {
                "input_tokens": 11,
                "output_tokens": 7,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 5,
            },
        },
        {"type": "agent.message", "content": text("Done.", "Really.")},
        {
            "type": "session.status_idle",
            "stop_reason": {"type": "end_turn"},
            "stop_details": None,
        },
    )
    lines = [line.strip() for line in shown.splitlines()]
    expected = [
        "session  running",
        "user  Write [bold]it[/] down.",
        "thinking  …",
        "bash",
        "echo hello",
        "output  hello",
        "model  11 tokens in, 7 out, 5 from the cache",
        "agent  Done.",
        "Really.",
        "session  idle (end_turn)",
    ]
    assert [line for line in lines if line] == expected


def test_failures_are_plain_to_see() -> None:
    shown = printed(
        {
            "type": "agent.tool_result",
            "tool_use_id": "sevt_1",
            "content": text("No such file"),
            "is_error": True,
        },
        {
            "type": "session.error",
            "error": {
                "type": "unknown_error",
                "message": "it broke",
                "retry_status": {"type": "exhausted"},
            },
        },
        {"type": "session.status_terminated"},
    )
    assert "failed  No such file" in shown
    assert "unknown_error: it broke" in shown
    assert "terminated" in shown


def test_long_output_is_cut_and_told() -> None:
    shown = printed(
        {
            "type": "agent.tool_result",
            "tool_use_id": "sevt_1",
            "content": text("\n".join(map(str, range(100)))),
        }
    )
    assert "… 76 more lines" in shown
    assert " 99" not in shown


def test_a_file_is_shown_with_its_path() -> None:
    shown = printed(
        {
            "type": "agent.tool_use",
            "name": "write",
            "input": {"file_path": "/workspace/a.py", "content": "print(1)\n"},
        },
        {"type": "agent.tool_use", "name": "glob", "input": {"pattern": "**/*.py"}},
    )
    assert "write  /workspace/a.py" in shown
    assert "print(1)" in shown
    assert '"pattern": "**/*.py"' in shown


def test_events_without_a_line_print_nothing() -> None:
    assert printed({"type": "span.model_request_start"}) == ""
