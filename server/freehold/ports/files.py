"""Files of the Files API, as the harness makes, finds and reads them (spec 17)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class StoredFile:
    """A file. Its content never changes; several files may share one."""

    id: str
    workspace_id: str
    filename: str
    mime_type: str
    size_bytes: int
    downloadable: bool
    created_at: datetime
    expires_at: datetime | None = None
    scope_id: str | None = None
    """The session that it belongs to; ``None``: a client uploaded it."""
    blob: str | None = field(default=None, repr=False)
    """Key of the content; ``None`` once that is gone because the file expired."""

    def expired(self, now: datetime) -> bool:
        """Whether the content may not be had any more."""
        return self.blob is None or (self.expires_at is not None and self.expires_at <= now)


class FileReader(Protocol):
    """Files by id."""

    async def find(self, workspace_id: str, file_id: str) -> StoredFile | None:
        """A file, expired or not; ``None`` if there is no such file."""
        ...

    def open(
        self, file: StoredFile, start: int = 0, end: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The content from ``start`` up to, not including, ``end``.

        Raises:
            BlobMissing: it is gone (on entering).
            BlobsUnavailable: it cannot be read (on entering, or between two chunks).
        """
        ...


class SessionFiles(FileReader, Protocol):
    """Files that belong to sessions: what an agent wrote, and copies of what it was given."""

    async def create(
        self,
        workspace_id: str,
        session_id: str,
        filename: str,
        chunks: AsyncIterator[bytes],
        *,
        downloadable: bool,
        mime_type: str | None = None,
    ) -> StoredFile:
        """Keep a content as a session's file; durable when this returns.

        ``filename`` is made fit: its last path component, forbidden characters replaced. Without
        ``mime_type`` the name tells it. Whatever ``chunks`` raises comes through.

        Raises:
            BlobsUnavailable: it could not be kept.
            LookupError: there is no such session, or it was deleted meanwhile.
        """
        ...

    async def copy(
        self, workspace_id: str, file_id: str, session_id: str, *, downloadable: bool = False
    ) -> StoredFile | None:
        """A session's own file with the content of another; no bytes are copied.

        It does not expire, and stays when the other is deleted. ``None``: the other is not there,
        or has expired.

        Raises:
            LookupError: there is no such session, or it was deleted meanwhile.
        """
        ...

    async def of_session(self, workspace_id: str, session_id: str) -> Sequence[StoredFile]:
        """All files of a session, oldest first."""
        ...

    async def delete_of_session(self, workspace_id: str, session_id: str) -> int:
        """Delete all files of a session; how many there were."""
        ...
