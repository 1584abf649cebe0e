"""Locks by name."""

from __future__ import annotations

import asyncio
import contextlib

from freehold.store.locks import KeyedLocks


async def test_one_holder_a_key_in_order_and_nothing_left_behind() -> None:
    locks, order, inside = KeyedLocks(), list[str](), set[str]()

    async def use(key: str, name: str) -> None:
        async with locks.hold(key):
            assert key not in inside
            inside.add(key)
            await asyncio.sleep(0)
            order.append(f"{key}{name}")
            inside.discard(key)

    await asyncio.gather(*(use(key, str(n)) for n in range(4) for key in "ab"))
    assert [entry for entry in order if entry[0] == "a"] == ["a0", "a1", "a2", "a3"]
    assert [entry for entry in order if entry[0] == "b"] == ["b0", "b1", "b2", "b3"]
    assert len(locks) == 0


async def test_who_gives_up_waiting_leaves_the_lock_to_the_next() -> None:
    locks = KeyedLocks()
    got = asyncio.Event()

    async def use() -> None:
        async with locks.hold("a"):
            got.set()

    async with locks.hold("a"):
        quitter, waiter = asyncio.create_task(use()), asyncio.create_task(use())
        await asyncio.sleep(0)
        quitter.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await quitter
        assert not got.is_set()
        assert len(locks) == 1
    await waiter
    assert got.is_set()
    assert len(locks) == 0
