"""Carrying dreams on, from the database alone.

What a dream needs next stands in its row and in its session's log. Every server watches the same
rows; who changes one does it under a lock, so each step is taken once, and a server that dies
leaves its dreams to the others, or to itself when it is started again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two looks at the table at most."""


class DreamTable(Protocol):
    """The dreams there are."""

    async def active(self) -> list[str]:
        """Dreams that a server has something to do for."""
        ...


class Dreams:
    """One task for each dream that is under way.

    Args:
        carry: Carries a dream on until nothing is left to do for it.
        bell: Set when there is a new one, so that it need not wait for the next look.
    """

    def __init__(
        self,
        table: DreamTable,
        carry: Callable[[str], Awaitable[None]],
        bell: asyncio.Event,
        tick: float = TICK,
    ) -> None:
        self._table = table
        self._carry = carry
        self._bell = bell
        self._tick = tick
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Watch the table until cancelled. What fails is logged and tried again."""
        try:
            while True:
                self._bell.clear()
                try:
                    await self._look()
                except Exception:
                    log.exception("the dreams could not be read; they are tried again")
                try:
                    async with asyncio.timeout(self._tick):
                        await self._bell.wait()
                except TimeoutError:
                    pass
        finally:
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        for dream_id in await self._table.active():
            if dream_id not in self._tasks:
                self._tasks[dream_id] = asyncio.create_task(
                    self._carried(dream_id), name=f"dream {dream_id}"
                )

    async def _carried(self, dream_id: str) -> None:
        try:
            await self._carry(dream_id)
        except Exception:
            log.exception("the dream %s could not be carried on; it is tried again", dream_id)
        finally:
            del self._tasks[dream_id]
