"""What a sandbox may reach, and what it is told when it may not. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from freehold.gate.grants import NO_GRANTS, Exchange, Grants

_AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_.-]{1,255}))(?::\d*)?")

INWARD = "Destination IP is in a private/reserved range"
"""The recorded text (spec 3.3)."""


@dataclass(frozen=True)
class Policy:
    """The networking of one sandbox (spec 3.2), and what its requests are given (spec 14.4).

    Attributes:
        hosts: Host names, addresses and ``*.domain`` entries that may be reached; ``None``: all
            that are outside.
        grants: Secrets that go out with requests.
    """

    hosts: tuple[str, ...] | None = ()
    grants: Grants = NO_GRANTS

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Policy:
        """The policy in a message of the server.

        Raises:
            ValueError, KeyError, TypeError: it is none; nothing may be reached then.
        """
        grants = Grants.parse(value, plain)
        if value.get("type") == "unrestricted":
            return cls(hosts=None, grants=grants)
        hosts = value.get("hosts")
        if value.get("type") != "limited" or not isinstance(hosts, list):
            raise ValueError("a policy is unrestricted, or limited with a list of hosts")
        return cls(hosts=tuple(plain(str(host)) for host in hosts), grants=grants)

    def refusal(self, host: str) -> str | None:
        """Why this host may not be reached, in the recorded words; ``None`` if it may."""
        if self.hosts is None or any(covers(entry, host) for entry in self.hosts):
            return None
        return f"Host not in allowlist: {host}"

    @property
    def passes_all(self) -> bool:
        """Whether nothing that is outside is refused or looked into."""
        return self.hosts is None and self.grants == NO_GRANTS

    def refuses(self, scheme: str, host: str, port: int, target: str) -> str | None:
        """:meth:`refusal` of one request: what a header is injected into may go out in any
        case, and nothing else of that host (spec 22.3, Git)."""
        if self.grants.injected(scheme, host, port, target) is not None:
            return None
        return self.refusal(host)

    def intercepts(self, host: str) -> bool:
        """Whether TLS to this host must be opened: where there is something to refuse or to
        give. All else is nobody's business."""
        return self.hosts is not None or self.grants.names(host, covers)

    def exchange(self, scheme: str, host: str, port: int, target: str) -> Exchange | None:
        """What a request is given; ``None``: nothing."""
        return self.grants.exchange(scheme, host, port, target, covers)


NOTHING = Policy()
"""For sandboxes whose policy is not known."""


def covers(entry: str, host: str) -> bool:
    """Whether an ``allowed_hosts`` entry covers a host, both plain.

    ``*.domain`` covers every depth below the domain and never the domain itself (spec 3.2).
    """
    if entry.startswith("*."):
        return host.endswith(entry[1:]) and len(host) > len(entry) - 1
    return host == entry


def plain(host: str) -> str:
    """A host as it is compared: lower case, no final dot, no brackets."""
    return host.strip().lower().removeprefix("[").removesuffix("]").removesuffix(".")


def host_of(authority: str) -> str | None:
    """The plain host in a ``Host`` header or ``:authority``; ``None``: nothing sound is there."""
    match = _AUTHORITY.fullmatch(authority.strip())
    if match is None:
        return None
    host = plain(match["six"] or match["name"])
    return host or None
