"""What a running server removes for good, now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from freehold.errors import BlobsUnavailable
from freehold.git import GitCache
from freehold.ports.clock import Clock
from freehold.store import idempotency
from freehold.store.checkpoints import SqlCheckpoints
from freehold.store.event_log import SqlEventLog
from freehold.store.file_library import FileLibrary

log = logging.getLogger(__name__)

EVERY = 3_600.0
"""Seconds between two rounds."""
DELETED_KEPT = timedelta(minutes=10)
"""How long a deleted session's log stays, for open streams to end on ``session.deleted``."""


ANSWERS_KEPT = timedelta(days=1)
"""How long a request with an ``Idempotency-Key`` can be repeated."""


@dataclass(frozen=True)
class Upkeep:
    """Removes what nobody can ask for any more, also what servers that died left behind."""

    event_log: SqlEventLog
    files: FileLibrary
    checkpoints: SqlCheckpoints
    repositories: GitCache
    clock: Clock

    async def run(self) -> None:
        """Round after round, until cancelled. What fails is logged and tried again."""
        while True:
            for step in self._steps():
                try:
                    await step()
                except (BlobsUnavailable, OSError) as error:
                    log.warning("not all could be removed that nobody has: %s", error)
                except Exception:
                    log.exception("removing what nobody has failed")
            await asyncio.sleep(EVERY)

    def _steps(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        return (
            self._sessions,
            self._files,
            self._checkpoints,
            self._repositories,
            self._answers,
        )

    async def _sessions(self) -> None:
        await self.event_log.purge_deleted(self.clock.now() - DELETED_KEPT)

    async def _files(self) -> None:
        if removed := await self.files.expire() + await self.files.sweep():
            log.info("removed the contents of %d files that expired or were deleted", removed)

    async def _checkpoints(self) -> None:
        if removed := await self.checkpoints.sweep():
            log.info("removed the contents of %d checkpoints", removed)

    async def _repositories(self) -> None:
        await self.repositories.sweep()

    async def _answers(self) -> None:
        async with self.event_log.transaction() as tx:
            await idempotency.forget(tx, self.clock.now() - ANSWERS_KEPT)
