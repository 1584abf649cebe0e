"""Connections that are passed on unopened."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from freehold.gate.passing import relay

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Connect = Callable[[Handler], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@pytest_asyncio.fixture
async def through() -> AsyncIterator[Connect]:
    """Connects to a server with this handler, through a relay."""
    servers: list[asyncio.AbstractServer] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(handler: Any) -> int:
        servers.append(await asyncio.start_server(handler, "127.0.0.1", 0))
        port: int = servers[-1].sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        return port

    async def connect(handler: Handler) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        port = await serve(handler)
        relaying = await serve(lambda reader, writer: relay(reader, writer, "127.0.0.1", port))
        reader, writer = await asyncio.open_connection("127.0.0.1", relaying)
        writers.append(writer)
        return reader, writer

    yield connect
    for writer in writers:
        writer.close()
    for server in servers:
        server.close()


async def test_each_way_to_its_end(through: Connect) -> None:
    sent, answered = secrets.token_bytes(3_000_000), secrets.token_bytes(2_000_000)
    heard = b""

    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard = await reader.read()
        writer.write(answered)
        writer.close()

    reader, writer = await through(answer_at_the_end)
    writer.write(sent)
    writer.write_eof()
    assert await reader.read() == answered
    assert heard == sent


async def test_a_server_that_speaks_first_and_ends_first(through: Connect) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\n")
        writer.close()

    reader, writer = await through(greet)
    assert await reader.read() == b"220 hello\n"
    writer.close()


async def test_a_reset_is_passed_on(through: Connect) -> None:
    async def abort(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    reader, writer = await through(abort)
    writer.write(b"x")
    with pytest.raises(ConnectionResetError):
        # Whether the end or the reset comes first is chance; then the next write finds out.
        while True:
            await reader.read()
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)


async def test_what_nobody_serves_is_reset() -> None:
    async def nowhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await relay(reader, writer, "127.0.0.1", 1)

    server = await asyncio.start_server(nowhere, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    server.close()
