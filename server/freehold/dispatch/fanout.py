"""Who listens to a session hears that its log grew, and reads the log for what is new."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from freehold.ports.dispatcher import Preview, PreviewKind

PENDING_CHARACTERS = 65_536
"""Preview text that waits for one listener at most; beyond it the event's rest is not shown."""


class InProcessFanout:
    """Within one event loop (:class:`ports.dispatcher.Fanout`).

    A session that nobody listens to costs nothing, and a listener costs one number: however far
    it falls behind, nothing piles up for it.
    """

    def __init__(self) -> None:
        self._topics: dict[str, _Topic] = {}

    def publish(self, session_id: str, seq: int) -> None:
        """The log of ``session_id`` now ends at ``seq``. Coalesced; never blocks."""
        topic = self._topics.get(session_id)
        if topic is not None and seq > topic.newest:
            topic.newest = seq
            topic.ring()

    def preview(self, session_id: str, preview: Preview) -> None:
        """Show a piece of an event to those who asked for its kind. Never blocks."""
        topic = self._topics.get(session_id)
        if topic is None:
            return
        for screen in topic.screens:
            if screen.show(preview):
                topic.ring()

    def subscribe(
        self, session_id: str, previews: frozenset[PreviewKind] = frozenset()
    ) -> InProcessSubscription:
        """Start to listen. What is published from now on wakes the subscription."""
        topic = self._topics.setdefault(session_id, _Topic())
        topic.listeners += 1
        screen = PreviewScreen(previews) if previews else None
        if screen is not None:
            topic.screens.append(screen)
        return InProcessSubscription(self, session_id, topic, screen)

    def _leave(self, session_id: str, topic: _Topic, screen: PreviewScreen | None) -> None:
        topic.listeners -= 1
        if screen is not None:
            topic.screens.remove(screen)
        if not topic.listeners:
            del self._topics[session_id]

    def __len__(self) -> int:
        """How many sessions are listened to."""
        return len(self._topics)


class _Topic:
    """One session: the newest seq, and a bell for all who listen."""

    def __init__(self) -> None:
        self.newest = 0
        self.listeners = 0
        self.bell = asyncio.Event()
        self.screens: list[PreviewScreen] = []
        self._ringing = False

    def ring(self) -> None:
        """Wake all listeners in the loop's next round, once however often this is called."""
        if not self._ringing:
            self._ringing = True
            asyncio.get_running_loop().call_soon(self._rung)

    def _rung(self) -> None:
        self._ringing = False
        bell, self.bell = self.bell, asyncio.Event()
        bell.set()


class PreviewScreen:
    """What one listener has yet to be shown of events in the making; bounded.

    An event that a listener has not been shown the start of is not shown to it at all, and once
    a piece had to be dropped neither is the rest: what it sees is always a prefix.
    """

    def __init__(self, kinds: frozenset[PreviewKind]) -> None:
        self._kinds = kinds
        self._waiting: list[Preview] = []
        self._characters = 0
        self._current: str | None = None
        self.shown = 0
        self.shed = 0

    def show(self, preview: Preview) -> bool:
        """Take a piece in, if it is wanted and there is room; whether it was taken."""
        if preview.kind not in self._kinds:
            return False
        if preview.kind == "agent.thinking":
            pass  # a start and no more; a message may go on after it
        elif preview.text is None:
            self._current = preview.event_id
        elif preview.event_id != self._current:
            self.shed += 1
            return False
        elif self._characters + len(preview.text) > PENDING_CHARACTERS:
            self._current = None
            self.shed += 1
            return False
        self.shown += 1
        self._characters += len(preview.text or "")
        last = self._waiting[-1] if self._waiting else None
        if last is not None and preview.text is not None and _continues(last, preview):
            self._waiting[-1] = replace(last, text=f"{last.text}{preview.text}")
        else:
            self._waiting.append(preview)
        return True

    def take(self) -> list[Preview]:
        """What waits; nothing waits afterwards."""
        waiting, self._waiting, self._characters = self._waiting, [], 0
        return waiting

    def __bool__(self) -> bool:
        return bool(self._waiting)


def _continues(last: Preview, following: Preview) -> bool:
    return (last.event_id, last.index) == (following.event_id, following.index) and (
        last.text is not None
    )


class InProcessSubscription:
    """One listener of one session (:class:`ports.dispatcher.Subscription`)."""

    def __init__(
        self,
        fanout: InProcessFanout,
        session_id: str,
        topic: _Topic,
        screen: PreviewScreen | None = None,
    ) -> None:
        self._screen = screen
        self._fanout = fanout
        self._session_id = session_id
        self._topic = topic
        self._closed = False

    async def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the newest ``seq`` heard of as soon as it exceeds ``after``.

        Returns the newest known value, which may be ``after`` or less, when ``timeout`` seconds
        pass first or previews wait to be taken.

        Raises:
            RuntimeError: the subscription is closed.
        """
        if self._closed:
            raise RuntimeError("the subscription is closed")
        topic = self._topic
        try:
            async with asyncio.timeout(timeout):
                while topic.newest <= after and not self._screen:
                    await topic.bell.wait()
        except TimeoutError:
            pass
        return topic.newest

    def take(self) -> list[Preview]:
        """The previews that came since the last call, oldest first."""
        return self._screen.take() if self._screen is not None else []

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._fanout._leave(self._session_id, self._topic, self._screen)
