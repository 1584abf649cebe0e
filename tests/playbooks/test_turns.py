"""The event order of turns (spec 6.6, 6.7), each test a transcript."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.core.accept import accept
from freehold.core.decide import INTERRUPTED
from freehold.core.drafts import Draft
from freehold.core.events import (
    AgentMcpToolUse,
    AgentThreadContextCompacted,
    CallStarted,
    InputAccepted,
    ModelRequestEnd,
    ModelRequestStart,
    SessionArchived,
    SessionDeleted,
    SessionError,
    SystemMessage,
    UserInterrupt,
)
from freehold.errors import InvalidRequest, ModelError, NotFound, NotSupported, PermissionDenied
from freehold.harness.model_turn import failed
from freehold.ports.model import ModelResponse
from tests.playbooks.playbook import THREAD, USAGE, Playbook, say, text, toolset, use

RUNNING = ["session.status_running", "session.thread_status_running"]
IDLE = ["session.thread_status_idle end_turn", "session.usage", "session.status_idle end_turn"]
REQUIRES = [
    "session.thread_status_idle requires_action x1",
    "session.usage",
    "session.status_idle requires_action x1",
]


def script(*answers: Any) -> Any:
    """A model that gives these answers one after the other, by how often it has spoken."""

    def model(messages: list[Any]) -> Any:
        return answers[sum(message["role"] == "assistant" for message in messages)]

    return model


def test_a_message_and_an_answer() -> None:
    play = Playbook(script([text("Hello")]))
    (echo,) = play.client(say("Hi"))
    assert "processed_at" not in echo
    assert play.run().lines() == [
        *RUNNING,
        "user.message Hi",
        "span.model_request_start",
        "agent.message Hello",
        "span.model_request_end",
        *IDLE,
    ]
    consumed = next(r for r in play.records if r.event.type == "user.message")
    span = next(r for r in play.records if r.event.type == "span.model_request_start")
    assert consumed.id == echo["id"]
    assert (span.processed_at - consumed.processed_at).microseconds == 1
    assert play.state.usage.input_tokens == 10
    assert play.state.active_micros > 0


def test_thinking_comes_before_the_message_and_its_signature_goes_back() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    play = Playbook(script([thought, text("a"), text("")], [text("b")]))
    play.client(say("1"))
    play.run()
    assert "agent.thinking" in play.lines()
    assert play.lines().index("agent.thinking") < play.lines().index("agent.message a")
    play.client(say("2"))
    play.run()
    assert play.transcript().messages[1]["content"][0] == thought


def test_tools_run_one_after_the_other_and_the_model_sees_the_results() -> None:
    play = Playbook(
        script([text("Let me"), use("bash", "a", command="1"), use("bash", "b", command="2")],
               [text("done")]),
        tool=lambda name, arguments: f"out{arguments['command']}",
    )  # fmt: skip
    play.client(say("go"))
    assert play.run().lines() == [
        *RUNNING,
        "user.message go",
        "span.model_request_start",
        "agent.message Let me",
        "agent.tool_use bash [allow]",
        "agent.tool_use bash [allow]",
        "span.model_request_end",
        "agent.tool_result out1",
        "agent.tool_result out2",
        "span.model_request_start",
        "agent.message done",
        "span.model_request_end",
        *IDLE,
    ]
    results = play.transcript().messages[2]["content"]
    assert [block["tool_use_id"] for block in results] == ["toolu_a", "toolu_b"]
    assert play.transcript().messages[2]["role"] == "user"


def test_a_disabled_or_unknown_tool_is_denied_and_the_turn_goes_on() -> None:
    play = Playbook(script([use("read", "a"), use("teleport", "b")], [text("ok")]))
    play.client(say("go"))
    lines = play.run().lines()
    assert "agent.tool_use read [deny]" in lines
    assert "agent.tool_result error: Permission to use read has been denied." in lines
    assert "agent.tool_result error: Permission to use teleport has been denied." in lines
    denied = next(r.event for r in play.records if r.event.type == "agent.tool_use")
    assert denied.evaluation is None
    assert lines[-3:] == IDLE


def test_messages_sent_while_running_join_at_the_next_step() -> None:
    play = Playbook(script([use("bash")], [text("both")]))
    play.client(say("one"))
    play.step()
    play.client(say("two"))
    play.client(say("three"))
    assert play.run().lines()[2:] == [
        "user.message one",
        "span.model_request_start",
        "agent.tool_use bash [allow]",
        "span.model_request_end",
        "agent.tool_result bash ran",
        "user.message two",
        "user.message three",
        "span.model_request_start",
        "agent.message both",
        "span.model_request_end",
        *IDLE,
    ]
    assert [block["type"] for block in play.transcript().messages[2]["content"]] == [
        "tool_result",
        "text",
        "text",
    ]


def test_a_custom_tool_waits_for_its_result() -> None:
    play = Playbook(script([use("get_weather", city="Oslo")], [text("sunny there")]))
    play.client(say("weather?"))
    assert play.run().lines()[-3:] == REQUIRES
    assert not play.step()
    (call_id,) = play.state.waiting
    with pytest.raises(InvalidRequest, match=r"waiting on responses to events \[sevt_"):
        play.client(say("hurry"))
    before = len(play.records)
    (echo,) = play.client(
        {"type": "user.custom_tool_result", "custom_tool_use_id": call_id,
         "content": [text("sunny")], "session_thread_id": THREAD}
    )  # fmt: skip
    assert "processed_at" in echo
    assert "session_thread_id" not in echo
    assert play.run().lines(before) == [
        "user.custom_tool_result sunny",
        *RUNNING,
        "span.model_request_start",
        "agent.message sunny there",
        "span.model_request_end",
        *IDLE,
    ]
    before = len(play.records)
    play.client(
        {"type": "user.custom_tool_result", "custom_tool_use_id": call_id},
        answered_before=[call_id],
    )
    assert len(play.records) == before
    with pytest.raises(InvalidRequest, match="is not waiting for a result"):
        play.client({"type": "user.custom_tool_result", "custom_tool_use_id": "sevt_other"})


def test_answering_only_some_custom_calls_says_again_what_is_open() -> None:
    play = Playbook(script([use("get_weather", "a"), use("get_weather", "b")], [text("ok")]))
    play.client(say("weather?"))
    play.run()
    first, second = play.state.waiting
    before = len(play.records)
    play.client({"type": "user.custom_tool_result", "custom_tool_use_id": second})
    assert play.lines(before) == ["user.custom_tool_result", *REQUIRES]
    assert play.state.waiting == (first,)
    play.client(
        {"type": "user.custom_tool_result", "custom_tool_use_id": first, "is_error": True,
         "content": [text("no")]}
    )  # fmt: skip
    assert play.run().lines()[-3:] == IDLE
    results = play.transcript().messages[2]["content"]
    assert results[0] == {
        "type": "tool_result",
        "tool_use_id": "toolu_b",
        "content": [text("(no output)")],
    }
    assert results[1]["is_error"] is True


def test_a_custom_result_before_the_idle_does_not_take_the_idle_away() -> None:
    """While another call of the same answer runs, a client may answer what it sees (spec 6.7)."""
    play = Playbook(script([use("get_weather", "a"), use("bash", "b")], [text("ok")]))
    play.client(say("go"))
    play.step()
    (call_id,) = [call.id for call in play.state.calls if call.kind == "custom"]
    before = len(play.records)
    play.client({"type": "user.custom_tool_result", "custom_tool_use_id": call_id})
    assert play.run().lines(before) == [
        "user.custom_tool_result",
        "agent.tool_result bash ran",
        *REQUIRES,
        *RUNNING,
        "span.model_request_start",
        "agent.message ok",
        "span.model_request_end",
        *IDLE,
    ]
    told = next(r.event for r in play.records if r.event.type == "session.status_idle")
    assert told.stop_reason.event_ids == [call_id]


def test_an_early_custom_result_leaves_the_others_to_be_asked_for() -> None:
    calls = [use("get_weather", "a"), use("get_weather", "b"), use("bash", "c")]
    play = Playbook(script(calls, [text("ok")]))
    play.client(say("go"))
    play.step()
    first, second = [call.id for call in play.state.calls if call.kind == "custom"]
    play.client({"type": "user.custom_tool_result", "custom_tool_use_id": first})
    assert play.run().lines()[-3:] == REQUIRES
    assert play.state.waiting == (second,)
    before = len(play.records)
    play.client({"type": "user.custom_tool_result", "custom_tool_use_id": second})
    assert play.run().lines(before)[1:4] == [*RUNNING, "span.model_request_start"]


def test_an_interrupt_after_an_early_custom_result_ends_the_turn() -> None:
    play = Playbook(script([use("get_weather", "a"), use("bash", "b")], [text("ok")]))
    play.client(say("go"))
    play.step()
    (call_id,) = [call.id for call in play.state.calls if call.kind == "custom"]
    play.client({"type": "user.custom_tool_result", "custom_tool_use_id": call_id})
    play.client({"type": "user.interrupt"})
    assert play.run().lines()[-3:] == IDLE
    assert not play.state.early


def test_a_mixed_turn_runs_nothing_until_the_asks_are_settled() -> None:
    tools = toolset(bash="always_ask", write="always_allow")
    play = Playbook(
        script([use("write", "a"), use("bash", "b"), use("bash", "c"), use("get_weather", "d")],
               [text("ok")]),
        tools=tools,
    )  # fmt: skip
    play.client(say("go"))
    play.run()
    assert play.lines()[-1] == "session.status_idle requires_action x2"
    assert "agent.tool_result write ran" not in play.lines()
    first, second = play.state.waiting
    with pytest.raises(InvalidRequest, match="is not waiting for a confirmation"):
        play.client({"type": "user.tool_confirmation", "tool_use_id": "sevt_x", "result": "allow"})
    with pytest.raises(InvalidRequest, match="deny_message"):
        play.client(
            {"type": "user.tool_confirmation", "tool_use_id": first, "result": "allow",
             "deny_message": "x"}
        )  # fmt: skip
    (echo,) = play.client(
        {"type": "user.tool_confirmation", "tool_use_id": first, "result": "deny",
         "deny_message": "no"}
    )  # fmt: skip
    assert "processed_at" not in echo
    assert play.lines()[-1] == "session.status_idle requires_action x1"
    before = len(play.records)
    play.client({"type": "user.tool_confirmation", "tool_use_id": second, "result": "allow"})
    assert play.run().lines(before) == [
        "user.tool_confirmation allow",
        *RUNNING,
        "agent.tool_result write ran",
        "agent.tool_result error: Permission to use bash has been rejected. Rejection message: no",
        "agent.tool_result bash ran",
        *REQUIRES,
    ]


def test_answers_in_one_request_are_all_given_before_the_session_says_what_it_waits_for() -> None:
    play = Playbook(script([use("bash", "a"), use("bash", "b"), use("bash", "c")], [text("ok")]),
                    tools=toolset(bash="always_ask"))  # fmt: skip
    play.client(say("go"))
    a, b, c = play.run().state.waiting
    allow = {"type": "user.tool_confirmation", "result": "allow"}
    before = len(play.records)
    play.client({**allow, "tool_use_id": b}, {**allow, "tool_use_id": a})
    assert play.lines(before) == ["user.tool_confirmation allow"] * 2 + REQUIRES
    assert play.state.waiting == (c,)


def test_results_in_one_request_lead_straight_on() -> None:
    play = Playbook(script([use("get_weather", "a"), use("get_weather", "b")], [text("ok")]))
    play.client(say("go"))
    a, b = play.run().state.waiting
    result = {"type": "user.custom_tool_result", "content": [text("14")]}
    before = len(play.records)
    # The first of them a second time, as clients do that are not sure: it changes nothing.
    play.client(
        *({**result, "custom_tool_use_id": call} for call in (b, b, a)),
        say("and be quick"),
        answered_before=[b],
    )
    assert play.run().lines(before)[:4] == ["user.custom_tool_result 14"] * 2 + RUNNING


def test_an_interrupt_behind_an_answer_finds_the_rest_still_asked_for() -> None:
    play = Playbook(script([use("get_weather", "a"), use("get_weather", "b")], [text("ok")]))
    play.client(say("go"))
    a, _ = play.run().state.waiting
    result = {"type": "user.custom_tool_result", "content": [text("14")], "custom_tool_use_id": a}
    before = len(play.records)
    play.client(result, {"type": "user.interrupt"})
    assert play.run().lines(before) == [
        "user.custom_tool_result 14",
        *REQUIRES,
        f"agent.tool_result error: {INTERRUPTED}",
        "user.interrupt",
        *IDLE,
    ]


def test_a_denial_without_a_message() -> None:
    play = Playbook(script([use("bash")], [text("ok")]), tools=toolset(bash="always_ask"))
    play.client(say("go"))
    play.run()
    (call_id,) = play.state.waiting
    play.client({"type": "user.tool_confirmation", "tool_use_id": call_id, "result": "deny"})
    assert play.run().lines()[-7] == (
        "agent.tool_result error: Permission to use bash has been rejected."
    )


def test_a_confirmation_that_arrives_while_running_is_taken() -> None:
    play = Playbook(script([use("bash")], [text("ok")]), tools=toolset(bash="always_ask"))
    play.client(say("go"))
    play.step()
    (call_id,) = play.state.waiting
    play.client({"type": "user.tool_confirmation", "tool_use_id": call_id, "result": "allow"})
    assert "session.status_idle requires_action x1" not in play.run().lines()


def test_an_interrupt_while_waiting_closes_the_calls() -> None:
    play = Playbook(script([use("get_weather")], [text("next")]))
    play.client(say("go"))
    play.run()
    before = len(play.records)
    play.client({"type": "user.interrupt", "session_thread_id": THREAD}, say("do this instead"))
    assert play.run().lines(before) == [
        f"agent.tool_result error: {INTERRUPTED}",
        "user.interrupt",
        *IDLE,
        *RUNNING,
        "user.message do this instead",
        "span.model_request_start",
        "agent.message next",
        "span.model_request_end",
        *IDLE,
    ]


def test_an_interrupt_while_running_ends_the_turn_and_the_next_message_starts_anew() -> None:
    play = Playbook(script([use("bash", "a"), use("bash", "b")], [text("anew")]))
    play.client(say("go"))
    play.step()
    play.client(say("early"), {"type": "user.interrupt"}, say("late"))
    assert play.run().lines()[7:] == [
        f"agent.tool_result error: {INTERRUPTED}",
        f"agent.tool_result error: {INTERRUPTED}",
        "user.message early",
        "user.interrupt",
        *IDLE,
        *RUNNING,
        "user.message late",
        "span.model_request_start",
        "agent.message anew",
        "span.model_request_end",
        *IDLE,
    ]


def test_an_interrupt_during_sampling_closes_the_span() -> None:
    play = Playbook()
    play.client(say("go"))
    play.write(Draft(ModelRequestStart()))
    play.client({"type": "user.interrupt"})
    assert play.run().lines()[2:] == [
        "span.model_request_start",
        "span.model_request_end error",
        "user.message go",
        "user.interrupt",
        *IDLE,
    ]


def test_an_interrupt_with_nothing_to_stop_leaves_no_trace() -> None:
    play = Playbook()
    (echo,) = play.client({"type": "user.interrupt"})
    assert echo["type"] == "user.interrupt"
    assert play.records == []
    with pytest.raises(InvalidRequest, match="Invalid session_thread_id: nope"):
        play.client({"type": "user.interrupt", "session_thread_id": "nope"})
    with pytest.raises(NotFound, match="Thread not found: sthr_"):
        play.client({"type": "user.interrupt", "session_thread_id": "sthr_01" + "2" * 22})


def test_what_this_version_or_this_caller_may_not_send() -> None:
    play = Playbook()
    with pytest.raises(PermissionDenied, match=r"events\[1\]: `user.tool_result` may only"):
        play.client(say("x"), {"type": "user.tool_result", "tool_use_id": "sevt_1"})
    assert play.records == []
    outcome = {"type": "user.define_outcome", "description": "d", "outcome_id": "outc_1"}
    with pytest.raises(NotSupported, match=r"events\[0\]: `user.define_outcome`"):
        play.client({**outcome, "rubric": {"type": "text", "content": "r"}})


def _system(words: str) -> Any:
    return {"type": "system.message", "content": [text(words)]}


def test_a_system_message_goes_with_the_message_before_it() -> None:
    play = Playbook(script([use("get_weather", "a")], [text("b")], [text("c")]))
    play.client(say("one"), _system("be brief"))
    play.run()
    assert [m["role"] for m in play.transcript().messages] == ["user", "system", "assistant"]
    (call_id,) = play.state.waiting
    result = {"type": "user.custom_tool_result", "custom_tool_use_id": call_id}
    with pytest.raises(InvalidRequest, match=r"system\.message event at events"):
        play.client(_system("alone while waiting"))
    play.client(result, _system("be briefer"))
    play.run()
    assert [m["role"] for m in play.transcript().messages][-3:] == ["user", "system", "assistant"]


def test_a_system_message_alone_waits_for_the_next_turn() -> None:
    play = Playbook()
    (echo,) = play.client(_system("be kind"))
    assert "processed_at" not in echo
    assert not play.step()
    assert not play.state.needs_work
    play.client(say("hello"))
    play.run()
    roles = [message["role"] for message in play.transcript().messages]
    assert roles == ["user", "system", "assistant"]


def test_system_messages_of_several_requests_stand_together_before_the_answer() -> None:
    play = Playbook()
    play.client(say("one"), _system("be brief"))
    play.client(say("two"), _system("be kind"))
    play.client(say("three"))
    play.run()
    (asked, told, _) = play.transcript().messages
    assert asked == {"role": "user", "content": [text("one"), text("two"), text("three")]}
    assert told == {"role": "system", "content": [text("be brief"), text("be kind")]}


def test_blank_texts_stay_in_the_log_and_are_not_sent() -> None:
    play = Playbook(script([use("get_weather")], [text("ok")]))
    play.client({"type": "user.message", "content": [text(" "), text("one"), text("\n")]})
    play.run()
    (call_id,) = play.state.waiting
    result = {"type": "user.custom_tool_result", "custom_tool_use_id": call_id}
    play.client({**result, "content": [text("\t")]}, _system(" "))
    play.run()
    asked, _, answer, told, _ = play.transcript().messages
    assert asked["content"] == [text("one")]
    assert answer["content"][0]["content"] == [text("(no output)")]
    assert told["content"] == [text("(empty message)")]
    shown = [r.event.content for r in play.records if r.event.type == "user.message"]
    assert shown == [[text(" "), text("one"), text("\n")]]


def test_a_system_message_alone_while_running_is_read_before_the_next_request() -> None:
    play = Playbook(script([use("bash")], [text("b")]))
    play.client(say("go"))
    play.step()
    (echo,) = play.client(_system("be brief"))
    assert "processed_at" not in echo
    lines = play.run().lines()
    at = lines.index("system.message")
    assert lines[at - 1 : at + 2] == [
        "agent.tool_result bash ran",
        "system.message",
        "span.model_request_start",
    ]
    roles = [message["role"] for message in play.transcript().messages]
    assert roles == ["user", "assistant", "user", "system", "assistant"]


def test_a_system_message_alone_in_the_last_answer_waits_for_the_next_turn() -> None:
    play = Playbook()
    play.client(say("go"))
    play.write(Draft(ModelRequestStart()))
    play.client(_system("be brief"))
    play.run()
    assert play.lines()[-1] == "session.status_idle end_turn"
    play.client(say("next"))
    assert "system.message" in play.run().lines()


@pytest.mark.parametrize(
    "events",
    [
        [_system("a"), _system("b")],
        [_system("a"), say("b")],
        [{"type": "user.interrupt"}, _system("a")],
        [say("a"), _system("b"), _system("c")],
    ],
)
def test_system_messages_have_their_place(events: Any) -> None:
    play = Playbook()
    with pytest.raises(InvalidRequest, match=r"Invalid system\.message event"):
        play.client(*events)
    assert play.records == []


def test_a_model_that_takes_no_system_messages_is_not_sent_any() -> None:
    play = Playbook()
    with pytest.raises(InvalidRequest, match="model_does_not_support_mid_conversation_system"):
        accept(play.pen("client"), [SystemMessage(content=[text("x")])], takes_system=False)


def test_a_transient_failure_ends_the_turn_and_the_next_message_starts_anew() -> None:
    failing = [True]

    def model(messages: list[Any]) -> Any:
        return ModelError("overloaded", "busy") if failing[0] else [text("back")]

    play = Playbook(model)
    play.client(say("one"))
    play.step()
    play.client(say("queued"))
    assert play.run().lines()[3:] == [
        "span.model_request_start",
        "span.model_request_end error",
        "session.error model_overloaded_error exhausted",
        "user.message queued",
        "session.thread_status_idle retries_exhausted",
        "session.usage",
        "session.status_idle retries_exhausted",
    ]
    assert play.state.usage.requests == 0
    failing[0] = False
    play.client(say("again"))
    assert play.run().lines()[-3:] == IDLE
    assert [block["text"] for block in play.transcript().messages[0]["content"]] == [
        "one",
        "queued",
        "again",
    ]


def test_a_request_that_can_never_succeed_terminates_the_session() -> None:
    play = Playbook(lambda _: ModelError("invalid_request", "prompt is too long"))
    play.client(say("one"))
    assert play.run().lines()[-3:] == [
        "span.model_request_end error",
        "session.error unknown_error terminal",
        "session.status_terminated",
    ]
    with pytest.raises(InvalidRequest, match="is terminated"):
        play.client(say("two"))


def test_what_was_queued_is_in_the_log_when_the_session_terminates() -> None:
    play = Playbook(lambda _: ModelError("invalid_request", "prompt is too long"))
    play.client(say("one"))
    play.write(Draft(ModelRequestStart()))
    play.client(say("queued"))
    play.write(*failed(play.state.open_span or "", ModelError("invalid_request", "no"),
                       play.state, None))  # fmt: skip
    assert play.run().lines()[-4:] == [
        "session.error unknown_error terminal",
        "user.message one",
        "user.message queued",
        "session.status_terminated",
    ]


def test_a_retried_failure_changes_nothing_by_itself() -> None:
    play = Playbook()
    error = {"type": "unknown_error", "message": "m", "retry_status": {"type": "retrying"}}
    play.write(Draft(SessionError(error=error)), Draft(AgentThreadContextCompacted()))
    assert not play.state.halted
    assert not play.step()


def test_a_broken_sandbox_ends_the_turn_with_every_call_answered() -> None:
    play = Playbook(script([use("bash", "a"), use("bash", "b")], [text("ok")]))
    play.client(say("go"))
    play.step()
    error = {"type": "unknown_error", "message": "m", "retry_status": {"type": "exhausted"}}
    play.write(Draft(SessionError(error=error)))
    assert play.run().lines()[-5:] == [
        f"agent.tool_result error: {INTERRUPTED}",
        f"agent.tool_result error: {INTERRUPTED}",
        "session.thread_status_idle retries_exhausted",
        "session.usage",
        "session.status_idle retries_exhausted",
    ]


def test_a_refusal_is_told_with_its_details() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": None}
    refusal = ModelResponse([], "refusal", USAGE, stop_details=details)
    play = Playbook(lambda _: refusal)
    play.client(say("x"))
    play.run()
    idle = play.records[-1].event
    assert idle.stop_reason.type == "refusal"
    assert idle.stop_details == details
    assert [m["role"] for m in play.transcript().messages] == ["user"]


@pytest.mark.parametrize(
    ("details", "shown"),
    [
        (
            {"type": "refusal", "category": "bio", "explanation": "no",
             "fallback_credit_token": "secret", "recommended_model": "claude-opus-5"},
            {"type": "refusal", "category": "bio", "explanation": "no"},
        ),
        ({"type": "refusal"}, {"type": "refusal", "category": None, "explanation": None}),
        (
            {"type": "refusal", "category": "of our own", "explanation": 7},
            {"type": "refusal", "category": None, "explanation": None},
        ),
        (None, None),
    ],
)  # fmt: skip
def test_a_refusal_tells_what_the_api_knows_and_no_more(details: Any, shown: Any) -> None:
    play = Playbook(lambda _: ModelResponse([], "refusal", USAGE, stop_details=details))
    play.client(say("x"))
    play.run()
    idles = [r.event for r in play.records if r.event.type.endswith("status_idle")]
    assert [idle.stop_details for idle in idles] == [shown, shown]


def test_a_pause_is_sampled_again_and_max_tokens_ends_the_turn() -> None:
    paused = ModelResponse([text("half")], "pause_turn", USAGE)
    cut = ModelResponse([text("cut")], "max_tokens", USAGE)
    play = Playbook(script(paused, cut))
    play.client(say("x"))
    assert play.run().lines()[-8:] == [
        "agent.message half",
        "span.model_request_end",
        "span.model_request_start",
        "agent.message cut",
        "span.model_request_end",
        *IDLE,
    ]


def test_archived_and_deleted_sessions_do_nothing_more() -> None:
    archived, deleted = Playbook(), Playbook()
    archived.write(Draft(SessionArchived()))
    assert archived.lines() == []
    assert archived.state.abandoned
    deleted.write(Draft(SessionDeleted()))
    assert deleted.lines() == ["session.deleted"]
    assert deleted.state.abandoned
    for play in (archived, deleted):
        assert play.state.status == "terminated"
        assert not play.state.needs_work
        assert not play.step()


def test_what_waits_when_a_session_is_archived_is_still_listed() -> None:
    play = Playbook()
    (echo,) = play.client(_system("be kind"))
    play.write(Draft(SessionArchived()))
    assert [item.id for item in play.state.inputs] == [echo["id"]]
    assert not play.state.needs_work
    assert not play.step()


RESCHEDULED = ["session.thread_status_rescheduled", "session.status_rescheduled"]


def test_an_overloaded_model_is_tried_again_later() -> None:
    failing = [True, True, False]
    play = Playbook(lambda _: ModelError("overloaded", "b") if failing.pop(0) else [text("ok")])
    play.retries = 5
    play.client(say("x"))
    assert play.run().lines()[2:] == [
        "user.message x",
        "span.model_request_start",
        "span.model_request_end error",
        "session.error model_overloaded_error retrying",
        *RESCHEDULED,
    ]
    assert play.state.due_at is not None
    assert play.state.needs_work
    assert not play.step()
    play.client(say("queued meanwhile"))
    before = len(play.records)
    assert play.later(10).run().lines(before) == [
        *RUNNING,
        "user.message queued meanwhile",
        "span.model_request_start",
        "span.model_request_end error",
        "session.error model_overloaded_error retrying",
        *RESCHEDULED,
    ]
    assert play.state.attempts == 2
    assert play.later(10).run().lines()[-3:] == IDLE
    assert (play.state.attempts, play.state.due_at) == (0, None)


def test_retries_come_to_an_end_and_the_next_message_starts_counting_anew() -> None:
    play = Playbook(lambda _: ModelError("connection", "gone"))
    play.retries = 1
    play.client(say("x"))
    play.run().later(10).run()
    assert play.lines()[-5:] == [
        "span.model_request_end error",
        "session.error model_request_failed_error exhausted",
        "session.thread_status_idle retries_exhausted",
        "session.usage",
        "session.status_idle retries_exhausted",
    ]
    play.client(say("again"))
    assert play.state.attempts == 0
    assert play.run().state.status == "rescheduling"


def test_an_interrupt_while_rescheduled_ends_the_turn() -> None:
    play = Playbook(lambda _: ModelError("rate_limited", "slow down"))
    play.retries = 1
    play.client(say("x"))
    play.run()
    before = len(play.records)
    play.client({"type": "user.interrupt"})
    assert play.run().lines(before) == ["user.interrupt", *IDLE]
    assert not play.later(100).step()


def test_an_mcp_call_is_answered_in_its_own_form() -> None:
    play = Playbook()
    play.client(say("x"))
    play.write(Draft(ModelRequestStart()))
    assert play.state.open_span is not None
    mcp = AgentMcpToolUse(
        name="find", mcp_server_name="linear", input={}, evaluated_permission="allow"
    )
    play.write(
        Draft(mcp, private={"tool_use_id": "toolu_m"}),
        Draft(
            ModelRequestEnd(
                model_request_start_id=play.state.open_span, model_usage=USAGE, is_error=False
            ),
            private={"content": [use("mcp__linear__find", "m")], "stop_reason": "tool_use"},
        ),
    )
    (call,) = play.state.calls
    assert (call.kind, call.server, call.started) == ("mcp", "linear", False)
    play.write(Draft(CallStarted(call_id=call.id)))
    assert play.state.calls[0].started
    assert "agent.mcp_tool_result" in play.run().lines()
    told = [block for message in play.transcript().messages for block in message["content"]]
    assert [b["tool_use_id"] for b in told if b["type"] == "tool_result"] == ["toolu_m"]


def test_a_half_written_start_is_completed() -> None:
    whole = Playbook()
    whole.client(say("x"))
    cut = Playbook(records=whole.records[:2])
    assert cut.lines() == ["session.status_running"]
    assert cut.run().lines()[:2] == RUNNING
    assert cut.lines()[-3:] == IDLE


def test_an_interrupt_that_comes_too_late_is_only_noted() -> None:
    play = Playbook()
    play.write(Draft(InputAccepted(input_id="sevt_late", event=UserInterrupt())))
    assert play.run().lines() == ["user.interrupt"]
    assert play.state.inputs == ()
