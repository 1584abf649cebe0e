"""Rate limits that several processes keep together, on every database."""

from __future__ import annotations

import asyncio

from freehold.core.rates import Bucket
from freehold.store.database import Database
from freehold.store.request_rates import SqlRequestRates

NOW = 1_760_000_000_000_000


async def test_a_bucket_is_taken_from_and_fills(database: Database) -> None:
    counts = SqlRequestRates(database)
    assert await counts.take("a", "create", 10, 4, NOW) == (4, Bucket(10, NOW + 24_000_000))
    assert (await counts.take("a", "create", 10, 9, NOW))[0] == 6
    assert (await counts.take("a", "create", 10, 1, NOW))[0] == 0
    assert (await counts.take("a", "create", 10, 9, NOW + 12_000_000))[0] == 2


async def test_subjects_and_kinds_are_apart(database: Database) -> None:
    counts = SqlRequestRates(database)
    for subject, kind in (("", "create"), ("", "read"), ("b", "read")):
        assert (await counts.take(subject, kind, 5, 9, NOW))[0] == 5


async def test_those_who_take_at_once_get_the_limit_together(database: Database) -> None:
    processes = [SqlRequestRates(database) for _ in range(3)]
    takes = [process.take("c", "create", 50, 3, NOW) for process in processes for _ in range(8)]
    taken = [count for count, _ in await asyncio.gather(*takes)]
    assert sum(taken) == 50
