"""The courier: what it makes of every way in which attempts can end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from freehold.core import ids, webhooks
from freehold.ports.webhooks import Delivery, Outcome
from freehold.webhooks.courier import GRACE, MOST, MOST_EACH, Courier

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SECONDS = 15.0


class Clock:
    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def mint(self, prefix: ids.Prefix) -> str:
        raise AssertionError(prefix)


@dataclass
class Row:
    delivery: Delivery
    due_at: datetime


@dataclass
class Outbox:
    """The outbox in memory; what the tables do is the contract suite's to say."""

    rows: dict[str, Row] = field(default_factory=dict)
    failures: list[float | None] = field(default_factory=list)
    disabled: list[tuple[str, str]] = field(default_factory=list)
    broken: int = 0

    def put(self, event_id: str, endpoint_id: str = "whep_1") -> None:
        data = {"type": "agent.created", "id": "agent_1"}
        delivery = Delivery(endpoint_id, event_id, "https://a", ["whsec_"], data, START, 0, START)
        self.rows[event_id] = Row(delivery, START)

    async def next_due(self) -> datetime | None:
        if self.broken:
            self.broken -= 1
            raise ConnectionError("no database")
        return min((row.due_at for row in self.rows.values()), default=None)

    async def claim(
        self,
        now: datetime,
        until: datetime,
        busy: Mapping[str, int],
        *,
        most: int,
        most_each: int,
    ) -> list[Delivery]:
        taken: list[Delivery] = []
        counts = dict(busy)
        for row in self.rows.values():
            endpoint_id = row.delivery.endpoint_id
            if row.due_at > now or len(taken) >= most or counts.get(endpoint_id, 0) >= most_each:
                continue
            counts[endpoint_id] = counts.get(endpoint_id, 0) + 1
            row.due_at = until
            taken.append(replace(row.delivery, until=until))
        return taken

    async def delivered(self, delivery: Delivery) -> None:
        del self.rows[delivery.event_id]

    async def failed(self, delivery: Delivery, now: datetime, again_at: datetime | None) -> None:
        self.failures.append(None if again_at is None else (again_at - now).total_seconds())
        if again_at is None:
            del self.rows[delivery.event_id]
            return
        row = self.rows[delivery.event_id]
        row.delivery = replace(row.delivery, attempts=row.delivery.attempts + 1)
        row.due_at = again_at

    async def disable(self, delivery: Delivery, now: datetime, reason: str) -> None:
        self.disabled.append((delivery.endpoint_id, reason))
        self.rows.clear()


class Sender:
    def __init__(self, answer: Callable[[Delivery], Outcome]) -> None:
        self.answer = answer
        self.sent: list[Delivery] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0
        self.most_under_way = 0

    async def send(self, delivery: Delivery) -> Outcome:
        self.sent.append(delivery)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.gate.wait()
        finally:
            self.under_way -= 1
        return self.answer(delivery)


DELIVERED, FAILED = Outcome("delivered"), Outcome("failed", "status 500")


def courier(outbox: Outbox, sender: Sender, clock: Clock, chance: float = 0.5) -> Courier:
    return Courier(outbox, sender, clock, seconds=SECONDS, chance=lambda: chance, tick=0.001)


@given(
    st.lists(st.sampled_from(["delivered", "failed"]), min_size=1, max_size=9),
    st.floats(min_value=0, max_value=1, exclude_max=True),
)
async def test_it_is_tried_until_it_arrives_or_is_given_up(ends: list[str], chance: float) -> None:
    left = iter([*ends, *["failed"] * 9])
    outbox, clock = Outbox(), Clock()
    sender = Sender(lambda _: DELIVERED if next(left) == "delivered" else FAILED)
    outbox.put("whe_1")
    carrying = courier(outbox, sender, clock, chance)
    while outbox.rows:
        (row,) = outbox.rows.values()
        clock.time = max(clock.time, row.due_at)
        (claimed,) = await outbox.claim(clock.time, clock.time, {}, most=1, most_each=1)
        await carrying.deliver(claimed)
    first = ends.index("delivered") if "delivered" in ends else webhooks.ATTEMPTS
    assert len(sender.sent) == min(first + 1, webhooks.ATTEMPTS)
    assert {(one.event_id, str(one.data), one.occurred_at) for one in sender.sent} == {
        ("whe_1", str(sender.sent[0].data), START)
    }
    waits = [webhooks.wait(number, chance) for number in (1, 2, 3)]
    # Times have microseconds.
    waits = [None if wait is None else timedelta(seconds=wait).total_seconds() for wait in waits]
    assert outbox.failures == waits[: min(first, webhooks.ATTEMPTS)]


async def test_what_is_hopeless_disables() -> None:
    outbox = Outbox()
    sender = Sender(lambda _: Outcome("hopeless", webhooks.REDIRECTED))
    outbox.put("whe_1")
    (claimed,) = await outbox.claim(START, START, {}, most=1, most_each=1)
    await courier(outbox, sender, Clock()).deliver(claimed)
    assert outbox.disabled == [("whep_1", webhooks.REDIRECTED)]


async def run_until(carrying: Courier, done: Callable[[], bool]) -> None:
    task = asyncio.create_task(carrying.run())
    async with asyncio.timeout(30):
        while not done():
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_all_that_is_due_is_delivered_though_the_database_fails_at_times() -> None:
    outbox, clock = Outbox(broken=3), Clock()
    sender = Sender(lambda _: DELIVERED)
    for number in range(100):
        outbox.put(f"whe_{number}", f"whep_{number % 3}")
    await run_until(courier(outbox, sender, clock), lambda: not outbox.rows)
    assert len(sender.sent) == 100
    assert sender.most_under_way <= 3 * MOST_EACH


async def test_a_slow_endpoint_holds_up_no_other() -> None:
    outbox, clock = Outbox(), Clock()
    sender = Sender(lambda _: DELIVERED)
    sender.gate.clear()
    for number in range(2 * MOST_EACH):
        outbox.put(f"whe_{number}", "whep_slow")
    outbox.put("whe_other", "whep_other")
    wanted = MOST_EACH + 1
    carrying = courier(outbox, sender, clock)
    await run_until(carrying, lambda: len(sender.sent) == wanted)
    assert [one.endpoint_id for one in sender.sent].count("whep_slow") == MOST_EACH
    # Ended in the middle: the claims stay, so nobody takes them before they run out.
    assert sender.under_way == 0
    assert {row.due_at for row in outbox.rows.values()} == {
        START,
        START + timedelta(seconds=SECONDS + GRACE),
    }


async def test_the_number_under_way_is_bounded() -> None:
    outbox, clock = Outbox(), Clock()
    sender = Sender(lambda _: DELIVERED)
    sender.gate.clear()
    for number in range(2 * MOST):
        outbox.put(f"whe_{number}", f"whep_{number}")
    carrying = courier(outbox, sender, clock)
    await run_until(carrying, lambda: len(sender.sent) == MOST)
    assert sender.most_under_way == MOST
    sender.gate.set()
    clock.time += timedelta(minutes=1)
    await run_until(courier(outbox, sender, clock), lambda: not outbox.rows)


async def test_what_is_not_due_waits() -> None:
    outbox, clock = Outbox(), Clock()
    sender = Sender(lambda _: FAILED if not sender.sent[1:] else DELIVERED)
    outbox.put("whe_1")
    carrying = courier(outbox, sender, clock)
    await run_until(carrying, lambda: bool(outbox.failures))
    (wait,) = outbox.failures
    assert wait is not None
    clock.time += timedelta(seconds=wait) - timedelta(microseconds=1)
    assert await carrying.begin() == 0
    clock.time += timedelta(microseconds=1)
    assert await carrying.begin() == 1
    await run_until(carrying, lambda: not outbox.rows)
