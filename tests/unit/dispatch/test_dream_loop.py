"""The loop that carries dreams on: one task each, and what fails is tried again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from freehold.dispatch.dreams import Dreams


class Table:
    """Dreams in a set."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.broken = 0

    async def active(self) -> list[str]:
        if self.broken:
            self.broken -= 1
            raise OSError("the database does not answer")
        return sorted(self.names)


@contextlib.asynccontextmanager
async def watching(dreams: Dreams) -> AsyncIterator[None]:
    task = asyncio.create_task(dreams.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_dream_is_carried_by_one_task_until_it_is_over() -> None:
    table = Table("a", "b")
    table.broken = 2
    at_once = most = 0
    carried: list[str] = []
    over = asyncio.Event()

    async def carry(name: str) -> None:
        nonlocal at_once, most
        carried.append(name)
        at_once += 1
        most = max(most, at_once)
        for _ in range(5):  # the loop looks meanwhile
            await asyncio.sleep(0)
        at_once -= 1
        if name == "a" and carried.count("a") < 3:
            raise RuntimeError("no")
        table.names.discard(name)
        if not table.names:
            over.set()

    async with watching(Dreams(table, carry, asyncio.Event(), tick=0)):
        await asyncio.wait_for(over.wait(), 30)
    assert carried.count("a") == 3
    assert carried.count("b") == 1
    assert most == 2


async def test_the_bell_is_heard_between_two_looks() -> None:
    table, bell, begun = Table(), asyncio.Event(), asyncio.Event()

    async def carry(_: str) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with watching(Dreams(table, carry, bell, tick=3600)):
        for _ in range(10):  # it has looked, and waits
            await asyncio.sleep(0)
        table.names.add("new")
        bell.set()
        await asyncio.wait_for(begun.wait(), 30)
    # What was being carried ended with the loop.
    assert not [one for one in asyncio.all_tasks() if one.get_name().startswith("dream ")]
