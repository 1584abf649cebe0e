"""Conversations that outgrow the model's window (spec 6.5, 6.8)."""

from __future__ import annotations

from typing import Any

from freehold.core.events import ModelUsage
from freehold.errors import ModelError
from freehold.ports.model import ModelResponse
from tests.playbooks.playbook import Playbook, say, text, use

BIG = ModelUsage(input_tokens=900, output_tokens=100)
SMALL = ModelUsage(input_tokens=90, output_tokens=10)


def _wants_summary(messages: list[Any]) -> bool:
    return bool(messages[-1].get("type") == "user.message")


def _answer(words: str, usage: ModelUsage) -> ModelResponse:
    return ModelResponse([text(words)], "end_turn", usage)


def test_the_conversation_is_summed_up_before_the_next_request() -> None:
    def model(messages: list[Any]) -> Any:
        if _wants_summary(messages):
            return [text("they counted to one")]
        summed_up = "they counted to one" in str(messages)
        return _answer("two", SMALL) if summed_up else _answer("one", BIG)

    play = Playbook(model)
    play.compact_at = 1_000
    play.client(say("count"))
    play.run()
    assert play.state.context_full
    before = len(play.records)
    play.client(say("go on"))
    assert play.run().lines(before)[2:8] == [
        "span.model_request_start",
        "span.model_request_end",
        "agent.thread_context_compacted",
        "user.message go on",
        "span.model_request_start",
        "agent.message two",
    ]
    (first, answer) = play.transcript().messages
    assert "they counted to one" in first["content"][0]["text"]
    assert first["content"][1] == text("go on")
    assert answer["role"] == "assistant"
    assert not play.state.context_full
    assert play.state.compactions == 0
    assert any(r.event.type == "user.message" and "count" in str(r.event) for r in play.records)


def test_a_window_that_is_always_full_ends_the_turn() -> None:
    def model(messages: list[Any]) -> Any:
        if _wants_summary(messages):
            return [text("long story")]
        return ModelResponse([use("bash", str(len(play.records)))], "tool_use", BIG)

    play = Playbook(model)
    play.compact_at = 1_000
    play.client(say("x"))
    lines = play.run().lines()
    assert lines.count("agent.thread_context_compacted") == 3
    assert lines[-4:] == [
        "session.error compaction_limit_reached_error exhausted",
        "session.thread_status_idle retries_exhausted",
        "session.usage",
        "session.status_idle retries_exhausted",
    ]
    # The next message starts anew.
    before = len(play.records)
    play.model = lambda messages: [text("short story")]
    play.client(say("go on"))
    lines = play.run().lines(before)
    assert lines.count("agent.thread_context_compacted") == 1
    assert "agent.message short story" in lines
    assert lines[-1] == "session.status_idle end_turn"


def test_a_summary_that_fails_is_a_failed_request() -> None:
    def model(messages: list[Any]) -> Any:
        if _wants_summary(messages):
            return ModelError("overloaded", "busy")
        return _answer("one", BIG)

    play = Playbook(model)
    play.compact_at = 1_000
    play.client(say("count"))
    play.run()
    play.client(say("go on"))
    assert play.run().lines()[-1] == "session.status_idle retries_exhausted"
    assert play.state.context_full
