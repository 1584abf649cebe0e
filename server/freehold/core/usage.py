"""Usage and statistics as the API shows them (spec 5.3, 7.2)."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

from freehold.core import times
from freehold.core.events import Json
from freehold.core.prices import CURRENCY, amount
from freehold.core.state import SessionState


def active_seconds(state: SessionState, now: datetime) -> float:
    """Seconds the session spent running until ``now``."""
    return state.ran(now) / 1_000_000


def render_usage(state: SessionState, now: datetime) -> Json:
    """The ``usage`` object of a session, or of a ``session.usage`` event."""
    return _render(state, now, state.consumed(now))


def render_thread_usage(state: SessionState, now: datetime) -> Json:
    """The ``usage`` object of a thread; its cost is without the running time (spec 7.2)."""
    return _render(state, now, state.usage.cost)


def _render(state: SessionState, now: datetime, cost: Fraction | int) -> Json:
    usage = state.usage
    shown: Json = {
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
            "web_search_requests": usage.web_search_requests,
            # Fetches cost nothing, and the hosted service never counts them.
            "web_fetch_requests": 0,
        },
    }
    if usage.requests and not usage.unpriced:
        shown["list_cost"] = amount(cost)
    return shown


def render_budget(state: SessionState) -> Json | None:
    """The ``budget`` object of a session."""
    if state.budget is None:
        return None
    return budget_limit(state.budget)


def budget_limit(cents: int) -> Json:
    """A budget of so many cents as the API shows it."""
    return {"type": "limit", "max_list_cost": {"amount": str(cents), "currency": CURRENCY}}


def render_thread_stats(state: SessionState, now: datetime) -> Json:
    """The ``stats`` object of the primary thread (spec 7.2)."""
    stats = render_stats(state, now)
    if state.startup_micros is not None:
        stats["startup_seconds"] = state.startup_micros / 1_000_000
    return stats


def render_stats(state: SessionState, now: datetime) -> Json:
    """The ``stats`` object of a session; a terminated session's duration stands still."""
    end = state.last_at if state.status == "terminated" and state.last_at else now
    duration = times.to_micros(end) - times.to_micros(state.created_at)
    return {
        "active_seconds": active_seconds(state, now),
        "duration_seconds": max(0, duration) / 1_000_000,
    }
