"""The statements of an append, the one path that every step of every session takes.

:class:`CoreLogRows` says them in SQLAlchemy Core and is what PostgreSQL uses;
:class:`SqliteLogRows` says the same to the driver itself, which on SQLite is several times faster
than the way through an engine. The log's contract suite holds both to the same behaviour.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.core import times
from freehold.store.sqlite import SqliteConnection
from freehold.store.tables import session_events, sessions

_OF_SESSION = sessions.c.id == sa.bindparam("of_session")


class LogRows(Protocol):
    """A session's row and its events, in one transaction."""

    async def lock(self, session_id: str) -> tuple[int, str] | None:
        """``head_seq`` and ``state`` of a session that is not deleted, its row locked."""
        ...

    async def state(self, session_id: str) -> str | None:
        """``state``, without a lock."""
        ...

    async def head(self, session_id: str) -> int | None:
        """``head_seq``, without a lock."""
        ...

    async def advance(
        self,
        session_id: str,
        expected_seq: int,
        *,
        head_seq: int,
        status: str,
        state: str,
        needs_work: bool,
        updated_at: datetime,
        deleted_at: datetime | None,
    ) -> bool:
        """Write the new head if the log ends at ``expected_seq``; whether it does."""
        ...

    async def insert(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write events (see ``codec.to_row``)."""
        ...

    async def commit(self) -> None:
        """End the transaction and keep it."""
        ...

    async def rollback(self) -> None:
        """End the transaction and drop it."""
        ...


class CoreLogRows:
    """Through SQLAlchemy, on any database."""

    _LOCK = (
        sa.select(sessions.c.head_seq, sessions.c.state)
        .where(_OF_SESSION, sessions.c.deleted_at.is_(None))
        .with_for_update()
    )
    _STATE = sa.select(sessions.c.state).where(_OF_SESSION)
    _HEAD = sa.select(sessions.c.head_seq).where(_OF_SESSION)
    _ADVANCE = sa.update(sessions).where(
        _OF_SESSION, sessions.c.head_seq == sa.bindparam("expected_seq")
    )
    _INSERT = sa.insert(session_events)

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, session_id: str) -> tuple[int, str] | None:
        row = (await self._connection.execute(self._LOCK, {"of_session": session_id})).first()
        return None if row is None else (row.head_seq, row.state)

    async def state(self, session_id: str) -> str | None:
        text: str | None = await self._connection.scalar(self._STATE, {"of_session": session_id})
        return text

    async def head(self, session_id: str) -> int | None:
        seq: int | None = await self._connection.scalar(self._HEAD, {"of_session": session_id})
        return seq

    async def advance(
        self,
        session_id: str,
        expected_seq: int,
        *,
        head_seq: int,
        status: str,
        state: str,
        needs_work: bool,
        updated_at: datetime,
        deleted_at: datetime | None,
    ) -> bool:
        values: dict[str, Any] = {
            "of_session": session_id,
            "expected_seq": expected_seq,
            "head_seq": head_seq,
            "status": status,
            "state": state,
            "needs_work": needs_work,
            "updated_at": updated_at,
        }
        if deleted_at is not None:
            values["deleted_at"] = deleted_at
        return (await self._connection.execute(self._ADVANCE, values)).rowcount == 1

    async def insert(self, rows: Sequence[dict[str, Any]]) -> None:
        await self._connection.execute(self._INSERT, list(rows))

    async def commit(self) -> None:
        await self._connection.commit()

    async def rollback(self) -> None:
        await self._connection.rollback()


class SqliteLogRows:
    """To the SQLite driver itself, in the transaction that SQLAlchemy's statements share."""

    _LOCK = "SELECT head_seq, state FROM sessions WHERE id = ? AND deleted_at IS NULL"
    _STATE = "SELECT state FROM sessions WHERE id = ?"
    _HEAD = "SELECT head_seq FROM sessions WHERE id = ?"
    _ADVANCE = (
        "UPDATE sessions SET head_seq = ?, status = ?, state = ?, needs_work = ?, updated_at = ?,"
        " deleted_at = coalesce(?, deleted_at) WHERE id = ? AND head_seq = ?"
    )
    # Most appends change nothing that an index has. SQLite writes every index anew that has any of
    # the columns that an update names, whatever their values.
    _ADVANCE_ALIKE = (
        "UPDATE sessions SET head_seq = ?, state = ?, updated_at = ?"
        " WHERE id = ? AND head_seq = ? AND status = ? AND needs_work = ?"
    )
    _COLUMNS = tuple(column.name for column in session_events.columns)
    _INSERT = (
        f"INSERT INTO session_events ({', '.join(_COLUMNS)})"  # noqa: S608 - names of columns
        f" VALUES ({', '.join('?' * len(_COLUMNS))})"
    )

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        pooled = connection.sync_connection
        driver = None if pooled is None else pooled.connection.driver_connection
        if not isinstance(driver, SqliteConnection):
            raise TypeError(f"not our SQLite driver: {driver!r}")
        self._driver = driver

    async def lock(self, session_id: str) -> tuple[int, str] | None:
        row = await self._first(self._LOCK, session_id)
        return None if row is None else (row[0], row[1])

    async def state(self, session_id: str) -> str | None:
        row = await self._first(self._STATE, session_id)
        return None if row is None else row[0]

    async def head(self, session_id: str) -> int | None:
        row = await self._first(self._HEAD, session_id)
        return None if row is None else row[0]

    async def advance(
        self,
        session_id: str,
        expected_seq: int,
        *,
        head_seq: int,
        status: str,
        state: str,
        needs_work: bool,
        updated_at: datetime,
        deleted_at: datetime | None,
    ) -> bool:
        deleted = None if deleted_at is None else times.to_micros(deleted_at)
        updated = times.to_micros(updated_at)
        values = (head_seq, status, state, needs_work, updated, deleted, session_id, expected_seq)

        alike = (head_seq, state, updated, session_id, expected_seq, status, needs_work)

        def work(connection: sqlite3.Connection) -> bool:
            if deleted is None and connection.execute(self._ADVANCE_ALIKE, alike).rowcount == 1:
                return True
            return connection.execute(self._ADVANCE, values).rowcount == 1

        return await self._driver.run(work)

    async def insert(self, rows: Sequence[dict[str, Any]]) -> None:
        values = [
            tuple(
                times.to_micros(row[name]) if name == "processed_at" else row[name]
                for name in self._COLUMNS
            )
            for row in rows
        ]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(self._INSERT, values)

        try:
            await self._driver.run(work)
        except sqlite3.IntegrityError as error:
            raise sa.exc.IntegrityError(self._INSERT, None, error) from error

    async def commit(self) -> None:
        if self._connection.in_transaction():
            await self._connection.commit()
        else:  # SQLAlchemy ran nothing and knows of no transaction
            await self._driver.commit()

    async def rollback(self) -> None:
        if self._connection.in_transaction():
            await self._connection.rollback()
        elif not self._connection.invalidated:
            await self._driver.rollback()

    async def _first(self, statement: str, session_id: str) -> Any:
        return await self._driver.run(
            lambda connection: connection.execute(statement, (session_id,)).fetchone()
        )
