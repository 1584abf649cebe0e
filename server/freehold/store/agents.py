"""Agents and their versions. Every query names the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.core.events import Json
from freehold.store.keyset import EVER, Key, Span, merged, shelves
from freehold.store.tables import agent_versions, agents
from freehold.store.units import ReadSession, WriteSession

_A = agents.c
_V = agent_versions.c


@dataclass(frozen=True)
class AgentRow:
    """An agent at one version; ``body`` is its definition and its metadata."""

    id: str
    workspace_id: str
    version: int
    body: Json
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


async def insert(tx: WriteSession, agent: AgentRow) -> None:
    """Store a new agent at its first version."""
    await tx.execute(
        sa.insert(agents).values(
            id=agent.id,
            workspace_id=agent.workspace_id,
            version=agent.version,
            body=agent.body,
            created_at=agent.created_at,
            updated_at=agent.updated_at,
            archived_at=agent.archived_at,
        )
    )
    await _insert_version(tx, agent)


async def get(
    session: ReadSession, workspace_id: str, agent_id: str, *, for_update: bool = False
) -> AgentRow | None:
    """The newest version of an agent; with ``for_update`` nobody else changes it meanwhile."""
    statement = sa.select(agents).where(_A.id == agent_id, _A.workspace_id == workspace_id)
    if for_update:
        statement = statement.with_for_update()
    row = await session.first(statement)
    return None if row is None else _agent(row)


async def get_version(
    session: ReadSession, workspace_id: str, agent_id: str, version: int
) -> AgentRow | None:
    """An agent as it was at ``version``."""
    row = await session.first(
        _versions().where(
            _V.agent_id == agent_id, _V.version == version, _V.workspace_id == workspace_id
        )
    )
    return None if row is None else _agent(row)


async def page(
    session: ReadSession,
    workspace_id: str,
    *,
    after: Key | None,
    limit: int,
    include_archived: bool,
    within: Span = EVER,
) -> Sequence[AgentRow]:
    """Newest versions of at most ``limit`` agents, newest agent first."""
    found = merged(
        shelves(
            sa.select(agents).where(_A.workspace_id == workspace_id),
            _A.archived_at,
            include_archived=include_archived,
        ),
        _A.created_at,
        _A.id,
        after,
        descending=True,
        within=within,
        limit=limit,
    )
    return [_agent(row) for row in await session.page(found)]


async def page_versions(
    session: ReadSession, workspace_id: str, agent_id: str, *, before: int | None, limit: int
) -> Sequence[AgentRow]:
    """At most ``limit`` versions of an agent, newest first, those before version ``before``."""
    statement = _versions().where(_V.agent_id == agent_id, _V.workspace_id == workspace_id)
    if before is not None:
        statement = statement.where(_V.version < before)
    rows = await session.all(statement.order_by(_V.version.desc()).limit(limit))
    return [_agent(row) for row in rows]


async def add_version(tx: WriteSession, agent: AgentRow) -> None:
    """Make this the newest version; the older ones stay."""
    await tx.execute(
        sa.update(agents)
        .where(_A.id == agent.id, _A.workspace_id == agent.workspace_id)
        .values(version=agent.version, body=agent.body, updated_at=agent.updated_at)
    )
    await _insert_version(tx, agent)


async def archive(tx: WriteSession, workspace_id: str, agent_id: str, moment: datetime) -> bool:
    """Make the agent read-only for good; whether it was not. An archived one stays as it is."""
    changed = await tx.execute(
        sa.update(agents)
        .where(_A.id == agent_id, _A.workspace_id == workspace_id, _A.archived_at.is_(None))
        .values(archived_at=moment, updated_at=moment)
    )
    return changed == 1


def _versions() -> sa.Select[Any]:
    return sa.select(
        _A.id,
        _A.workspace_id,
        _V.version,
        _V.body,
        _A.created_at,
        _V.updated_at,
        _A.archived_at,
    ).select_from(agents.join(agent_versions, _V.agent_id == _A.id))


async def _insert_version(tx: WriteSession, agent: AgentRow) -> None:
    await tx.execute(
        sa.insert(agent_versions).values(
            agent_id=agent.id,
            version=agent.version,
            workspace_id=agent.workspace_id,
            body=agent.body,
            updated_at=agent.updated_at,
        )
    )


def _agent(row: RowMapping) -> AgentRow:
    return AgentRow(
        id=row["id"],
        workspace_id=row["workspace_id"],
        version=row["version"],
        body=row["body"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
    )
