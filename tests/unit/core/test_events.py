from __future__ import annotations

from freehold.core.events import (
    SessionStatusIdle,
    SessionUpdated,
    StopReason,
    UserMessage,
    wire,
)
from tests.playbooks.playbook import START


def test_a_pending_event_has_no_time_and_a_processed_one_has() -> None:
    message = UserMessage(content=[{"type": "text", "text": "x"}])
    assert "processed_at" not in wire("sevt_1", message, None)
    assert wire("sevt_1", message, START)["processed_at"] == "2026-11-22T10:00:00.000000Z"


def test_absent_fields_are_left_out_and_some_are_null() -> None:
    idle = wire("sevt_1", SessionStatusIdle(stop_reason=StopReason(type="end_turn")), START)
    assert idle["stop_details"] is None
    assert idle["stop_reason"] == {"type": "end_turn"}
    assert set(wire("sevt_1", SessionUpdated(title="t"), START)) == {
        "id",
        "type",
        "title",
        "processed_at",
    }
