"""From the client library's exceptions to what the harness knows (spec 12.5)."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
from mcp import MCPError
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT

from freehold.errors import McpError, McpUnauthorized, McpUnreachable

_UNAUTHORIZED = 401
_LONGEST = 500
STATUS_STAND_IN = "Server returned an error response"
"""What the library says instead of an HTTP status without a JSON-RPC error."""


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions that a group is made of."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def translate(error: BaseException, status: int | None, seconds: float) -> McpError:
    """Why a server could not be asked.

    ``status`` is that of the last answer if it was no success, ``seconds`` how long we waited.
    Texts of the server are not passed on: they may hold what was sent to it.
    """
    found = list(leaves(error))
    for leaf in found:
        if isinstance(leaf, McpError):
            return leaf
    if status == _UNAUTHORIZED:
        return McpUnauthorized("the MCP server refused the credential (HTTP 401)")
    if status is not None:
        return McpUnreachable(f"the MCP server answered HTTP {status}")
    for leaf in found:
        if isinstance(leaf, TimeoutError | httpx2.TimeoutException) or (
            isinstance(leaf, MCPError) and leaf.code == REQUEST_TIMEOUT
        ):
            return McpUnreachable(f"the MCP server did not answer within {seconds:g} seconds")
        if isinstance(leaf, httpx2.ConnectError):
            return McpUnreachable(f"could not connect to the MCP server: {str(leaf)[:_LONGEST]}")
        if isinstance(leaf, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
            return McpUnreachable("the MCP server's URL is not a valid http or https URL")
        if isinstance(leaf, MCPError) and leaf.code == CONNECTION_CLOSED:
            return McpUnreachable("the MCP server closed the connection")
    kind = type(found[0]).__name__ if found else type(error).__name__
    return McpUnreachable(f"the MCP server's answer could not be understood ({kind})")
