"""Calls that a worker of a self-hosted environment runs, in the fold and in what comes next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from freehold.core.accept import accept
from freehold.core.commands import RunTool, Write
from freehold.core.decide import decide
from freehold.core.drafts import Draft, Draughtsman
from freehold.core.events import (
    AgentToolResult,
    AgentToolUse,
    ClientEvent,
    ModelRequestEnd,
    ModelRequestStart,
    ModelUsage,
    SessionStatusIdle,
    SessionStatusRunning,
    SystemMessage,
    ThreadStatusRunning,
    UserInterrupt,
    UserMessage,
    UserToolConfirmation,
    UserToolResult,
)
from freehold.core.state import SessionState
from freehold.errors import InvalidRequest, PermissionDenied

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def pen(*calls: AgentToolUse, self_hosted: bool = True) -> Draughtsman:
    """A running session whose model has just asked for ``calls``."""
    state = SessionState(
        session_id="sesn_1",
        primary_thread_id="sthr_1",
        agent_name="a",
        created_at=NOW,
        self_hosted=self_hosted,
    )
    numbers = iter(range(1, 1000))
    made = Draughtsman(state, now=NOW, mint=lambda: f"sevt_{next(numbers)}", origin="client")
    made.write(
        Draft(SessionStatusRunning()),
        Draft(ThreadStatusRunning(session_thread_id="sthr_1", agent_name="a")),
        Draft(ModelRequestStart()),
    )
    span = made.state.open_span
    assert span is not None
    made.write(
        *(Draft(call, private={"tool_use_id": "toolu_1"}) for call in calls),
        Draft(
            ModelRequestEnd(model_request_start_id=span, model_usage=ModelUsage(), is_error=False)
        ),
    )
    return made


def use(name: str = "bash", permission: str = "allow") -> AgentToolUse:
    return AgentToolUse(name=name, input={}, evaluated_permission=permission)  # type: ignore[arg-type]


def idle_of(made: Draughtsman) -> list[str]:
    """Write what comes next, which is that the session waits; for which calls."""
    command = decide(made.state, NOW)
    assert isinstance(command, Write)
    made.write(*command.drafts)
    (idle,) = [d.event for d in command.drafts if isinstance(d.event, SessionStatusIdle)]
    assert idle.stop_reason.type == "requires_action"
    return list(idle.stop_reason.event_ids or [])


@pytest.mark.parametrize(
    ("name", "permission", "self_hosted", "kind"),
    [
        ("bash", "allow", True, "worker"),
        ("grep", "ask", True, "worker"),
        ("bash", "deny", True, "builtin"),
        ("web_fetch", "allow", True, "builtin"),
        ("web_search", "ask", True, "builtin"),
        ("bash", "allow", False, "builtin"),
    ],
)
def test_whose_a_call_is(name: str, permission: str, self_hosted: bool, kind: str) -> None:
    (call,) = pen(use(name, permission), self_hosted=self_hosted).state.calls
    assert call.kind == kind


def test_the_server_runs_its_own_calls_first() -> None:
    made = pen(use("bash"), use("web_fetch"))
    bash, fetch = made.state.calls
    command = decide(made.state, NOW)
    assert isinstance(command, RunTool)
    assert command.call == fetch
    made.write(Draft(AgentToolResult(tool_use_id=fetch.id, content=[])))
    assert idle_of(made) == [bash.id]


def test_some_results_leave_an_idle_with_the_rest() -> None:
    made = pen(use(), use())
    first, second = (call.id for call in made.state.calls)
    assert idle_of(made) == [first, second]
    accept(made, [UserToolResult(tool_use_id=first)], from_worker=True)
    assert made.state.stop_reason is not None
    assert made.state.stop_reason.event_ids == [second]
    accept(made, [UserToolResult(tool_use_id=second)], from_worker=True)
    assert made.state.status == "running"
    assert not made.state.calls


def test_a_result_may_come_before_the_idle_which_is_told_all_the_same() -> None:
    made = pen(use())
    (call,) = made.state.calls
    accept(made, [UserToolResult(tool_use_id=call.id)], from_worker=True)
    assert idle_of(made) == [call.id]
    assert made.state.needs_work


def test_while_anything_is_asked_nothing_else_is() -> None:
    made = pen(use(permission="ask"), use())
    asked, allowed = (call.id for call in made.state.calls)
    assert idle_of(made) == [asked]
    # A worker does not wait for that: its result is taken, and changes nothing for the client.
    accept(made, [UserToolResult(tool_use_id=allowed)], from_worker=True)
    assert made.state.waiting == (asked,)
    with pytest.raises(InvalidRequest, match="is not waiting for a result"):
        accept(made, [UserToolResult(tool_use_id=asked)], from_worker=True)
    accept(made, [UserToolConfirmation(tool_use_id=asked, result="deny")])
    command = decide(made.state, NOW)
    assert isinstance(command, Write)
    (denial,) = [d.event for d in command.drafts]
    assert isinstance(denial, AgentToolResult)
    assert denial.is_error


@pytest.mark.parametrize(
    "event",
    [
        UserMessage(content=[{"type": "text", "text": "x"}]),
        UserInterrupt(),
        UserToolConfirmation(tool_use_id="sevt_1", result="allow"),
        SystemMessage(content=[{"type": "text", "text": "x"}]),
    ],
    ids=lambda event: event.type,
)
def test_a_worker_sends_results_and_nothing_else(event: ClientEvent) -> None:
    made = pen(use())
    (call,) = made.state.calls
    idle_of(made)
    before = made.state
    refusal = rf"events\[1\]: `{event.type}` cannot be sent with environment credentials"
    with pytest.raises(PermissionDenied, match=refusal):
        accept(made, [UserToolResult(tool_use_id=call.id), event], from_worker=True)
    # The result before it is not taken either.
    assert made.state == before


def test_a_result_of_a_workers_call_is_a_workers_to_send() -> None:
    made = pen(use())
    (call,) = made.state.calls
    idle_of(made)
    before = made.state
    with pytest.raises(PermissionDenied, match=r"events\[0\]: `user.tool_result` may only"):
        accept(made, [UserToolResult(tool_use_id=call.id)])
    assert made.state == before
    (echo,) = accept(made, [UserToolResult(tool_use_id=call.id)], from_worker=True)
    assert echo["tool_use_id"] == call.id
    assert made.state != before
