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


def opened_hosts(environment: Json, agent: Json) -> list[str] | None:
    """The hosts that an environment opens to an agent, without those of package managers;
    ``None``: all."""
    networking = environment.get("networking") or {}
    if networking.get("type") != "limited":
        return None
    opened = [str(host) for host in networking.get("allowed_hosts") or ()]
    return opened + (list(mcp_hosts(agent)) if networking.get("allow_mcp_servers") else [])


def opens_package_hosts(environment: Json) -> bool:
    """Whether an environment opens those as well."""
    return bool((environment.get("networking") or {}).get("allow_package_managers"))


def credential_hosts(auth: Json) -> tuple[str, ...]:
    """The hosts that an ``environment_variable`` credential names; none where it may go anywhere,
    and for credentials of another type."""
    networking = auth.get("networking") or {}
    return tuple(networking.get("allowed_hosts") or ())


def host_unreachable(credential_id: str, vault_id: str, auth: Json, hosts: Sequence[str]) -> Json:
    """The error that says which of a credential's hosts its session cannot reach (spec 6.8)."""
    return {
        "type": "credential_host_unreachable_error",
        "message": (
            f"The credential {auth['secret_name']} may go to {', '.join(hosts)}, which the "
            "environment's network policy does not permit, so requests to there are refused. A "
            "session keeps the policy that it was created with: add to the environment's "
            "allowed_hosts and create a new session, or take the host from the credential's "
            "allowed_hosts."
        ),
        "credential_id": credential_id,
        "vault_id": vault_id,
        "retry_status": {"type": "retrying"},
    }


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
