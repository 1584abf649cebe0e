"""The database: where transactions come from.

SQLite has one writer in the process, a connection that is kept open and handed from one
transaction to the next in the order they asked, and a few connections that read snapshots beside
it. PostgreSQL has a pool; there a row lock keeps two writers off one session.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from freehold.errors import ConfigurationError
from freehold.store import migrate, postgres, sqlite
from freehold.store.locks import KeyedLocks
from freehold.store.log_rows import CoreLogRows, LogRows, SqliteLogRows
from freehold.store.units import ReadSession, WriteSession, uninterrupted

__all__ = ["Database", "ReadSession", "WriteSession"]


class Database:
    """A SQLite file or a PostgreSQL database, its schema and its transactions.

    Args:
        url: ``sqlite+aiosqlite:///FILE`` or ``postgresql+psycopg://…``; the driver may be left
            out.

    Raises:
        ConfigurationError: the URL names something else.
    """

    def __init__(self, url: str) -> None:
        self.url = _normalised(url)
        self._locks = KeyedLocks()
        self._writer_lock = asyncio.Lock()
        self._writer: AsyncConnection | None = None
        self._tasks_writing: set[asyncio.Task[Any] | None] = set()
        self._engine: AsyncEngine
        self._readers: AsyncEngine
        if self.is_sqlite:
            path = Path(str(self.url.database))
            sqlite.prepare_file(path)
            self._engine = sqlite.engine(path, "writer")
            self._readers = sqlite.engine(path, "reader")
        else:
            self._engine = postgres.engine(self.url)
            self._readers = postgres.snapshots(self._engine)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a file, with one writer."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def dialect(self) -> sa.Dialect:
        """How statements are written for this database."""
        return self._engine.dialect

    async def migrate(self) -> None:
        """Bring the schema to this version's. Safe when several processes start together.

        Raises:
            ConfigurationError: a newer Freehold made the schema, or the database is out of reach.
        """
        await asyncio.to_thread(migrate.upgrade, self.url)

    async def close(self) -> None:
        """Close every connection. Transactions must be over."""
        async with self._writer_lock:
            if self._writer is not None:
                await self._writer.close()
                self._writer = None
        await self._readers.dispose()
        await self._engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A snapshot: what was committed when the first query ran, and nothing later."""
        async with self._readers.connect() as connection:
            yield ReadSession(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """A transaction. Leaving the block commits, an exception rolls back.

        Callbacks of ``on_commit`` run right after the commit, before another transaction can
        have the writer (SQLite) or the sessions that this one had locked (PostgreSQL). A
        cancellation that arrives during the commit takes effect after it.

        Raises:
            RuntimeError: this task has a transaction open already.
        """
        task = asyncio.current_task()
        if task in self._tasks_writing:
            raise RuntimeError("transactions do not nest")
        self._tasks_writing.add(task)
        try:
            async with AsyncExitStack() as held:
                connection = await self._connection(held)
                rows = self._log_rows(connection)
                session = WriteSession(connection, rows, self._locks, held)
                try:
                    yield session
                except BaseException:
                    await uninterrupted(rows.rollback())
                    raise
                await uninterrupted(_finish(session, rows))
        finally:
            self._tasks_writing.discard(task)

    def _log_rows(self, connection: AsyncConnection) -> LogRows:
        return SqliteLogRows(connection) if self.is_sqlite else CoreLogRows(connection)

    async def _connection(self, held: AsyncExitStack) -> AsyncConnection:
        if not self.is_sqlite:
            return await held.enter_async_context(self._engine.connect())
        await held.enter_async_context(self._writer_lock)
        if self._writer is not None and self._writer.invalidated:
            # A cancellation in the middle of a statement leaves a connection in doubt.
            writer, self._writer = self._writer, None
            await writer.close()
        if self._writer is None:
            self._writer = await self._engine.connect()
        return self._writer


async def _finish(session: WriteSession, rows: LogRows) -> None:
    try:
        await session.commit()
    except BaseException:
        await rows.rollback()
        raise


def _normalised(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        # The text may hold a password: do not repeat it.
        raise ConfigurationError("FREEHOLD_DATABASE_URL is not a database URL") from None
    backend, _, driver = parsed.drivername.partition("+")
    if backend == "sqlite" and driver in {"", "aiosqlite", "pysqlite"}:
        if not parsed.database or parsed.database == ":memory:" or parsed.query:
            raise ConfigurationError(
                "FREEHOLD_DATABASE_URL: SQLite needs a file, as in sqlite+aiosqlite:///FILE"
            )
        return parsed.set(drivername="sqlite+aiosqlite")
    if backend in {"postgresql", "postgres"} and driver in {"", "psycopg"}:
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigurationError(
        f"FREEHOLD_DATABASE_URL: {parsed.drivername} is not supported; "
        "use sqlite+aiosqlite:///FILE or postgresql+psycopg://…"
    )
