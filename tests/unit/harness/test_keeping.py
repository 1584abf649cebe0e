"""Checkpoints of sessions whose turns end faster than they can be taken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from freehold.dispatch.clock import SystemClock
from freehold.harness.keeping import Keeper, Rules


class Sandbox:
    identity = "box"

    async def pack(self, limit: int) -> AsyncIterator[bytes]:
        yield b""

    async def unpack(self, chunks: AsyncIterator[bytes]) -> None:
        raise NotImplementedError


class Checkpoints:
    """Keeps one when it is let."""

    def __init__(self) -> None:
        self.kept: list[int] = []
        self.let = asyncio.Event()

    async def latest(self, session_id: str) -> Any:
        if not self.kept:
            return None
        return SimpleNamespace(seq=self.kept[-1], created_at=SystemClock().now())

    async def keep(self, session_id: str, seq: int, chunks: AsyncIterator[bytes]) -> None:
        await self.let.wait()
        self.kept.append(seq)


class Hands:
    @contextlib.asynccontextmanager
    async def using(self, session_id: str) -> AsyncIterator[None]:
        yield

    async def attach(self, handle: Any) -> Sandbox:
        return Sandbox()


async def test_a_turn_that_ends_while_one_is_taken_gets_its_own() -> None:
    state = SimpleNamespace(abandoned=False, sandbox_id="box", sandbox_used=1)

    async def now() -> Any:
        return state

    checkpoints = Checkpoints()
    parts: dict[str, Any] = {
        "provider": None,
        "hands": Hands(),
        "log": None,
        "sessions": SimpleNamespace(handle=lambda _: SimpleNamespace(state=now)),
        "clock": SystemClock(),
        "checkpoints": checkpoints,
        "rules": Rules(idle_stop=None, every=timedelta(0)),
    }
    keeper = Keeper(**parts)
    keeper.turn_ended("sesn_1")
    for _ in range(10):
        await asyncio.sleep(0)
    state = SimpleNamespace(abandoned=False, sandbox_id="box", sandbox_used=2)
    keeper.turn_ended("sesn_1")
    checkpoints.let.set()
    async with asyncio.timeout(5):
        while len(checkpoints.kept) < 2:
            await asyncio.sleep(0)
    assert checkpoints.kept == [1, 2]
    await keeper.close()
