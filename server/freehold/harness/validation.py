"""Trying an OAuth credential before a session needs it (spec 14.3)."""

from __future__ import annotations

from dataclasses import replace

from freehold.errors import TokenRefreshFailed
from freehold.harness.credentials import Keyring
from freehold.ports.vaults import McpProber, OpenedCredential, Probe, RefreshStatus, Verdict

_UNAUTHORIZED = 401


class CredentialValidator:
    """Sends the token to its server, and renews it as a session would."""

    def __init__(self, keyring: Keyring, prober: McpProber) -> None:
        self._keyring = keyring
        self._prober = prober

    async def validate(self, credential: OpenedCredential) -> Verdict:
        """Whether the server takes the credential, after a refresh if need be. Never raises."""
        verdict = Verdict("valid")
        if credential.auth.get("refresh") is not None and self._keyring.expires(credential):
            credential, verdict = await self._refreshed(credential, verdict)
        probe = await self._probe(credential)
        if _rejected(probe) and verdict.refresh is None:
            credential, verdict = await self._refreshed(credential, verdict)
            if verdict.refresh == "succeeded":
                probe = await self._probe(credential)
        if probe.accepted:
            return verdict
        # Only a 401 is about the credential; a server in trouble says nothing of it.
        return replace(verdict, status="invalid" if _rejected(probe) else "unknown", probe=probe)

    async def _probe(self, credential: OpenedCredential) -> Probe:
        return await self._prober.probe(credential.auth["mcp_server_url"], credential.bearer_token)

    async def _refreshed(
        self, credential: OpenedCredential, verdict: Verdict
    ) -> tuple[OpenedCredential, Verdict]:
        if credential.auth.get("refresh") is None:
            return credential, replace(verdict, refresh="no_refresh_token")
        try:
            renewed = await self._keyring.refresh(credential)
        except TokenRefreshFailed as error:
            status: RefreshStatus = "connect_error" if error.answer is None else "failed"
            return credential, replace(verdict, refresh=status, refresh_answer=error.answer)
        return renewed, replace(verdict, refresh="succeeded")


def _rejected(probe: Probe) -> bool:
    return probe.answer is not None and probe.answer.status_code == _UNAUTHORIZED
