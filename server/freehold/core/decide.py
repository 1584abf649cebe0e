"""The next step of a session, read off its state (spec 6.2, 6.6, 6.7).

``decide`` does no I/O, reads no clock and draws no random number. Cutting a log at any record
and deciding again must lead to the same end: that is what makes the runner replaceable.
"""

from __future__ import annotations

from datetime import datetime

from freehold.core import times
from freehold.core.commands import CallModel, Command, Compact, RunTool, Write
from freehold.core.drafts import Draft
from freehold.core.events import (
    AgentMcpToolResult,
    AgentToolResult,
    Content,
    ModelRequestEnd,
    ModelRequestStart,
    ModelUsage,
    SessionError,
    SessionStatusIdle,
    SessionStatusRescheduled,
    SessionStatusRunning,
    SessionStatusTerminated,
    SessionUsage,
    StopReason,
    ThreadStatusIdle,
    ThreadStatusRescheduled,
    ThreadStatusRunning,
)
from freehold.core.state import OpenCall, PendingInput, SessionState
from freehold.core.usage import render_budget, render_usage

INTERRUPTED = "Tool execution was interrupted before completion. Please retry."
BUDGET_REACHED = StopReason(type="budget_reached")

MAX_COMPACTIONS = 3
"""Summaries in a row after which the turn is given up (spec 25, question 11)."""
MAX_ROUNDS = 1_000
"""Rounds of tool use after which the turn is given up, unless told otherwise."""


def decide(state: SessionState, now: datetime, *, max_rounds: int = MAX_ROUNDS) -> Command | None:
    """The next command, or ``None`` when there is nothing to do until a client says more.

    ``now`` dates the usage snapshot that precedes an idle, and ends the running time that counts
    towards the budget. ``max_rounds`` is how often a turn may come back to the model.
    """
    if state.deleted or state.status == "terminated":
        return None
    if state.open_span is not None:
        # Its runner is gone or was told to stop: a span is always closed (spec 6.5).
        return Write((abandoned_span(state.open_span),))
    if state.fatal:
        return Write((*_flush(state), Draft(SessionStatusTerminated())))
    if state.thread_reason is not None:
        return Write(_rest_of_idle(state, state.thread_reason, now))
    if state.interrupted:
        return Write(interruption(state, now))
    if state.status != "running":
        return _at_rest(state, now)
    if not state.thread_running:
        return Write((_thread_running(state),))
    if state.halted:
        return Write((*_flush(state), *_close_calls(state), *go_idle(state, state.ending, now)))
    if state.calls:
        return _with_open_calls(state, now)
    if state.early and not state.at_budget(now):
        # Answered while other calls still ran: the idle is told all the same (spec 6.7).
        return Write(go_idle(state, requires_action(state.early), now))
    if state.has_news or state.owes_sampling:
        if state.at_budget(now):
            return Write(go_idle(state, BUDGET_REACHED, now))
        if state.rounds >= max_rounds and not state.has_news:
            return Write((_too_many_rounds(state),))
        if state.context_full:
            return _compact(state)
        return CallModel((*_flush(state), Draft(ModelRequestStart())))
    return Write(go_idle(state, state.ending, now))


def _compact(state: SessionState) -> Command:
    if state.compactions < MAX_COMPACTIONS:
        return Compact((Draft(ModelRequestStart()),))
    message = (
        "The conversation does not fit the model's context window even after it was summed up "
        f"{state.compactions} times in a row."
    )
    return Write((_given_up("compaction_limit_reached_error", message),))


def _too_many_rounds(state: SessionState) -> Draft:
    message = (
        f"The agent has used tools in {state.rounds} rounds without a word from the user, which "
        "is as many as a turn may have. The next message starts anew."
    )
    return _given_up("tool_use_limit_reached_error", message)


def _given_up(kind: str, message: str) -> Draft:
    """The turn comes to an end that is not the model's (spec 6.8)."""
    status = {"type": "exhausted"}
    return Draft(SessionError(error={"type": kind, "message": message, "retry_status": status}))


def _at_rest(state: SessionState, now: datetime) -> Command | None:
    if state.status == "rescheduling":
        due = state.retry_at is None or now >= state.retry_at
        return Write(go_running(state)) if due else None
    if state.blocked:
        return None
    if not state.calls and state.at_budget(now):
        return None  # paused until the budget is raised or removed
    if state.has_news or state.calls or state.owes_sampling:
        return Write(go_running(state))
    return None


def _with_open_calls(state: SessionState, now: datetime) -> Command:
    if state.blocked:
        return Write(go_idle(state, requires_action(state.waiting), now))
    call = next(call for call in state.calls if not call.outside)
    refusal = _refusal(call)
    return RunTool(call) if refusal is None else Write((tool_error(call, refusal),))


def _refusal(call: OpenCall) -> str | None:
    if call.permission == "deny":
        return f"Permission to use {call.name} has been denied."
    if call.verdict == "deny":
        text = f"Permission to use {call.name} has been rejected."
        return f"{text} Rejection message: {call.deny_message}" if call.deny_message else text
    return None


def go_running(state: SessionState) -> tuple[Draft, ...]:
    """The pair of events that says the session and its primary thread run."""
    return (Draft(SessionStatusRunning()), _thread_running(state))


def _thread_running(state: SessionState) -> Draft:
    return Draft(
        ThreadStatusRunning(session_thread_id=state.primary_thread_id, agent_name=state.agent_name)
    )


def go_idle(state: SessionState, reason: StopReason, now: datetime) -> tuple[Draft, ...]:
    """Thread idle, usage, session idle: always in this order (spec 6.7).

    A turn that ends at the budget ends for its own reason in the thread; for the session the
    budget outranks every other but ``requires_action`` (spec 6.6).
    """
    details = state.ending_details if reason.type == "refusal" else None
    return (
        Draft(
            ThreadStatusIdle(
                session_thread_id=state.primary_thread_id,
                agent_name=state.agent_name,
                stop_reason=reason,
                stop_details=details,
            )
        ),
        _usage(state, now),
        _session_idle(state, reason, now),
    )


def _rest_of_idle(state: SessionState, reason: StopReason, now: datetime) -> tuple[Draft, ...]:
    idle = _session_idle(state, reason, now)
    return (idle,) if state.usage_told else (_usage(state, now), idle)


def _session_idle(state: SessionState, reason: StopReason, now: datetime) -> Draft:
    if reason.type != "requires_action" and state.at_budget(now):
        reason = BUDGET_REACHED
    details = state.ending_details if reason.type == "refusal" else None
    return Draft(SessionStatusIdle(stop_reason=reason, stop_details=details))


def _usage(state: SessionState, now: datetime) -> Draft:
    return Draft(SessionUsage(usage=render_usage(state, now), budget=render_budget(state)))


def reschedule(state: SessionState, retry_at: datetime) -> tuple[Draft, ...]:
    """Wait until ``retry_at`` and try again (spec 6.7)."""
    return (
        Draft(
            ThreadStatusRescheduled(
                session_thread_id=state.primary_thread_id, agent_name=state.agent_name
            )
        ),
        Draft(SessionStatusRescheduled(), private={"retry_at": times.to_micros(retry_at)}),
    )


def requires_action(waiting: tuple[str, ...]) -> StopReason:
    """Idle until the client has answered these."""
    return StopReason(type="requires_action", event_ids=list(waiting))


def tool_error(call: OpenCall, text: str) -> Draft:
    """A tool result that the server makes itself."""
    return tool_result(call, [{"type": "text", "text": text}], is_error=True)


def tool_result(call: OpenCall, content: Content, *, is_error: bool) -> Draft:
    """The result of a call the server ran or closed, in the form of the call's kind."""
    if call.kind == "mcp":
        return Draft(
            AgentMcpToolResult(mcp_tool_use_id=call.id, content=content, is_error=is_error)
        )
    return Draft(AgentToolResult(tool_use_id=call.id, content=content, is_error=is_error))


def abandoned_span(span_id: str) -> Draft:
    """The end of a model request that brought nothing."""
    return Draft(
        ModelRequestEnd(model_request_start_id=span_id, model_usage=ModelUsage(), is_error=True)
    )


def interruption(state: SessionState, now: datetime) -> tuple[Draft, ...]:
    """Obey the first interrupt that waits.

    What the client sent before it is part of the turn that stops, so it enters the log
    unanswered; what came after it starts the next turn.
    """
    earlier: list[PendingInput] = []
    for item in state.inputs:
        if item.event.type == "user.interrupt":
            stop = Draft(item.event, id=item.id)
            break
        earlier.append(item)
    else:
        raise ValueError("no interrupt is waiting")
    drafts = (
        *_close_calls(state),
        *(Draft(item.event, id=item.id) for item in earlier),
        stop,
    )
    if state.status != "idle" or state.calls:
        return (*drafts, *go_idle(state, StopReason(type="end_turn"), now))
    return drafts


def _close_calls(state: SessionState) -> tuple[Draft, ...]:
    return tuple(tool_error(call, INTERRUPTED) for call in state.calls)


def _flush(state: SessionState) -> tuple[Draft, ...]:
    return tuple(Draft(item.event, id=item.id) for item in state.inputs)
