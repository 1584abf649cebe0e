"""Where an agent's web tools may go, by its own settings and its environment's (spec 12.6, 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from freehold.core.events import Json

WEB_FETCH = "web_fetch"
WEB_SEARCH = "web_search"
WEB_TOOLS = (WEB_FETCH, WEB_SEARCH)


@dataclass(frozen=True)
class DomainRules:
    """Which domains a tool may touch. A domain stands for itself and all below it.

    Attributes:
        allowed: If given, nothing else; entries may have a path (``web_search``).
        blocked: Never these.
        hosts: The environment's ``allowed_hosts`` where its networking is limited.
    """

    allowed: tuple[str, ...] | None = None
    blocked: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = None

    @classmethod
    def of(cls, config: Json, environment: Json) -> DomainRules:
        """The rules of a tool's resolved config in an environment."""
        allowed = config.get("allowed_domains")
        networking = environment.get("networking") or {}
        limited = networking.get("type") == "limited"
        return cls(
            allowed=tuple(allowed) if allowed else None,
            blocked=tuple(config.get("blocked_domains") or ()),
            hosts=tuple(networking.get("allowed_hosts") or ()) if limited else None,
        )

    def refusal(self, host: str, path: str = "/") -> str | None:
        """Why this place may not be touched, as the model is told; ``None`` if it may."""
        host = _plain(host)
        reason: str | None = None
        if any(_covers(entry, host, path) for entry in self.blocked):
            reason = "is a domain this agent is blocked from fetching (blocked_domains)"
        elif self.allowed is not None and not any(_covers(e, host, path) for e in self.allowed):
            reason = "is not a domain this agent is allowed to fetch (allowed_domains)"
        elif self.hosts is not None and not any(_matches(entry, host) for entry in self.hosts):
            reason = "is not a host this environment allows (networking.allowed_hosts)"
        if reason is None:
            return None
        return f"{host} {reason}. Retrying this or other URLs on that domain will not work."

    def admits(self, url: str) -> bool:
        """Whether a search may show this address."""
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            return False
        if parts.scheme not in {"http", "https"} or not host:
            return False
        return self.refusal(host, parts.path or "/") is None


def web_config(tools: Sequence[Json], name: str) -> Json | None:
    """The resolved config of a web tool that is enabled; ``None`` if there is none."""
    for toolset in tools:
        if toolset["type"] != "agent_toolset_20260401":
            continue
        for config in toolset["configs"]:
            if config["name"] == name:
                found: Json = config
                return found if config["enabled"] else None
    return None


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


def _covers(entry: str, host: str, path: str) -> bool:
    domain, slash, rest = entry.partition("/")
    domain = _plain(domain)
    if host != domain and not host.endswith(f".{domain}"):
        return False
    prefix = f"/{rest}".rstrip("/")
    return not slash or path == prefix or path.startswith(f"{prefix}/")


def _matches(entry: str, host: str) -> bool:
    """``allowed_hosts`` are exact, or all below a domain where they begin with ``*.``."""
    entry = _plain(entry)
    if entry.startswith("*."):
        return host.endswith(entry[1:])
    return host == entry
