"""Contents of files: bytes under a key, written once and never changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from freehold.ports.sandbox import Finding


class BlobStore(Protocol):
    """Where contents are kept.

    Keys are ``kind/name``: two parts of ASCII letters, digits, ``_`` and ``-``. A kind belongs to
    one user of the store, so that nobody's sweep removes what is another's.
    """

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        """Keep a content; its size in bytes.

        When this returns, the content is durable as a whole; until then nobody sees any of it.
        Whatever ``chunks`` raises comes through, and nothing is kept.

        Raises:
            BlobsUnavailable: it could not be kept.
        """
        ...

    def open(
        self, key: str, start: int = 0, end: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes from ``start`` up to, not including, ``end`` (``None``: to the last).

        Entering finds out whether the content is there.

        Raises:
            BlobMissing: there is no such content (on entering).
            BlobsUnavailable: it cannot be read (on entering, or between two chunks).
        """
        ...

    async def size(self, key: str) -> int:
        """How many bytes a content has.

        Raises:
            BlobMissing: there is no such content. BlobsUnavailable: that cannot be found out.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove a content; one that is not there is no error.

        Raises:
            BlobsUnavailable: it could not be removed.
        """
        ...

    def keys(self, kind: str, before: datetime) -> AsyncIterator[str]:
        """The keys of a kind that were written before a moment; for sweeps.

        Raises:
            BlobsUnavailable: they cannot be listed (while iterating).
        """
        ...

    async def prepare(self) -> None:
        """Ready the store for use and remove what a server that died left half-written.

        Raises:
            BlobsUnavailable: the store cannot be used.
        """
        ...

    async def check(self) -> list[Finding]:
        """How the store stands; never raises."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
