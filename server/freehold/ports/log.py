"""The event log and the transaction that an append shares with everything it implies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from freehold.core.events import Json, Record
from freehold.core.state import SessionState


@dataclass(frozen=True)
class SessionSpec:
    """What a session is made of; the log tells what happens to it."""

    session_id: str
    workspace_id: str
    primary_thread_id: str
    agent: Json
    """The agent as the API shows it in the session (spec 5.3, SessionAgent)."""
    environment_id: str
    environment: Json
    """The environment's ``config`` as it was when the session was created."""
    created_at: datetime
    budget: int | None = None
    """The list cost, in cents, that the session was created to stop at. What is in force now is in
    the state, since an update may raise or remove it."""
    vault_ids: tuple[str, ...] = ()
    """Where credentials are looked for, in this order (spec 12.5)."""
    resources: tuple[Json, ...] = ()
    """What the session was given, as the API shows it (spec 9.2), in order. They can change while
    it runs; who changes them has the spec forgotten (:meth:`SessionHandle.forget_spec`)."""


class Transaction(Protocol):
    """One unit of work: all of it commits, or none.

    Callbacks of :meth:`on_commit` run synchronously after the commit, in order, before any
    other transaction of this process on the same session can have read the result.
    """

    async def lock_session(self, session_id: str) -> int | None:
        """Take the session for writing and tell its log's last ``seq``; ``None`` if it is gone."""
        ...

    async def read_state(self, session_id: str) -> SessionState:
        """The cached fold of the session's log, as this transaction sees it.

        Raises:
            LookupError: no such session.
        """
        ...

    async def append(
        self,
        session_id: str,
        expected_seq: int,
        records: Sequence[Record],
        state: SessionState,
    ) -> None:
        """Add records and the state that they fold to.

        ``records`` continue the log at ``expected_seq + 1`` without a gap.

        Raises:
            SequenceConflict: the log ends elsewhere; nothing was written.
        """
        ...

    async def event_type(self, session_id: str, event_id: str) -> str | None:
        """The type of the event with this id in the session's log; ``None`` if there is none."""
        ...

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call back once this transaction is durable; never if it is rolled back."""
        ...


class EventLog(Protocol):
    """Append-only, gap-free logs, one a session."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A unit of work; leaving the block commits, an exception rolls back."""
        ...

    async def spec(self, session_id: str) -> SessionSpec | None:
        """What the session is made of; ``None`` if it does not exist or was deleted."""
        ...

    async def state(self, session_id: str) -> SessionState | None:
        """The committed fold; ``None`` if the session does not exist or was deleted."""
        ...

    async def read(self, session_id: str, after: int = 0, limit: int | None = None) -> list[Record]:
        """Records with ``seq > after`` in order, private ones included."""
        ...

    async def alive(self) -> set[str]:
        """Sessions that are neither archived nor deleted: those whose sandboxes are kept."""
        ...

    async def unfinished(self) -> list[str]:
        """Sessions whose state says that there is work to do; what a start-up sweep wakes."""
        ...
