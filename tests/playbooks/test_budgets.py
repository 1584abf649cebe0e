"""Cost and budgets in a session's log (spec 10, 6.2, 6.6, 6.7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.accept import resume
from freehold.core.drafts import Draft
from freehold.core.events import EVENT, AgentToolResult, AgentToolUse, SessionUpdated, wire
from freehold.core.fold import fold_all
from freehold.core.prices import PICODOLLARS_PER_CENT, Rates
from freehold.core.usage import budget_limit, render_budget, render_thread_usage, render_usage
from freehold.errors import InvalidRequest, ModelError
from tests.playbooks.playbook import START, Playbook, fresh_state, say, text, toolset, use
from tests.playbooks.test_turns import IDLE, REQUIRES, RUNNING, script

CENT_A_REQUEST = Rates(
    input=PICODOLLARS_PER_CENT // 10, output=0, cache_write=0, cache_read=0
)  # playbook requests read ten tokens
PAUSED = [
    "session.thread_status_idle budget_reached",
    "session.usage",
    "session.status_idle budget_reached",
]
ENDED_AT_BUDGET = [
    "session.thread_status_idle end_turn",
    "session.usage",
    "session.status_idle budget_reached",
]
CONFIRM = {"type": "user.tool_confirmation", "result": "allow"}


def play_with(budget: int | None, *answers: Any, **more: Any) -> Playbook:
    return Playbook(script(*answers), budget=budget, rates=CENT_A_REQUEST, **more)


def raise_to(play: Playbook, cents: int | None) -> None:
    """As an update of the session does."""
    pen = play.pen("client")
    pen.write(Draft(SessionUpdated(budget=None if cents is None else budget_limit(cents))))
    resume(pen)
    play.commit(pen)


def usage_of(play: Playbook) -> Any:
    return [r.event for r in play.records if r.event.type == "session.usage"][-1]


def test_the_cost_is_there_after_the_first_request_and_never_changes_with_the_price() -> None:
    play = play_with(None, [text("a")], [text("b")])
    assert "list_cost" not in render_usage(play.state, START)
    play.client(say("1"))
    play.run()
    assert usage_of(play).usage["list_cost"] == {"amount": "1", "currency": "USD"}
    assert usage_of(play).budget is None
    play.rates = Rates(input=10 * CENT_A_REQUEST.input, output=0, cache_write=0, cache_read=0)
    play.client(say("2"))
    play.run()
    assert usage_of(play).usage["list_cost"]["amount"] == "11"


def test_a_session_pays_for_the_time_it_runs_and_a_thread_does_not() -> None:
    play = play_with(None, [text("a")])
    play.client(say("1"))
    play.run()
    day = play.state.model_copy(update={"active_micros": 24 * 3_600_000_000})
    assert render_usage(day, START)["list_cost"]["amount"] == str(1 + 24 * 8)
    assert render_thread_usage(day, START)["list_cost"]["amount"] == "1"
    running = day.model_copy(update={"running_since": START})
    later = render_usage(running, START + timedelta(hours=25))
    assert later["list_cost"]["amount"] == str(1 + (24 + 25) * 8)


def test_searches_that_were_made_are_counted_and_paid_for() -> None:
    play = play_with(None, [text("a")])
    play.client(say("find"))
    play.run()
    for failed in (False, True, None):
        play.write(Draft(AgentToolUse(name="web_search", input={}, evaluated_permission="allow")))
        (call,) = play.state.calls
        play.write(Draft(AgentToolResult(tool_use_id=call.id, content=[], is_error=failed)))
    usage = render_usage(play.state, START)
    assert usage["server_tool_use"]["web_search_requests"] == 2
    assert usage["list_cost"]["amount"] == "3"


def test_a_model_without_a_price_takes_the_cost_away() -> None:
    play = play_with(None, [text("a")], [text("b")])
    play.rates = None
    play.client(say("1"))
    play.run()
    play.rates = CENT_A_REQUEST
    play.client(say("2"))
    assert "list_cost" not in usage_of(play.run()).usage


def test_the_crossing_request_finishes_its_tools_and_the_next_is_not_made() -> None:
    play = play_with(1, [use("bash")], [text("after")])
    play.client(say("go"))
    assert play.run().lines() == [
        *RUNNING,
        "user.message go",
        "span.model_request_start",
        "agent.tool_use bash [allow]",
        "span.model_request_end",
        "agent.tool_result bash ran",
        *PAUSED,
    ]
    assert usage_of(play).budget == budget_limit(1)
    assert not play.state.needs_work
    seen = len(play.records)
    raise_to(play, 50)
    assert play.state.needs_work and play.state.status == "running"
    assert play.run().lines(seen) == [
        "session.updated",
        *RUNNING,
        "span.model_request_start",
        "agent.message after",
        "span.model_request_end",
        *IDLE,
    ]


def test_a_raise_whose_writer_died_is_found_again() -> None:
    play = play_with(1, [use("bash")], [text("after")])
    play.client(say("go"))
    play.run()
    play.write(Draft(SessionUpdated(budget=None)))
    assert play.state.needs_work and play.state.status == "idle"
    assert play.run().lines()[-3:] == IDLE


def test_a_turn_that_ends_with_the_crossing_request_says_so_itself() -> None:
    play = play_with(1, [text("done")], [text("more")])
    play.client(say("go"))
    assert play.run().lines()[-3:] == ENDED_AT_BUDGET
    raise_to(play, None)
    assert render_budget(play.state) is None
    assert not play.step()
    play.client(say("again"))
    assert play.run().lines()[-3:] == IDLE


def test_a_raise_that_is_not_enough_pauses_again() -> None:
    play = play_with(1, [use("bash", "a")], [use("bash", "b")], [text("end")])
    play.client(say("go"))
    play.run()
    raise_to(play, 2)
    assert play.run().lines()[-3:] == PAUSED
    raise_to(play, 100)
    assert "agent.message end" in play.run().lines()


def test_what_is_taken_at_the_budget() -> None:
    play = play_with(1, [use("bash")], [text("after")])
    play.client(say("go"))
    play.run()
    lines = play.lines()
    for event in (
        say("more"),
        {"type": "system.message", "content": [text("x")]},
        {
            "type": "user.define_outcome",
            "description": "d",
            "rubric": {"type": "text", "content": "r"},
            "outcome_id": "outc_1",
        },
    ):
        with pytest.raises(InvalidRequest, match=r"^session budget reached: "):
            play.client(event)
    (echo,) = play.client({"type": "user.interrupt"})
    assert "processed_at" not in echo
    assert play.run().lines() == lines
    raise_to(play, 9)
    assert "agent.message after" in play.run().lines()


def test_what_waited_when_the_budget_was_reached_is_read_after_the_raise() -> None:
    def model(messages: list[Any]) -> Any:
        if len(messages) > 1:
            return [text("both")]
        play.client(say("two"), say("three"))  # while it answers
        return [use("bash")]

    play = Playbook(model, budget=1, rates=CENT_A_REQUEST)
    play.client(say("one"))
    with_tool = play.run().lines()
    assert with_tool[-3:] == PAUSED
    assert "user.message two" not in with_tool
    assert len(play.state.inputs) == 2 and not play.state.needs_work
    raise_to(play, None)
    lines = play.run().lines()
    assert lines[lines.index("user.message two") + 1] == "user.message three"
    assert lines[-3:] == IDLE


def test_asking_outranks_the_budget_and_an_allowed_tool_still_runs() -> None:
    play = play_with(1, [use("write")], [text("x")], tools=toolset(write="always_ask"))
    play.client(say("go"))
    assert play.run().lines()[-3:] == REQUIRES
    with pytest.raises(InvalidRequest, match="waiting on responses"):
        play.client(say("hello"))
    play.client({**CONFIRM, "tool_use_id": play.state.waiting[0]})
    lines = play.run().lines()
    assert lines[-4:] == ["agent.tool_result write ran", *PAUSED]


def test_a_custom_result_is_taken_at_the_budget() -> None:
    play = play_with(1, [use("get_weather")], [text("sunny")])
    play.client(say("go"))
    assert play.run().lines()[-3:] == REQUIRES
    call = play.state.waiting[0]
    result = {"type": "user.custom_tool_result", "custom_tool_use_id": call}
    play.client({**result, "content": [text("sun")]})
    assert play.run().lines()[-3:] == PAUSED
    raise_to(play, 5)
    assert play.run().lines()[-4:] == ["span.model_request_end", *IDLE]


def test_an_interrupt_while_asking_at_the_budget_ends_the_turn() -> None:
    play = play_with(1, [use("get_weather")])
    play.client(say("go"))
    play.run()
    play.client({"type": "user.interrupt"})
    lines = play.run().lines()
    assert lines[-4:] == ["user.interrupt", *ENDED_AT_BUDGET]
    raise_to(play, 9)
    assert not play.step()


def test_a_missing_price_pauses_and_only_removal_helps() -> None:
    play = play_with(100, [use("bash")], [text("x")])
    play.rates = None
    play.client(say("go"))
    assert play.run().lines()[-3:] == PAUSED
    raise_to(play, 10_000)
    assert not play.step()
    raise_to(play, None)
    assert "agent.message x" in play.run().lines()


def test_failed_requests_cost_nothing() -> None:
    play = play_with(1, ModelError("billing", "no credit"))
    play.client(say("go"))
    assert "session.status_idle retries_exhausted" in play.run().lines()
    assert not play.state.at_budget()


def test_an_update_shows_what_it_changed_and_nothing_else() -> None:
    removed = SessionUpdated(budget=None)
    assert wire("sevt_1", removed, None) == {
        "id": "sevt_1",
        "type": "session.updated",
        "budget": None,
    }
    assert EVENT.validate_python(removed.model_dump(mode="json")).changed("budget")
    titled = SessionUpdated(title="t", metadata=None)
    assert wire("sevt_1", titled, None) == {"id": "sevt_1", "type": "session.updated", "title": "t"}
    untouched = fold_all(fresh_state(7), [])
    play = Playbook(budget=7)
    play.write(Draft(titled))
    assert play.state.budget == untouched.budget == 7


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5))
def test_the_overshoot_is_less_than_one_request(budget: int, tools: int) -> None:
    answers = [[use("bash", str(n))] for n in range(tools)]
    play = play_with(budget, *answers, [text("end")])
    play.client(say("go"))
    play.run()
    spent = play.state.usage.cost // PICODOLLARS_PER_CENT
    assert spent == min(budget, tools + 1)
    assert fold_all(fresh_state(budget), play.records) == play.state
