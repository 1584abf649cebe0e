"""MCP servers over Streamable HTTP, by the official client (spec 12.5).

LateMcpClient      lists tools and calls them, a connection for each server of a session
HttpTokenEndpoint  renews OAuth access tokens
HttpMcpProber      tries a credential on its server
"""

from __future__ import annotations

from freehold.mcp.guard import McpNetwork
from freehold.mcp.http import Http
from freehold.mcp.late import LateMcpClient
from freehold.mcp.oauth import HttpTokenEndpoint
from freehold.mcp.probe import HttpMcpProber

__all__ = ["Http", "HttpMcpProber", "HttpTokenEndpoint", "LateMcpClient", "McpNetwork"]
