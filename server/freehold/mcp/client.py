"""MCP servers as the harness sees them: tools, calls, and connections that are reused."""

from __future__ import annotations

import asyncio
import logging

from mcp import InputRequiredRoundsExceededError, MCPError
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, CallToolResult
from pydantic import ValidationError

from freehold.core.events import Json
from freehold.errors import McpError
from freehold.mcp.connection import CALL_TIMEOUT, Connection, is_lost_session
from freehold.mcp.content import blocks
from freehold.mcp.failures import STATUS_STAND_IN, leaves, translate
from freehold.mcp.http import Http
from freehold.ports.mcp import Bearer, McpOutcome, McpServer

log = logging.getLogger(__name__)

_LONGEST_ERROR = 10_000


class HttpMcpClient:
    """Speaks Streamable HTTP, or SSE to servers that know no better (:class:`ports.mcp.McpClient`).

    Connections belong to a session, never to two: servers may keep what a session did.
    """

    def __init__(self, http: Http) -> None:
        self._http = http
        self._connections: dict[tuple[str, str], Connection] = {}

    async def list_tools(self, session_id: str, server: McpServer, bearer: Bearer) -> list[Json]:
        """Every tool of the server; see :class:`ports.mcp.McpClient`."""
        connection = await self._connection(session_id, server, bearer)
        try:
            tools = await connection.list_tools()
        except McpError:
            await self._drop(session_id, server)
            raise
        return [
            {
                "name": tool.name,
                "description": connection.secrets.masked(tool.description or tool.title or ""),
                "input_schema": connection.secrets.masked_value(tool.input_schema),
            }
            for tool in tools
        ]

    async def call_tool(
        self, session_id: str, server: McpServer, bearer: Bearer, tool: str, arguments: Json
    ) -> McpOutcome:
        """Call a tool once; see :class:`ports.mcp.McpClient`."""
        connection = await self._connection(session_id, server, bearer)
        try:
            try:
                result = await connection.call_tool(tool, arguments)
            except MCPError as error:
                if not is_lost_session(error, connection.status):
                    raise
                await self._drop(session_id, server)
                connection = await self._connection(session_id, server, bearer)
                result = await connection.call_tool(tool, arguments)
        except Exception as error:
            outcome = _failure(error, connection)
            if outcome is None:
                await self._drop(session_id, server)
                raise translate(error, connection.status, CALL_TIMEOUT) from None
            return outcome
        return _outcome(result, connection)

    async def forget(self, session_id: str) -> None:
        """Close the connections of a session."""
        mine = [key for key in self._connections if key[0] == session_id]
        closed = [self._connections.pop(key) for key in mine]
        await asyncio.gather(*(connection.close() for connection in closed))

    async def close(self) -> None:
        """Close all connections."""
        closed = list(self._connections.values())
        self._connections.clear()
        await asyncio.gather(*(connection.close() for connection in closed))

    async def _connection(self, session_id: str, server: McpServer, bearer: Bearer) -> Connection:
        key = (session_id, server.name)
        known = self._connections.get(key)
        if known is not None and (known.ended or known.server != server):
            await self._drop(session_id, known.server)
            known = None
        if known is None:
            self._sweep()
            known = self._connections[key] = Connection(server, bearer, self._http)
        return known

    async def _drop(self, session_id: str, server: McpServer) -> None:
        connection = self._connections.pop((session_id, server.name), None)
        if connection is not None:
            await connection.close()

    def _sweep(self) -> None:
        ended = [key for key, connection in self._connections.items() if connection.ended]
        for key in ended:
            del self._connections[key]


def _outcome(result: CallToolResult, connection: Connection) -> McpOutcome:
    content = connection.secrets.masked_value(blocks(result))
    return McpOutcome(content=content, is_error=result.is_error)


def _failure(error: Exception, connection: Connection) -> McpOutcome | None:
    """What the model is told where the server was there, and the call went wrong."""
    if isinstance(error, MCPError):
        if error.code == REQUEST_TIMEOUT and connection.status is None:
            return _error(
                f"The MCP server did not answer within {CALL_TIMEOUT:g} seconds; the call may "
                "still be running there."
            )
        if error.code == CONNECTION_CLOSED or error.message == STATUS_STAND_IN:
            return None
        text = connection.secrets.masked(error.message)[:_LONGEST_ERROR]
        return _error(f"MCP error {error.code}: {text}")
    if isinstance(error, ValidationError):
        return _error("The call ran, but the MCP server's answer does not follow the protocol.")
    if isinstance(error, InputRequiredRoundsExceededError):
        return _error("The MCP server asked for input that nobody here can give.")
    if isinstance(error, RuntimeError) and not any(
        isinstance(leaf, McpError) for leaf in leaves(error)
    ):
        # What the library says of a result that contradicts the tool's own output schema.
        text = connection.secrets.masked(str(error))[:_LONGEST_ERROR]
        return _error(f"The call ran, but its result cannot be used: {text}")
    return None


def _error(text: str) -> McpOutcome:
    return McpOutcome(content=[{"type": "text", "text": text}], is_error=True)
