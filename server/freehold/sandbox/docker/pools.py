"""Pools of the containers that not every session wants: with packages, or on another network."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from freehold.sandbox.docker.pool import Pool

MOST = 4
"""Kinds that have a pool at a time; those used last keep theirs."""
IDLE = 3_600.0
"""Seconds after which a pool that no session took from is given up."""


class Kind(NamedTuple):
    """What containers have to have in common to stand in for one another."""

    image: str
    gated: bool
    """Whether they have no network but what the egress gate gives them."""


class Pools:
    """A pool for each kind in use.

    Args:
        make: makes the pool of a kind.
    """

    def __init__(self, make: Callable[[Kind], Pool]) -> None:
        self._make = make
        self._pools: OrderedDict[Kind, tuple[Pool, float]] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()
        self._leaving: set[Pool] = set()

    def __contains__(self, name: object) -> bool:
        """Whether a container of this name belongs to one of the pools."""
        pools = [pool for pool, _ in self._pools.values()]
        return any(name in pool for pool in (*pools, *self._leaving))

    def of(self, kind: Kind) -> Pool:
        """The pool of a kind that a session uses now; those that nobody uses go."""
        now = time.monotonic()
        known = self._pools.pop(kind, None)
        pool = self._make(kind) if known is None else known[0]
        self._pools[kind] = (pool, now)
        while self._pools:
            oldest, (_, used) = next(iter(self._pools.items()))
            if len(self._pools) <= MOST and now - used < IDLE:
                break
            self._give_up(self._pools.pop(oldest)[0])
        return pool

    async def close(self) -> None:
        """Remove the containers that no session took."""
        while self._pools:
            self._give_up(self._pools.popitem()[1][0])
        if self._closing:
            await asyncio.wait(self._closing)

    def _give_up(self, pool: Pool) -> None:
        async def close() -> None:
            try:
                await pool.close()
            finally:
                self._leaving.discard(pool)

        self._leaving.add(pool)
        task = asyncio.create_task(close(), name="close sandbox pool")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
