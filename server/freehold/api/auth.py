"""Who is asking (spec 1.1, 1.5)."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Sequence

from pydantic import SecretStr
from sqlalchemy.engine import make_url

from freehold.core.ids import ENTROPY_BYTES, encode, is_id
from freehold.core.workspaces import DEFAULT_WORKSPACE
from freehold.errors import InvalidRequest, NotFound, Unauthenticated


class Keys:
    """The keys that open the server; with none configured, any non-empty key does."""

    def __init__(self, configured: Sequence[SecretStr]) -> None:
        self._digests = [_digest(key.get_secret_value()) for key in configured]
        self._ids: dict[bytes, str] = {}

    def check(self, x_api_key: str | None, authorization: str | None) -> str:
        """Let the caller in; the id of the key that opened (``apikey_…``).

        Every configured key is compared, in constant time, whichever matches. With none
        configured there is one id for whatever is sent.

        Raises:
            Unauthenticated: no key, or not one of ours.
        """
        key = (x_api_key or "").strip()
        scheme, _, token = (authorization or "").strip().partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        if not key and not bearer:
            raise Unauthenticated("x-api-key header is required", should_retry=False)
        if not self._digests:
            return self._id(_digest(""))
        for candidate in (key, bearer):
            if self.knows(candidate):
                return self._id(_digest(candidate))
        raise Unauthenticated(
            "invalid x-api-key" if key else "Invalid bearer token", should_retry=False
        )

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
