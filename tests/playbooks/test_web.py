"""Web tools in turns: their place in the log, what they cost, and that a crash changes neither."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.decide import INTERRUPTED
from freehold.core.events import Json
from freehold.core.prices import PICODOLLARS_PER_CENT, Rates
from freehold.core.usage import render_usage
from freehold.core.web_tools import document, offered, search_result
from freehold.errors import WebError
from tests.playbooks.playbook import Playbook, say, text, toolset, use
from tests.playbooks.test_cuts import client_turn, essence, play_out
from tests.playbooks.test_turns import IDLE, REQUIRES, RUNNING, script

BOTH = toolset(web_fetch="always_allow", web_search="always_allow")
FREE = Rates(input=0, output=0, cache_write=0, cache_read=0)
SAMPLED = ["span.model_request_start", "agent.message done", "span.model_request_end"]
NOTHING = WebError("too_many_requests", "the search provider asks for a pause.")


def web(name: str, arguments: Json) -> Any:
    """What the web answers, which depends on what it is asked alone."""
    if "fail" in arguments:
        return NOTHING
    if name == "web_fetch":
        return document("Cats", "Cats sit on mats.")
    if name == "web_search":
        return [search_result("https://a.example", "Cats", "on mats")] * 2
    return f"{name} ran"


def asked(play: Playbook) -> int:
    return play.state.usage.web_search_requests


def test_both_tools_in_one_answer() -> None:
    calls = [use("web_search", "s", query="cats"), use("web_fetch", "f", url="https://a.example")]
    play = Playbook(script(calls, [text("done")]), web, BOTH)
    play.client(say("x"))
    assert play.run().lines() == [
        *RUNNING,
        "user.message x",
        "span.model_request_start",
        "agent.tool_use web_search [allow]",
        "agent.tool_use web_fetch [allow]",
        "span.model_request_end",
        "agent.tool_result search_result search_result",
        "agent.tool_result document",
        *SAMPLED,
        *IDLE,
    ]
    told = play.transcript().messages[-2]["content"]
    assert [block["tool_use_id"] for block in told] == ["toolu_s", "toolu_f"]
    assert told[0]["content"][0] == search_result("https://a.example", "Cats", "on mats")
    assert told[1]["content"] == document("Cats", "Cats sit on mats.")
    assert asked(play) == 1


def test_nothing_is_fetched_before_the_client_agrees() -> None:
    tools = toolset(web_fetch="always_ask", web_search="always_allow")
    calls = [use("web_search", "s", query="cats"), use("web_fetch", "f", url="https://a.example")]
    ran: list[str] = []

    def noting(name: str, arguments: Json) -> Any:
        ran.append(name)
        return web(name, arguments)

    play = Playbook(script(calls, [text("done")]), noting, tools)
    play.client(say("x"))
    assert play.run().lines()[-3:] == REQUIRES
    assert (ran, asked(play)) == ([], 0)
    (call,) = play.state.waiting
    before = len(play.records)
    play.client({"type": "user.tool_confirmation", "tool_use_id": call, "result": "deny"})
    lines = play.run().lines(before)
    assert "agent.tool_result search_result search_result" in lines
    assert any(line.startswith("agent.tool_result error: Permission") for line in lines)
    assert (ran, asked(play)) == (["web_search"], 1)


def test_what_the_server_has_not_is_denied() -> None:
    play = Playbook(
        script([use("web_search", query="cats")], [text("done")]), web, offered(BOTH, ["web_fetch"])
    )
    play.client(say("x"))
    lines = play.run().lines()
    assert "agent.tool_use web_search [deny]" in lines
    assert "agent.tool_result error: Permission to use web_search has been denied." in lines
    assert lines[-3:] == IDLE
    assert asked(play) == 0


def test_a_search_that_fails_costs_nothing_and_one_that_finds_a_cent() -> None:
    calls = [use("web_search", "1", query="cats", fail=True), use("web_search", "2", query="cats")]
    play = Playbook(script(calls, [text("done")]), web, BOTH, rates=FREE)
    play.client(say("x"))
    lines = play.run().lines()
    assert f"agent.tool_result error: {NOTHING}" in lines
    assert asked(play) == 1
    assert play.state.usage.cost == PICODOLLARS_PER_CENT
    assert render_usage(play.state, play.now)["server_tool_use"] == {
        "web_search_requests": 1,
        "web_fetch_requests": 0,
    }


def test_a_search_brings_a_session_to_its_budget() -> None:
    calls = [use("web_search", "1", query="cats"), use("web_search", "2", query="dogs")]
    play = Playbook(script(calls, [text("done")]), web, BOTH, rates=FREE, budget=1)
    play.client(say("x"))
    lines = play.run().lines()
    # The request that asked for both goes through to its end; the next is not made.
    assert lines[-5:] == [
        "agent.tool_result search_result search_result",
        "agent.tool_result search_result search_result",
        "session.thread_status_idle budget_reached",
        "session.usage",
        "session.status_idle budget_reached",
    ]
    assert asked(play) == 2


def test_an_interrupted_search_is_not_counted() -> None:
    play = Playbook(script([use("web_search", query="cats")], [text("done")]), web, BOTH)
    play.client(say("x"))
    while not play.state.calls:
        assert play.step()
    play.client({"type": "user.interrupt"})
    lines = play.run().lines()
    assert f"agent.tool_result error: {INTERRUPTED}" in lines
    assert lines[-3:] == IDLE
    assert asked(play) == 0


_call = st.tuples(st.sampled_from(["web_search", "web_fetch", "bash"]), st.booleans())
_scripts = st.lists(st.lists(_call, max_size=3).map(tuple), min_size=1, max_size=5)
ASKING = toolset(web_search="always_allow", web_fetch="always_ask", bash="always_allow")


def model_of(steps: list[Any]) -> Any:
    def model(messages: list[Json]) -> Any:
        turn = sum(message["role"] == "assistant" for message in messages)
        calls = steps[turn] if turn < len(steps) else ()
        made = [
            use(name, f"{turn}_{place}", **({"fail": True} if fails else {}))
            for place, (name, fails) in enumerate(calls)
        ]
        return made or [text(f"answer {turn}")]

    return model


def outcome(play: Playbook) -> Any:
    return essence(play), asked(play), play.state.usage.cost


@settings(max_examples=50, deadline=None)
@given(_scripts, st.integers(1, 3), st.sampled_from(["allow", "deny"]))
def test_a_crash_changes_neither_the_log_nor_what_is_paid(
    steps: list[Any], turns: int, answer: str
) -> None:
    whole = Playbook(model_of(steps), web, ASKING, rates=FREE)
    runs = play_out(whole, range(turns), answer)
    for turn, cut in ((turn, cut) for turn, run in enumerate(runs) for cut in run):
        resumed = Playbook(model_of(steps), web, ASKING, whole.records[:cut], rates=FREE)
        resumed.run()
        play_out(resumed, range(turn + 1, turns), answer)
        assert outcome(resumed) == outcome(whole), f"cut at {cut}"


@settings(max_examples=30, deadline=None)
@given(_scripts)
def test_every_search_that_found_something_is_counted_once(steps: list[Any]) -> None:
    play = Playbook(model_of(steps), web, toolset(web_search="always_allow"), rates=FREE)
    client_turn(play, 0, "allow")
    play.run()
    found = [
        record
        for record in play.records
        if record.event.type == "agent.tool_result" and not record.event.is_error
    ]
    assert asked(play) == len(found)
