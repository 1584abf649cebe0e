"""The stream into a container, against an engine of a few lines: every way bytes may arrive."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.errors import SandboxUnavailable
from freehold.sandbox.docker.transport import (
    READ_LIMIT,
    Demultiplexer,
    Endpoint,
    EngineRefusal,
    open_exec,
)

SWITCHED = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def frame(kind: int, data: bytes) -> bytes:
    """One piece of standard output (1) or standard error (2), as the engine frames it."""
    return bytes([kind, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@contextlib.asynccontextmanager
async def engine(handler: Handler) -> AsyncIterator[Endpoint]:
    """An engine that does what the handler does with the one connection it gets."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await handler(reader, writer)
        writer.close()
        ended.set()

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "docker.sock")
        server = await asyncio.start_unix_server(serve, path, limit=1 << 24)
        async with server:
            yield Endpoint.parse(f"unix://{path}")
            await asyncio.wait_for(ended.wait(), 60)


async def request_of(reader: asyncio.StreamReader) -> tuple[str, dict[str, object]]:
    """The request line and the JSON body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
    return head.split("\r\n")[0], json.loads(await reader.readexactly(length))


async def test_what_comes_with_the_answer_is_part_of_the_stream() -> None:
    seen = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await request_of(reader))
        writer.write(SWITCHED + frame(1, b"first") + frame(2, b"oh"))
        writer.write(frame(1, b"echo " + await reader.readexactly(4)))

    async with engine(handler) as endpoint:
        stream = await open_exec(endpoint, "e1", api_version="1.41")
        stream.writer.write(b"ping")
        assert await stream.reader.read(-1) == b"firstecho ping"
        assert stream.stderr == "oh"
        await stream.close()
    assert seen == [("POST /v1.41/exec/e1/start HTTP/1.1", {"Detach": False, "Tty": False})]


async def test_a_refusal_carries_the_engines_words() -> None:
    body = json.dumps({"message": "Container abc is not running"}).encode()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 409 Conflict\r\nContent-Length: %d\r\n\r\n" % len(body))
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(body)

    async with engine(handler) as endpoint:
        with pytest.raises(EngineRefusal, match="Container abc is not running") as raised:
            await open_exec(endpoint, "e1", api_version="1.41")
    assert raised.value.status == 409


async def test_an_engine_that_hangs_up_is_an_error_of_the_connection() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 101 UPGR")

    async with engine(handler) as endpoint:
        with pytest.raises(ConnectionResetError):
            await open_exec(endpoint, "e1", api_version="1.41")


async def test_a_slow_reader_makes_the_engine_wait() -> None:
    sent = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await request_of(reader)
        writer.write(SWITCHED)
        for _ in range(200):
            writer.write(frame(1, b"x" * 100_000))
            await writer.drain()
            sent += 1

    async with engine(handler) as endpoint:
        stream = await open_exec(endpoint, "e1", api_version="1.41")
        before = -1
        while sent != before:  # Until the engine no longer gets anything out.
            before = sent
            await asyncio.sleep(0.05)
        assert sent < 200
        assert sent * 100_000 < 8 * READ_LIMIT
        assert len(await stream.reader.read(-1)) == 200 * 100_000
        await stream.close()


async def test_tcp_reaches_an_engine_as_well() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(SWITCHED + frame(1, b"hello"))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        stream = await open_exec(Endpoint.parse(f"tcp://127.0.0.1:{port}"), "e", api_version="1.41")
        assert await stream.reader.read(-1) == b"hello"
        await stream.close()


@given(
    pieces=st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=12),
    cuts=st.lists(st.integers(min_value=1, max_value=30), min_size=1, max_size=30),
)
def test_frames_mean_the_same_however_they_are_cut(
    pieces: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    wire = SWITCHED + b"".join(frame(kind, data) for kind, data in pieces)

    async def receive() -> tuple[bytes, bytes]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        demux = Demultiplexer(reader, loop)
        position, turn = 0, 0
        while position < len(wire):
            size = cuts[turn % len(cuts)]
            demux.data_received(wire[position : position + size])
            position, turn = position + size, turn + 1
        reader.feed_eof()
        return await reader.read(-1), bytes(demux.stderr)

    out, err = asyncio.run(receive())
    assert out == b"".join(data for kind, data in pieces if kind == 1)
    assert err == b"".join(data for kind, data in pieces if kind == 2)


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("unix:///run/x.sock", Endpoint("unix", "/run/x.sock")),
        ("tcp://engine:1234", Endpoint("tcp", "engine", 1234)),
        ("tcp://engine", Endpoint("tcp", "engine", 2375)),
        ("tcp://[::1]:1", Endpoint("tcp", "::1", 1)),
    ],
)
def test_docker_host_is_read(host: str, endpoint: Endpoint) -> None:
    assert Endpoint.parse(host) == endpoint


def test_tls_has_its_own_port(tmp_path: Path) -> None:
    assert Endpoint.parse("tcp://engine", tls_folder=tmp_path).port == 2376


@pytest.mark.parametrize("host", ["ssh://user@engine", "npipe:////./pipe/docker", "engine"])
def test_other_addresses_are_refused_with_a_way_out(host: str) -> None:
    with pytest.raises(SandboxUnavailable, match="unix:// or tcp://"):
        Endpoint.parse(host)
