"""Files and their contents together: what is acknowledged is kept, what nobody has goes.

A content is durable before the row that names it, and the row goes before the content. So a crash
in between leaves at most a content without a row, which the sweep finds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from freehold.core import file_names
from freehold.errors import BlobMissing, BlobsUnavailable
from freehold.ports.blobs import BlobStore
from freehold.ports.clock import Clock
from freehold.ports.files import StoredFile
from freehold.store import files
from freehold.store.database import Database
from freehold.store.units import WriteSession

log = logging.getLogger(__name__)

KIND = "files"
METADATA_KEPT = timedelta(days=30)
"""How long an expired file can still be looked up (spec 17)."""
ORPHAN_AGE = timedelta(hours=1)
"""Contents younger than this may belong to a file that another server is about to record."""
_BATCH = 500


@dataclass(frozen=True)
class Staged:
    """A content that is safe, and the id of the file that it is for."""

    file_id: str
    blob: str
    size_bytes: int


class FileLibrary:
    """Files in the database, contents in a store; :class:`freehold.ports.files.SessionFiles`."""

    def __init__(self, database: Database, blobs: BlobStore, clock: Clock) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._staged: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def staged(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[Staged]:
        """Keep a content until a row is added for it within the block; if none is, it goes.

        Raises:
            BlobsUnavailable: it could not be kept.
        """
        file_id = self._clock.mint("file")
        blob = f"{KIND}/{file_id}"
        self._staged.add(blob)
        try:
            size = await self._blobs.put(blob, chunks)
            try:
                yield Staged(file_id, blob, size)
            except BaseException:
                # Removed only if no row has it: a commit may have failed in its answer alone.
                self._discard([blob])
                raise
        finally:
            self._staged.discard(blob)

    async def add(
        self,
        tx: WriteSession,
        staged: Staged,
        *,
        workspace_id: str,
        filename: str,
        mime_type: str,
        downloadable: bool,
        scope_id: str | None = None,
        lifetime: timedelta | None = None,
    ) -> StoredFile:
        """Make a staged content a file."""
        now = self._clock.now()
        file = StoredFile(
            id=staged.file_id,
            workspace_id=workspace_id,
            filename=filename,
            mime_type=mime_type,
            size_bytes=staged.size_bytes,
            downloadable=downloadable,
            created_at=now,
            expires_at=None if lifetime is None else now + lifetime,
            scope_id=scope_id,
            blob=staged.blob,
        )
        await files.insert(tx, file)
        return file

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
        """See :meth:`freehold.ports.files.SessionFiles.create`."""
        mime_type = file_names.mime_type_of(mime_type, filename)
        async with self.staged(chunks) as staged, self._database.write() as tx:
            await _hold_session(tx, session_id)
            return await self.add(
                tx,
                staged,
                workspace_id=workspace_id,
                filename=file_names.fitting(filename, mime_type),
                mime_type=mime_type,
                downloadable=downloadable,
                scope_id=session_id,
            )

    async def copy(
        self, workspace_id: str, file_id: str, session_id: str, *, downloadable: bool = False
    ) -> StoredFile | None:
        """See :meth:`freehold.ports.files.SessionFiles.copy`."""
        async with self._database.write() as tx:
            await _hold_session(tx, session_id)
            return await self.copy_within(
                tx, workspace_id, file_id, session_id, downloadable=downloadable
            )

    async def copy_within(
        self,
        tx: WriteSession,
        workspace_id: str,
        file_id: str,
        session_id: str,
        *,
        downloadable: bool = False,
    ) -> StoredFile | None:
        """:meth:`copy` in the caller's transaction, which may be the one that makes the session."""
        copies = await self.copies_within(
            tx, workspace_id, [file_id], session_id, downloadable=downloadable
        )
        return copies[0]

    async def copies_within(
        self,
        tx: WriteSession,
        workspace_id: str,
        file_ids: Sequence[str],
        session_id: str,
        *,
        downloadable: bool = False,
    ) -> list[StoredFile | None]:
        """:meth:`copy_within` of several files at once, in their order; each gets a copy of its
        own, also where one is named twice."""
        sources = await files.hold(tx, workspace_id, file_ids)
        now = self._clock.now()
        copies: list[StoredFile | None] = []
        for file_id in file_ids:
            source = sources.get(file_id)
            if source is None or source.expired(now):
                copies.append(None)
                continue
            copies.append(
                StoredFile(
                    id=self._clock.mint("file"),
                    workspace_id=workspace_id,
                    filename=source.filename,
                    mime_type=source.mime_type,
                    size_bytes=source.size_bytes,
                    downloadable=downloadable,
                    created_at=now,
                    scope_id=session_id,
                    blob=source.blob,
                )
            )
        await files.insert_all(tx, [copy for copy in copies if copy is not None])
        return copies

    async def find(self, workspace_id: str, file_id: str) -> StoredFile | None:
        """See :meth:`freehold.ports.files.FileReader.find`."""
        async with self._database.read() as session:
            return await files.get(session, workspace_id, file_id)

    async def of_session(self, workspace_id: str, session_id: str) -> Sequence[StoredFile]:
        """See :meth:`freehold.ports.files.SessionFiles.of_session`."""
        async with self._database.read() as session:
            return await files.of_session(session, workspace_id, session_id)

    @asynccontextmanager
    async def open(
        self, file: StoredFile, start: int = 0, end: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """See :meth:`freehold.ports.files.FileReader.open`."""
        if file.blob is None:
            raise BlobMissing("the content is gone since the file expired")
        async with self._blobs.open(file.blob, start, end) as chunks:
            yield chunks

    async def delete(self, tx: WriteSession, workspace_id: str, file_id: str) -> bool:
        """Remove a file, and after the commit its content unless others share it.

        Whether there was such a file.
        """
        file = await files.get(tx, workspace_id, file_id, for_update=True)
        if file is None:
            return False
        await files.delete(tx, file)
        self._discard_after(tx, [file])
        return True

    async def delete_of_session(self, workspace_id: str, session_id: str) -> int:
        """See :meth:`freehold.ports.files.SessionFiles.delete_of_session`."""
        async with self._database.write() as tx:
            return await self.delete_within(tx, workspace_id, session_id)

    async def delete_within(self, tx: WriteSession, workspace_id: str, session_id: str) -> int:
        """:meth:`delete_of_session` in the caller's transaction."""
        found = await files.of_session(tx, workspace_id, session_id)
        for file in found:
            await files.delete(tx, file)
        self._discard_after(tx, found)
        return len(found)

    async def expire(self) -> int:
        """Remove the contents of files that have expired, and in time the files; how many."""
        count = 0
        now = self._clock.now()
        while True:
            async with self._database.write() as tx:
                found = await files.expired(tx, now, _BATCH)
                await files.forget_blobs(tx, [file.id for file in found])
                self._discard_after(tx, found)
                if not found:
                    await files.delete_expired(tx, now - METADATA_KEPT)
                    return count
            count += len(found)

    async def sweep(self, age: timedelta = ORPHAN_AGE) -> int:
        """Remove contents older than ``age`` that no file has; how many.

        Raises:
            BlobsUnavailable: they cannot be listed or removed.
        """
        count = 0
        batch: list[str] = []
        async for key in self._blobs.keys(KIND, self._clock.now() - age):
            batch.append(key)
            if len(batch) == _BATCH:
                count += await self._drop_unused(batch)
                batch = []
        return count + await self._drop_unused(batch)

    async def close(self) -> None:
        """Let removals that were begun come to their end."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _discard_after(self, tx: WriteSession, gone: Collection[StoredFile]) -> None:
        blobs = [file.blob for file in gone if file.blob is not None]
        if blobs:
            tx.on_commit(lambda: self._discard(blobs))

    def _discard(self, blobs: Sequence[str]) -> None:
        task = asyncio.get_running_loop().create_task(self._try_to_drop(blobs))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try_to_drop(self, blobs: Sequence[str]) -> None:
        try:
            await self._drop_unused(blobs)
        except BlobsUnavailable as error:
            log.warning("contents of deleted files stay until the next sweep: %s", error)

    async def _drop_unused(self, blobs: Collection[str]) -> int:
        if not blobs:
            return 0
        async with self._database.read() as session:
            used = await files.in_use(session, blobs)
        unused = [blob for blob in blobs if blob not in used and blob not in self._staged]
        for blob in unused:
            await self._blobs.delete(blob)
        return len(unused)


async def _hold_session(tx: WriteSession, session_id: str) -> None:
    # Held, so that it is not deleted before its new file is there to be deleted with it.
    if await tx.lock_session(session_id) is None:
        raise LookupError(f"no session {session_id}")
