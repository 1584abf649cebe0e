"""The MCP client, loaded when the first session needs it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from freehold.core.events import Json
from freehold.mcp.http import Http
from freehold.ports.mcp import Bearer, McpOutcome, McpServer

if TYPE_CHECKING:
    from freehold.mcp.client import HttpMcpClient


class LateMcpClient:
    """:class:`~freehold.mcp.client.HttpMcpClient`, without its library until it is used.

    The official library takes longer to load than anything else in the server, and most servers
    have no session that speaks to an MCP server.
    """

    def __init__(self, http: Http) -> None:
        self._http = http
        self._loading = asyncio.Lock()
        self._client: HttpMcpClient | None = None

    async def list_tools(self, session_id: str, server: McpServer, bearer: Bearer) -> list[Json]:
        """See :class:`ports.mcp.McpClient`."""
        return await (await self._loaded()).list_tools(session_id, server, bearer)

    async def call_tool(
        self, session_id: str, server: McpServer, bearer: Bearer, tool: str, arguments: Json
    ) -> McpOutcome:
        """See :class:`ports.mcp.McpClient`."""
        client = await self._loaded()
        return await client.call_tool(session_id, server, bearer, tool, arguments)

    async def forget(self, session_id: str) -> None:
        """See :class:`ports.mcp.McpClient`."""
        if self._client is not None:
            await self._client.forget(session_id)

    async def close(self) -> None:
        """See :class:`ports.mcp.McpClient`."""
        if self._client is not None:
            await self._client.close()

    async def _loaded(self) -> HttpMcpClient:
        async with self._loading:
            if self._client is None:
                # In a thread: other sessions go on meanwhile.
                self._client = await asyncio.to_thread(_load, self._http)
            return self._client


def _load(http: Http) -> HttpMcpClient:
    from freehold.mcp.client import HttpMcpClient  # noqa: PLC0415

    return HttpMcpClient(http)
