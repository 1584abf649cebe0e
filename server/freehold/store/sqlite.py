"""SQLite as this store uses it: one driver connection class and one set of PRAGMAs.

A statement on a warm database takes some ten microseconds, a hop to another thread and back
several hundred. So statements run where they are called, in the event loop's thread; what may
take long goes to the connection's own thread: a commit, which waits for the disk, and anything
that finds the database locked by another process.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import aiosqlite
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from freehold.store import codec

T = TypeVar("T")

BUSY_TIMEOUT_SECONDS = 30.0
"""How long to wait for another process that writes, such as a backup or a second server."""

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16000",  # KiB
    "PRAGMA journal_size_limit = 67108864",  # bytes of WAL kept after a checkpoint
)


class SqliteConnection(aiosqlite.Connection):
    """A connection whose every transaction starts with ``begin``, at its first statement."""

    def __init__(self, connector: Callable[[], sqlite3.Connection], begin: str) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True
        self._begin = begin

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` inside a transaction, at once unless another process is in the way."""
        connection = self._conn
        first = not connection.in_transaction
        try:
            if first:
                connection.execute(self._begin)
            return work(connection)
        except sqlite3.OperationalError as error:
            # Only the first statement of a transaction can find the database locked.
            if not first or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        connection.rollback()
        result: T = await self._execute(self._patiently, work)  # type: ignore[no-untyped-call]
        return result

    def _patiently(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._conn
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_SECONDS * 1000)}")
        try:
            connection.execute(self._begin)
            return work(connection)
        finally:
            connection.execute("PRAGMA busy_timeout = 0")

    async def commit(self) -> None:
        """Make the transaction durable, in the connection's thread."""
        if self._conn.in_transaction:
            await super().commit()

    async def rollback(self) -> None:
        """Take the transaction back, or let go of the snapshot; neither touches the disk."""
        self._conn.rollback()

    async def _connect(self) -> SqliteConnection:
        try:
            await super()._connect()
        except BaseException:
            # Whoever is cancelled here may close the loop next, to which the thread reports.
            await asyncio.to_thread(self._thread.join)
            raise
        return self

    def cursor(self) -> SqliteCursor:  # type: ignore[override]
        """A cursor; costs nothing until it runs something."""
        return SqliteCursor(self)


class SqliteCursor:
    """What SQLAlchemy's asyncio adapter asks of a cursor: run, fetch and close in one."""

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> SqliteCursor:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def execute(self, operation: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement and fetch what it gives."""

        def work(connection: sqlite3.Connection) -> None:
            self._take(connection.execute(operation, parameters))

        await self._connection.run(work)

    async def executemany(self, operation: str, parameters: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each set of parameters."""

        def work(connection: sqlite3.Connection) -> None:
            self._take(connection.executemany(operation, parameters))

        await self._connection.run(work)

    def _take(self, cursor: sqlite3.Cursor) -> None:
        self.description = cursor.description
        if cursor.description is not None:
            self._rows = cursor.fetchall()
        self.rowcount = cursor.rowcount
        self.lastrowid = cursor.lastrowid
        cursor.close()

    async def fetchall(self) -> list[Any]:
        """The rows that are left."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Forget the rows."""
        self._rows = []


def engine(path: Path, role: Literal["reader", "writer"]) -> AsyncEngine:
    """An engine on the file: one connection that writes, or a few that read."""
    reader = role == "reader"

    def creator(*_: Any, **__: Any) -> SqliteConnection:
        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(
                path,
                timeout=BUSY_TIMEOUT_SECONDS,  # until set up
                isolation_level=None,  # transactions begin where we say
                check_same_thread=False,
                cached_statements=256,
            )
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            if reader:
                connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA busy_timeout = 0")
            return connection

        return SqliteConnection(connect, "BEGIN" if reader else "BEGIN IMMEDIATE")

    return create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(path)),
        connect_args={"async_creator_fn": creator},
        pool_size=4 if reader else 1,
        max_overflow=0,
        json_serializer=codec.dumps,
        json_deserializer=codec.loads,
    )


def prepare_file(path: Path) -> None:
    """Make the folder (0700) and the file (0600) if they are missing.

    SQLite gives the files beside it (``-wal``, ``-shm``) the mode of the database itself.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
