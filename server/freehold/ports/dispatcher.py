"""Waking is someone else's engine: two methods, one durable promise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from freehold.ports.log import Transaction

Handler = Callable[[str], Awaitable[None]]
"""Runs a session until it has nothing left to do; given the session's id."""


class Dispatcher(Protocol):
    """Level-triggered wake-ups: at most one running and one waiting per session."""

    async def wake(self, session_id: str, tx: Transaction) -> None:
        """Have the handler run for this session once ``tx`` has committed.

        A wake during a run is not lost: the handler runs again after it.
        """
        ...

    async def serve(self, handler: Handler) -> None:
        """Run wake-ups until cancelled, after waking every unfinished session."""
        ...


class Fanout(Protocol):
    """Tells whoever waits that a session's log grew. Carries no events."""

    def publish(self, session_id: str, seq: int) -> None:
        """The log of ``session_id`` now ends at ``seq``. Coalesced; never blocks."""
        ...

    def subscribe(self, session_id: str) -> Subscription:
        """Start to listen. What is published from now on wakes the subscription."""
        ...


class Subscription(Protocol):
    """One listener of one session."""

    async def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the newest ``seq`` heard of as soon as it exceeds ``after``.

        Returns the newest known value, which may be ``after`` or less, when ``timeout`` seconds
        pass first.
        """
        ...

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        ...
