"""One long-lived stream to a process inside: Docker's hijacked connection as asyncio streams.

The SDK's own raw socket loses what the engine sends together with its response header, and
blocks. So this speaks the few lines of HTTP itself and takes Docker's framing apart (an 8-byte
header before each piece of standard output or standard error) as bytes come in, with the flow
control of asyncio's streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from freehold.errors import SandboxUnavailable

READ_LIMIT = 1 << 20
"""Bytes a reader holds before the engine is asked to wait (twice this much at most)."""

_FRAME_HEADER = 8
_STDOUT, _STDERR = 1, 2
_STDERR_KEPT = 2000
_SWITCHED = frozenset({101, 200})


@dataclass(frozen=True)
class Endpoint:
    """Where the engine listens."""

    kind: Literal["unix", "tcp"]
    address: str
    """Path of the socket, or the host's name."""
    port: int = 0
    tls_folder: Path | None = None
    """Folder with ``ca.pem``, ``cert.pem``, ``key.pem``: speak TLS with these."""

    @classmethod
    def parse(cls, host: str, *, tls_folder: Path | None = None) -> Endpoint:
        """Read a ``DOCKER_HOST`` value.

        Raises:
            SandboxUnavailable: of a kind that carries no streams for us (``ssh``, ``npipe``).
        """
        parts = urlsplit(host)
        if parts.scheme == "unix":
            return cls("unix", parts.path or "/var/run/docker.sock")
        if parts.scheme in {"tcp", "http", "https"} and parts.hostname:
            secure = tls_folder is not None or parts.scheme == "https"
            port = parts.port or (2376 if secure else 2375)
            return cls("tcp", parts.hostname, port, tls_folder)
        raise SandboxUnavailable(
            f"DOCKER_HOST={host}: Freehold speaks to an engine by unix:// or tcp://. For an engine "
            "behind SSH, forward its socket: `ssh -L /tmp/docker.sock:/var/run/docker.sock HOST`, "
            "then DOCKER_HOST=unix:///tmp/docker.sock."
        )


class ExecStream:
    """The two ends of a process's standard input and output."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, demux: Demultiplexer
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._demux = demux

    @property
    def stderr(self) -> str:
        """The last characters the process wrote to standard error."""
        return bytes(self._demux.stderr).decode(errors="replace").strip()

    async def close(self) -> None:
        """Drop the connection; the process reads end of file."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Demultiplexer(asyncio.StreamReaderProtocol):
    """Reads the engine's HTTP answer, then frames; feeds standard output to the reader."""

    def __init__(self, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reader, loop=loop)
        self.switched: asyncio.Future[None] = loop.create_future()
        self.stderr = bytearray()
        self._reader = reader
        self._pending = bytearray()
        self._streaming = False
        self._kind = _STDOUT
        self._left = 0

    def data_received(self, data: bytes) -> None:
        """Take bytes from the engine."""
        if not self._streaming:
            self._pending += data
            data = self._take_answer()
        if data and self._streaming:
            self._take_frames(memoryview(data))

    def eof_received(self) -> bool | None:
        """The engine sends no more: the process ended, or there was no answer at all."""
        self._hung_up()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._hung_up()
        super().connection_lost(exc)

    def _hung_up(self) -> None:
        if not self.switched.done():
            self.switched.set_exception(ConnectionResetError("the engine closed the connection"))

    def _take_answer(self) -> bytes:
        """Read the HTTP answer; what follows it is the first of the stream."""
        header, found, rest = bytes(self._pending).partition(b"\r\n\r\n")
        if not found or self.switched.done():
            return b""
        status_line, *lines = header.decode("latin-1").split("\r\n")
        fields = status_line.split(" ", 2)
        status = int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else 0
        if status in _SWITCHED:
            self._pending.clear()
            self._streaming = True
            self.switched.set_result(None)
            return rest
        length = 0
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip().lower() == "content-length" and value.strip().isdigit():
                length = int(value)
        if len(rest) >= length:
            self.switched.set_exception(EngineRefusal(status, _message(rest)))
        return b""

    def _take_frames(self, data: memoryview) -> None:
        position, end = 0, len(data)
        while position < end:
            if self._left == 0:
                wanted = _FRAME_HEADER - len(self._pending)
                self._pending += data[position : position + wanted]
                position += wanted
                if len(self._pending) < _FRAME_HEADER:
                    return
                self._kind = self._pending[0]
                self._left = int.from_bytes(self._pending[4:], "big")
                self._pending.clear()
                continue
            piece = data[position : position + self._left]
            position += len(piece)
            self._left -= len(piece)
            if self._kind == _STDOUT:
                self._reader.feed_data(piece)
            elif self._kind == _STDERR:
                self.stderr += piece
                del self.stderr[:-_STDERR_KEPT]


class EngineRefusal(Exception):
    """The engine answered a request for a stream with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message or f"status {status}")
        self.status = status


async def open_exec(endpoint: Endpoint, exec_id: str, *, api_version: str) -> ExecStream:
    """Start a prepared exec (no TTY) and hold on to its standard streams.

    Raises:
        EngineRefusal: the engine would not, and says why.
        OSError: the engine cannot be reached, or hung up.
    """
    body = json.dumps({"Detach": False, "Tty": False}).encode()
    return await _open(endpoint, f"/v{api_version}/exec/{exec_id}/start", body)


async def open_attach(endpoint: Endpoint, container: str, *, api_version: str) -> ExecStream:
    """Hold on to the standard streams of a container's main process; it need not run yet.

    Raises:
        EngineRefusal: the engine would not, and says why.
        OSError: the engine cannot be reached, or hung up.
    """
    path = f"/v{api_version}/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1"
    return await _open(endpoint, path, b"")


async def _open(endpoint: Endpoint, path: str, body: bytes) -> ExecStream:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=READ_LIMIT, loop=loop)

    def factory() -> Demultiplexer:
        return Demultiplexer(reader, loop)

    transport: asyncio.Transport
    demux: Demultiplexer
    if endpoint.kind == "unix":
        transport, demux = await loop.create_unix_connection(factory, endpoint.address)
    else:
        transport, demux = await loop.create_connection(
            factory, endpoint.address, endpoint.port, ssl=_tls(endpoint)
        )
    try:
        transport.write(_request(path, body))
        await demux.switched
    except BaseException:
        transport.abort()
        raise
    writer = asyncio.StreamWriter(transport, demux, reader, loop)
    return ExecStream(reader, writer, demux)


def _request(path: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _message(body: bytes) -> str:
    try:
        answer: Any = json.loads(body)
        return str(answer["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()


def _tls(endpoint: Endpoint) -> ssl.SSLContext | None:
    if endpoint.tls_folder is None:
        return None
    context = ssl.create_default_context(cafile=str(endpoint.tls_folder / "ca.pem"))
    context.load_cert_chain(endpoint.tls_folder / "cert.pem", endpoint.tls_folder / "key.pem")
    return context
