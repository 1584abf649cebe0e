"""MCP servers in a turn: their tools before the model is asked, their calls after (spec 12.5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from freehold.core.decide import tool_error, tool_result
from freehold.core.drafts import Draft
from freehold.core.events import Content, McpToolsListed, SessionError
from freehold.core.mcp import listing
from freehold.core.state import OpenCall, SessionState
from freehold.errors import McpError, McpUnauthorized
from freehold.harness.credentials import Keyring
from freehold.harness.sessions import SessionHandle
from freehold.ports.log import SessionSpec
from freehold.ports.mcp import McpClient, McpServer

log = logging.getLogger(__name__)

LOST = (
    "The server stopped while this call may have been running on the MCP server: it may have run, "
    "and its result is not known. It was not repeated."
)
GONE = "The session has no MCP server of this name any more; this call did not run."


Shorten = Callable[[Content], Awaitable[Content]]
"""Makes a result too long for the model into one that is not (spec 12.3)."""


class McpTools:
    """Lists and calls the tools of sessions' MCP servers. What fails is said in events."""

    def __init__(self, client: McpClient, keyring: Keyring) -> None:
        self._client = client
        self._keyring = keyring

    async def list_tools(self, handle: SessionHandle, servers: Sequence[str]) -> list[Draft]:
        """Ask the servers for their tools, all at once."""
        spec = await handle.spec()
        return list(await asyncio.gather(*(self._list(spec, name) for name in servers)))

    async def _list(self, spec: SessionSpec, name: str) -> Draft:
        server = _server(spec, name)
        if server is None:
            return Draft(McpToolsListed(server=name, tools=[]))
        try:
            bearer = self._keyring.bearer(spec, server.url)
            tools = await self._client.list_tools(spec.session_id, server, bearer)
        except McpError as error:
            log.warning("MCP server %s of %s: %s", name, spec.session_id, error)
            return failure(name, error)
        kept = listing(tools)
        if len(kept) < len(tools):
            log.warning(
                "%d tools of MCP server %s have a name or a schema that the model cannot be given",
                len(tools) - len(kept),
                name,
            )
        return Draft(McpToolsListed(server=name, tools=kept))

    async def call(
        self, handle: SessionHandle, state: SessionState, call: OpenCall, shorten: Shorten
    ) -> list[Draft]:
        """Run a call whose start is in the log. It runs once, whatever comes of it."""
        spec = await handle.spec()
        server = _server(spec, call.server or "")
        if server is None:
            return [tool_error(call, GONE)]
        bearer = self._keyring.bearer(spec, server.url)
        try:
            outcome = await self._client.call_tool(
                spec.session_id, server, bearer, call.name, call.input
            )
        except McpError as error:
            log.warning("%s on MCP server %s: %s", call.id, server.name, error)
            told = server.name in state.mcp_failed
            return [
                tool_error(call, f"MCP server {server.name}: {error}."),
                *(() if told else (failure(server.name, error),)),
            ]
        content = await shorten(outcome.content)
        return [tool_result(call, content, is_error=outcome.is_error)]

    async def forget(self, session_id: str) -> None:
        """The session is over: its connections go."""
        await self._client.forget(session_id)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()
        await self._keyring.close()


def failure(server: str, error: McpError) -> Draft:
    """What the client is told of a server that fails; the turn goes on (spec 6.8)."""
    unauthorized = isinstance(error, McpUnauthorized)
    kind = "mcp_authentication_failed_error" if unauthorized else "mcp_connection_failed_error"
    return Draft(
        SessionError(
            error={
                "type": kind,
                "mcp_server_name": server,
                "message": str(error),
                "retry_status": {"type": "retrying"},
            }
        )
    )


def _server(spec: SessionSpec, name: str) -> McpServer | None:
    for server in spec.agent["mcp_servers"]:
        if server["name"] == name:
            return McpServer(name=name, url=server["url"])
    return None
