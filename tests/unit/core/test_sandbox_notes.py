"""What the log and the model are told of a sandbox that is not as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from freehold.core.events import AgentToolResult, Event, Record, SandboxAttached
from freehold.core.fold import fold
from freehold.core.sandbox_notes import arrival
from freehold.core.state import SessionState

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def state_of(**values: Any) -> SessionState:
    given = {"session_id": "s", "primary_thread_id": "t", "agent_name": "a", "created_at": NOW}
    return SessionState(**{**given, **values})


def after(state: SessionState, event: Event, private: Any = None) -> SessionState:
    return fold(
        state,
        Record(
            seq=state.seq + 1,
            id=f"e{state.seq}",
            processed_at=NOW,
            event=event,
            private=private,
            origin="runner",
        ),
    )


def test_the_first_sandbox_needs_no_word() -> None:
    event = arrival(state_of(), identity="x", boot="1")
    assert event == SandboxAttached(sandbox_id="x", boot="1", note=None)


def test_as_it_was_needs_no_record() -> None:
    assert arrival(state_of(sandbox_id="x", sandbox_boot="1"), identity="x", boot="1") is None


def test_stopped_and_started() -> None:
    event = arrival(state_of(sandbox_id="x", sandbox_boot="1"), identity="x", boot="2")
    assert event is not None
    assert event.note is not None
    assert "stopped since the last call and" in event.note
    event = arrival(
        state_of(sandbox_id="x", sandbox_boot="1"), identity="x", boot="2", ended="it fell"
    )
    assert event is not None
    assert event.note is not None
    assert "(it fell)" in event.note
    # A log from before boots were noted does not know whether it was stopped.
    event = arrival(state_of(sandbox_id="x"), identity="x", boot="2")
    assert event is not None
    assert event.note is None


def test_replaced_and_restored() -> None:
    old = state_of(sandbox_id="x", sandbox_boot="1")
    replaced = arrival(old, identity="y", boot="2")
    restored = arrival(old, identity="y", boot="2", restored="noon")
    again = arrival(state_of(), identity="y", boot="2", restored="noon")
    assert replaced is not None
    assert restored is not None
    assert again is not None
    assert "is gone" in (replaced.note or "")
    assert "checkpoint of noon" in (restored.note or "")
    assert again.note == restored.note


def test_a_note_waits_for_a_result_that_tells_it() -> None:
    state = after(state_of(), SandboxAttached(sandbox_id="x", boot="1", note="one"))
    state = after(state, SandboxAttached(sandbox_id=None))
    assert state.sandbox_note == "one"
    state = after(state, SandboxAttached(sandbox_id="y", boot="2", note="two"))
    assert state.sandbox_note == "one\ntwo"
    result = AgentToolResult(tool_use_id="c", content=[], is_error=False)
    # One that the server made itself tells nothing.
    state = after(state, result)
    assert state.sandbox_note == "one\ntwo"
    state = after(state, result, {"sandbox": True})
    assert (state.sandbox_note, state.sandbox_used) == (None, state.seq)
