"""Workspaces. They are the organization's, so these queries are of no workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.core.workspaces import DEFAULT_WORKSPACE
from freehold.store.keyset import Key, keyset
from freehold.store.tables import workspaces
from freehold.store.units import ReadSession, WriteSession

_W = workspaces.c


@dataclass(frozen=True)
class WorkspaceRow:
    """A workspace."""

    id: str
    name: str
    display_color: str
    tags: dict[str, str]
    created_at: datetime
    archived_at: datetime | None = None


async def insert(tx: WriteSession, workspace: WorkspaceRow) -> None:
    """Store a new workspace."""
    await tx.execute(sa.insert(workspaces).values(_values(workspace)))


async def get(session: ReadSession, id_: str, *, for_update: bool = False) -> WorkspaceRow | None:
    """A workspace; with ``for_update`` nobody else changes it meanwhile."""
    statement = sa.select(workspaces).where(_W.id == id_)
    if for_update:
        statement = statement.with_for_update()
    row = await session.first(statement)
    return None if row is None else _workspace(row)


async def named(session: ReadSession, name: str) -> WorkspaceRow | None:
    """The oldest workspace of this name that is not archived."""
    row = await session.first(
        sa.select(workspaces)
        .where(_W.name == name, _W.archived_at.is_(None))
        .order_by(_W.created_at, _W.id)
        .limit(1)
    )
    return None if row is None else _workspace(row)


async def count(session: ReadSession) -> int:
    """How many are not archived."""
    number = await session.scalar(
        sa.select(sa.func.count()).select_from(workspaces).where(_W.archived_at.is_(None))
    )
    return int(number)


async def page(
    session: ReadSession,
    *,
    beyond: Key | None,
    descending: bool,
    limit: int,
    include_archived: bool,
    include_default: bool,
    ids: Sequence[str] | None,
) -> Sequence[WorkspaceRow]:
    """At most ``limit`` workspaces beyond a place, by time of creation."""
    statement = sa.select(workspaces)
    if not include_archived:
        statement = statement.where(_W.archived_at.is_(None))
    if not include_default:
        statement = statement.where(_W.id != DEFAULT_WORKSPACE)
    if ids is not None:
        statement = statement.where(_W.id.in_(ids))
    statement = keyset(statement, _W.created_at, _W.id, beyond, descending=descending)
    return [_workspace(row) for row in await session.all(statement.limit(limit))]


async def update(tx: WriteSession, workspace: WorkspaceRow) -> None:
    """Store a workspace that exists as it is now."""
    await tx.execute(sa.update(workspaces).where(_W.id == workspace.id).values(_values(workspace)))


def _values(workspace: WorkspaceRow) -> dict[str, object]:
    return {
        "id": workspace.id,
        "name": workspace.name,
        "display_color": workspace.display_color,
        "tags": workspace.tags,
        "created_at": workspace.created_at,
        "archived_at": workspace.archived_at,
    }


def _workspace(row: RowMapping) -> WorkspaceRow:
    return WorkspaceRow(
        id=row["id"],
        name=row["name"],
        display_color=row["display_color"],
        tags=row["tags"],
        created_at=row["created_at"],
        archived_at=row["archived_at"],
    )
