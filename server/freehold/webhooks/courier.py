"""Carries what is due in the outbox to the endpoints, until it is there or given up (spec 20.2)."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from freehold.core import webhooks
from freehold.ports.clock import Clock
from freehold.ports.webhooks import Delivery, Outbox, Sender

log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two looks at the outbox at most."""
MOST = 32
"""Deliveries under way at a time."""
MOST_EACH = 4
"""Of these to one endpoint: a slow one does not hold up the others."""
GRACE = 10.0
"""Seconds that a claim outlasts its attempt, for the outcome to be written down."""


class Courier:
    """Delivers at least once and in no order.

    What is to be tried again stands in the outbox with its time, so a restart changes nothing.

    Args:
        outbox: What is to be delivered.
        sender: Makes the attempts.
        clock: Tells what is due.
        seconds: That an attempt takes at most.
        chance: Draws from [0, 1), for the jitter.
        tick: Seconds between two looks at the outbox at most.
    """

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        clock: Clock,
        *,
        seconds: float,
        chance: Callable[[], float] = random.random,
        tick: float = TICK,
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._clock = clock
        self._claim = timedelta(seconds=seconds + GRACE)
        self._chance = chance
        self._tick = tick
        self._busy: Counter[str] = Counter()
        self._under_way: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()

    async def run(self) -> None:
        """Deliver until cancelled. A database that does not answer is asked again."""
        try:
            while True:
                pause = self._tick
                self._freed.clear()
                try:
                    due = await self._outbox.next_due()
                    if due is not None:
                        left = (due - self._clock.now()).total_seconds()
                        if left > 0:
                            pause = min(pause, left)
                        elif await self.begin():
                            continue
                except Exception:
                    log.exception("webhooks could not be read; they are tried again")
                try:
                    async with asyncio.timeout(pause):
                        await self._freed.wait()
                except TimeoutError:
                    pass
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def begin(self) -> int:
        """Begin to deliver what is due and has room; how many."""
        room = MOST - self._busy.total()
        if room <= 0:
            return 0
        now = self._clock.now()
        claimed = await self._outbox.claim(
            now, now + self._claim, self._busy, most=room, most_each=MOST_EACH
        )
        for delivery in claimed:
            self._busy[delivery.endpoint_id] += 1
            task = asyncio.create_task(self.deliver(delivery), name=f"webhook {delivery.event_id}")
            self._under_way.add(task)
            task.add_done_callback(self._done(delivery.endpoint_id))
        return len(claimed)

    def _done(self, endpoint_id: str) -> Callable[[asyncio.Task[None]], None]:
        def done(task: asyncio.Task[None]) -> None:
            self._under_way.discard(task)
            self._busy[endpoint_id] -= 1
            if not self._busy[endpoint_id]:
                del self._busy[endpoint_id]
            self._freed.set()
            if not task.cancelled() and (error := task.exception()) is not None:
                # The claim runs out, and it is delivered again.
                log.error("the outcome of a webhook was not written down", exc_info=error)

        return done

    async def deliver(self, delivery: Delivery) -> None:
        """Try a delivery that was claimed, once, and write down what came of it."""
        outcome = await self._sender.send(delivery)
        now = self._clock.now()
        if outcome.kind == "delivered":
            await self._outbox.delivered(delivery)
            return
        if outcome.kind == "hopeless":
            await self._outbox.disable(delivery, now, outcome.detail)
            return
        wait = webhooks.wait(delivery.attempts + 1, self._chance())
        log.info(
            "webhook %s (%s) did not reach endpoint %s: %s; %s",
            delivery.event_id,
            delivery.data["type"],
            delivery.endpoint_id,
            outcome.detail,
            "given up" if wait is None else f"tried again in {wait:.0f} s",
        )
        again_at = None if wait is None else now + timedelta(seconds=wait)
        await self._outbox.failed(delivery, now, again_at)
