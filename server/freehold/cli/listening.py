"""Listening: who may reach us, the socket, and a uvicorn that says when it is up and ends well."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import ipaddress
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from typing import Any

import uvicorn
from fastapi import FastAPI

from freehold.cli.speaking import Protocol
from freehold.errors import ConfigurationError
from freehold.settings import Settings
from freehold.telemetry import AccessLog

GRACE = 5
"""Seconds that open responses have to end after a stop was asked for; then they are cut."""


def is_loopback(host: str) -> bool:
    """Whether every address that ``host`` stands for is reachable from this machine only.

    A name that cannot be resolved is not loopback.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return bool(found) and all(
        ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found
    )


def require_keys_beyond_loopback(settings: Settings) -> None:
    """Refuse to be reachable by others without keys.

    Raises:
        ConfigurationError: the address is not loopback and no API key is configured.
    """
    if not settings.api_keys and not is_loopback(settings.host):
        raise ConfigurationError(
            f"FREEHOLD_HOST: {settings.host} can be reached from other machines and "
            "FREEHOLD_API_KEYS is empty, so anyone could run programs here. Set FREEHOLD_API_KEYS "
            "to one or more keys (for example the output of `openssl rand -hex 32`), or listen on "
            "127.0.0.1."
        )


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; ``port`` 0 picks a free one.

    Raises:
        ConfigurationError: the address or the port cannot be had.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigurationError(f"FREEHOLD_HOST: {host} is not an address: {error}") from None
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"FREEHOLD_PORT: {port} on {host} is taken by another program; choose another "
                "with `--port`, or 0 to have one picked"
            ) from None
        raise ConfigurationError(
            f"FREEHOLD_HOST: cannot listen on {host} port {port}: {error.strerror}"
        ) from None
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket, host: str) -> str:
    """The base URL that a client on this machine uses."""
    port = listener.getsockname()[1]
    if host in {"", "0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn, with a call when it is up and an exit that is not a death by signal.

    ``state`` is what the application's lifespan yielded; requests find it in their scope.
    """

    def __init__(
        self, app: FastAPI, state: Mapping[str, Any], on_start: Callable[[], None]
    ) -> None:
        super().__init__(
            uvicorn.Config(
                AccessLog(app),
                http=Protocol,
                # What asks to change to WebSocket is answered as if it had not.
                ws="none",
                # We run the lifespan ourselves: uvicorn would turn its errors into a log line.
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE,
                timeout_keep_alive=75,
            )
        )
        self._app = app
        self._state = state
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, then tell."""
        self.lifespan.state.update(self._state)
        await super().startup(sockets)
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the open streams, which would wait for events for ever, then the rest."""
        self._app.state.services.streams.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop on SIGINT and SIGTERM.

        uvicorn raises the signal again when it is done; for a service manager an orderly stop
        should be exit code 0.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


async def run(app: FastAPI, listener: socket.socket, on_start: Callable[[], None]) -> None:
    """Serve ``app`` until SIGINT or SIGTERM; what the application raises at its start comes out."""
    async with app.router.lifespan_context(app) as state:
        # What is loaded by now stays: the collector need not look through it ever again.
        gc.collect()
        gc.freeze()
        await Server(app, state or {}, on_start).serve(sockets=[listener])


@contextlib.asynccontextmanager
async def embedded(app: FastAPI, listener: socket.socket) -> AsyncIterator[None]:
    """Serve ``app`` in this event loop for the length of the block; signals stay the caller's."""
    up = asyncio.Event()
    async with app.router.lifespan_context(app) as state:
        server = Server(app, state or {}, up.set)
        # `serve` would take the signals; its inner part does not.
        running = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            await up.wait()
            yield
        finally:
            server.should_exit = True
            await running
