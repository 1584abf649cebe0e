"""Keys that the server issues: how they look, and who they say is asking (spec 1.1, 1.6).

A key is a prefix that tells its kind, characters by which it is found, and 257 bits of chance::

    sk-ant-api03-3fHq9bXk2LmZ…
    └──────────┬────────────┘└─ secret: 44 base58 characters
            lookup

At rest there are the lookup and the SHA-256 of the whole. A slow hash is for passwords, which can
be guessed; nobody guesses 257 bits, and a slow hash would be paid with every request.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from freehold.core.ids import ALPHABET

Kind = Literal["workspace", "admin", "environment"]
"""What a kept key is for: one workspace, the organization, or the workers of one environment."""

ENVIRONMENT_PREFIX = "sk-ant-oat01-"
ENVIRONMENT_LIFETIME = timedelta(days=365)
"""How long a worker's key is good (spec 4.7)."""

_PREFIXES: dict[Kind, str] = {
    "workspace": "sk-ant-api03-",
    "admin": "sk-ant-admin01-",
    "environment": ENVIRONMENT_PREFIX,
}
_LOOKUP = 12
_SECRET = 44


@dataclass(frozen=True)
class Scope:
    """What a key reaches. ``workspace_id`` is ``None`` for admin keys alone."""

    kind: Kind
    workspace_id: str | None = None
    environment_id: str | None = None

    def __post_init__(self) -> None:
        """Refuse scopes that make no sense.

        Raises:
            ValueError: something is missing, or too much.
        """
        given = (self.workspace_id is not None, self.environment_id is not None)
        wanted = {
            "admin": (False, False),
            "workspace": (True, False),
            "environment": (True, True),
        }[self.kind]
        if given != wanted:
            raise ValueError(f"no scope of a key of kind {self.kind}: {self}")


@dataclass(frozen=True)
class Principal:
    """Who is asking. ``open`` is anybody, where no key is asked for; ``session`` is a worker with
    the token of one session.

    ``workspace_id`` is ``None`` for those who can act in every workspace.
    """

    kind: Kind | Literal["open", "session"]
    key_id: str
    workspace_id: str | None
    environment_id: str | None = None
    session_id: str | None = None


@dataclass(frozen=True)
class Fresh:
    """A new key: its text, and what is kept of it."""

    text: str
    lookup: str
    digest: str
    hint: str


def generate(kind: Kind) -> Fresh:
    """A new key."""
    prefix = _PREFIXES[kind]
    body = "".join(secrets.choice(ALPHABET) for _ in range(_LOOKUP + _SECRET))
    text = prefix + body
    return Fresh(
        text=text,
        lookup=prefix + body[:_LOOKUP],
        digest=digest(text),
        hint=f"{prefix}{body[:3]}...{body[-4:]}",
    )


def lookup(text: str) -> str | None:
    """The part of a key by which it is found, no secret; ``None`` if it is none of ours."""
    for prefix in _PREFIXES.values():
        if text.startswith(prefix) and len(text) == len(prefix) + _LOOKUP + _SECRET:
            return text[: len(prefix) + _LOOKUP] if text.isascii() else None
    return None


def digest(text: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def matches(text: str, kept: str) -> bool:
    """Whether a key is the one that ``kept`` was made of; as long for every key."""
    return hmac.compare_digest(digest(text), kept)
