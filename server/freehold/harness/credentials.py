"""The credential of a session for an MCP server, looked up anew each time it is sent.

So a rotated token reaches running sessions with their next request (spec 14.3). OAuth tokens are
renewed shortly before they expire, and once when a server rejects one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from weakref import WeakValueDictionary

from freehold.core import times
from freehold.core.events import Json
from freehold.errors import McpUnauthorized, SecretUnreadable, TokenRefreshFailed
from freehold.ports.clock import Clock
from freehold.ports.log import SessionSpec
from freehold.ports.vaults import CredentialStore, OpenedCredential, TokenEndpoint

log = logging.getLogger(__name__)

LEEWAY = timedelta(seconds=60)
"""A token that expires sooner than this is renewed before it is sent."""


class Keyring:
    """Finds credentials and keeps their access tokens fresh."""

    def __init__(self, store: CredentialStore, endpoint: TokenEndpoint, clock: Clock) -> None:
        self._store = store
        self._endpoint = endpoint
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._refreshing: set[asyncio.Task[OpenedCredential]] = set()
        self._told: dict[str, str] = {}

    async def close(self) -> None:
        """Wait for the tokens that are on their way: a lost one may be the last."""
        await asyncio.gather(*self._refreshing, return_exceptions=True)

    def bearer(self, spec: SessionSpec, url: str) -> SessionBearer:
        """The session's credential for the server at ``url``."""
        return SessionBearer(self, spec.workspace_id, spec.vault_ids, url)

    async def find(
        self, workspace_id: str, vault_ids: Sequence[str], url: str
    ) -> OpenedCredential | None:
        """The credential for a server.

        Raises:
            McpUnauthorized: there is one, and it cannot be opened.
        """
        try:
            return await self._store.for_server(workspace_id, vault_ids, url)
        except SecretUnreadable as error:
            raise McpUnauthorized(str(error)) from None

    def expires(self, credential: OpenedCredential) -> bool:
        """Whether the access token has expired or is about to."""
        moment = credential.auth.get("expires_at")
        return moment is not None and times.parse(moment) - LEEWAY <= self._clock.now()

    async def refresh(self, stale: OpenedCredential) -> OpenedCredential:
        """The credential with another access token than ``stale`` has.

        Two that ask at once make one request, and it is seen through even if the call that wants
        it is given up: a refresh token may be good for one use only.

        Raises:
            TokenRefreshFailed: there is none.
        """
        task = asyncio.create_task(self._refresh_once(stale), name=f"refresh {stale.id}")
        self._refreshing.add(task)
        task.add_done_callback(self._refreshed)
        return await asyncio.shield(task)

    def _refreshed(self, task: asyncio.Task[OpenedCredential]) -> None:
        self._refreshing.discard(task)
        if not task.cancelled():
            task.exception()

    async def _refresh_once(self, stale: OpenedCredential) -> OpenedCredential:
        async with self._locks.setdefault(stale.id, asyncio.Lock()):
            try:
                now = await self._store.reload(stale.id)
            except SecretUnreadable as error:
                raise TokenRefreshFailed(str(error)) from None
            if now is None:
                raise TokenRefreshFailed("the credential was archived or deleted")
            if now.bearer_token != stale.bearer_token:
                return now
            return await self._refresh(now)

    async def _refresh(self, credential: OpenedCredential) -> OpenedCredential:
        secrets = credential.secrets
        if "refresh_token" not in secrets:
            raise TokenRefreshFailed("the credential has no refresh token")
        try:
            tokens = await self._endpoint.refresh(
                credential.auth["refresh"], secrets["refresh_token"], secrets.get("client_secret")
            )
        except TokenRefreshFailed:
            await self._tell(credential)
            raise
        renewed: Json = {**secrets, "access_token": tokens.access_token}
        if tokens.refresh_token is not None:
            renewed["refresh_token"] = tokens.refresh_token
        expires_at = None
        if tokens.expires_in is not None:
            expires_at = self._clock.now() + timedelta(seconds=tokens.expires_in)
        if not await self._store.renew(credential, renewed, expires_at):
            # A client gave it other tokens meanwhile: those are meant now.
            log.info("credential %s changed while it was renewed", credential.id)
        after = await self._store.reload(credential.id)
        if after is None:
            raise TokenRefreshFailed("the credential was archived or deleted")
        return after

    async def _tell(self, credential: OpenedCredential) -> None:
        """Say once of the same tokens that they were not renewed, however often it is tried."""
        if self._told.get(credential.id) != credential.sealed:
            await self._store.refresh_failed(credential, self._clock.now())
            self._told[credential.id] = credential.sealed


class SessionBearer:
    """What a session sends to one server (:class:`ports.mcp.Bearer`)."""

    def __init__(
        self, keyring: Keyring, workspace_id: str, vault_ids: Sequence[str], url: str
    ) -> None:
        self._keyring = keyring
        self._workspace_id = workspace_id
        self._vault_ids = vault_ids
        self._url = url

    async def token(self) -> str | None:
        """The access token to send now; see :class:`ports.mcp.Bearer`."""
        credential = await self._find()
        if credential is None:
            return None
        if credential.auth.get("refresh") is not None and self._keyring.expires(credential):
            try:
                return (await self._keyring.refresh(credential)).bearer_token
            except TokenRefreshFailed as error:
                # The old token goes out, as from the hosted service (spec 14.3).
                log.warning("credential %s was not renewed: %s", credential.id, error)
        return credential.bearer_token

    async def renewed(self, rejected: str) -> str | None:
        """Another token than the rejected one; see :class:`ports.mcp.Bearer`."""
        credential = await self._find()
        if credential is None:
            return None
        if credential.bearer_token != rejected:
            return credential.bearer_token
        if credential.auth.get("refresh") is None:
            return None
        try:
            return (await self._keyring.refresh(credential)).bearer_token
        except TokenRefreshFailed as error:
            log.warning("credential %s was not renewed: %s", credential.id, error)
            return None

    async def _find(self) -> OpenedCredential | None:
        return await self._keyring.find(self._workspace_id, self._vault_ids, self._url)
