"""Where what an agent delivers is kept (spec 17, 22.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from freehold.ports.log import SessionSpec
from freehold.ports.sandbox import Found


class Outputs(Protocol):
    """The files that sessions delivered."""

    async def kept(self, session_id: str) -> Mapping[str, str]:
        """The SHA-256 of what was last kept of each path in the sandbox."""
        ...

    async def keep(self, spec: SessionSpec, file: Found, chunks: AsyncIterator[bytes]) -> None:
        """Make a file of the session's that clients can download.

        The file and the note that this content of this path is kept are one transaction. Whatever
        ``chunks`` raises comes through, and nothing is kept then.

        Raises:
            LookupError: the session is gone.
        """
        ...
