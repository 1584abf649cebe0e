"""Environments. Every query names the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.core.events import Json
from freehold.store.keyset import Key, merged, shelves
from freehold.store.tables import environments
from freehold.store.units import ReadSession, WriteSession

_E = environments.c


@dataclass(frozen=True)
class EnvironmentRow:
    """An environment."""

    id: str
    workspace_id: str
    name: str
    description: str | None
    config: Json
    metadata: dict[str, str]
    scope: str
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


async def insert(tx: WriteSession, environment: EnvironmentRow) -> None:
    """Store a new environment."""
    await tx.execute(sa.insert(environments).values(_values(environment)))


async def get(
    session: ReadSession, workspace_id: str, environment_id: str, *, for_update: bool = False
) -> EnvironmentRow | None:
    """An environment; with ``for_update`` nobody else changes it meanwhile."""
    statement = sa.select(environments).where(
        _E.id == environment_id, _E.workspace_id == workspace_id
    )
    if for_update:
        statement = statement.with_for_update()
    row = await session.first(statement)
    return None if row is None else _environment(row)


async def page(
    session: ReadSession,
    workspace_id: str,
    *,
    after: Key | None,
    limit: int,
    include_archived: bool,
) -> Sequence[EnvironmentRow]:
    """At most ``limit`` environments, newest first."""
    found = merged(
        shelves(
            sa.select(environments).where(_E.workspace_id == workspace_id),
            _E.archived_at,
            include_archived=include_archived,
        ),
        _E.created_at,
        _E.id,
        after,
        descending=True,
        limit=limit,
    )
    return [_environment(row) for row in await session.page(found)]


async def update(tx: WriteSession, environment: EnvironmentRow) -> None:
    """Store an environment that exists as it is now."""
    await tx.execute(
        sa.update(environments)
        .where(_E.id == environment.id, _E.workspace_id == environment.workspace_id)
        .values(_values(environment))
    )


async def delete(tx: WriteSession, workspace_id: str, environment_id: str) -> bool:
    """Remove an environment; whether there was one. Sessions keep the config they copied."""
    changed = await tx.execute(
        sa.delete(environments).where(_E.id == environment_id, _E.workspace_id == workspace_id)
    )
    return changed == 1


def _values(environment: EnvironmentRow) -> dict[str, object]:
    return {
        "id": environment.id,
        "workspace_id": environment.workspace_id,
        "name": environment.name,
        "description": environment.description,
        "config": environment.config,
        "metadata": environment.metadata,
        "scope": environment.scope,
        "created_at": environment.created_at,
        "updated_at": environment.updated_at,
        "archived_at": environment.archived_at,
    }


def _environment(row: RowMapping) -> EnvironmentRow:
    return EnvironmentRow(
        id=row["id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        description=row["description"],
        config=row["config"],
        metadata=row["metadata"],
        scope=row["scope"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
    )
