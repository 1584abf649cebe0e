"""Waking sessions at a time, for dispatchers that only know now.

A delayed wake-up in a queue would keep immediate ones waiting, so the times stand in a table of
their own, written with the event that asks for them, and one loop turns those that have come
into ordinary wake-ups. A time survives a restart, and one that passed meanwhile is due at once.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Protocol

from freehold.dispatch.watching import TICK, watch
from freehold.ports.clock import Clock
from freehold.ports.dispatcher import Dispatcher
from freehold.ports.log import EventLog

log = logging.getLogger(__name__)


class TimerTable(Protocol):
    """The times that are set."""

    async def due(self, now: datetime) -> list[str]:
        """Sessions whose time has come."""
        ...

    async def next_due(self) -> datetime | None:
        """The earliest time that is set."""
        ...

    async def clear(self, session_ids: list[str], now: datetime) -> None:
        """Forget the times of these sessions that are not after ``now``."""
        ...


class Timers:
    """Turns times that have come into wake-ups."""

    def __init__(
        self,
        table: TimerTable,
        event_log: EventLog,
        dispatcher: Dispatcher,
        clock: Clock,
        tick: float = TICK,
    ) -> None:
        self._table = table
        self._log = event_log
        self._dispatcher = dispatcher
        self._clock = clock
        self._tick = tick

    async def run(self) -> None:
        """Watch the table until cancelled. A database that does not answer is asked again."""
        await watch(
            self._table.next_due,
            self.fire,
            clock=self._clock,
            tick=self._tick,
            log=log,
            what="the timers",
        )

    async def fire(self) -> list[str]:
        """Wake whom it is time for."""
        now = self._clock.now()
        due = await self._table.due(now)
        for session_id in due:
            async with self._log.transaction() as tx:
                await self._dispatcher.wake(session_id, tx)
        if due:
            # After the wake: a crash in between wakes once too often, never too seldom.
            await self._table.clear(due, now)
        return due
