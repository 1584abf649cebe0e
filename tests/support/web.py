"""A small web on loopback: sites that answer as told, and a network that leads there."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

import httpcore2

from freehold.core.addresses import BAD_PORTS, parse_network
from freehold.tls import context
from freehold.web.converting import Converter
from freehold.web.fetch import Fetcher, Limits
from freehold.web.guard import GuardedNetwork

tls = functools.cache(context)
PUBLIC = "93.184.216.34"
LOOPBACK = parse_network("127.0.0.0/8")

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def page(
    body: bytes | str, *headers: str, status: str = "200 OK", kind: str = "text/html"
) -> bytes:
    """A whole answer."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(data)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + data


def moved(location: str, *headers: str, status: str = "302 Found") -> bytes:
    """A redirect."""
    return page("", f"Location: {location}", *headers, status=status)


class Site:
    """A server on 127.0.0.1 that counts who comes and keeps what they ask."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.connections = 0
        self.requests: list[str] = []
        self.port = 0
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with contextlib.suppress(
                ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
            ):
                request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.requests.append(request)
                answer = self.answers.get(request.split(" ")[1], page("no", status="404 Not Found"))
                if isinstance(answer, bytes):
                    writer.write(answer)
                else:
                    await answer(writer)
                await writer.drain()
        finally:
            self._serving.discard(task)
            writer.close()

    async def end(self) -> None:
        """Let go of whoever is still being served."""
        tasks = list(self._serving)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def header(self, name: str, request: int = -1) -> str | None:
        """A header of what was asked; ``None`` if it was not sent."""
        for line in self.requests[request].split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return None


@contextlib.asynccontextmanager
async def site(
    answers: dict[str, Answer] | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Site]:
    """A site for as long as the block lasts, over TLS if it is given a context."""
    made = Site(answers or {})
    while True:
        server = await asyncio.start_server(made._serve, "127.0.0.1", 0, ssl=tls)
        made.port = server.sockets[0].getsockname()[1]
        if made.port not in BAD_PORTS:
            break
        server.close()
    try:
        yield made
    finally:
        server.close()
        await made.end()


@contextlib.contextmanager
def site_beside(
    answers: dict[str, Answer] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Site]:
    """A site for tests that are not asynchronous, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    opened = site(answers, tls)
    made = asyncio.run_coroutine_threadsafe(opened.__aenter__(), loop).result(10)
    try:
        yield made
    finally:
        closing = asyncio.run_coroutine_threadsafe(opened.__aexit__(None, None, None), loop)
        closing.result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class Detour(httpcore2.AsyncNetworkBackend):
    """Leads every connection to one site, TLS left out, and notes where it should have gone."""

    def __init__(self, to: Site | None = None) -> None:
        self.to = to
        self.asked: list[tuple[str, int]] = []
        self.names: list[str | None] = []
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        self.asked.append((host, port))
        if self.to is None:
            raise httpcore2.ConnectError("nobody is there")
        inner = await self._network.connect_tcp("127.0.0.1", self.to.port, timeout)
        return _WithoutTls(inner, self.names)


class _WithoutTls(httpcore2.AsyncNetworkStream):
    def __init__(self, inner: httpcore2.AsyncNetworkStream, names: list[str | None]) -> None:
        self._inner = inner
        self._names = names

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        self._names.append(server_hostname)
        return self

    def get_extra_info(self, info: str) -> Any:
        return None if info == "ssl_object" else self._inner.get_extra_info(info)


class Names:
    """A resolver. Each name answers its lists one after the other, the last for ever."""

    def __init__(self, **lists: Sequence[Sequence[str]]) -> None:
        self.lists = {name.replace("_", "."): list(answers) for name, answers in lists.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.lists.get(host, [[PUBLIC]])
        return answers.pop(0) if len(answers) > 1 else answers[0]


def fetcher(
    network: httpcore2.AsyncNetworkBackend | None = None,
    names: Names | None = None,
    *,
    trusted: bool = False,
    limits: Limits | None = None,
) -> Fetcher:
    """A fetcher of its own network; ``trusted`` opens loopback."""
    guard = GuardedNetwork(
        (LOOPBACK,) if trusted else (), **({"resolver": names} if names else {}), network=network
    )
    return Fetcher(guard, Converter(), tls(None), limits)
