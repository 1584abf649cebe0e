"""The only way to MCP servers and their token endpoints; see :mod:`freehold.guard`."""

from __future__ import annotations

import ssl

import httpcore2
import httpx2

from freehold.errors import McpUnreachable
from freehold.guard import Guard, Reason

_MOST_CONNECTIONS = 100
_KEPT = 5.0
"""Seconds that a connection is kept for the next request."""


class McpNetwork(Guard):
    """The guard with refusals that are for clients (:class:`McpUnreachable`)."""

    def refusal(self, reason: Reason, host: str, port: int) -> McpUnreachable:
        """See :class:`Guard`."""
        match reason:
            case "unresolved":
                return McpUnreachable(f"the name {host} could not be resolved")
            case "inward":
                return McpUnreachable(
                    f"{host} does not lead to a public address; the operator of this server can "
                    "open networks of its own (FREEHOLD_MCP_NETWORKS)"
                )
            case "port":
                return McpUnreachable(f"port {port} belongs to another protocol than HTTP")
            case "no host":
                return McpUnreachable("only hosts of a network can be connected to")


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """HTTP over a guarded network, and over no proxy: it would look names up by itself.

    Args:
        tls: Whom to trust.
        network: Where connections come from.
    """

    def __init__(self, tls: ssl.SSLContext, network: Guard) -> None:
        super().__init__(verify=tls, trust_env=False)
        # There is no public way to say where the library's sockets come from. Should it change,
        # tests/security/test_mcp_guard.py sees the connections.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=_MOST_CONNECTIONS,
            keepalive_expiry=_KEPT,
            network_backend=network,
        )
