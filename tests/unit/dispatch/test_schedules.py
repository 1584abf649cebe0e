"""The loop that starts runs: what fails does not keep the rest from starting."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

from freehold.dispatch.clock import SystemClock
from freehold.dispatch.schedules import Schedules

NOW = datetime(2026, 3, 15, 10, tzinfo=UTC)


class StandingClock(SystemClock):
    def now(self) -> datetime:
        return NOW


class Table:
    """Runs by the deployment that they are of."""

    def __init__(self, **runs: timedelta) -> None:
        self.runs = {name: NOW + ahead for name, ahead in runs.items()}
        self.looks = 0
        self.broken = False

    async def due(self, now: datetime) -> list[str]:
        return sorted(name for name, starts_at in self.runs.items() if starts_at <= now)

    async def next_due(self) -> datetime | None:
        self.looks += 1
        if self.broken:
            self.broken = False
            raise OSError("the database does not answer")
        return min(self.runs.values(), default=None)


async def test_what_fails_keeps_nothing_else_from_starting() -> None:
    table = Table(
        bad=timedelta(seconds=-9), good=timedelta(), late=timedelta(seconds=-1), far=timedelta(1)
    )
    started: list[str] = []
    everything = asyncio.Event()

    async def start(name: str) -> None:
        if name == "bad" and started.count("bad") < 2:
            started.append(name)
            raise RuntimeError("no")
        started.append(name)
        del table.runs[name]
        if set(table.runs) == {"far"}:
            everything.set()

    table.broken = True
    loop = Schedules(table, start, StandingClock(), tick=0)
    task = asyncio.create_task(loop.run())
    await asyncio.wait_for(everything.wait(), 30)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert started == ["bad", "good", "late", "bad", "bad"]
    assert table.looks >= 4
