"""SQLite as this store uses it: one driver connection class and one set of PRAGMAs.

SQLite runs in a thread of its own, and every hop between the event loop and that thread costs
more than the statement it carries. So a statement is opened, run, fetched and closed in one hop,
and the ``BEGIN`` that it may need travels with it.
"""

from __future__ import annotations

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
        """Do ``work`` in the connection's thread, inside a transaction, in one hop."""
        result: T = await self._execute(self._in_transaction, work)  # type: ignore[no-untyped-call]
        return result

    def _in_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._conn
        if not connection.in_transaction:
            connection.execute(self._begin)
        return work(connection)

    def cursor(self) -> SqliteCursor:  # type: ignore[override]
        """A cursor; costs nothing until it runs something."""
        return SqliteCursor(self)


class ReadOnlySqliteConnection(SqliteConnection):
    """A connection that only reads, and so need not wait to be told that it has stopped."""

    async def rollback(self) -> None:
        """Let go of the snapshot. What comes next on this connection comes after it."""
        self._tx.put_nowait((None, self._conn.rollback))


class SqliteCursor:
    """What SQLAlchemy's asyncio adapter asks of a cursor, one hop for each statement."""

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
                timeout=BUSY_TIMEOUT_SECONDS,
                isolation_level=None,  # transactions begin where we say
                check_same_thread=False,
                cached_statements=256,
            )
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            if reader:
                connection.execute("PRAGMA query_only = ON")
            return connection

        if reader:
            return ReadOnlySqliteConnection(connect, "BEGIN")
        return SqliteConnection(connect, "BEGIN IMMEDIATE")

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
