"""The domains of MCP tunnels (spec 19).

The hosted service's connectors speak to its own edge, so no traffic goes through the tunnels that
are kept here. Their domains end in ``.invalid``, which never resolves anywhere (RFC 6761), and are
known as what they are before anybody is asked for an address.
"""

from __future__ import annotations

import base64
import hashlib

DOMAIN = "tunnel.freehold.invalid"
HOSTED = "tunnel.anthropic.com"
"""Where the hosted service has the domains of its tunnels."""

_LABEL_BYTES = 10


def domain_of(tunnel_id: str) -> str:
    """The domain of a tunnel, the same at all times and of no other tunnel."""
    digest = hashlib.sha256(tunnel_id.encode()).digest()[:_LABEL_BYTES]
    return f"{base64.b32encode(digest).decode().lower()}.{DOMAIN}"


def is_tunnelled(host: str) -> bool:
    """Whether a host is to be reached through a tunnel, here or at the hosted service."""
    host = host.lower().rstrip(".")
    return any(host == domain or host.endswith(f".{domain}") for domain in (DOMAIN, HOSTED))
