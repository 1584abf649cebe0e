"""Secrets that are known by their value, masked wherever they come back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "[redacted]"

SHORTEST = 6
"""Characters: what is shorter is not searched for, since it would mask ordinary words."""


class NamedSecrets:
    """Masks values that must not be shown, as they are and as URLs, forms and JSON write them."""

    def __init__(self, *known: str | None) -> None:
        self._forms: set[str] = set()
        for secret in known:
            self.add(secret)

    def add(self, secret: str | None) -> None:
        """Mask this one from now on; ``None`` and what is too short are nothing."""
        if secret is not None and len(secret) >= SHORTEST:
            self._forms |= {secret, quote(secret, safe=""), quote_plus(secret)}
            self._forms.add(json.dumps(secret)[1:-1])

    def masked(self, text: str) -> str:
        """``text`` without any of them."""
        # The longest first: one that begins with another must not leave its tail behind.
        for secret in sorted(self._forms, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text

    def masked_value(self, value: Any) -> Any:
        """A JSON value without any of them."""
        if isinstance(value, str):
            return self.masked(value)
        if isinstance(value, list):
            return [self.masked_value(item) for item in value]
        if isinstance(value, dict):
            return {self.masked(key): self.masked_value(item) for key, item in value.items()}
        return value


async def starred(body: AsyncIterator[bytes], secret: bytes) -> AsyncIterator[bytes]:
    """The same bytes with stars in the place of ``secret``, so that no length changes.

    What might be the beginning of it at the end of a piece waits for the next one.
    """
    held = b""
    async for piece in body:
        held = (held + piece).replace(secret, b"*" * len(secret))
        ready = len(held) - _begun(held, secret)
        if ready:
            yield held[:ready]
            held = held[ready:]
    if held:
        yield held


def _begun(text: bytes, secret: bytes) -> int:
    """How many bytes at the end of ``text`` are the beginning of ``secret``."""
    for length in range(min(len(secret) - 1, len(text)), 0, -1):
        if text.endswith(secret[:length]):
            return length
    return 0
