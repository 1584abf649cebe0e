"""Files. Every query of a client's names the workspace.

The contents are elsewhere (:mod:`freehold.ports.blobs`); :mod:`freehold.store.file_library` keeps
the two together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.ports.files import StoredFile
from freehold.store.keyset import Key, keyset
from freehold.store.tables import files
from freehold.store.units import ReadSession, WriteSession

_F = files.c


async def insert(tx: WriteSession, file: StoredFile) -> None:
    """Store a new file."""
    await tx.execute(sa.insert(files).values(asdict(file)))


async def insert_all(tx: WriteSession, new: Sequence[StoredFile]) -> None:
    """Store new files."""
    if new:
        await tx.execute(sa.insert(files), [asdict(file) for file in new])


async def hold(
    tx: WriteSession, workspace_id: str, ids: Collection[str]
) -> Mapping[str, StoredFile]:
    """Those of these files that are there, by id; nobody deletes them meanwhile."""
    # In the order of ids, so that two transactions cannot wait for each other.
    statement = (
        sa.select(files)
        .where(_F.workspace_id == workspace_id, _F.id.in_(sorted(set(ids))))
        .order_by(_F.id)
        .with_for_update()
    )
    return {row["id"]: _file(row) for row in await tx.all(statement)}


async def get(
    session: ReadSession, workspace_id: str, file_id: str, *, for_update: bool = False
) -> StoredFile | None:
    """A file; with ``for_update`` nobody deletes it meanwhile."""
    statement = sa.select(files).where(_F.id == file_id, _F.workspace_id == workspace_id)
    if for_update:
        statement = statement.with_for_update()
    row = await session.first(statement)
    return None if row is None else _file(row)


async def some(
    session: ReadSession, workspace_id: str, ids: Collection[str]
) -> Sequence[StoredFile]:
    """Those of these files that are there, newest first."""
    statement = sa.select(files).where(_F.workspace_id == workspace_id, _F.id.in_(sorted(ids)))
    statement = keyset(statement, _F.created_at, _F.id, None, descending=True)
    return [_file(row) for row in await session.all(statement)]


async def page(
    session: ReadSession,
    workspace_id: str,
    *,
    scope_id: str | None,
    after: Key | None,
    limit: int,
    descending: bool = True,
) -> Sequence[StoredFile]:
    """At most ``limit`` files of a session, or of none, those beyond ``after``."""
    statement = sa.select(files).where(_F.workspace_id == workspace_id, _F.scope_id == scope_id)
    statement = keyset(statement, _F.created_at, _F.id, after, descending=descending)
    return [_file(row) for row in await session.all(statement.limit(limit))]


async def of_session(
    session: ReadSession, workspace_id: str, session_id: str
) -> Sequence[StoredFile]:
    """All files of a session, oldest first."""
    statement = sa.select(files).where(_F.workspace_id == workspace_id, _F.scope_id == session_id)
    statement = keyset(statement, _F.created_at, _F.id, None, descending=False)
    return [_file(row) for row in await session.all(statement)]


async def delete(tx: WriteSession, file: StoredFile) -> None:
    """Remove a file."""
    await tx.execute(sa.delete(files).where(_F.id == file.id, _F.workspace_id == file.workspace_id))


async def total_bytes(session: ReadSession) -> int:
    """What all contents take; one that files share counts once."""
    contents = sa.select(_F.blob, _F.size_bytes).where(_F.blob.is_not(None)).distinct().subquery()
    total = await session.scalar(
        sa.select(sa.cast(sa.func.coalesce(sa.func.sum(contents.c.size_bytes), 0), sa.BigInteger))
    )
    return int(total)


async def in_use(session: ReadSession, blobs: Collection[str]) -> set[str]:
    """Which of these contents some file has."""
    rows = await session.all(sa.select(_F.blob).where(_F.blob.in_(sorted(blobs))).distinct())
    return {row["blob"] for row in rows}


async def expired(session: ReadSession, now: datetime, limit: int) -> Sequence[StoredFile]:
    """Files that have expired and still have their content."""
    rows = await session.all(
        sa.select(files).where(_F.expires_at <= now, _F.blob.is_not(None)).limit(limit)
    )
    return [_file(row) for row in rows]


async def forget_blobs(tx: WriteSession, ids: Collection[str]) -> None:
    """Part these files from their contents."""
    await tx.execute(sa.update(files).where(_F.id.in_(sorted(ids))).values(blob=None))


async def delete_expired(tx: WriteSession, before: datetime) -> None:
    """Remove files without content that expired before a moment."""
    await tx.execute(sa.delete(files).where(_F.expires_at <= before, _F.blob.is_(None)))


def _file(row: RowMapping) -> StoredFile:
    return StoredFile(**row)
