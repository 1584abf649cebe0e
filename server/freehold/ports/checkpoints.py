"""What is kept of a session's sandbox, for the day that the sandbox itself is lost (spec 22.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable


@runtime_checkable
class Archived(Protocol):
    """A sandbox whose files can be taken out as a whole and put into another.

    The archive is the agent's own files in its working directory and its outputs folder, not what
    the server placed there. It is compressed, and nobody but these two methods can read it.
    """

    def pack(self, limit: int) -> AsyncIterator[bytes]:
        """The files, as an archive in pieces.

        Raises:
            ArchiveTooLarge: over ``limit`` bytes of content, or too many files.
            SandboxLost: the sandbox is gone, or the archive broke off.
        """
        ...

    async def unpack(self, chunks: AsyncIterator[bytes], limit: int) -> None:
        """Make the files of an archive, with the agent's own rights, in place of those there.

        Whatever ``chunks`` raises comes through.

        Raises:
            ArchiveTooLarge: it holds over ``limit`` bytes or too many files.
            ArchiveBroken: it is none. SandboxLost: the sandbox is gone.
        """
        ...


@dataclass(frozen=True)
class Awake:
    """A session's sandbox that takes up memory."""

    session_id: str
    created_at: datetime | None
    """When it was made, if its maker said so."""
    running: bool = True


@runtime_checkable
class Resting(Protocol):
    """A provider whose sandboxes can be stopped and go on later with the files they have."""

    async def present(self) -> Sequence[Awake]:
        """The sandboxes that are there.

        Raises:
            SandboxUnavailable: the engine does not answer.
        """
        ...

    async def rest(self, session_id: str) -> bool:
        """Stop the session's sandbox, unless a call runs in it; whether it is stopped now.

        Background processes end, after a moment to do so by themselves. The next ``acquire``
        starts it again.

        Raises:
            SandboxUnavailable: the engine does not answer, or could not.
        """
        ...


@dataclass(frozen=True)
class Checkpoint:
    """One that was kept."""

    session_id: str
    blob: str
    seq: int
    """How far the session's log was: all that its calls had done by then is in it."""
    size: int
    """Bytes in the store."""
    created_at: datetime
    began_at: datetime
    """When the first one was made of these files, which are kept so long after it (spec 22.3)."""


class Checkpoints(Protocol):
    """The newest checkpoint of each session."""

    async def latest(self, session_id: str) -> Checkpoint | None:
        """The session's, unless there is none or its time is over."""
        ...

    async def keep(self, session_id: str, seq: int, chunks: AsyncIterator[bytes]) -> Checkpoint:
        """Put one in the place of the session's last.

        Whatever ``chunks`` raises comes through, and then the last one stays.

        Raises:
            LookupError: the session is gone. BlobsUnavailable: it could not be kept.
        """
        ...

    def open(self, checkpoint: Checkpoint) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Its archive.

        Raises:
            BlobMissing, BlobsUnavailable: it cannot be read.
        """
        ...

    async def forget(self, session_id: str) -> None:
        """Remove the session's. None: no-op. What cannot be removed now, a sweep will find."""
        ...

    async def sweep(self) -> int:
        """Remove those whose time or session is over, and contents that no checkpoint has."""
        ...
