"""Credentials of vaults, as the harness uses them (spec 14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from freehold.core.events import Json
from freehold.errors import HttpAnswer


@dataclass(frozen=True)
class OpenedCredential:
    """A credential for an MCP server, its secrets in the clear: never log or show one."""

    id: str
    vault_id: str
    auth: Json
    """As the API shows it: ``static_bearer`` or ``mcp_oauth``."""
    secrets: Json = field(repr=False)
    """``token``; or ``access_token``, and with ``refresh`` ``refresh_token``, ``client_secret``."""
    sealed: str = field(repr=False)
    """The secrets as they are stored: tells whether somebody changed them meanwhile."""

    @property
    def bearer_token(self) -> str:
        """What is sent to the server."""
        token: str = self.secrets["token" if self.auth["type"] == "static_bearer" else _ACCESS]
        return token


_ACCESS = "access_token"


class CredentialStore(Protocol):
    """Where sessions find their credentials."""

    async def for_server(
        self, workspace_id: str, vault_ids: Sequence[str], url: str
    ) -> OpenedCredential | None:
        """The credential for a server's URL; the first vault that has one wins (spec 12.5).

        Raises:
            SecretUnreadable: there is one that no key opens.
        """
        ...

    async def reload(self, credential_id: str) -> OpenedCredential | None:
        """The credential as it is now; ``None``: it was archived or deleted.

        Raises:
            SecretUnreadable: no key opens it.
        """
        ...

    async def renew(
        self, credential: OpenedCredential, secrets: Json, expires_at: datetime | None
    ) -> bool:
        """Keep new tokens; whether they were kept: not if somebody else changed the credential."""
        ...

    async def refresh_failed(self, credential: OpenedCredential, now: datetime) -> None:
        """Have it told that there were no new tokens."""
        ...


@dataclass(frozen=True)
class NewTokens:
    """What a token endpoint gave."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    """``None``: the old one goes on."""
    expires_in: float | None
    """Seconds."""


class TokenEndpoint(Protocol):
    """Renews OAuth access tokens (RFC 6749, section 6)."""

    async def refresh(self, refresh: Json, refresh_token: str, secret: str | None) -> NewTokens:
        """Ask for a new access token. ``refresh`` is the credential's, as the API shows it.

        Raises:
            TokenRefreshFailed: there is none.
        """
        ...


@dataclass(frozen=True)
class Probe:
    """How a server took a credential: ``answer`` is ``None`` if it did not answer at all."""

    method: str
    accepted: bool
    answer: HttpAnswer | None


class McpProber(Protocol):
    """Tries a credential on its server."""

    async def probe(self, url: str, token: str) -> Probe:
        """Say hello with the token."""
        ...


RefreshStatus = Literal["succeeded", "failed", "connect_error", "no_refresh_token"]


@dataclass(frozen=True)
class Verdict:
    """What came of trying a credential. What was not tried, or went well, is ``None``."""

    status: Literal["valid", "invalid", "unknown"]
    probe: Probe | None = None
    refresh: RefreshStatus | None = None
    refresh_answer: HttpAnswer | None = None
