"""Checkpoints of sandboxes: archives in the store of contents, one row a session.

As with files, the content is durable before the row that names it, and the row goes before the
content: what a crash leaves is a content without a row, which the sweep finds.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.errors import BlobsUnavailable
from freehold.ports.blobs import BlobStore
from freehold.ports.checkpoints import Checkpoint
from freehold.ports.clock import Clock
from freehold.store.database import Database
from freehold.store.tables import session_checkpoints, sessions

log = logging.getLogger(__name__)

KIND = "checkpoints"
ORPHAN_AGE = timedelta(hours=1)
"""Contents younger than this may belong to a checkpoint that another server is about to record."""
_BATCH = 500
_C = session_checkpoints.c


class SqlCheckpoints:
    """Implements :class:`freehold.ports.checkpoints.Checkpoints`.

    Args:
        database: has the rows.
        blobs: has the archives.
        clock: tells the time.
        keep: how long after the first checkpoint of its files one is kept.
    """

    def __init__(self, database: Database, blobs: BlobStore, clock: Clock, keep: timedelta) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._keep = keep

    async def latest(self, session_id: str) -> Checkpoint | None:
        """See the port."""
        found = await self._row(session_id)
        if found is None or self._clock.now() - found.began_at > self._keep:
            return None
        return found

    async def keep(self, session_id: str, seq: int, chunks: AsyncIterator[bytes]) -> Checkpoint:
        """See the port."""
        blob = f"{KIND}/{secrets.token_hex(16)}"
        try:
            return await self._kept(session_id, seq, blob, chunks)
        except BaseException:
            # A commit may have failed in its answer alone: then the row has it, and it stays.
            await self._try_to_drop([blob])
            raise

    async def _kept(
        self, session_id: str, seq: int, blob: str, chunks: AsyncIterator[bytes]
    ) -> Checkpoint:
        now = self._clock.now()
        size = await self._blobs.put(blob, chunks)
        async with self._database.write() as tx:
            if await tx.lock_session(session_id) is None:
                raise LookupError(f"no session {session_id}")
            row = await tx.first(sa.select(session_checkpoints).where(_C.session_id == session_id))
            last = None if row is None else _checkpoint(row)
            again = last is not None and now - last.began_at <= self._keep
            made = Checkpoint(
                session_id=session_id,
                blob=blob,
                seq=seq,
                size=size,
                created_at=now,
                began_at=last.began_at if last is not None and again else now,
            )
            await tx.execute(sa.delete(session_checkpoints).where(_C.session_id == session_id))
            await tx.execute(
                sa.insert(session_checkpoints).values(
                    session_id=session_id,
                    blob=blob,
                    seq=seq,
                    size_bytes=size,
                    created_at=made.created_at,
                    began_at=made.began_at,
                )
            )
        if last is not None:
            await self._try_to_drop([last.blob])
        return made

    def open(self, checkpoint: Checkpoint) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """See the port."""
        return self._blobs.open(checkpoint.blob)

    async def forget(self, session_id: str) -> None:
        """See the port."""
        if (found := await self._row(session_id)) is None:
            return
        async with self._database.write() as tx:
            await tx.execute(
                sa.delete(session_checkpoints).where(
                    _C.session_id == session_id, _C.blob == found.blob
                )
            )
        await self._try_to_drop([found.blob])

    async def sweep(self) -> int:
        """See the port.

        Raises:
            BlobsUnavailable: contents cannot be listed or removed.
        """
        # A deleted session's row may be gone, or still be kept for streams to end on.
        alive = sa.select(sessions.c.id).where(
            sessions.c.deleted_at.is_(None), sessions.c.archived_at.is_(None)
        )
        over = sa.or_(_C.began_at < self._clock.now() - self._keep, _C.session_id.not_in(alive))
        async with self._database.write() as tx:
            await tx.execute(sa.delete(session_checkpoints).where(over))
        count = 0
        batch: list[str] = []
        async for key in self._blobs.keys(KIND, self._clock.now() - ORPHAN_AGE):
            batch.append(key)
            if len(batch) == _BATCH:
                count += await self._drop_unused(batch)
                batch = []
        return count + await self._drop_unused(batch)

    async def _row(self, session_id: str) -> Checkpoint | None:
        async with self._database.read() as session:
            row = await session.first(
                sa.select(session_checkpoints).where(_C.session_id == session_id)
            )
        return None if row is None else _checkpoint(row)

    async def _try_to_drop(self, blobs: list[str]) -> None:
        try:
            await self._drop_unused(blobs)
        except BlobsUnavailable as error:
            log.warning("a checkpoint that is not needed stays until the next sweep: %s", error)

    async def _drop_unused(self, blobs: list[str]) -> int:
        if not blobs:
            return 0
        async with self._database.read() as session:
            rows = await session.all(sa.select(_C.blob).where(_C.blob.in_(blobs)))
        used = {row["blob"] for row in rows}
        unused = [blob for blob in blobs if blob not in used]
        for blob in unused:
            await self._blobs.delete(blob)
        return len(unused)


def _checkpoint(row: RowMapping) -> Checkpoint:
    return Checkpoint(
        session_id=row["session_id"],
        blob=row["blob"],
        seq=row["seq"],
        size=row["size_bytes"],
        created_at=row["created_at"],
        began_at=row["began_at"],
    )
