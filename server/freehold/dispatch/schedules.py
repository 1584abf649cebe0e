"""Starting the runs of deployments when it is time.

Every server watches the same table; who starts a run makes sure that nobody else does.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

from freehold.dispatch.watching import TICK, watch
from freehold.ports.clock import Clock

log = logging.getLogger(__name__)


class RunTable(Protocol):
    """When runs start."""

    async def due(self, now: datetime) -> list[str]:
        """Deployments whose run should have started."""
        ...

    async def next_due(self) -> datetime | None:
        """When the next run starts."""
        ...


class Schedules:
    """Has runs started whose time has come.

    Args:
        start: Starts a deployment's run if it is still due.
    """

    def __init__(
        self,
        table: RunTable,
        start: Callable[[str], Awaitable[object]],
        clock: Clock,
        tick: float = TICK,
    ) -> None:
        self._table = table
        self._start = start
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
            what="the times of runs",
        )

    async def fire(self) -> None:
        """Start what is due. One that fails does not keep the others from starting."""
        for deployment_id in await self._table.due(self._clock.now()):
            try:
                await self._start(deployment_id)
            except Exception:
                log.exception("a run of %s could not be started; it is tried again", deployment_id)
