"""The stream against a hand-made log: order, gaps, heartbeats and ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from freehold.api import sse
from freehold.api.sse import EventStream, Streams
from freehold.ports.dispatcher import Preview


@dataclass(frozen=True)
class Event:
    seq: int
    type: str = "agent.message"

    @property
    def body(self) -> bytes:
        return b'{"seq":%d}' % self.seq


@dataclass
class Wakes:
    """A subscription that hears what the test says; ``None`` is a heartbeat."""

    heard: list[int | None]
    waited: list[int] = field(default_factory=list)
    closed: bool = False
    previews: list[list[Preview]] = field(default_factory=list)

    async def wait(self, after: int, timeout: float | None = None) -> int:
        self.waited.append(after)
        if not self.heard:
            await asyncio.Event().wait()
        value = self.heard.pop(0)
        return after if value is None else value

    def take(self) -> list[Preview]:
        return self.previews.pop(0) if self.previews else []

    def close(self) -> None:
        self.closed = True


class Client:
    """The other end: collects frames, and hangs up once it has ``enough``."""

    def __init__(self, enough: int | None = None) -> None:
        self.parts: list[bytes] = []
        self.messages: list[dict[str, Any]] = []
        self._enough = enough
        self._gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.messages.append(message)
        if part := message.get("body"):
            self.parts.append(part)
        if self._enough is not None and len(self.parts) >= self._enough:
            self._gone.set()
            await asyncio.sleep(0)

    @property
    def frames(self) -> list[bytes]:
        return [frame + b"\n\n" for frame in b"".join(self.parts).split(b"\n\n") if frame]


async def run(
    log: list[Event], wakes: Wakes, client: Client, after: int = 0, streams: Streams | None = None
) -> None:
    async def read(seq: int, limit: int) -> list[Event]:
        return [event for event in log if event.seq > seq][:limit]

    stream = EventStream(
        streams=Streams() if streams is None else streams,
        subscription=wakes,
        read=read,
        after=after,
    )
    await asyncio.wait_for(stream({}, client.receive, client.send), 10)  # type: ignore[arg-type]


async def test_headers_come_before_there_is_anything_to_say() -> None:
    client = Client()
    task = asyncio.create_task(run([], Wakes([]), client))
    while len(client.messages) < 2:
        await asyncio.sleep(0)
    assert client.messages[0]["status"] == 200
    assert (b"content-type", b"text/event-stream; charset=utf-8") in client.messages[0]["headers"]
    assert client.messages[1] == {"type": "http.response.body", "body": b"", "more_body": True}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_long_log_comes_in_batches_and_in_order() -> None:
    log = [Event(seq) for seq in range(1, 2 * sse.BATCH + 6)] + [Event(999, "session.deleted")]
    client = Client()
    wakes = Wakes([])
    await run(log, wakes, client, after=3)
    assert client.frames == [sse.frame(event) for event in log[3:]]
    assert max(part.count(b"\n\n") for part in client.parts) == sse.BATCH
    assert client.messages[-1]["more_body"] is False
    assert wakes.closed


async def test_a_batch_that_is_just_full_is_not_the_end() -> None:
    log = [Event(seq) for seq in range(1, sse.BATCH)] + [Event(sse.BATCH, "session.deleted")]
    client = Client()
    await run(log, Wakes([]), client)
    assert len(client.frames) == sse.BATCH


async def test_private_records_do_not_make_it_spin() -> None:
    """The log grew and nothing of it is to be shown: the cursor goes on past it."""
    client = Client(enough=1)
    wakes = Wakes([5, 9, None])
    await run([], wakes, client, after=3)
    assert wakes.waited[:3] == [3, 5, 9]
    assert client.frames == [sse.PING]


async def test_a_wake_up_before_the_read_loses_nothing() -> None:
    """It hears of 5 while its read finds up to 7; 7 is not sent twice, 8 is not missed."""
    log: list[Event] = []

    class Growing(Wakes):
        async def wait(self, after: int, timeout: float | None = None) -> int:
            if not log:
                log.extend([Event(5), Event(7)])
            elif len(log) == 2:
                log.append(Event(8, "session.deleted"))
            return await super().wait(after, timeout)

    client = Client()
    wakes = Growing([5, 8])
    await run(log, wakes, client, after=3)
    assert wakes.waited == [3, 7]
    assert client.frames == [sse.frame(event) for event in log]


async def test_previews_stand_between_the_records_they_were_made_between() -> None:
    """A piece made after record 2 is shown after it and before record 3, however late it came."""
    begun = Preview(2, "sevt_a", "agent.message")
    piece = Preview(2, "sevt_a", "agent.message", 0, "hi")
    last = Preview(9, "sevt_b", "agent.message")
    log = [Event(1), Event(2), Event(3), Event(9)]
    frames, waiting = sse.interleave(log[:3], [begun, piece, last], reached=3)
    shown = [sse.frame(log[0]), sse.frame(log[1])]
    shown += [sse.preview_frame(begun), sse.preview_frame(piece), sse.frame(log[2])]
    assert frames == shown
    assert waiting == [last]
    frames, waiting = sse.interleave(log[3:], waiting, reached=9)
    assert frames == [sse.frame(log[3]), sse.preview_frame(last)]
    assert waiting == []


async def test_a_preview_does_not_overtake_the_events_before_it() -> None:
    """It came while the log was being read: what it follows is not in what was read."""
    log = [Event(1)]
    preview = Preview(3, "sevt_m", "agent.message")

    class Meanwhile(Wakes):
        def take(self) -> list[Preview]:
            if len(log) == 1:
                log.extend([Event(2), Event(3), Event(4), Event(5, "session.deleted")])
                return [preview]
            return []

    client = Client()
    await run(log, Meanwhile([5]), client)
    events = [sse.frame(event) for event in log]
    assert client.frames == [*events[:3], sse.preview_frame(preview), *events[3:]]


async def test_previews_are_sent_when_the_log_did_not_grow() -> None:
    """A preview wakes the stream; it is not taken for silence, and the cursor stays."""
    piece = Preview(3, "sevt_a", "agent.message", 0, "hi")
    client = Client(enough=1)
    wakes = Wakes([None], previews=[[], [piece]])
    await run([], wakes, client, after=3)
    assert client.frames == [sse.preview_frame(piece)]
    assert wakes.waited == [3, 3]


async def test_a_client_that_leaves_ends_it() -> None:
    client = Client(enough=1)
    wakes = Wakes([None, None])
    streams = Streams()
    await run([], wakes, client, streams=streams)
    assert wakes.closed
    assert len(streams) == 0


async def test_being_cancelled_is_not_a_client_that_leaves() -> None:
    client = Client()
    wakes = Wakes([])
    task = asyncio.create_task(run([], wakes, client))
    while not wakes.waited:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert wakes.closed


async def test_closing_ends_those_that_wait_and_those_to_come() -> None:
    streams = Streams()
    clients = [Client() for _ in range(3)]
    tasks = [asyncio.create_task(run([], Wakes([]), one, streams=streams)) for one in clients]
    while len(streams) < 3:
        await asyncio.sleep(0)
    streams.close()
    await asyncio.gather(*tasks)
    late = Client()
    await run([Event(1)], Wakes([]), late, streams=streams)
    for client in (*clients, late):
        assert client.messages[-1] == {
            "type": "http.response.body",
            "body": b"",
            "more_body": False,
        }
    assert late.frames == [sse.frame(Event(1))]


async def test_a_broken_pipe_is_a_client_that_left() -> None:
    class Broken(Client):
        async def send(self, message: Any) -> None:
            if message.get("body"):
                raise BrokenPipeError

    wakes = Wakes([])
    await run([Event(1)], wakes, Broken())
    assert wakes.closed
