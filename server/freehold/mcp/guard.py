"""The only way to MCP servers and their token endpoints; see :mod:`freehold.guard`."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

import httpcore2
import httpx2

from freehold.core.tunnels import is_tunnelled
from freehold.errors import McpUnreachable
from freehold.guard import Guard, Reason

_MOST_CONNECTIONS = 100
_KEPT = 5.0
"""Seconds that a connection is kept for the next request."""


class McpNetwork(Guard):
    """The guard with refusals that are for clients (:class:`McpUnreachable`)."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """See :class:`Guard`. No resolver learns of hosts that are behind a tunnel."""
        if is_tunnelled(host):
            raise McpUnreachable(
                f"{host} is behind an MCP tunnel, and tunnels carry no traffic on this server; "
                "name a URL that the server itself can reach (FREEHOLD_MCP_NETWORKS opens "
                "networks of one's own)"
            )
        return await super().connect_tcp(host, port, timeout, local_address, socket_options)

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
