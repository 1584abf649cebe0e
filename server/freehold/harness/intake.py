"""Where clients' wishes enter a session's log.

Every method works inside the request's transaction and leaves the commit to it, so an
acknowledged event and the wake-up that it causes are durable together or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from freehold.core.accept import accept, resume
from freehold.core.catalog import Catalog
from freehold.core.drafts import Draft, Draughtsman
from freehold.core.events import (
    ClientEvent,
    Json,
    SessionArchived,
    SessionDeleted,
    SessionError,
    SessionUpdated,
    SystemMessage,
    UserCustomToolResult,
    UserToolResult,
)
from freehold.core.state import SessionState
from freehold.errors import InvalidRequest, NotFound
from freehold.harness.sessions import SessionGone, SessionHandle, Sessions
from freehold.ports.clock import Clock
from freehold.ports.dispatcher import Dispatcher
from freehold.ports.log import SessionSpec, Transaction

_ACTIVE = frozenset({"running", "rescheduling"})


class Intake:
    """Appends what clients send and wakes the sessions that have to act on it."""

    def __init__(
        self,
        sessions: Sessions,
        dispatcher: Dispatcher,
        clock: Clock,
        catalog: Catalog | None = None,
    ) -> None:
        self._catalog = catalog or Catalog()
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._clock = clock

    def initial_state(self, spec: SessionSpec) -> SessionState:
        """The fold of an empty log; what a session's row is inserted with."""
        return SessionState(
            session_id=spec.session_id,
            primary_thread_id=spec.primary_thread_id,
            agent_name=spec.agent["name"],
            created_at=spec.created_at,
            budget=spec.budget,
            self_hosted=spec.environment["type"] == "self_hosted",
        )

    async def begin(
        self,
        tx: Transaction,
        spec: SessionSpec,
        events: Sequence[ClientEvent],
        notices: Sequence[SessionError] = (),
    ) -> SessionState:
        """Give a session whose row was just inserted its first events (spec 5.2).

        ``notices`` precede them: what the client must know before the session runs (spec 6.8).

        Raises:
            InvalidRequest, NotSupported: as for :meth:`send`.
        """
        state = self.initial_state(spec)
        if notices:
            handle, pen = await self._open(tx, spec.session_id)
            pen.write(*(Draft(notice) for notice in notices))
            await handle.save(tx, pen)
            state = pen.state
        if not events:
            return state
        state, _ = await self._take(tx, spec.session_id, events, spec)
        return state

    async def send(
        self,
        tx: Transaction,
        session_id: str,
        events: Sequence[ClientEvent],
        *,
        from_worker: bool = False,
    ) -> list[Json]:
        """Take the events or refuse them all; the echoes to answer with (spec 6.2).

        ``from_worker``: they come with a worker's credentials.

        Raises:
            NotFound: no such session, or an event names a thread that does not exist.
            InvalidRequest: an event does not fit the session's state.
            PermissionDenied, NotSupported: the event is not for this caller or this version.
        """
        _, echoes = await self._take(tx, session_id, events, from_worker=from_worker)
        return echoes

    async def _take(
        self,
        tx: Transaction,
        session_id: str,
        events: Sequence[ClientEvent],
        spec: SessionSpec | None = None,
        *,
        from_worker: bool = False,
    ) -> tuple[SessionState, list[Json]]:
        handle, pen = await self._open(tx, session_id)
        answered = await self._answered_before(tx, pen.state, events)
        takes_system = True
        if any(isinstance(event, SystemMessage) for event in events):
            # A session that is being created cannot be read yet.
            model_id = (spec or await handle.spec()).agent["model"]["id"]
            takes_system = self._catalog.capabilities(model_id).system_messages
        echoes = accept(
            pen,
            events,
            answered.__contains__,
            takes_system=takes_system,
            from_worker=from_worker,
        )
        await handle.save(tx, pen)
        if pen.state.needs_work:
            await self._dispatcher.wake(session_id, tx)
        return pen.state, echoes

    async def _answered_before(
        self, tx: Transaction, state: SessionState, events: Sequence[ClientEvent]
    ) -> set[str]:
        """Calls of this session that are not the server's to run, and are closed: a late answer
        has no effect."""
        open_calls = {call.id for call in state.calls if call.outside}
        # An answer that comes twice in one request closes its call on the way.
        answered: set[str] = set()
        for event in events:
            match event:
                case UserCustomToolResult(custom_tool_use_id=call_id):
                    asked = "agent.custom_tool_use"
                case UserToolResult(tool_use_id=call_id):
                    asked = "agent.tool_use"
                case _:
                    continue
            if call_id in open_calls or await tx.event_type(state.session_id, call_id) == asked:
                answered.add(call_id)
        return answered

    async def updated(self, tx: Transaction, session_id: str, event: SessionUpdated) -> None:
        """Say in the log what an update changed (spec 5.5).

        A session that had paused at its budget goes on by itself when that is raised or removed.
        """
        handle, pen = await self._open(tx, session_id)
        pen.write(Draft(event))
        resume(pen)
        await handle.save(tx, pen)
        if pen.state.needs_work:
            await self._dispatcher.wake(session_id, tx)
        tx.on_commit(handle.forget_spec)

    def resources_changed(self, tx: Transaction, session_id: str) -> None:
        """Have the session's resources read anew before its next tool call (spec 9)."""
        tx.on_commit(self._sessions.handle(session_id).forget_spec)

    async def archive(self, tx: Transaction, session_id: str) -> None:
        """Terminate the session for good; its sandbox goes (spec 5.1, 25).

        Raises:
            InvalidRequest: it is running.
        """
        handle, pen = await self._open(tx, session_id)
        status = pen.state.status
        if pen.state.archived:
            return
        if status in _ACTIVE:
            raise InvalidRequest(
                f'Session {session_id} cannot be archived while its status is "{status}". '
                "Only pending or idle sessions may be archived."
            )
        pen.write(Draft(SessionArchived()))
        await handle.save(tx, pen)
        await self._dispatcher.wake(session_id, tx)

    async def delete(self, tx: Transaction, session_id: str) -> None:
        """End the session's log with ``session.deleted``; its sandbox goes (spec 5.1).

        Raises:
            InvalidRequest: it is running.
        """
        handle, pen = await self._open(tx, session_id)
        if pen.state.status in _ACTIVE:
            raise InvalidRequest(
                "Cannot delete session while it is running. Send an interrupt event or wait for "
                "the session to complete."
            )
        pen.write(Draft(SessionDeleted()))
        await handle.save(tx, pen)
        await self._dispatcher.wake(session_id, tx)

    async def _open(self, tx: Transaction, session_id: str) -> tuple[SessionHandle, Draughtsman]:
        handle = self._sessions.handle(session_id)
        try:
            state = await handle.lock(tx)
        except SessionGone:
            raise NotFound(f"Session not found: {session_id}") from None
        pen = Draughtsman(
            state, now=self._clock.now(), mint=lambda: self._clock.mint("sevt"), origin="client"
        )
        return handle, pen
