"""Waking is someone else's engine: two methods, one durable promise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

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


PreviewKind = Literal["agent.message", "agent.thinking"]


@dataclass(frozen=True)
class Preview:
    """A piece of an event that is still being made (spec 6.9). Best effort, never in the log.

    The first of an event has no text and stands for its start; the others are text of the
    content block ``index``. ``after`` is where the log ended when the event began: what is
    shown of it comes after that record and before the next one.
    """

    after: int
    event_id: str
    kind: PreviewKind
    index: int = 0
    text: str | None = None


class Fanout(Protocol):
    """Tells whoever waits that a session's log grew. Carries no events but previews of them."""

    def publish(self, session_id: str, seq: int) -> None:
        """The log of ``session_id`` now ends at ``seq``. Coalesced; never blocks."""
        ...

    def preview(self, session_id: str, preview: Preview) -> None:
        """Show a piece of an event to those who asked for its kind. Never blocks.

        Who cannot keep up gets pieces joined together, and in the end none.
        """
        ...

    def subscribe(
        self, session_id: str, previews: frozenset[PreviewKind] = frozenset()
    ) -> Subscription:
        """Start to listen. What is published from now on wakes the subscription."""
        ...


class Subscription(Protocol):
    """One listener of one session."""

    async def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the newest ``seq`` heard of as soon as it exceeds ``after``.

        Returns the newest known value, which may be ``after`` or less, when ``timeout`` seconds
        pass first or previews wait to be taken.
        """
        ...

    def take(self) -> list[Preview]:
        """The previews that came since the last call, oldest first."""
        ...

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        ...
