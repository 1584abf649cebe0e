"""Deployments. Every query of a client's names the workspace; the timetable is the server's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.core import times
from freehold.core.events import Json
from freehold.store.database import Database
from freehold.store.keyset import EVER, Key, Page, Span, checked, merged
from freehold.store.resealing import reseal
from freehold.store.sealing import Sealer
from freehold.store.tables import deployments
from freehold.store.units import ReadSession, WriteSession

_D = deployments.c


@dataclass(frozen=True)
class DeploymentRow:
    """A deployment. The tokens of its repositories are in ``sealed`` alone."""

    id: str
    workspace_id: str
    name: str
    description: str | None
    agent_id: str
    agent_version: int
    environment_id: str
    initial_events: list[Json]
    resources: list[Json]
    sealed: str | None = field(repr=False)
    vault_ids: list[str]
    metadata: dict[str, str]
    budget: int | None
    """In cents."""
    expression: str | None
    timezone: str | None
    scheduled_at: datetime | None
    """The occurrence that comes next; ``None`` while nothing is scheduled."""
    starts_at: datetime | None
    """When its run starts."""
    last_run_at: datetime | None
    paused: str | None
    """``manual``, or the type of the error that paused it."""
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


_FIELDS = tuple(DeploymentRow.__dataclass_fields__)


async def insert(tx: WriteSession, deployment: DeploymentRow) -> None:
    """Store a new deployment."""
    await tx.execute(sa.insert(deployments).values(_values(deployment)))


async def get(
    session: ReadSession, workspace_id: str, deployment_id: str, *, for_update: bool = False
) -> DeploymentRow | None:
    """A deployment; with ``for_update`` nobody else changes it, or starts its runs, meanwhile."""
    statement = sa.select(deployments).where(
        _D.id == deployment_id, _D.workspace_id == workspace_id
    )
    if for_update:
        statement = statement.with_for_update()
    row = await session.first(statement)
    return None if row is None else _deployment(row)


async def take(tx: WriteSession, deployment_id: str) -> DeploymentRow | None:
    """A deployment of any workspace, for the server to start its run; nobody else does."""
    row = await tx.first(sa.select(deployments).where(_D.id == deployment_id).with_for_update())
    return None if row is None else _deployment(row)


async def page(
    session: ReadSession,
    workspace_id: str,
    *,
    after: Key | None,
    limit: int,
    agent_id: str | None = None,
    status: str | None = None,
    include_archived: bool = False,
    within: Span = EVER,
) -> Sequence[DeploymentRow]:
    """At most ``limit`` deployments, newest first."""
    found = page_of(
        workspace_id,
        after=after,
        limit=limit,
        agent_id=agent_id,
        status=status,
        include_archived=include_archived,
        within=within,
    )
    return [_deployment(row) for row in await session.page(found)]


def page_of(
    workspace_id: str,
    *,
    after: Key | None,
    limit: int,
    agent_id: str | None = None,
    status: str | None = None,
    include_archived: bool = False,
    within: Span = EVER,
) -> Page:
    """The query of :func:`page`."""
    here = _D.workspace_id == workspace_id
    mine = sa.select(deployments).where(here if agent_id is None else checked(here))
    if agent_id is not None:
        mine = mine.where(_D.agent_id == agent_id)
    live = mine.where(_D.archived_at.is_(None))
    shelves = {
        "active": live.where(_D.paused.is_(None)),
        "paused": live.where(_D.paused.is_not(None)),
    }
    wanted = list(shelves.values()) if status is None else [shelves[status]]
    if include_archived and status is None:
        wanted.append(mine.where(_D.archived_at.is_not(None)))
    return merged(wanted, _D.created_at, _D.id, after, descending=True, within=within, limit=limit)


async def update(tx: WriteSession, deployment: DeploymentRow) -> None:
    """Store a deployment that exists as it is now."""
    await tx.execute(
        sa.update(deployments)
        .where(_D.id == deployment.id, _D.workspace_id == deployment.workspace_id)
        .values(_values(deployment))
    )


async def archive_of_agent(
    tx: WriteSession, workspace_id: str, agent_id: str, now: datetime
) -> list[str]:
    """Archive every deployment of an agent (spec 2.5); their ids, the oldest first."""
    rows = await tx.all(
        sa.select(_D.id)
        .where(_D.workspace_id == workspace_id, _D.agent_id == agent_id, _D.archived_at.is_(None))
        .order_by(_D.created_at, _D.id)
        .with_for_update()
    )
    found = [row["id"] for row in rows]
    await tx.execute(
        sa.update(deployments)
        .where(_D.workspace_id == workspace_id, _D.agent_id == agent_id, _D.archived_at.is_(None))
        .values(archived_at=now, updated_at=now, scheduled_at=None, starts_at=None, paused=None)
    )
    return found


async def scheduled(session: ReadSession) -> int:
    """How many deployments of the organization have a schedule and are not archived."""
    count = await session.scalar(
        sa.select(sa.func.count())
        .select_from(deployments)
        .where(_D.expression.is_not(None), _D.archived_at.is_(None))
    )
    return int(count)


class SqlTimetable:
    """When runs start, as the loop that watches it needs it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, now: datetime) -> list[str]:
        """Deployments whose run should have started, the longest overdue first."""
        statement = sa.select(_D.id).where(_D.starts_at <= now).order_by(_D.starts_at, _D.id)
        async with self._database.read() as session:
            return [row["id"] for row in await session.all(statement)]

    async def next_due(self) -> datetime | None:
        """When the next run starts."""
        earliest = sa.select(sa.cast(sa.func.min(_D.starts_at), sa.BigInteger)).where(
            _D.starts_at.is_not(None)
        )
        async with self._database.read() as session:
            micros = await session.scalar(earliest)
        return None if micros is None else times.from_micros(micros)


class SqlDeploymentTokens:
    """The sealed tokens of deployments' repositories."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def reseal(self) -> int:
        """Seal with the newest key what an older one sealed; how many."""
        return await reseal(self._database, self._sealer, deployments, _D.sealed)


def _values(deployment: DeploymentRow) -> dict[str, object]:
    return {name: getattr(deployment, name) for name in _FIELDS}


def _deployment(row: RowMapping) -> DeploymentRow:
    return DeploymentRow(**{name: row[name] for name in _FIELDS})
