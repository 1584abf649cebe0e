"""MCP servers over Streamable HTTP, by the official client (spec 12.5).

HttpMcpClient      lists tools and calls them, a connection for each server of a session
HttpTokenEndpoint  renews OAuth access tokens
HttpMcpProber      tries a credential on its server
"""

from __future__ import annotations

from freehold.mcp.client import HttpMcpClient
from freehold.mcp.guard import McpNetwork
from freehold.mcp.http import Http
from freehold.mcp.oauth import HttpTokenEndpoint
from freehold.mcp.probe import HttpMcpProber

__all__ = ["Http", "HttpMcpClient", "HttpMcpProber", "HttpTokenEndpoint", "McpNetwork"]
