"""Who is asking, and for which workspace (spec 1.1, 1.5)."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Sequence
from typing import Protocol

from pydantic import SecretStr
from sqlalchemy.engine import make_url

from freehold.api import reach
from freehold.core.ids import ENTROPY_BYTES, encode, is_id
from freehold.core.keys import Principal
from freehold.core.workspaces import DEFAULT_WORKSPACE
from freehold.errors import InvalidRequest, NotFound, Unauthenticated


class Issued(Protocol):
    """The keys that the server issued, and its workspaces; the store has the one there is."""

    async def check(self, text: str) -> Principal | None:
        """Who has this key; ``None`` if it opens nothing."""
        ...

    async def any_issued(self) -> bool:
        """Whether a key of the API was ever issued."""
        ...

    async def has_workspace(self, id_: str) -> bool:
        """Whether there is such a workspace, not archived."""
        ...


class Keys:
    """The keys that open the server: those of the settings, and those that it issued.

    While there is none of either kind, any non-empty key opens.
    """

    def __init__(self, configured: Sequence[SecretStr], issued: Issued) -> None:
        self._digests = [_digest(key.get_secret_value()) for key in configured]
        self._ids: dict[bytes, str] = {}
        self._issued = issued

    async def check(self, x_api_key: str | None, authorization: str | None) -> Principal:
        """Let the caller in.

        The keys of the settings are all compared, in constant time, whichever matches; they work
        in the default workspace.

        Raises:
            Unauthenticated: no key, or not one of ours.
        """
        key = (x_api_key or "").strip()
        scheme, _, token = (authorization or "").strip().partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        if not key and not bearer:
            raise Unauthenticated("x-api-key header is required", should_retry=False)
        for candidate in (key, bearer):
            if self.knows(candidate):
                return Principal("workspace", self._id(_digest(candidate)), DEFAULT_WORKSPACE)
        for candidate in (key, bearer):
            found = await self._issued.check(candidate) if candidate else None
            # A worker's key is no key of the API; the gate asks :mod:`workers` about bearers.
            if found is not None and found.kind != "environment":
                return found
        if not self._digests and not await self._issued.any_issued():
            return Principal("open", self._id(_digest("")), None)
        raise Unauthenticated(
            "invalid x-api-key" if key else "Invalid bearer token", should_retry=False
        )

    async def workspace(self, principal: Principal, header: str | None, path: str) -> str:
        """The workspace that a request works in.

        Raises:
            InvalidRequest: the header is no workspace id, or is missing where it is needed.
            NotFound: the caller cannot act in the workspace that it names, or there is none such.
        """
        if header is not None and not is_id("wrkspc", header):
            raise InvalidRequest("anthropic-workspace-id header must be a valid workspace ID.")
        if principal.workspace_id is not None:
            if header is not None and header != principal.workspace_id:
                raise NotFound(f"Workspace `{header}` not found.")
            return principal.workspace_id
        if header is None:
            if principal.kind == "admin" and not reach.needs_no_workspace(path):
                raise InvalidRequest(
                    "anthropic-workspace-id header is required: an admin key belongs to no "
                    "workspace."
                )
            return DEFAULT_WORKSPACE
        if header != DEFAULT_WORKSPACE and not await self._issued.has_workspace(header):
            raise NotFound(f"Workspace `{header}` not found.")
        return header

    def knows(self, candidate: str) -> bool:
        """Whether it is one of the configured keys."""
        if not candidate:
            return False
        digest = _digest(candidate)
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches)

    def _id(self, digest: bytes) -> str:
        if digest not in self._ids:
            self._ids[digest] = key_id(digest)
        return self._ids[digest]


def key_id(digest: bytes) -> str:
    """The id of a key, the same at every start; costly to make, so that nobody guesses keys."""
    stretched = hashlib.scrypt(digest, salt=b"freehold api key id", n=2**12, r=8, p=1, dklen=16)
    time_bytes = len(stretched) - ENTROPY_BYTES
    return encode("apikey", int.from_bytes(stretched[:time_bytes], "big"), stretched[time_bytes:])


def _digest(key: str) -> bytes:
    # Comparing digests of one length gives away neither a key's length nor a prefix of it.
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def organization_id(database_url: str) -> str:
    """A bare UUID that stays the same for one database; nothing can be read out of it."""
    url = make_url(database_url)
    place = f"{url.get_backend_name()}://{url.host or ''}:{url.port or ''}/{url.database or ''}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"freehold:{place}"))
