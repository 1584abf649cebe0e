"""Which client events a session takes, and what taking them puts into the log (spec 6.2).

A batch is all or nothing: the first refused event refuses the request, and the drafts of the
others are never appended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import assert_never

from freehold.core import ids
from freehold.core.decide import go_idle, go_running, interruption, requires_action
from freehold.core.drafts import Draft, Draughtsman
from freehold.core.events import (
    ClientEvent,
    InputAccepted,
    Json,
    Record,
    SystemMessage,
    UserCustomToolResult,
    UserDefineOutcome,
    UserInterrupt,
    UserMessage,
    UserToolConfirmation,
    UserToolResult,
    wire,
)
from freehold.core.state import SessionState
from freehold.errors import InvalidRequest, NotFound, NotSupported, PermissionDenied

KnownResult = Callable[[str], bool]
"""Whether the call of this id is one of the session's that a client or a worker answers, and is
closed."""

_WAITING = (
    "Invalid user.message event at events[{index}]: waiting on responses to events [{ids}]; only "
    "`user.tool_confirmation`, `user.custom_tool_result`, `user.tool_result`, or "
    "`user.interrupt` may be sent (a `system.message` may trail a tool result)"
)


_LEADS_SYSTEM = ("user.message", "user.tool_result", "user.custom_tool_result")
_RESULTS = ("user.tool_result", "user.custom_tool_result")
_ANSWERS = ("user.tool_confirmation", "user.tool_result", "user.custom_tool_result")


def accept(
    pen: Draughtsman,
    events: Sequence[ClientEvent],
    answered: KnownResult = lambda _: False,
    *,
    takes_system: bool = True,
    from_worker: bool = False,
) -> list[Json]:
    """Write what the events amount to with ``pen``; the echoes to answer with.

    ``takes_system`` tells whether the session's model takes system messages in a conversation,
    ``from_worker`` whether they come with a worker's credentials, which may send results alone.

    Raises:
        InvalidRequest: an event does not fit the session's state; the message names its index.
        NotFound: an interrupt names a thread that does not exist.
        PermissionDenied: an API key sent a ``user.tool_result``, or a worker something else than
            results.
        NotSupported: this version cannot take the event.
    """
    if pen.state.status == "terminated":
        raise InvalidRequest(f"Session {pen.state.session_id} is terminated and takes no events.")
    _check_sender(events, from_worker=from_worker)
    _check_system(pen, events, takes_system=takes_system)
    echoes: list[Json] = []
    for answers, run in groupby(enumerate(events), lambda item: item[1].type in _ANSWERS):
        waiting = _waited_for(pen.state)
        echoes += [_accept_one(pen, index, event, answered) for index, event in run]
        if answers and _waited_for(pen.state) != waiting:
            _move_on(pen)
    return echoes


def _waited_for(state: SessionState) -> tuple[tuple[str, bool], ...]:
    """The calls that wait for a client or a worker, and whether for a confirmation."""
    asked = {call.id for call in state.calls if call.asks}
    return tuple((call_id, call_id in asked) for call_id in state.waiting)


def _check_sender(events: Sequence[ClientEvent], *, from_worker: bool) -> None:
    for index, event in enumerate(events):
        if event.type == "user.tool_result" and not from_worker:
            raise PermissionDenied(
                f"events[{index}]: `user.tool_result` may only be sent with environment "
                "credentials (the self-hosted runner's Session-Instance JWT); an API key or "
                "Console session cannot post this event type"
            )
        if from_worker and event.type not in _RESULTS:
            raise PermissionDenied(
                f"events[{index}]: `{event.type}` cannot be sent with environment credentials, "
                "which may only send `user.tool_result` and `user.custom_tool_result`"
            )


def _check_system(pen: Draughtsman, events: Sequence[ClientEvent], *, takes_system: bool) -> None:
    """At most one system message, at the end, after something it belongs to (spec 6.2)."""
    places = [index for index, event in enumerate(events) if event.type == "system.message"]
    if not places:
        return
    if not takes_system:
        raise InvalidRequest(
            f"events[{places[0]}]: the session's model does not take a `system.message` "
            "(model_does_not_support_mid_conversation_system)",
            details={"error_code": "model_does_not_support_mid_conversation_system"},
        )
    index = places[0]
    if len(places) > 1 or index != len(events) - 1:
        raise InvalidRequest(
            f"Invalid system.message event at events[{index}]: a request may hold one "
            "`system.message`, as its last event"
        )
    alone = index == 0
    waiting = pen.state.status == "idle" and pen.state.calls
    if (alone and waiting) or (not alone and events[index - 1].type not in _LEADS_SYSTEM):
        raise InvalidRequest(
            f"Invalid system.message event at events[{index}]: it must directly follow a "
            "`user.message` or a tool result in the same request, or be sent alone to a session "
            "that waits for no response"
        )


def _accept_one(pen: Draughtsman, index: int, event: ClientEvent, answered: KnownResult) -> Json:
    match event:
        case UserMessage():
            return _message(pen, index, event)
        case UserInterrupt():
            return _interrupt(pen, event)
        case UserToolConfirmation():
            return _confirmation(pen, index, event)
        case UserCustomToolResult():
            return _result(pen, index, event, event.custom_tool_use_id, answered)
        case UserToolResult():
            return _result(pen, index, event, event.tool_use_id, answered)
        case SystemMessage():
            if index == 0:  # elsewhere it goes with a tool result, which is taken at the budget
                refuse_at_budget(pen)
            return _queue(pen, event)
        case UserDefineOutcome():
            refuse_at_budget(pen)
            raise NotSupported(
                f"events[{index}]: `{event.type}` is not supported by this version of Freehold."
            )
        case _:
            assert_never(event)


def refuse_at_budget(pen: Draughtsman) -> None:
    """Refuse what would need a model request that the budget does not allow (spec 6.2, 10).

    Raises:
        InvalidRequest: the budget is used up.
    """
    if pen.state.at_budget(pen.now):
        raise InvalidRequest(
            f"session budget reached: the list cost has come to `budget.max_list_cost` of "
            f"{pen.state.budget} cents; only `user.tool_confirmation`, `user.tool_result`, "
            "`user.custom_tool_result`, or `user.interrupt` may be sent until the budget is raised "
            "or removed"
        )


def resume(pen: Draughtsman) -> None:
    """Run on what had paused at the budget, now that it may (spec 10, rule 3)."""
    if pen.state.status == "idle" and pen.state.needs_work:
        pen.write(*go_running(pen.state))


def _queue(pen: Draughtsman, event: ClientEvent) -> Json:
    input_id = pen.mint()
    pen.write(Draft(InputAccepted(input_id=input_id, event=event)))
    return wire(input_id, event, None)


def _echo(record: Record, event: ClientEvent, *, processed: bool) -> Json:
    return wire(record.id, event, record.processed_at if processed else None)


def _message(pen: Draughtsman, index: int, event: UserMessage) -> Json:
    state = pen.state
    if state.status == "idle" and state.blocked:
        raise InvalidRequest(_WAITING.format(index=index, ids=", ".join(state.waiting)))
    refuse_at_budget(pen)
    echo = _queue(pen, event)
    if state.status == "idle":
        pen.write(*go_running(state))
    return echo


def _interrupt(pen: Draughtsman, event: UserInterrupt) -> Json:
    state = pen.state
    thread_id = event.session_thread_id
    if thread_id is not None:
        if not ids.is_id("sthr", thread_id):
            raise InvalidRequest(f"Invalid session_thread_id: {thread_id}")
        if thread_id != state.primary_thread_id:
            raise NotFound(f"Thread not found: {thread_id}")
    if state.status != "idle":
        return _queue(pen, event)
    if not state.calls:
        # Nothing runs and nothing waits: the API answers 200 and the log stays as it is. The
        # id is spent all the same, so that the echo is well formed.
        return wire(pen.mint(), event, None)
    echo = _queue(pen, event)
    pen.write(*interruption(pen.state, pen.now))
    return echo


def _confirmation(pen: Draughtsman, index: int, event: UserToolConfirmation) -> Json:
    call = next((call for call in pen.state.calls if call.id == event.tool_use_id), None)
    if call is None or not call.asks:
        raise InvalidRequest(
            f"Invalid user.tool_confirmation event at events[{index}]: `{event.tool_use_id}` is "
            "not waiting for a confirmation"
        )
    if event.deny_message is not None and event.result != "deny":
        raise InvalidRequest(f"events[{index}].deny_message: may only be set when result is `deny`")
    # The thread is the server's to name; a client's value is ignored (spec 6.3).
    event = event.model_copy(update={"session_thread_id": None})
    (record,) = pen.write(Draft(event))
    return _echo(record, event, processed=False)


def _result(
    pen: Draughtsman,
    index: int,
    event: UserCustomToolResult | UserToolResult,
    call_id: str,
    answered: KnownResult,
) -> Json:
    event = event.model_copy(update={"session_thread_id": None})
    kind = "custom" if event.type == "user.custom_tool_result" else "worker"
    call = next((call for call in pen.state.calls if call.id == call_id), None)
    if call is None or call.kind != kind or call.asks or call.refused:
        if call is None and answered(call_id):
            return wire(pen.mint(), event, pen.now)
        raise InvalidRequest(
            f"Invalid {event.type} event at events[{index}]: `{call_id}` is not waiting for a "
            "result"
        )
    (record,) = pen.write(Draft(event))
    return _echo(record, event, processed=True)


def _move_on(pen: Draughtsman) -> None:
    """After answers: run on when nothing is asked any more, else say what still is.

    Once for all answers that follow one another, so that no client is asked for what the same
    request answers.
    """
    state = pen.state
    if state.status != "idle":
        return
    if state.blocked:
        pen.write(*go_idle(state, requires_action(state.waiting), pen.now))
    else:
        pen.write(*go_running(state))
