"""What an environment's ``networking`` says of an agent (spec 3.2, 3.3)."""

from __future__ import annotations

from urllib.parse import urlsplit

from freehold.core.domains import covers
from freehold.core.events import Json


def mcp_hosts(agent: Json) -> tuple[str, ...]:
    """The hosts of an agent's MCP servers, each once, in their order."""
    found = (_host(server) for server in agent.get("mcp_servers") or ())
    return tuple(dict.fromkeys(host for host in found if host))


def blocked_mcp_servers(agent: Json, environment: Json) -> str | None:
    """The text of the refusal where an agent's MCP servers are not open to the environment
    (appendix D); ``None``: they are."""
    networking = environment.get("networking") or {}
    if networking.get("type") != "limited" or networking.get("allow_mcp_servers"):
        return None
    allowed = networking.get("allowed_hosts") or ()
    blocked = [
        f'"{server["name"]}" ({host})'
        for server in agent.get("mcp_servers") or ()
        if (host := _host(server)) is not None and not any(covers(one, host) for one in allowed)
    ]
    if not blocked:
        return None
    return (
        f"MCP server host(s) blocked by environment network policy: {', '.join(blocked)}. Add "
        "these hosts to the environment's allowed_hosts, or set allow_mcp_servers=true."
    )


def _host(server: Json) -> str | None:
    try:
        return urlsplit(str(server.get("url") or "")).hostname
    except ValueError:
        return None
