"""What the model is shown of results, whoever gave them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.events import EVENT, Json, ModelUsage, Record
from freehold.core.transcript import EMPTY_RESULT, Transcript
from tests.playbooks.playbook import START, say, text, use

FORMS = {
    "the sandbox": (
        {"type": "agent.tool_use", "name": "bash", "input": {}},
        {"type": "agent.tool_result", "tool_use_id": "sevt_call"},
    ),
    "an MCP server": (
        {"type": "agent.mcp_tool_use", "name": "find", "mcp_server_name": "linear", "input": {}},
        {"type": "agent.mcp_tool_result", "mcp_tool_use_id": "sevt_call"},
    ),
    "the client": (
        {"type": "agent.custom_tool_use", "name": "get_weather", "input": {}},
        {"type": "user.custom_tool_result", "custom_tool_use_id": "sevt_call"},
    ),
    "a worker": (
        {"type": "agent.tool_use", "name": "bash", "input": {}},
        {"type": "user.tool_result", "tool_use_id": "sevt_call"},
    ),
}
"""By who answers: a call and its result."""

ANSWER = [use("bash")]
PART = st.sampled_from(["", " ", "\n\t", "a", " b ", "c\n"])


def shown(call: Json, *results: Json) -> list[Json]:
    """The messages after the model made one call and ``results`` were written to the log."""
    transcript = Transcript()
    end: Json = {
        "type": "span.model_request_end",
        "model_request_start_id": "sevt_start",
        "model_usage": ModelUsage(),
    }
    private: dict[str, Json] = {
        call["type"]: {"tool_use_id": "toolu_t1"},
        end["type"]: {"content": ANSWER},
    }
    for seq, body in enumerate([say("Go."), call, end, *results], start=1):
        event: Any = EVENT.validate_python(body)
        id_ = "sevt_call" if body is call else f"sevt_{seq}"
        transcript.extend(
            Record(
                seq=seq,
                id=id_,
                processed_at=START,
                event=event,
                private=private.get(event.type),
            )
        )
    return transcript.messages


@pytest.mark.parametrize("form", FORMS)
@given(parts=st.none() | st.lists(PART, max_size=4), failed=st.none() | st.booleans())
def test_a_result_answers_the_call_whoever_gives_it(
    form: str, parts: list[str] | None, failed: bool | None
) -> None:
    call, result = FORMS[form]
    content = None if parts is None else [text(part) for part in parts]
    asked, answer, told = shown(call, {**result, "content": content, "is_error": failed})
    assert asked == {"role": "user", "content": [text("Go.")]}
    assert answer == {"role": "assistant", "content": ANSWER}
    assert told["role"] == "user"
    (block,) = told["content"]
    assert (block["type"], block["tool_use_id"]) == ("tool_result", "toolu_t1")
    assert block.get("is_error", False) is bool(failed)
    # The Messages API refuses blank texts.
    said = [part for part in parts or [] if part.strip()]
    assert [block["text"] for block in block["content"]] == (said or [EMPTY_RESULT])


@pytest.mark.parametrize("form", FORMS)
def test_a_call_is_answered_once(form: str) -> None:
    call, result = FORMS[form]
    first = {**result, "content": [text("first")]}
    second = {**result, "content": [text("second")]}
    assert shown(call, first, second) == shown(call, first)
