"""How a process hands out what it took of a rate limit."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from freehold.api.rates import RateLimits
from freehold.core.ids import Prefix
from freehold.core.rates import Bucket, Rates

BEGIN = datetime(2026, 11, 22, 12, tzinfo=UTC)


class StandingClock:
    def __init__(self) -> None:
        self.time = BEGIN

    def now(self) -> datetime:
        return self.time

    def mint(self, prefix: Prefix) -> str:
        raise NotImplementedError

    def pass_(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Memory:
    """Buckets for as many processes as there are in a test."""

    def __init__(self) -> None:
        self.buckets: dict[tuple[str, str], Bucket] = {}
        self.asked = 0

    async def take(
        self, subject: str, kind: str, limit: int, count: int, now: int
    ) -> tuple[int, Bucket]:
        self.asked += 1
        await asyncio.sleep(0)
        taken, bucket = self.buckets.get((subject, kind), Bucket(limit)).take(count, now)
        self.buckets[subject, kind] = bucket
        return taken, bucket


class World:
    def __init__(self, rates: Rates, per: str = "organization", processes: int = 1) -> None:
        self.clock = StandingClock()
        self.memory = Memory()
        self.processes = [
            RateLimits(rates, per, self.memory, self.clock)  # type: ignore[arg-type]
            for _ in range(processes)
        ]

    async def ask(
        self,
        process: int = 0,
        method: str = "POST",
        path: str = "/v1/agents",
        workspace: str = "w",
        key: str = "k",
    ) -> bool:
        _, refusal = await self.processes[process].admit(
            method, path, workspace_id=workspace, key_id=key
        )
        return refusal is None

    async def allowed(self, times: int, process: int = 0, key: str = "k") -> int:
        return sum([await self.ask(process, key=key) for _ in range(times)])


@pytest.mark.parametrize("limit", [1, 2, 49, 50, 51, 300, 1_200])
async def test_at_the_limit_and_one_past_it(limit: int) -> None:
    world = World({"create": limit})
    assert await world.allowed(limit) == limit
    assert not await world.ask()
    assert not await world.ask()
    # Some fifty times for those that went through, and not for those that did not.
    assert world.memory.asked <= 52


async def test_requests_at_once_do_not_take_more() -> None:
    world = World({"create": 100})
    answers = await asyncio.gather(*(world.ask() for _ in range(150)))
    assert sum(answers) == 100


async def test_what_comes_back_can_be_taken() -> None:
    world = World({"create": 60})
    assert await world.allowed(61) == 60
    world.clock.pass_(0.999)
    assert not await world.ask()
    world.clock.pass_(0.001)
    assert await world.allowed(2) == 1
    world.clock.pass_(60)
    assert await world.allowed(61) == 60


async def test_processes_keep_one_limit() -> None:
    world = World({"create": 300}, processes=3)
    total = 0
    for turn in range(400):
        total += await world.ask(turn % 3)
    assert total == 300


async def test_what_another_process_holds_is_at_most_its_share() -> None:
    world = World({"create": 300}, processes=2)
    assert await world.ask(1)
    share = 300 // 50
    assert await world.allowed(400) == 300 - share
    assert await world.allowed(400, process=1) == share - 1


async def test_what_is_held_and_not_used_is_given_up() -> None:
    world = World({"create": 300})
    assert await world.ask()
    world.clock.pass_(60)
    assert await world.allowed(400) == 300


@pytest.mark.parametrize(
    ("per", "own"), [("organization", False), ("workspace", False), ("key", True)]
)
async def test_whose_limit_it_is(per: str, own: bool) -> None:
    world = World({"create": 2}, per)
    assert await world.allowed(3) == 2
    assert await world.allowed(3, key="other") == (2 if own else 0)
    assert await world.ask(workspace="other") is (per == "workspace")


async def test_kinds_have_their_own_and_one_without_a_limit_is_not_counted() -> None:
    world = World({"create": 1, "read": 2})
    assert await world.allowed(2) == 1
    assert [await world.ask(method="GET") for _ in range(3)] == [True, True, False]
    assert all([await world.ask(path="/v1/files") for _ in range(5)])
    assert all([await world.ask(path="/v1/messages") for _ in range(5)])
    headers, _ = await world.processes[0].admit("POST", "/v1/files", workspace_id="w", key_id="k")
    assert headers == []


async def test_headers_and_refusal() -> None:
    world = World({"create": 2})
    seen = []
    for _ in range(3):
        headers, refusal = await world.processes[0].admit(
            "POST", "/v1/agents", workspace_id="w", key_id="k"
        )
        seen.append([value.decode() for _, value in headers])
    assert [name.decode() for name, _ in headers] == [
        f"anthropic-ratelimit-requests-{name}" for name in ("limit", "remaining", "reset")
    ]
    assert seen == [
        ["2", "1", "2026-11-22T12:00:31Z"],
        ["2", "0", "2026-11-22T12:01:01Z"],
        ["2", "0", "2026-11-22T12:01:01Z"],
    ]
    assert refusal is not None
    assert (refusal.status, refusal.error_type) == (429, "rate_limit_error")
    assert refusal.retry_after == 30
    assert refusal.should_retry is None
    assert refusal.message == (
        "This request would exceed your organization's rate limit of 2 requests per minute for "
        "creating and changing."
    )


async def test_many_subjects_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.api.rates._SUBJECTS", 3)
    world = World({"create": 1}, "key")
    for key in "abcd":
        assert await world.allowed(2, key=key) == 1
    assert not await world.ask(key="a")
