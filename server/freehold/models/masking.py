"""Keeping the server's own key out of answers that are passed on as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator


async def masked(body: AsyncIterator[bytes], secret: bytes) -> AsyncIterator[bytes]:
    """The same bytes with stars in the place of ``secret``, so that no length changes.

    What might be the beginning of it at the end of a piece waits for the next one.
    """
    held = b""
    async for piece in body:
        held = starred(held + piece, secret)
        ready = len(held) - _begun(held, secret)
        if ready:
            yield held[:ready]
            held = held[ready:]
    if held:
        yield held


def starred(text: bytes, secret: bytes) -> bytes:
    """``text`` with stars in the place of ``secret``."""
    return text.replace(secret, b"*" * len(secret))


def _begun(text: bytes, secret: bytes) -> int:
    """How many bytes at the end of ``text`` are the beginning of ``secret``."""
    for length in range(min(len(secret) - 1, len(text)), 0, -1):
        if text.endswith(secret[:length]):
            return length
    return 0
