"""Memory stores. Every query names the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.ports.memory import Mark
from freehold.store.keyset import EVER, Key, Span, merged, shelves
from freehold.store.tables import memories, memory_stores, memory_versions
from freehold.store.units import ReadSession, WriteSession

_S = memory_stores.c


@dataclass(frozen=True)
class MemoryStoreRow:
    """A memory store."""

    id: str
    workspace_id: str
    name: str
    description: str
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


async def insert(tx: WriteSession, store: MemoryStoreRow) -> None:
    """Keep a new store."""
    await tx.execute(sa.insert(memory_stores).values(_values(store)))


async def get(
    session: ReadSession, workspace_id: str, memory_store_id: str, *, for_update: bool = False
) -> MemoryStoreRow | None:
    """A store; with ``for_update`` nobody else changes it or its memories meanwhile."""
    statement = sa.select(memory_stores).where(
        _S.id == memory_store_id, _S.workspace_id == workspace_id
    )
    if for_update:
        statement = statement.with_for_update()
    row = await session.first(statement)
    return None if row is None else _store(row)


async def page(
    session: ReadSession,
    workspace_id: str,
    *,
    after: Key | None,
    limit: int,
    include_archived: bool,
    within: Span = EVER,
) -> Sequence[MemoryStoreRow]:
    """At most ``limit`` stores, newest first."""
    found = merged(
        shelves(
            sa.select(memory_stores).where(_S.workspace_id == workspace_id),
            _S.archived_at,
            include_archived=include_archived,
        ),
        _S.created_at,
        _S.id,
        after,
        descending=True,
        within=within,
        limit=limit,
    )
    return [_store(row) for row in await session.page(found)]


async def update(tx: WriteSession, store: MemoryStoreRow) -> None:
    """Keep a store that exists as it is now."""
    await tx.execute(
        sa.update(memory_stores)
        .where(_S.id == store.id, _S.workspace_id == store.workspace_id)
        .values(_values(store))
    )


async def marks(
    session: ReadSession, workspace_id: str, memory_store_ids: Sequence[str]
) -> dict[str, Mark]:
    """Where those of these stores stand that are there."""
    rows = await session.all(
        sa.select(_S.id, _S.revision, _S.archived_at).where(
            _S.id.in_(memory_store_ids), _S.workspace_id == workspace_id
        )
    )
    return {row["id"]: Mark(row["revision"], row["archived_at"] is not None) for row in rows}


async def changed(tx: WriteSession, memory_store_id: str) -> None:
    """One of the store's memories is about to change."""
    await tx.execute(
        sa.update(memory_stores).where(_S.id == memory_store_id).values(revision=_S.revision + 1)
    )


async def delete(tx: WriteSession, store: MemoryStoreRow) -> None:
    """Remove a store, its memories and all their versions."""
    await tx.execute(sa.delete(memories).where(memories.c.memory_store_id == store.id))
    await tx.execute(
        sa.delete(memory_versions).where(memory_versions.c.memory_store_id == store.id)
    )
    await tx.execute(
        sa.delete(memory_stores).where(_S.id == store.id, _S.workspace_id == store.workspace_id)
    )


def _values(store: MemoryStoreRow) -> dict[str, object]:
    return {
        "id": store.id,
        "workspace_id": store.workspace_id,
        "name": store.name,
        "description": store.description,
        "metadata": store.metadata,
        "created_at": store.created_at,
        "updated_at": store.updated_at,
        "archived_at": store.archived_at,
    }


def _store(row: RowMapping) -> MemoryStoreRow:
    return MemoryStoreRow(
        id=row["id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        description=row["description"],
        metadata=row["metadata"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
    )
