"""Nobody is stopped under a call, and no call begins under one who stops."""

from __future__ import annotations

import asyncio

from freehold.harness.occupancy import Occupancy


async def test_alone_only_where_nobody_is() -> None:
    occupancy = Occupancy()
    async with occupancy.use("s"), occupancy.use("s"):
        async with occupancy.alone("s") as free:
            assert not free
        async with occupancy.alone("other") as free:
            assert free
    async with occupancy.alone("s") as free:
        assert free
        async with occupancy.alone("s") as second:
            assert not second


async def test_who_comes_waits_until_it_is_free() -> None:
    occupancy = Occupancy()
    steps: list[str] = []

    async def user() -> None:
        async with occupancy.use("s"):
            steps.append("used")

    async with occupancy.alone("s") as free:
        assert free
        task = asyncio.create_task(user())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        steps.append("left")
    await task
    assert steps == ["left", "used"]
