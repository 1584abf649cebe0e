"""Who listens to a session hears that its log grew, and reads the log for what is new."""

from __future__ import annotations

import asyncio


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

    def subscribe(self, session_id: str) -> InProcessSubscription:
        """Start to listen. What is published from now on wakes the subscription."""
        topic = self._topics.setdefault(session_id, _Topic())
        topic.listeners += 1
        return InProcessSubscription(self, session_id, topic)

    def _leave(self, session_id: str, topic: _Topic) -> None:
        topic.listeners -= 1
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


class InProcessSubscription:
    """One listener of one session (:class:`ports.dispatcher.Subscription`)."""

    def __init__(self, fanout: InProcessFanout, session_id: str, topic: _Topic) -> None:
        self._fanout = fanout
        self._session_id = session_id
        self._topic = topic
        self._closed = False

    async def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the newest ``seq`` heard of as soon as it exceeds ``after``.

        Returns the newest known value, which may be ``after`` or less, when ``timeout`` seconds
        pass first.

        Raises:
            RuntimeError: the subscription is closed.
        """
        if self._closed:
            raise RuntimeError("the subscription is closed")
        topic = self._topic
        try:
            async with asyncio.timeout(timeout):
                while topic.newest <= after:
                    await topic.bell.wait()
        except TimeoutError:
            pass
        return topic.newest

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._fanout._leave(self._session_id, self._topic)
