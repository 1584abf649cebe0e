"""Dreams. Every query of the API names the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.core.dreaming import DreamStatus, Failure, Tokens
from freehold.core.events import Json
from freehold.store import keyset
from freehold.store.database import Database
from freehold.store.keyset import EVER, Key, Page, Span
from freehold.store.tables import dreams
from freehold.store.units import ReadSession, WriteSession

_D = dreams.c


@dataclass(frozen=True)
class DreamRow:
    """A dream."""

    id: str
    workspace_id: str
    status: DreamStatus
    memory_store_id: str
    session_ids: tuple[str, ...]
    """Those it reads, sorted."""
    model: Json
    """``id``, and ``speed`` if the client gave it."""
    instructions: str | None
    update_existing: bool
    """Whether the result goes into the store that it reads."""
    output_store_id: str | None
    session_id: str | None
    """The session that runs it."""
    usage: Tokens
    """As of when the dream last changed."""
    error: Failure | None
    active: bool
    """Whether a server has still something to do for it, after a cancel too."""
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    archived_at: datetime | None


@dataclass(frozen=True)
class Filter:
    """Which dreams a list is of; ``None`` or empty is no condition."""

    statuses: Sequence[str] = ()
    include_archived: bool = False
    within: Span = EVER


async def insert(tx: WriteSession, dream: DreamRow) -> None:
    """Keep a new dream."""
    await tx.execute(sa.insert(dreams).values(_values(dream)))


async def get(
    session: ReadSession, workspace_id: str, dream_id: str, *, for_update: bool = False
) -> DreamRow | None:
    """A dream; with ``for_update`` nobody else changes it meanwhile."""
    statement = sa.select(dreams).where(_D.id == dream_id, _D.workspace_id == workspace_id)
    return await _first(session, statement, for_update=for_update)


async def take(session: ReadSession, dream_id: str, *, for_update: bool = False) -> DreamRow | None:
    """A dream of any workspace that a server has something to do for."""
    statement = sa.select(dreams).where(_D.id == dream_id, _D.active)
    return await _first(session, statement, for_update=for_update)


async def held(session: ReadSession, workspace_id: str, memory_store_id: str) -> str | None:
    """The dream that has not fully stopped to write its result into this store."""
    found = await session.scalar(
        sa.select(_D.id)
        .where(
            _D.active,
            _D.memory_store_id == memory_store_id,
            _D.workspace_id == workspace_id,
            _D.update_existing,
        )
        .limit(1)
    )
    return None if found is None else str(found)


async def page(
    session: ReadSession, workspace_id: str, matching: Filter, *, after: Key | None, limit: int
) -> Sequence[DreamRow]:
    """At most ``limit`` dreams, newest first."""
    found = page_of(workspace_id, matching, after=after, limit=limit)
    return [_dream(row) for row in await session.page(found)]


def page_of(workspace_id: str, matching: Filter, *, after: Key | None, limit: int) -> Page:
    """The query of :func:`page`."""
    mine = sa.select(dreams).where(_D.workspace_id == workspace_id)
    shelves = [
        shelf
        for status in sorted(set(matching.statuses or get_args(DreamStatus)))
        for shelf in keyset.shelves(
            mine.where(_D.status == status),
            _D.archived_at,
            include_archived=matching.include_archived,
        )
    ]
    return keyset.merged(
        shelves,
        _D.created_at,
        _D.id,
        after,
        descending=True,
        within=matching.within,
        limit=limit,
    )


async def update(tx: WriteSession, dream: DreamRow) -> None:
    """Keep a dream that exists as it is now."""
    await tx.execute(
        sa.update(dreams)
        .where(_D.id == dream.id, _D.workspace_id == dream.workspace_id)
        .values(_values(dream))
    )


class SqlDreams:
    """The table, as the loop that watches it needs it (:class:`dispatch.dreams.DreamTable`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def active(self) -> list[str]:
        """Dreams that a server has something to do for."""
        async with self._database.read() as session:
            return [row["id"] for row in await session.all(sa.select(_D.id).where(_D.active))]


async def _first(
    session: ReadSession, statement: sa.Select[Any], *, for_update: bool
) -> DreamRow | None:
    row = await session.first(statement.with_for_update() if for_update else statement)
    return None if row is None else _dream(row)


def _values(dream: DreamRow) -> dict[str, object]:
    error = dream.error
    return {
        "id": dream.id,
        "workspace_id": dream.workspace_id,
        "status": dream.status,
        "memory_store_id": dream.memory_store_id,
        "session_ids": list(dream.session_ids),
        "model": dream.model,
        "instructions": dream.instructions,
        "update_existing": dream.update_existing,
        "output_store_id": dream.output_store_id,
        "session_id": dream.session_id,
        "usage": dream.usage._asdict(),
        "error": sa.null() if error is None else error._asdict(),
        "active": dream.active,
        "created_at": dream.created_at,
        "started_at": dream.started_at,
        "ended_at": dream.ended_at,
        "archived_at": dream.archived_at,
    }


def _dream(row: RowMapping) -> DreamRow:
    return DreamRow(
        id=row["id"],
        workspace_id=row["workspace_id"],
        status=row["status"],
        memory_store_id=row["memory_store_id"],
        session_ids=tuple(row["session_ids"]),
        model=row["model"],
        instructions=row["instructions"],
        update_existing=row["update_existing"],
        output_store_id=row["output_store_id"],
        session_id=row["session_id"],
        usage=Tokens(**row["usage"]),
        error=None if row["error"] is None else Failure(**row["error"]),
        active=row["active"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        archived_at=row["archived_at"],
    )
