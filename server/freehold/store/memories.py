"""Memories as they are now. Whoever calls has made sure of the store.

Paths are compared code point by code point (``substr``, ``=``): ``LIKE`` knows no case in SQLite,
and the order of texts depends on the database's locale in PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.core.memory_paths import ancestors, folder, rolled_up
from freehold.store.keyset import Key, keyset
from freehold.store.tables import memories, memory_versions
from freehold.store.units import ReadSession, WriteSession

_M = memories.c


@dataclass(frozen=True)
class MemoryRow:
    """A memory. What it holds is in its newest version."""

    id: str
    memory_store_id: str
    version_id: str
    path: str
    content_sha256: str
    content_size_bytes: int
    created_at: datetime
    updated_at: datetime
    content: str | None = None
    """``None`` unless it was asked for."""


async def insert(tx: WriteSession, memory: MemoryRow) -> None:
    """Keep a new memory. Whether its path is free is to be asked before."""
    await tx.execute(sa.insert(memories).values(_values(memory)))


async def insert_all(tx: WriteSession, rows: Sequence[MemoryRow]) -> None:
    """Keep new memories of a store that has no others."""
    if rows:
        await tx.execute(sa.insert(memories), [_values(memory) for memory in rows])


async def get(
    session: ReadSession, memory_store_id: str, memory_id: str, *, content: bool
) -> MemoryRow | None:
    """A memory by its id."""
    return await _first(session, memory_store_id, _M.id == memory_id, content)


async def at(
    session: ReadSession, memory_store_id: str, path: str, *, content: bool
) -> MemoryRow | None:
    """The memory at a path."""
    return await _first(session, memory_store_id, _M.path == path, content)


async def in_the_way(
    session: ReadSession, memory_store_id: str, path: str, *, of: str | None = None
) -> MemoryRow | None:
    """A memory that cannot be beside one at ``path``: there, above it or below it.

    ``of`` is the id of the memory that is to go there, which is in nobody's way.
    """
    below = sa.func.substr(_M.path, 1, len(path) + 1) == f"{path}/"
    statement = (
        sa.select(memories)
        .where(
            _M.memory_store_id == memory_store_id,
            sa.or_(_M.path == path, _M.path.in_(ancestors(path)), below),
        )
        .order_by(_M.path)
        .limit(1)
    )
    if of is not None:
        statement = statement.where(_M.id != of)
    row = await session.first(statement)
    return None if row is None else _memory(row)


async def count(session: ReadSession, memory_store_id: str) -> int:
    """How many memories a store has."""
    found = await session.scalar(
        sa.select(sa.func.count()).where(_M.memory_store_id == memory_store_id)
    )
    return int(found)


async def size(session: ReadSession, memory_store_id: str) -> int:
    """Bytes of what a store's memories hold."""
    found = await session.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(_M.content_size_bytes), 0)).where(
            _M.memory_store_id == memory_store_id
        )
    )
    return int(found)


async def page(
    session: ReadSession,
    memory_store_id: str,
    *,
    prefix: str,
    deep: bool,
    after: Key | None,
    limit: int,
    content: bool,
) -> Sequence[MemoryRow]:
    """At most ``limit`` memories below ``prefix``, newest first; without ``deep`` right below."""
    statement = _selected(content).where(_M.memory_store_id == memory_store_id)
    if not deep:
        statement = statement.where(_M.folder == prefix)
    elif prefix != "/":
        statement = statement.where(_below(prefix))
    statement = keyset(statement, _M.created_at, _M.id, after, descending=True).limit(limit)
    return [_memory(row) for row in await session.all(statement)]


async def prefixes(session: ReadSession, memory_store_id: str, prefix: str) -> list[str]:
    """The folders right below ``prefix`` that have memories in them, sorted by code points."""
    # In an order that an index has: a database that thinks that there is but this store would else
    # rather read all memories there are.
    rows = await session.all(
        sa.select(_M.folder)
        .where(_M.memory_store_id == memory_store_id, _below(prefix), _M.folder != prefix)
        .order_by(_M.path)
    )
    return rolled_up({row["folder"] for row in rows}, prefix)


async def all_of(session: ReadSession, memory_store_id: str) -> Sequence[MemoryRow]:
    """Every memory of a store, with what it holds."""
    statement = _selected(content=True).where(_M.memory_store_id == memory_store_id)
    return [_memory(row) for row in await session.all(statement)]


async def hashes(session: ReadSession, memory_store_id: str) -> dict[str, str]:
    """The hash of what each memory of a store holds, by path."""
    rows = await session.all(
        sa.select(_M.path, _M.content_sha256).where(_M.memory_store_id == memory_store_id)
    )
    return {row["path"]: row["content_sha256"] for row in rows}


async def all_at(
    session: ReadSession, memory_store_id: str, paths: Sequence[str]
) -> Sequence[MemoryRow]:
    """The memories at these paths, with what they hold."""
    statement = _selected(content=True).where(
        _M.memory_store_id == memory_store_id, _M.path.in_(paths)
    )
    return [_memory(row) for row in await session.all(statement)]


async def update(tx: WriteSession, memory: MemoryRow) -> None:
    """Keep a memory that exists as it is now."""
    await tx.execute(sa.update(memories).where(_M.id == memory.id).values(_values(memory)))


async def delete(tx: WriteSession, memory_id: str) -> None:
    """Remove a memory; its versions stay."""
    await tx.execute(sa.delete(memories).where(_M.id == memory_id))


def _below(prefix: str) -> sa.ColumnElement[bool]:
    return sa.func.substr(_M.path, 1, len(prefix)) == prefix


def _selected(content: bool) -> sa.Select[tuple[object, ...]]:
    if not content:
        return sa.select(memories)
    return sa.select(memories, memory_versions.c.content).join(
        memory_versions, memory_versions.c.id == _M.version_id
    )


async def _first(
    session: ReadSession, memory_store_id: str, which: sa.ColumnElement[bool], content: bool
) -> MemoryRow | None:
    statement = _selected(content).where(_M.memory_store_id == memory_store_id, which)
    row = await session.first(statement)
    return None if row is None else _memory(row)


def _values(memory: MemoryRow) -> dict[str, object]:
    return {
        "id": memory.id,
        "memory_store_id": memory.memory_store_id,
        "version_id": memory.version_id,
        "path": memory.path,
        "folder": folder(memory.path),
        "content_sha256": memory.content_sha256,
        "content_size_bytes": memory.content_size_bytes,
        "created_at": memory.created_at,
        "updated_at": memory.updated_at,
    }


def _memory(row: RowMapping) -> MemoryRow:
    return MemoryRow(
        id=row["id"],
        memory_store_id=row["memory_store_id"],
        version_id=row["version_id"],
        path=row["path"],
        content_sha256=row["content_sha256"],
        content_size_bytes=row["content_size_bytes"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        content=row.get("content"),
    )
