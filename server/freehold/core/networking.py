"""What an environment's ``networking`` says of an agent (spec 3.2, 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
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


def unreachable(wanted: Sequence[str], opened: Sequence[str]) -> list[str]:
    """Which of a credential's ``allowed_hosts`` entries no entry of an environment covers.

    An entry ``*.domain`` is covered by one that covers all of it: itself, or ``*.`` of a domain
    above. A host that an environment names does not cover a credential's ``*.domain`` (spec 14.4).
    """
    return [one for one in wanted if not any(_covers_all(entry, one) for entry in opened)]


def _covers_all(entry: str, wanted: str) -> bool:
    if not wanted.startswith("*."):
        return covers(entry, wanted)
    # What covers some host right below the domain, and not by its name alone, covers all.
    return entry.startswith("*.") and covers(entry, f"any.{wanted[2:]}")


def _host(server: Json) -> str | None:
    try:
        return urlsplit(str(server.get("url") or "")).hostname
    except ValueError:
        return None
