"""Server-sent events: a cursor over a session's log and a wake-up (spec 1.11).

A stream holds no events of its own. It reads the log from its cursor, sends what it finds, and
waits to be told that the log grew; so memory stays bounded however slow the client is, and a
client that comes back with ``Last-Event-ID`` goes on exactly where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from freehold.ports.dispatcher import Preview, Subscription

HEARTBEAT_SECONDS = 15.0
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
BATCH = 100
"""Events read at a time; what a slow client's stream holds in memory at most."""

LAST_TYPE = "session.deleted"
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-store"),
    (b"x-accel-buffering", b"no"),
]


class StreamedEvent(Protocol):
    """What a stream sends: the JSON ``body`` of a public event at ``seq`` in the log."""

    @property
    def seq(self) -> int:
        """Its place in the log."""
        ...

    @property
    def type(self) -> str:
        """Its type."""
        ...

    @property
    def body(self) -> bytes:
        """Its JSON, on one line."""
        ...


ReadSince = Callable[[int, int], Awaitable[Sequence[StreamedEvent]]]
"""Events after a ``seq``, at most so many."""


class Streams:
    """The streams that are open now, so that a server that stops can end them at once."""

    def __init__(self) -> None:
        self._guards: set[asyncio.Timeout] = set()
        self.closed = False

    def close(self) -> None:
        """End every stream; new ones end as soon as they have said what is there.

        Call it in the server's event loop when it is told to stop: a web server waits for its
        connections, and a stream would outlive it.
        """
        self.closed = True
        for guard in self._guards:
            guard.reschedule(asyncio.get_running_loop().time())

    async def wait(self, subscription: Subscription, after: int) -> int:
        """Wait for the log to grow past ``after``, for the heartbeat, or for the end."""
        if self.closed:
            return after
        try:
            async with asyncio.timeout(None) as guard:
                self._guards.add(guard)
                try:
                    return await subscription.wait(after, timeout=HEARTBEAT_SECONDS)
                finally:
                    self._guards.discard(guard)
        except TimeoutError:
            return after

    def __len__(self) -> int:
        return len(self._guards)


def frame(event: StreamedEvent) -> bytes:
    """One event as a frame. The name is one that every SDK takes, the id its place in the log."""
    return b"id: %d\nevent: message\ndata: %b\n\n" % (event.seq, event.body)


def preview_frame(preview: Preview) -> bytes:
    """A preview as a frame (spec 6.9). It has no id: it is not in the log to be resumed at."""
    shown: dict[str, object]
    if preview.text is None:
        shown = {"type": "event_start", "event": {"type": preview.kind, "id": preview.event_id}}
    else:
        shown = {
            "type": "event_delta",
            "event_id": preview.event_id,
            "delta": {
                "type": "content_delta",
                "index": preview.index,
                "content": {"type": "text", "text": preview.text},
            },
        }
    return b"event: message\ndata: %b\n\n" % orjson.dumps(shown)


def interleave(
    events: Sequence[StreamedEvent], previews: Sequence[Preview], *, reached: int
) -> tuple[list[bytes], list[Preview]]:
    """The frames of both in the order of the log, and the previews whose turn has not come.

    ``reached`` is the place in the log up to which everything was sent, once ``events`` are. A
    preview may be newer than what was read: it waits for the events that come before it.
    """
    frames: list[bytes] = []
    waiting = list(previews)
    for event in events:
        while waiting and waiting[0].after < event.seq:
            frames.append(preview_frame(waiting.pop(0)))
        frames.append(frame(event))
    while waiting and waiting[0].after <= reached:
        frames.append(preview_frame(waiting.pop(0)))
    return frames, waiting


class EventStream(Response):
    """The response of a stream; sends its headers before it has anything to say."""

    media_type = "text/event-stream"

    def __init__(
        self, *, streams: Streams, subscription: Subscription, read: ReadSince, after: int
    ) -> None:
        super().__init__()
        self._streams = streams
        self._subscription = subscription
        self._read = read
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the session is deleted, the client leaves or the server stops."""
        sender = asyncio.current_task()
        watcher = asyncio.ensure_future(_disconnected(receive))
        left = False

        def leave(done: asyncio.Future[None]) -> None:
            nonlocal left
            if sender is None or done.cancelled():
                return
            done.exception()  # whatever it was, the client cannot be heard any more
            left = True
            sender.cancel()

        watcher.add_done_callback(leave)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": b"", "more_body": True})
            await self._stream(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except asyncio.CancelledError:
            if not left or sender is None or sender.uncancel() > 0:
                raise
        except OSError:
            pass  # the client is gone; some servers say so this way
        finally:
            watcher.remove_done_callback(leave)
            watcher.cancel()
            self._subscription.close()

    async def _stream(self, send: Send) -> None:
        cursor = heard = self._after
        grown = True
        previews: list[Preview] = []
        while True:
            events = await self._read(cursor, BATCH) if grown else ()
            complete = len(events) < BATCH
            # Taken after the read: nothing of an event that was read is shown later.
            previews += self._subscription.take()
            cursor = events[-1].seq if events else cursor
            if complete:
                # Nothing public lies between here and what was heard of before the read.
                cursor = max(cursor, heard)
            frames, previews = interleave(events, previews, reached=cursor)
            if frames:
                await send(_piece(b"".join(frames)))
            if events and events[-1].type == LAST_TYPE:
                return
            if not complete:
                continue
            if self._streams.closed:
                return
            heard = await self._streams.wait(self._subscription, cursor)
            grown = heard > cursor
            if not grown and not self._streams.closed:
                previews += self._subscription.take()
                if not previews:
                    await send(_piece(PING))


def _piece(body: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
