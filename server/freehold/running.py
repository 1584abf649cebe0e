"""Starts the parts of a server in their order, and ends them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import FastAPI

from freehold.api import ApiServices
from freehold.dispatch.dreams import Dreams
from freehold.dispatch.inprocess import InProcessDispatcher
from freehold.dispatch.schedules import Schedules
from freehold.dispatch.timers import Timers
from freehold.harness.driver import Driver
from freehold.ports.blobs import BlobStore
from freehold.ports.sandbox import SandboxProvider
from freehold.store.event_log import SqlEventLog
from freehold.store.keys import KeyDesk
from freehold.store.webhook_endpoints import SqlWebhookEndpoints
from freehold.upkeep import Upkeep
from freehold.webhooks import Courier

log = logging.getLogger(__name__)


class Sealed(Protocol):
    """Keeps secrets that a key seals."""

    async def reseal(self) -> int:
        """Seal with the newest key what an older one sealed; how many."""
        ...


class Part(Protocol):
    """What holds on to something until it is closed."""

    async def close(self) -> None:
        """Let go."""
        ...


@dataclass(frozen=True)
class Running:
    """A server between its start and its end."""

    event_log: SqlEventLog
    sealed: Sequence[Sealed]
    sandboxes: SandboxProvider
    dispatcher: InProcessDispatcher
    driver: Driver
    timers: Timers
    schedules: Schedules
    dreams: Dreams
    upkeep: Upkeep
    endpoints: SqlWebhookEndpoints
    courier: Courier
    services: ApiServices
    keys: KeyDesk
    blobs: BlobStore
    parts: Sequence[Part]
    """In the order in which they are closed; what others stand on comes last."""

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Migrate the database, take up work, and in the end let go of everything."""
        async with AsyncExitStack() as stack:
            for part in reversed(self.parts):
                stack.push_async_callback(part.close)
            await self.services.database.migrate()
            if resealed := sum([await sealed.reseal() for sealed in self.sealed]):
                log.info("sealed %d secrets with the newest key", resealed)
            await self.endpoints.configure(self.services.settings.webhooks)
            await self.blobs.prepare()
            await self._sweep_sandboxes()
            await self.sandboxes.prepare()
            background = [
                asyncio.create_task(work, name=name) for name, work in self._background().items()
            ]
            stack.push_async_callback(_end, background)
            yield
            self.services.streams.close()

    def _background(self) -> dict[str, Coroutine[Any, Any, None]]:
        work: dict[str, Coroutine[Any, Any, None]] = {
            "dispatcher": self.dispatcher.serve(self.driver.wake),
            "timers": self.timers.run(),
            "schedules": self.schedules.run(),
            "dreams": self.dreams.run(),
            "upkeep": self.upkeep.run(),
            "keys": self.keys.run(),
            "webhooks": self.courier.run(),
        }
        if self.driver.keeper is not None:
            work["keeper"] = self.driver.keeper.run()
        return work

    async def _sweep_sandboxes(self) -> None:
        """Remove what a server that died left behind."""
        removed = await self.sandboxes.sweep(await self.event_log.alive())
        if removed:
            log.info("removed %d sandboxes whose sessions are over", len(removed))


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
