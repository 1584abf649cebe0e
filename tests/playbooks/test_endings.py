"""How turns end: each stop reason of the Messages API, each failure of a request, each limit."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from anthropic.types.beta import BetaStopReason

from freehold.core.decide import decide
from freehold.errors import ModelError
from freehold.ports.model import ModelResponse
from tests.playbooks.playbook import USAGE, Playbook, say, text, toolset, use

ENDINGS = {
    "end_turn": "end_turn",
    "stop_sequence": "end_turn",
    "max_tokens": "end_turn",
    "model_context_window_exceeded": "end_turn",
    "refusal": "refusal",
}
"""What a session's idle gives as its reason when a model stopped for this one."""
GOES_ON = {"tool_use", "pause_turn", "compaction"}
"""After these the model is asked again."""

FAILURES = {
    "overloaded": ("model_overloaded_error", "exhausted"),
    "rate_limited": ("model_rate_limited_error", "exhausted"),
    "server": ("model_request_failed_error", "exhausted"),
    "connection": ("model_request_failed_error", "exhausted"),
    "authentication": ("model_request_failed_error", "exhausted"),
    "billing": ("billing_error", "exhausted"),
    "invalid_request": ("unknown_error", "terminal"),
}
TRIED_AGAIN = {"overloaded", "rate_limited", "server", "connection"}


def ending(play: Playbook) -> Any:
    return play.records[-1].event


@pytest.mark.parametrize("reason", get_args(BetaStopReason))
def test_each_stop_reason_of_the_model(reason: str) -> None:
    answers = [ModelResponse([text("one")], reason, USAGE), [text("two")]]
    play = Playbook(lambda _: answers.pop(0))
    play.client(say("go"))
    play.run()
    if reason == "tool_use":  # without a call there is nothing to go on with
        assert ending(play).stop_reason.type == "end_turn"
    elif reason in GOES_ON:
        assert [line for line in play.lines() if line.startswith("agent.message")] == [
            "agent.message one",
            "agent.message two",
        ]
    else:
        assert len(answers) == 1
        assert ending(play).stop_reason.type == ENDINGS[reason]


def test_an_answer_that_fills_the_window_is_followed_by_a_summary() -> None:
    answers: list[Any] = [
        ModelResponse([text("cut")], "model_context_window_exceeded", USAGE),
        [text("summary")],
        [text("fine")],
    ]
    play = Playbook(lambda _: answers.pop(0))
    play.client(say("go"))
    play.run()
    play.client(say("on"))
    assert "agent.thread_context_compacted" in play.run().lines()


def test_a_refusal_is_not_the_reason_of_an_answer_that_came_after_it() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": None}
    answers = [ModelResponse([], "refusal", USAGE, stop_details=details), [text("fine")]]

    def model(messages: list[Any]) -> Any:
        if len(answers) == 2:
            play.client(say("never mind, something else"))
        return answers.pop(0)

    play = Playbook(model)
    play.client(say("something bad"))
    play.run()
    assert "agent.message fine" in play.lines()
    assert ending(play).stop_reason.type == "end_turn"
    assert ending(play).stop_details is None


def test_what_a_refused_answer_had_begun_to_call_does_not_run() -> None:
    answers = [ModelResponse([text("So"), use("bash")], "refusal", USAGE), [text("fine")]]
    play = Playbook(lambda _: answers.pop(0))
    play.client(say("something bad"))
    play.run()
    assert "agent.tool_use bash [allow]" not in play.lines()
    assert ending(play).stop_reason.type == "refusal"
    # A call without a result would make every later request a bad one.
    assert "tool_use" not in str(play.transcript().messages)


@pytest.mark.parametrize("kind", list(FAILURES))
@pytest.mark.parametrize("retries", [0, 2])
def test_each_failure_of_a_request(kind: Any, retries: int) -> None:
    play = Playbook(lambda _: ModelError(kind, "no"))
    play.retries = retries
    play.client(say("go"))
    for _ in range(retries + 1):
        play.run().later(10)
    errors = [r.event.error for r in play.records if r.event.type == "session.error"]
    error, last = FAILURES[kind]
    assert {told["type"] for told in errors} == {error}
    again = retries if kind in TRIED_AGAIN else 0
    assert [told["retry_status"]["type"] for told in errors] == ["retrying"] * again + [last]
    if last == "terminal":
        assert play.lines()[-1] == "session.status_terminated"
    else:
        assert play.lines()[-1] == "session.status_idle retries_exhausted"


def test_a_turn_has_so_many_rounds_of_tools_and_the_next_message_as_many_again() -> None:
    play = Playbook(lambda messages: [use("bash", str(len(messages)))], rounds=3)
    for _ in range(2):
        before = len(play.records)
        play.client(say("go"))
        lines = play.run().lines(before)
        assert lines.count("agent.tool_result bash ran") == 3
        assert lines[-4:] == [
            "session.error tool_use_limit_reached_error exhausted",
            "session.thread_status_idle retries_exhausted",
            "session.usage",
            "session.status_idle retries_exhausted",
        ]
        assert not play.step()


def test_rounds_are_counted_on_while_the_client_answers_calls_and_anew_after_a_message() -> None:
    def model(messages: list[Any]) -> Any:
        return [use("get_weather", str(len(messages)))]

    def results(play: Playbook) -> None:
        while play.state.waiting:
            (call_id,) = play.state.waiting
            play.client({"type": "user.custom_tool_result", "custom_tool_use_id": call_id})
            play.run()

    play = Playbook(model, rounds=3)
    play.client(say("go"))
    results(play.run())
    assert play.lines()[-4] == "session.error tool_use_limit_reached_error exhausted"
    assert play.state.rounds == 3

    steered = Playbook(lambda m: model(m) if len(m) < 10 else [text("enough")], rounds=3)
    steered.client(say("go"))
    steered.run()
    for _ in range(4):
        (call_id,) = steered.state.waiting
        result = {"type": "user.custom_tool_result", "custom_tool_use_id": call_id}
        steered.client(result, say("and on"))
        steered.run()
    assert "tool_use_limit" not in str(steered.lines())


def test_a_model_that_pauses_for_ever_comes_to_the_same_limit() -> None:
    play = Playbook(lambda _: ModelResponse([text("wait")], "pause_turn", USAGE), rounds=3)
    play.client(say("go"))
    assert play.run().lines()[-4] == "session.error tool_use_limit_reached_error exhausted"
    assert play.lines().count("agent.message wait") == 3


def test_a_denied_tool_leaves_the_reason_to_the_turn() -> None:
    play = Playbook(
        lambda m: [use("bash")] if len(m) == 1 else [text("ok")], tools=toolset(read="always_allow")
    )
    play.client(say("go"))
    play.run()
    assert ending(play).stop_reason.type == "end_turn"
    assert decide(play.state, play.now) is None
