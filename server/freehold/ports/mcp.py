"""MCP servers: ask what tools they have, call one (spec 12.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from freehold.core.events import Content, Json


@dataclass(frozen=True)
class McpServer:
    """A remote server, as an agent names it."""

    name: str
    url: str


@dataclass(frozen=True)
class McpOutcome:
    """What a tool answered, in the content blocks of the Messages API."""

    content: Content
    is_error: bool


class Bearer(Protocol):
    """The credential of one session for one server, as it is at each moment."""

    async def token(self) -> str | None:
        """The access token to send now; ``None``: go unauthenticated.

        Raises:
            McpUnauthorized: there is a credential, and it cannot be read.
        """
        ...

    async def renewed(self, rejected: str) -> str | None:
        """Another token than the one that the server has just rejected; ``None``: there is none."""
        ...


class McpClient(Protocol):
    """Speaks to MCP servers. Keeps one connection for each server of a session."""

    async def list_tools(self, session_id: str, server: McpServer, bearer: Bearer) -> list[Json]:
        """``name``, ``description`` and ``input_schema`` of every tool, as the server has them.

        Raises:
            McpUnreachable, McpUnauthorized: it cannot be asked.
        """
        ...

    async def call_tool(
        self, session_id: str, server: McpServer, bearer: Bearer, tool: str, arguments: Json
    ) -> McpOutcome:
        """Call a tool once. Cancelling tells the server so, and abandons the call.

        Raises:
            McpUnreachable: the server cannot be had, or the connection broke: it may have run.
            McpUnauthorized: the server refused the credential; it did not run.
        """
        ...

    async def forget(self, session_id: str) -> None:
        """Close the connections of a session."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
