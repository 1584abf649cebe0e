from __future__ import annotations

import pytest

from freehold.core.decide import interruption
from freehold.core.drafts import Draft
from freehold.core.events import ModelAsked, ModelUsage, SandboxAttached
from freehold.core.fold import fold
from freehold.core.prices import Rates
from freehold.core.state import Usage
from freehold.core.transcript import Transcript
from freehold.core.usage import render_stats, render_thread_stats, render_usage
from tests.playbooks.playbook import START, Playbook, fresh_state, say, text, use


def test_a_gap_is_refused() -> None:
    play = Playbook()
    play.client(say("x"))
    with pytest.raises(ValueError, match="does not follow"):
        fold(fresh_state(), play.records[1])
    with pytest.raises(ValueError, match="does not follow"):
        Transcript().extend(play.records[1])


def test_a_transcript_passes_over_what_it_has_seen() -> None:
    play = Playbook()
    play.client(say("x"))
    play.run()
    transcript = play.transcript()
    before = list(transcript.messages)
    transcript.extend(play.records[0])
    assert transcript.messages == before


def test_a_late_result_for_a_closed_call_changes_nothing() -> None:
    play = Playbook(lambda m: [use("bash")] if len(m) == 1 else [text("ok")])
    play.client(say("x"))
    play.run()
    result = next(r for r in play.records if r.event.type == "agent.tool_result")
    late = result.model_copy(update={"seq": play.state.seq + 1, "id": "sevt_late"})
    assert fold(play.state, late).calls == ()
    transcript = play.transcript()
    before = len(transcript.messages)
    transcript.extend(late)
    assert len(transcript.messages) == before


def test_no_interruption_without_an_interrupt() -> None:
    with pytest.raises(ValueError, match="no interrupt"):
        interruption(fresh_state(), START)


def test_the_startup_of_a_thread_ends_with_its_first_request() -> None:
    play = Playbook()
    play.client(say("x"))
    assert "startup_seconds" not in render_thread_stats(play.state, START)
    play.run()
    first = render_thread_stats(play.state, START)["startup_seconds"]
    assert first > 0
    play.client(say("y"))
    assert render_thread_stats(play.run().state, START)["startup_seconds"] == first


def test_usage_before_and_after_the_first_request() -> None:
    play = Playbook()
    assert render_usage(play.state, START)["cache_creation"] is None
    assert render_stats(play.state, START) == {"active_seconds": 0.0, "duration_seconds": 0.0}
    play.client(say("x"))
    running = play.state
    assert running.running_since is not None
    play.run()
    usage = render_usage(play.state, START)
    assert usage["input_tokens"] == 10
    assert usage["cache_creation"] == {
        "ephemeral_5m_input_tokens": 0,
        "ephemeral_1h_input_tokens": 0,
    }
    later = play.records[-1].processed_at
    assert render_stats(running, later)["active_seconds"] > 0
    assert render_stats(play.state, later)["duration_seconds"] >= usage["active_seconds"] > 0


def test_the_duration_of_a_terminated_session_stands_still() -> None:
    play = Playbook()
    play.client(say("x"))
    play.run()
    ended = play.state.model_copy(update={"status": "terminated"})
    assert ended.last_at is not None
    much_later = START.replace(year=2030)
    assert render_stats(ended, much_later) == render_stats(ended, ended.last_at)


def test_the_log_knows_which_sandbox_the_calls_ran_in() -> None:
    play = Playbook()
    play.write(Draft(SandboxAttached(sandbox_id="one")))
    assert play.state.sandbox_id == "one"
    play.write(Draft(SandboxAttached(sandbox_id=None)))
    assert play.state.sandbox_id is None


def test_requests_beside_the_conversation_count() -> None:
    play = Playbook()
    usage = ModelUsage(input_tokens=100, output_tokens=7)
    rates = Rates(input=3, output=5, cache_write=0, cache_read=0)
    asked = ModelAsked(purpose="search", model="m", usage=usage, price=rates.model_dump())
    play.write(Draft(asked))
    assert not play.records[-1].public
    assert play.state.usage == Usage(input_tokens=100, output_tokens=7, requests=1, token_cost=335)
    play.write(Draft(asked.model_copy(update={"price": None})))
    assert play.state.usage.token_cost == 335
    assert play.state.usage.unpriced  # as with any model that has no price
    assert play.transcript().messages == []
