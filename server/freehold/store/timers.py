"""The times at which sessions have to be woken (:class:`dispatch.timers.TimerTable`)."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from freehold.core import times
from freehold.store.database import Database
from freehold.store.tables import timers

_T = timers.c


class SqlTimers:
    """The table, as the loop that watches it needs it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, now: datetime) -> list[str]:
        """Sessions whose time has come, the longest overdue first."""
        statement = sa.select(_T.session_id).where(_T.due_at <= now).order_by(_T.due_at)
        async with self._database.read() as session:
            return [row["session_id"] for row in await session.all(statement)]

    async def next_due(self) -> datetime | None:
        """The earliest time that is set."""
        async with self._database.read() as session:
            micros = await session.scalar(sa.select(sa.cast(sa.func.min(_T.due_at), sa.BigInteger)))
        return None if micros is None else times.from_micros(micros)

    async def clear(self, session_ids: list[str], now: datetime) -> None:
        """Forget the times of these sessions that are not after ``now``."""
        async with self._database.write() as tx:
            await tx.execute(
                sa.delete(timers).where(_T.session_id.in_(session_ids), _T.due_at <= now)
            )
