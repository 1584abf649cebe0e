"""One stream to a toolbox, and which reply on it answers which request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

import orjson

from freehold.core.events import Json

ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of one answer; a toolbox that sends a longer one is cut off, or a sandbox that an agent has
taken over could fill the server's memory."""

PULSE = 20.0
"""Seconds of silence after which a toolbox that owes an answer is asked for a sign of life."""

SILENCE = 60.0
"""Seconds of silence after which it is taken for gone: an agent may have stopped it."""

_READ = 256 * 1024


class Reader(Protocol):
    """The half of :class:`asyncio.StreamReader` that the channel uses."""

    async def read(self, n: int = -1, /) -> bytes:
        """Up to ``n`` bytes; none at the end of the stream."""
        ...


class Writer(Protocol):
    """The half of :class:`asyncio.StreamWriter` that the channel uses."""

    def write(self, data: bytes, /) -> None:
        """Queue bytes."""
        ...

    async def drain(self) -> None:
        """Wait until the queue is short again."""
        ...


class Stream(NamedTuple):
    """One connection to a toolbox."""

    reader: Reader
    writer: Writer
    close: Callable[[], Awaitable[None]]
    """Ends the connection; the toolbox goes on."""


Connect = Callable[[], Awaitable[Stream]]
"""Gets a new stream. Raises ``OSError`` or ``SandboxError`` when the toolbox cannot be reached."""


class StreamBroke(Exception):
    """The stream ended while a reply was awaited."""


class Connection:
    """A stream in use: matches replies to requests."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._next_rid = 1
        self.open = True
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._reading = self._loop.create_task(self._read())
        self._listening: asyncio.Task[None] | None = None

    async def request(self, frame: Json) -> Json:
        """The whole reply frame.

        Raises:
            StreamBroke: the stream ended first.
        """
        if not self.open:
            raise StreamBroke
        rid = self._new_rid()
        reply: asyncio.Future[Json] = self._loop.create_future()
        self._waiting[rid] = reply
        if self._listening is None:
            self._heard = self._loop.time()
            self._listening = self._loop.create_task(self._listen())
        try:
            self._stream.writer.write(orjson.dumps({"rid": rid, **frame}) + b"\n")
            await self._stream.writer.drain()
            return await reply
        except OSError as error:
            self._break()
            raise StreamBroke from error
        finally:
            self._waiting.pop(rid, None)

    async def close(self) -> None:
        """End the stream; open requests see it break."""
        self._break()
        for task in (self._reading, self._listening):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        with contextlib.suppress(OSError):
            await self._stream.close()

    async def _read(self) -> None:
        pending = bytearray()
        try:
            while data := await self._stream.reader.read(_READ):
                self._heard = self._loop.time()
                searched = len(pending)
                pending += data
                while (end := pending.find(b"\n", searched)) >= 0:
                    if not self._take(orjson.loads(memoryview(pending)[:end])):
                        return
                    del pending[: end + 1]
                    searched = 0
                if len(pending) > ANSWER_LIMIT:
                    return
        except (OSError, EOFError, orjson.JSONDecodeError):
            # A peer that sends what is not a frame is as good as gone.
            pass
        finally:
            self._break()

    async def _listen(self) -> None:
        """While answers are awaited, see to it that there is somebody who could give them."""
        try:
            while self._waiting:
                await asyncio.sleep(PULSE)
                silent = self._loop.time() - self._heard
                if silent >= SILENCE:
                    self._break()
                    return
                if silent >= PULSE:
                    # The answer says nothing, but it is heard.
                    ping = {"rid": self._new_rid(), "op": "ping"}
                    self._stream.writer.write(orjson.dumps(ping) + b"\n")
        except OSError:
            self._break()
        finally:
            self._listening = None

    def _new_rid(self) -> int:
        self._next_rid += 1
        return self._next_rid

    def _take(self, frame: object) -> bool:
        """Hand a reply to who waits for it; false: it is none."""
        if not isinstance(frame, dict):
            return False
        rid = frame.get("rid")
        reply = self._waiting.get(rid) if isinstance(rid, int) else None
        if reply is not None and not reply.done():
            reply.set_result(frame)
        return True

    def _break(self) -> None:
        self.open = False
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(StreamBroke())
