"""Connections that the gate passes on unopened: those of sandboxes with unrestricted networking.

They go to the very address that the sandbox chose, after a look at it. What is in them is nobody's
business.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

CONNECT_SECONDS = 20.0
_BUFFER = 256 * 1024
"""Bytes of one direction that wait at most twice this."""


async def relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
) -> None:
    """Connect to an address and pass bytes both ways, to the end of both.

    A connection that cannot be made ends as one that nobody serves: with a reset. The loop's own
    look-ups refuse addresses that are inside.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            there_reader, there = await asyncio.open_connection(host, port, limit=_BUFFER)
    except OSError:
        reset(writer)
        return
    for one in (writer, there):
        _prepare(one)
    broken = False
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(reader, there))
            both.create_task(_pump(there_reader, writer))
    except* OSError:
        broken = True
    finally:
        if broken:
            reset(writer)
            reset(there)
        else:
            writer.close()
            there.close()


def reset(writer: asyncio.StreamWriter) -> None:
    """End with a reset, as a port that nobody serves does."""
    line: Any = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


def _prepare(writer: asyncio.StreamWriter) -> None:
    line: Any = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        # A host that vanished is noticed one day, though nobody sends anything.
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    writer.transport.set_write_buffer_limits(high=_BUFFER)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(_BUFFER):
        sink.write(data)
        await sink.drain()
    # What is gone needs no end, and some transports cannot be ended one way.
    with contextlib.suppress(OSError, NotImplementedError):
        sink.write_eof()
