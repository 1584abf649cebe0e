"""From a log to the state it stands for, one record at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import reduce
from typing import Any

from freehold.core import times
from freehold.core.events import (
    AgentCustomToolUse,
    AgentMcpToolResult,
    AgentMcpToolUse,
    AgentThreadContextCompacted,
    AgentToolResult,
    AgentToolUse,
    CallStarted,
    InputAccepted,
    Json,
    McpToolsListed,
    ModelAsked,
    ModelRequestEnd,
    ModelRequestStart,
    Record,
    SandboxAttached,
    SessionArchived,
    SessionDeleted,
    SessionError,
    SessionStatusIdle,
    SessionStatusRescheduled,
    SessionStatusRunning,
    SessionStatusTerminated,
    SessionUpdated,
    SessionUsage,
    StopReason,
    ThreadStatusIdle,
    ThreadStatusRescheduled,
    ThreadStatusRunning,
    UserCustomToolResult,
    UserInterrupt,
    UserMessage,
    UserToolConfirmation,
    UserToolResult,
)
from freehold.core.prices import Rates
from freehold.core.state import END_TURN, OpenCall, PendingInput, SessionState
from freehold.core.web_rules import WEB_SEARCH, WEB_TOOLS

_SAMPLE_AGAIN = frozenset({"pause_turn", "compaction"})
_GOES_ON = frozenset({"budget_reached", "requires_action"})
_REFUSAL_CATEGORIES = frozenset(
    {"cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"}
)


def fold(state: SessionState, record: Record) -> SessionState:
    """The state after one more record.

    Raises:
        ValueError: the record does not continue the log.
    """
    if record.seq != state.seq + 1:
        raise ValueError(f"record {record.seq} does not follow {state.seq}")
    change: dict[str, Any] = _change(state, record)
    change["seq"] = record.seq
    change["last_at"] = record.processed_at
    if any(item.id == record.id for item in state.inputs) and "inputs" not in change:
        # What waited under this id is now in the log for good.
        change["inputs"] = tuple(item for item in state.inputs if item.id != record.id)
    return state.model_copy(update=change)


def fold_all(state: SessionState, records: Iterable[Record]) -> SessionState:
    """The state after all of ``records``."""
    return reduce(fold, records, state)


def _change(state: SessionState, record: Record) -> dict[str, Any]:
    match record.event:
        case InputAccepted(input_id=input_id, event=event):
            return {"inputs": (*state.inputs, PendingInput(id=input_id, event=event))}
        case UserMessage():
            return {"owes_sampling": True, "rounds": 0}
        case UserInterrupt():
            return {"owes_sampling": False, "ending": END_TURN, "ending_details": None}
        case UserToolConfirmation(tool_use_id=call_id, result=verdict, deny_message=message):
            change = {"verdict": verdict, "deny_message": message}
            return {"calls": _with(state, call_id, change)}
        case AgentToolUse() | AgentMcpToolUse() | AgentCustomToolUse():
            return {"calls": (*state.calls, _opened(state, record, record.event))}
        case AgentToolResult(tool_use_id=call_id, is_error=failed):
            ran = _ran_in_sandbox(record)
            return _closed(state, call_id) | _searched(state, call_id, failed) | ran
        case AgentMcpToolResult(mcp_tool_use_id=call_id):
            return _closed(state, call_id)
        case UserCustomToolResult(custom_tool_use_id=call_id):
            return _answered(state, call_id)
        case UserToolResult(tool_use_id=call_id):
            return _answered(state, call_id)
        case CallStarted(call_id=call_id):
            return {"calls": _with(state, call_id, {"started": True})}
        case ModelRequestStart():
            return {
                "open_span": record.id,
                "owes_sampling": False,
                "ending": END_TURN,
                "ending_details": None,
                **_started(state, record),
            }
        case ModelRequestEnd() as end:
            return _sampled(state, record, end)
        case ModelAsked(usage=usage, price=price):
            rates = None if price is None else Rates(**price)
            return {"usage": state.usage.plus(usage, rates)}
        case McpToolsListed(server=server):
            return {"mcp_listed": (*state.mcp_listed, server)}
        case SessionUpdated(agent=agent) if agent is not None:
            # Its servers may be others now, or elsewhere.
            return {"mcp_listed": (), "mcp_failed": ()}
        case SessionError(error={"mcp_server_name": str(server)}):
            return {"mcp_failed": (*state.mcp_failed, server)}
        case SessionError(error={"credential_id": str(credential)}):
            return {"unreachable": (*state.unreachable, credential)}
        case SessionError(error=error):
            return _failed(error["retry_status"]["type"])
        case SessionStatusRunning():
            return {
                "status": "running",
                "running_since": record.processed_at,
                "stop_reason": None,
                "ending": END_TURN,
                "ending_details": None,
                "halted": False,
                "retry_at": None,
                "attempts": state.attempts if state.status == "rescheduling" else 0,
                "mcp_failed": state.mcp_failed if state.status == "rescheduling" else (),
            }
        case ThreadStatusRunning():
            return {"thread_running": True}
        case ThreadStatusIdle(stop_reason=reason):
            return {
                "thread_running": False,
                "thread_reason": reason,
                "usage_told": False,
                "early": (),
            }
        case SessionUsage():
            return {"usage_told": True}
        case SessionStatusIdle(stop_reason=reason):
            return {
                "status": "idle",
                "stop_reason": reason,
                "thread_reason": None,
                # A session that paused at its budget goes on where it was when that is raised;
                # one whose calls were answered before it said that it waits goes on at once.
                "owes_sampling": state.owes_sampling and reason.type in _GOES_ON,
                **_stopped_running(state, record),
                **_reached(state, reason),
            }
        case SessionUpdated() as updated if updated.changed("budget"):
            budget = updated.budget
            return {"budget": None if budget is None else int(budget["max_list_cost"]["amount"])}
        case ThreadStatusRescheduled():
            return {"thread_running": False}
        case SessionStatusRescheduled():
            wait = record.private or {}
            return {
                "status": "rescheduling",
                "attempts": state.attempts + 1,
                "retry_at": times.from_micros(wait.get("retry_at", 0)),
                "thread_running": False,
                **_stopped_running(state, record),
            }
        case SessionStatusTerminated():
            return _ended(state, record)
        case SessionArchived():
            return {"archived": True, **_ended(state, record)}
        case SessionDeleted():
            return {"deleted": True, **_ended(state, record)}
        case AgentThreadContextCompacted():
            return {"context_full": False, "compactions": state.compactions + 1}
        case SandboxAttached(sandbox_id=sandbox_id, boot=boot, note=note):
            # What was to be told of the last one is still so: it was, before this one came.
            untold = [text for text in (state.sandbox_note, note) if text]
            return {
                "sandbox_id": sandbox_id,
                "sandbox_boot": boot,
                "sandbox_note": "\n".join(dict.fromkeys(untold)) or None,
            }
        case _:
            return {}


def _opened(
    state: SessionState,
    record: Record,
    event: AgentToolUse | AgentMcpToolUse | AgentCustomToolUse,
) -> OpenCall:
    call = OpenCall(id=record.id, kind="custom", name=event.name, input=event.input, seq=record.seq)
    match event:
        case AgentToolUse(evaluated_permission=permission):
            # What no agent may call is answered here, wherever the sandbox is.
            away = state.self_hosted and permission != "deny" and event.name not in WEB_TOOLS
            kind = "worker" if away else "builtin"
            return call.model_copy(update={"kind": kind, "permission": permission})
        case AgentMcpToolUse(evaluated_permission=permission, mcp_server_name=server):
            change = {"kind": "mcp", "permission": permission, "server": server}
            return call.model_copy(update=change)
    return call


def _with(state: SessionState, call_id: str, change: dict[str, Any]) -> tuple[OpenCall, ...]:
    return tuple(
        call.model_copy(update=change) if call.id == call_id else call for call in state.calls
    )


def _answered(state: SessionState, call_id: str) -> dict[str, Any]:
    early = (*state.early, call_id) if state.status == "running" else state.early
    return {"early": early, **_closed(state, call_id)}


def _closed(state: SessionState, call_id: str) -> dict[str, Any]:
    remaining = tuple(call for call in state.calls if call.id != call_id)
    if len(remaining) == len(state.calls):
        return {}
    return {"calls": remaining, "owes_sampling": not remaining or state.owes_sampling}


def _searched(state: SessionState, call_id: str, failed: bool | None) -> dict[str, Any]:
    """A search that was made is counted: it has its price (spec 10, rule 5)."""
    name = next((call.name for call in state.calls if call.id == call_id), None)
    if name != WEB_SEARCH or failed:
        return {}
    count = state.usage.web_search_requests + 1
    return {"usage": state.usage.model_copy(update={"web_search_requests": count})}


def _ran_in_sandbox(record: Record) -> dict[str, Any]:
    if not (record.private or {}).get("sandbox"):
        return {}
    return {"sandbox_used": record.seq, "sandbox_note": None}


def _sampled(state: SessionState, record: Record, end: ModelRequestEnd) -> dict[str, Any]:
    answer = record.private or {}
    price = answer.get("price")
    change: dict[str, Any] = {
        "open_span": None,
        "attempts": 0,
        "usage": state.usage.plus(end.model_usage, None if price is None else Rates(**price)),
    }
    if end.is_error:
        # The model has not answered, and what it had begun to ask for does not count. Whether
        # to sample again is for what follows to say.
        change["usage"] = state.usage
        change["attempts"] = state.attempts
        change["owes_sampling"] = True
        change["calls"] = ()
        return change
    if answer.get("compaction"):
        change["owes_sampling"] = True
        return change
    change["context_full"] = end.model_usage.context >= answer.get("compact_at", math.inf)
    reason = answer.get("stop_reason")
    if reason == "model_context_window_exceeded":
        change["context_full"] = True
    if not change["context_full"]:
        change["compactions"] = 0
    if reason in _SAMPLE_AGAIN:
        change["owes_sampling"] = True
    if state.calls or reason in _SAMPLE_AGAIN:
        change["rounds"] = state.rounds + 1
    if reason == "refusal":
        change["ending"] = StopReason(type="refusal")
        change["ending_details"] = _refusal(answer.get("stop_details"))
    return change


def _refusal(details: Json | None) -> Json | None:
    """What a client is told of a refusal: the provider may have said more (spec 6.6)."""
    if details is None:
        return None
    category, explanation = details.get("category"), details.get("explanation")
    return {
        "type": "refusal",
        "category": category if category in _REFUSAL_CATEGORIES else None,
        "explanation": explanation if isinstance(explanation, str) else None,
    }


def _started(state: SessionState, record: Record) -> dict[str, Any]:
    """How long it took from the first running to the first model request (spec 7.2)."""
    if state.startup_micros is not None or state.running_since is None:
        return {}
    took = times.to_micros(record.processed_at) - times.to_micros(state.running_since)
    return {"startup_micros": took}


def _failed(retry_status: str) -> dict[str, Any]:
    if retry_status == "retrying":
        return {}
    return {
        "halted": True,
        "compactions": 0,
        "fatal": retry_status == "terminal",
        "owes_sampling": False,
        "ending": StopReason(type="retries_exhausted"),
        "ending_details": None,
    }


def _ended(state: SessionState, record: Record) -> dict[str, Any]:
    return {"status": "terminated", **_stopped_running(state, record)}


def _reached(state: SessionState, reason: StopReason) -> dict[str, Any]:
    budget = state.budget
    if reason.type != "budget_reached" or budget is None or budget in state.budgets_reached:
        return {}
    return {"budgets_reached": (*state.budgets_reached, budget)}


def _stopped_running(state: SessionState, record: Record) -> dict[str, Any]:
    if state.running_since is None:
        return {}
    ran = times.to_micros(record.processed_at) - times.to_micros(state.running_since)
    return {"active_micros": state.active_micros + ran, "running_since": None}
