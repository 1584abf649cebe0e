"""Who is asking (spec 1.1, 1.5)."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Sequence

from pydantic import SecretStr
from sqlalchemy.engine import make_url

from freehold.core.ids import is_id
from freehold.core.workspaces import DEFAULT_WORKSPACE
from freehold.errors import InvalidRequest, NotFound, Unauthenticated


class Keys:
    """The keys that open the server; with none configured, any non-empty key does."""

    def __init__(self, configured: Sequence[SecretStr]) -> None:
        self._digests = [_digest(key.get_secret_value()) for key in configured]

    def check(self, x_api_key: str | None, authorization: str | None) -> None:
        """Let the caller in.

        Every configured key is compared, in constant time, whichever matches.

        Raises:
            Unauthenticated: no key, or not one of ours.
        """
        key = (x_api_key or "").strip()
        scheme, _, token = (authorization or "").strip().partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        if not key and not bearer:
            raise Unauthenticated("x-api-key header is required", should_retry=False)
        if not self._digests or self._knows(key) or self._knows(bearer):
            return
        raise Unauthenticated(
            "invalid x-api-key" if key else "Invalid bearer token", should_retry=False
        )

    def _knows(self, candidate: str) -> bool:
        if not candidate:
            return False
        digest = _digest(candidate)
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches)


def _digest(key: str) -> bytes:
    # Comparing digests of one length gives away neither a key's length nor a prefix of it.
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def workspace(header: str | None) -> str:
    """The workspace that a request works in.

    Raises:
        InvalidRequest: the header is no workspace id.
        NotFound: the header names another workspace than the caller's.
    """
    if header is None or header == DEFAULT_WORKSPACE:
        return DEFAULT_WORKSPACE
    if not is_id("wrkspc", header):
        raise InvalidRequest("anthropic-workspace-id header must be a valid workspace ID.")
    raise NotFound(f"Workspace `{header}` not found.")


def organization_id(database_url: str) -> str:
    """A bare UUID that stays the same for one database; nothing can be read out of it."""
    url = make_url(database_url)
    place = f"{url.get_backend_name()}://{url.host or ''}:{url.port or ''}/{url.database or ''}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"freehold:{place}"))
