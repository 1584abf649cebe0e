"""One connection to one MCP server.

The client library's scopes must be left by the task that entered them, so a connection has a
task of its own that opens it, waits, and closes it. Requests are made from any task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, Implementation, Tool

from freehold import __version__
from freehold.core.events import Json
from freehold.errors import McpError, McpUnreachable
from freehold.mcp.failures import translate
from freehold.mcp.http import BearerAuth, Http
from freehold.ports.mcp import Bearer, McpServer
from freehold.telemetry import NamedSecrets

log = logging.getLogger(__name__)

OPEN_TIMEOUT = 20.0
"""Seconds for the handshake."""
LIST_TIMEOUT = 30.0
"""Seconds for the whole listing."""
CALL_TIMEOUT = 300.0
"""Seconds for a call."""
IDLE = 300.0
"""Seconds without a request after which a connection is closed; the next request opens another."""
_CLOSING = 5.0
_PAGES = 100

# Servers of the older transport, SSE, answer the first POST with one of these.
_OLDER = frozenset({400, 404, 405})


class Connection:
    """A connection that opens when it is first needed and stays open while it is used."""

    def __init__(self, server: McpServer, bearer: Bearer, http: Http) -> None:
        self.server = server
        self.secrets = NamedSecrets()
        self.status: int | None = None
        """HTTP status of the newest answer to a request, if it was no success."""
        self._http = http
        self._auth = BearerAuth(bearer, self.secrets)
        self._methods = {"POST"}
        self._closing = asyncio.Event()
        self._used = 0.0
        self._busy = 0
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        # Nobody may be there to hear of a failure any more.
        self._ready.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._owner = asyncio.create_task(self._own(), name=f"mcp {server.name}")

    @property
    def ended(self) -> bool:
        """Whether it is of no use any more."""
        return self._owner.done() or self._closing.is_set()

    async def list_tools(self) -> list[Tool]:
        """Every tool of the server.

        Raises:
            McpError: it cannot be asked.
        """
        async with self._client() as client:
            tools: list[Tool] = []
            cursor: str | None = None
            try:
                async with asyncio.timeout(LIST_TIMEOUT):
                    for _ in range(_PAGES):
                        page = await client.list_tools(cursor=cursor)
                        tools += page.tools
                        cursor = page.next_cursor
                        if cursor is None:
                            break
            except Exception as error:
                raise translate(error, self.status, LIST_TIMEOUT) from None
            return tools

    async def call_tool(self, tool: str, arguments: Json) -> CallToolResult:
        """Call a tool once.

        Raises:
            McpError: the connection could not be opened; the call did not run.
            Exception: whatever the client library raises about the call itself.
        """
        async with self._client() as client:
            return await client.call_tool(tool, arguments, read_timeout_seconds=CALL_TIMEOUT)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        self._busy += 1
        try:
            yield await asyncio.shield(self._ready)
        finally:
            self._busy -= 1
            self._used = asyncio.get_running_loop().time()

    async def close(self) -> None:
        """Say goodbye to the server, within reason."""
        self._closing.set()
        if not self._ready.done():
            self._owner.cancel()
        await asyncio.wait({self._owner}, timeout=_CLOSING)
        if not self._owner.done():
            self._owner.cancel()
            await asyncio.wait({self._owner})

    async def _own(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                client = await self._open(stack)
                self._used = asyncio.get_running_loop().time()
                self._ready.set_result(client)
                await self._wait()
        except asyncio.CancelledError:
            if not self._ready.done():
                self._ready.set_exception(McpUnreachable("the connection was given up"))
            raise
        except Exception as error:
            failure = translate(error, self.status, OPEN_TIMEOUT)
            if not self._ready.done():
                self._ready.set_exception(failure)
            else:
                log.info("connection to MCP server %s ended: %s", self.server.name, failure)

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._closing.is_set():
            left = self._used + IDLE - loop.time()
            if left <= 0 and not self._busy:
                self._closing.set()
                break
            try:
                async with asyncio.timeout(max(left, 1.0)):
                    await self._closing.wait()
            except TimeoutError:
                continue

    async def _open(self, stack: AsyncExitStack) -> Client:
        http = await stack.enter_async_context(self._http_client())
        try:
            transport = streamable_http_client(self.server.url, http_client=http)
            return await self._enter(stack, transport)
        except Exception as error:
            if self.status not in _OLDER or isinstance(error, McpError):
                raise
            log.debug("trying SSE with MCP server %s", self.server.name)
        self._methods.add("GET")
        return await self._enter(
            stack, sse_client(self.server.url, httpx_client_factory=self._older_http)
        )

    async def _enter(self, stack: AsyncExitStack, transport: Any) -> Client:
        client = Client(
            transport,
            cache=None,
            client_info=Implementation(name="freehold", version=__version__),
        )
        async with asyncio.timeout(OPEN_TIMEOUT):
            return await stack.enter_async_context(client)

    def _http_client(self) -> httpx2.AsyncClient:
        client = self._http.client(read_timeout=CALL_TIMEOUT, auth=self._auth)
        client.event_hooks["response"].append(self._note)
        return client

    def _older_http(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        return self._http_client()

    async def _note(self, response: httpx2.Response) -> None:
        # The library keeps the status to itself. A GET only opens a stream that servers need not
        # have, except with the older transport.
        if response.request.method in self._methods:
            self.status = None if response.is_success else response.status_code


def is_lost_session(error: MCPError, status: int | None) -> bool:
    """Whether the server has forgotten the connection's session: the request was not heard."""
    return status == httpx2.codes.NOT_FOUND and error.message == "Session terminated"
