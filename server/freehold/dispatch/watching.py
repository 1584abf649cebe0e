"""Acting at times that stand in a table, which other servers write to as well."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from freehold.ports.clock import Clock

TICK = 1.0
"""Seconds between two looks at the table at most."""
_SHORTEST = 0.005
"""Seconds between two rounds, also while there is something due all the time."""


async def watch(
    next_due: Callable[[], Awaitable[datetime | None]],
    fire: Callable[[], Awaitable[object]],
    *,
    clock: Clock,
    tick: float,
    log: logging.Logger,
    what: str,
) -> None:
    """Do what is due, round after round, until cancelled.

    Args:
        next_due: The earliest time there is.
        fire: Does what is due.
        clock: Tells when that is.
        tick: Seconds between two looks at most.
        log: Told of what fails; it is tried again.
        what: What the times are of, for that.
    """
    while True:
        pause = tick
        try:
            upcoming = await next_due()
            if upcoming is not None:
                left = (upcoming - clock.now()).total_seconds()
                if left <= 0:
                    await fire()
                pause = min(tick, max(_SHORTEST, left))
        except Exception:
            log.exception("%s could not be read; they are tried again", what)
        await asyncio.sleep(pause)
