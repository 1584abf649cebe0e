"""Usage and statistics as the API shows them (spec 5.3, 7.2)."""

from __future__ import annotations

from datetime import datetime

from freehold.core import times
from freehold.core.events import Json
from freehold.core.state import SessionState


def active_seconds(state: SessionState, now: datetime) -> float:
    """Seconds the session spent running until ``now``."""
    micros = state.active_micros
    if state.running_since is not None:
        micros += max(0, times.to_micros(now) - times.to_micros(state.running_since))
    return micros / 1_000_000


def render_usage(state: SessionState, now: datetime) -> Json:
    """The ``usage`` object of a session or thread, or of a ``session.usage`` event."""
    usage = state.usage
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_creation_input_tokens,
            "ephemeral_1h_input_tokens": 0,
        }
        if usage.requests
        else None,
        "active_seconds": active_seconds(state, now),
        "server_tool_use": {
            "web_search_requests": state.web_searches,
            # Fetches cost nothing, and the hosted service never counts them.
            "web_fetch_requests": 0,
        },
    }


def render_stats(state: SessionState, now: datetime) -> Json:
    """The ``stats`` object of a session; a terminated session's duration stands still."""
    end = state.last_at if state.status == "terminated" and state.last_at else now
    duration = times.to_micros(end) - times.to_micros(state.created_at)
    return {
        "active_seconds": active_seconds(state, now),
        "duration_seconds": max(0, duration) / 1_000_000,
    }
