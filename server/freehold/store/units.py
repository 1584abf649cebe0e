"""The two units of work: one that reads a snapshot, one that writes all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.core.events import Record
from freehold.core.state import SessionState
from freehold.errors import SequenceConflict
from freehold.store import codec, outbox, work_rows
from freehold.store.keyset import Page
from freehold.store.locks import KeyedLocks
from freehold.store.log_rows import LogRows
from freehold.store.tables import session_events, timers

T = TypeVar("T")

_log = structlog.get_logger(__name__)


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work`` to its end even if the caller is cancelled meanwhile; then be cancelled.

    A commit whose outcome nobody learned would lose the wake-ups that go with it.
    """
    task = asyncio.ensure_future(work)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            _log.error("work under cancellation failed", exc_info=failure)
        raise cancellation
    return task.result()


class ReadSession:
    """Queries of one transaction. All of them see the same moment."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def all(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[RowMapping]:
        """Every row."""
        return (await self._connection.execute(statement, parameters)).mappings().all()

    async def page(
        self, page: Page, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[RowMapping]:
        """The rows of a page of a list."""
        return await self.all(page.statement(self._connection.dialect), parameters)

    async def first(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None
    ) -> RowMapping | None:
        """The first row, or ``None``."""
        return (await self._connection.execute(statement, parameters)).mappings().first()

    async def scalar(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None
    ) -> Any:
        """The first column of the first row, or ``None``."""
        return (await self._connection.execute(statement, parameters)).scalar()


class WriteSession(ReadSession):
    """A transaction that writes: all of it is kept, or none (:class:`ports.log.Transaction`).

    Leaving ``Database.write()`` commits. Whoever changes a session's ``head_seq``, ``state``,
    ``status`` or ``needs_work`` does it through :meth:`append`, nobody by hand.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        rows: LogRows,
        locks: KeyedLocks,
        held: AsyncExitStack,
    ) -> None:
        super().__init__(connection)
        self._rows = rows
        self._locks = locks
        self._held = held
        self._locked: list[str] = []
        self._states: dict[str, str] = {}
        self._heads: dict[str, int] = {}
        self._callbacks: list[Callable[[], None]] = []

    async def execute(
        self,
        statement: sa.Executable,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> int:
        """Run a statement that changes rows; how many it changed (-1 if the driver can't tell)."""
        result = await self._connection.execute(statement, parameters)
        return int(getattr(result, "rowcount", -1))

    async def lock_session(self, session_id: str) -> int | None:
        """Take the session for writing and tell its log's last ``seq``; ``None`` if it is gone.

        Raises:
            ValueError: another session with a greater id is locked already; locks are taken in
                the order of ids so that two transactions cannot wait for each other.
        """
        await self._hold(session_id)
        found = await self._rows.lock(session_id)
        if found is None:
            return None
        head, self._states[session_id] = found
        self._heads[session_id] = head
        return head

    async def read_state(self, session_id: str) -> SessionState:
        """The cached fold of the session's log, as this transaction sees it.

        Raises:
            LookupError: no such session.
        """
        text = self._states.get(session_id)
        if text is None:
            text = await self._rows.state(session_id)
        if text is None:
            raise LookupError(f"no session {session_id}")
        return codec.load_state(text)

    async def append(
        self,
        session_id: str,
        expected_seq: int,
        records: Sequence[Record],
        state: SessionState,
    ) -> None:
        """Add records and the state that they fold to.

        Raises:
            ValueError: the records do not continue at ``expected_seq + 1`` without a gap, there
                are none, or ``state`` is not the state after the last of them.
            SequenceConflict: the log ends elsewhere; nothing was written.
            LookupError: no such session.
        """
        _check_contiguous(session_id, expected_seq, records, state)
        await self._hold(session_id)
        known = self._heads.get(session_id)
        if known is not None and known != expected_seq:
            raise SequenceConflict(session_id, expected_seq, known)
        listening = await outbox.listeners(self, session_id, records)
        before = await self.read_state(session_id) if listening else None
        last = records[-1]
        text = codec.dump_state(state)
        advanced = await self._rows.advance(
            session_id,
            expected_seq,
            head_seq=last.seq,
            status=state.status,
            state=text,
            needs_work=state.needs_work,
            updated_at=last.processed_at,
            deleted_at=last.processed_at if state.deleted else None,
        )
        if not advanced:
            actual = await self._rows.head(session_id)
            if actual is None:
                raise LookupError(f"no session {session_id}")
            raise SequenceConflict(session_id, expected_seq, actual)
        await self._rows.insert([codec.to_row(session_id, record) for record in records])
        if state.due_at is not None:
            await self.execute(sa.delete(timers).where(timers.c.session_id == session_id))
            await self.execute(sa.insert(timers).values(session_id=session_id, due_at=state.due_at))
        if state.self_hosted:
            await work_rows.follow(self, records, state)
        if before is not None:
            await outbox.tell_records(self, listening, before, records)
        self._states[session_id] = text
        self._heads[session_id] = last.seq

    async def event_type(self, session_id: str, event_id: str) -> str | None:
        """The type of the event with this id in the session's log; ``None`` if there is none."""
        kind = await self.scalar(
            sa.select(session_events.c.type).where(
                session_events.c.id == event_id, session_events.c.session_id == session_id
            )
        )
        return None if kind is None else str(kind)

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call back once this transaction is durable; never if it is rolled back.

        An exception of a callback is logged and does not keep the next from running.
        """
        self._callbacks.append(callback)

    async def commit(self) -> None:
        """Make it durable and tell who asked. For :class:`Database` alone."""
        await self._rows.commit()
        for callback in self._callbacks:
            try:
                callback()
            except Exception:
                _log.exception("a callback after a commit failed")

    async def _hold(self, session_id: str) -> None:
        """Keep other transactions of this process off the session until callbacks have run."""
        if session_id in self._locked:
            return
        if self._locked and session_id < self._locked[-1]:
            raise ValueError("sessions are locked in the order of their ids")
        await self._held.enter_async_context(self._locks.hold(session_id))
        self._locked.append(session_id)


def _check_contiguous(
    session_id: str, expected_seq: int, records: Sequence[Record], state: SessionState
) -> None:
    if not records:
        raise ValueError("an append needs records")
    for seq, record in enumerate(records, start=expected_seq + 1):
        if record.seq != seq:
            raise ValueError(f"record {record.id} has seq {record.seq}, the log needs {seq}")
    if state.seq != records[-1].seq or state.session_id != session_id:
        raise ValueError(
            f"state of {state.session_id} at {state.seq} is not what {session_id} folds to "
            f"at {records[-1].seq}"
        )
