"""Versions of memories: one for each change, which stays when the memory is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.ports.memory import Actor, ActorType
from freehold.store.keyset import EVER, Key, Page, Span, merged
from freehold.store.tables import memory_versions
from freehold.store.units import ReadSession, WriteSession

_V = memory_versions.c

Operation = Literal["created", "modified", "deleted"]


@dataclass(frozen=True)
class VersionRow:
    """A version. A deletion has no content, a redacted version neither content nor path."""

    id: str
    memory_store_id: str
    memory_id: str
    operation: Operation
    path: str | None
    content: str | None
    content_sha256: str | None
    content_size_bytes: int | None
    created_by: Actor
    created_at: datetime
    redacted_by: Actor | None = None
    redacted_at: datetime | None = None


@dataclass(frozen=True)
class Matching:
    """Which versions of a store; ``None`` is all."""

    memory_id: str | None = None
    operation: Operation | None = None
    actors: tuple[Actor, ...] = ()
    """By all of these: more than one is nobody."""
    within: Span = EVER


async def insert(tx: WriteSession, version: VersionRow) -> None:
    """Keep a new version."""
    await insert_all(tx, [version])


async def insert_all(tx: WriteSession, versions: Sequence[VersionRow]) -> None:
    """Keep new versions."""
    if versions:
        await tx.execute(sa.insert(memory_versions), [_values(version) for version in versions])


async def get(session: ReadSession, memory_store_id: str, version_id: str) -> VersionRow | None:
    """A version of one of the store's memories, alive or not."""
    row = await session.first(
        sa.select(memory_versions).where(_V.id == version_id, _V.memory_store_id == memory_store_id)
    )
    return None if row is None else _version(row)


async def content_of(session: ReadSession, memory_store_id: str, sha256: str) -> str | None:
    """A content by its hash, if some version has it."""
    found = await session.scalar(
        sa.select(_V.content)
        .where(
            _V.memory_store_id == memory_store_id,
            _V.content_sha256 == sha256,
            _V.content.is_not(None),
        )
        .limit(1)
    )
    return None if found is None else str(found)


async def page(
    session: ReadSession,
    memory_store_id: str,
    matching: Matching,
    *,
    after: Key | None,
    limit: int,
) -> Sequence[VersionRow]:
    """At most ``limit`` versions, newest first."""
    found = page_of(memory_store_id, matching, after=after, limit=limit)
    return [_version(row) for row in await session.page(found)]


def page_of(memory_store_id: str, matching: Matching, *, after: Key | None, limit: int) -> Page:
    """The query of :func:`page`."""
    mine = sa.select(memory_versions).where(_V.memory_store_id == memory_store_id)
    if matching.memory_id is not None:
        mine = mine.where(_V.memory_id == matching.memory_id)
    for actor in matching.actors:
        mine = mine.where(_V.created_by_type == actor.type, _V.created_by_id == actor.id)
    operations = get_args(Operation) if matching.operation is None else (matching.operation,)
    return merged(
        [mine.where(_V.operation == operation) for operation in operations],
        _V.created_at,
        _V.id,
        after,
        descending=True,
        within=matching.within,
        limit=limit,
    )


async def redact(tx: WriteSession, version_id: str, actor: Actor, now: datetime) -> None:
    """Forget for good what a version held and where."""
    await tx.execute(
        sa.update(memory_versions)
        .where(_V.id == version_id)
        .values(
            path=None,
            content=None,
            content_sha256=None,
            content_size_bytes=None,
            redacted_by_type=actor.type,
            redacted_by_id=actor.id,
            redacted_at=now,
        )
    )


def _actor(kind: ActorType | None, id_: str) -> Actor | None:
    return None if kind is None else Actor(kind, id_)


def _values(version: VersionRow) -> dict[str, object]:
    return {
        "id": version.id,
        "memory_store_id": version.memory_store_id,
        "memory_id": version.memory_id,
        "operation": version.operation,
        "path": version.path,
        "content": version.content,
        "content_sha256": version.content_sha256,
        "content_size_bytes": version.content_size_bytes,
        "created_by_type": version.created_by.type,
        "created_by_id": version.created_by.id,
        "created_at": version.created_at,
    }


def _version(row: RowMapping) -> VersionRow:
    return VersionRow(
        id=row["id"],
        memory_store_id=row["memory_store_id"],
        memory_id=row["memory_id"],
        operation=row["operation"],
        path=row["path"],
        content=row["content"],
        content_sha256=row["content_sha256"],
        content_size_bytes=row["content_size_bytes"],
        created_by=Actor(row["created_by_type"], row["created_by_id"]),
        created_at=row["created_at"],
        redacted_by=_actor(row["redacted_by_type"], row["redacted_by_id"]),
        redacted_at=row["redacted_at"],
    )
