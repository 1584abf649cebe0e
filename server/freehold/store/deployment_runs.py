"""Runs of deployments: added, never changed. Every query of a client's names the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.store.keyset import Key, keyset
from freehold.store.tables import deployment_runs
from freehold.store.units import ReadSession, WriteSession

_R = deployment_runs.c


@dataclass(frozen=True)
class RunRow:
    """A run: it has a session, or an error."""

    id: str
    workspace_id: str
    deployment_id: str
    agent_id: str
    agent_version: int
    scheduled_at: datetime | None
    """The occurrence of the schedule; ``None`` of a manual run."""
    session_id: str | None
    error_type: str | None
    error_message: str | None
    created_at: datetime


@dataclass(frozen=True)
class Filter:
    """Which runs a list is of; ``None`` is no condition."""

    deployment_id: str | None = None
    trigger_type: str | None = None
    has_error: bool | None = None
    created_gt: datetime | None = None
    created_gte: datetime | None = None
    created_lt: datetime | None = None
    created_lte: datetime | None = None


_FIELDS = tuple(RunRow.__dataclass_fields__)


async def insert(tx: WriteSession, run: RunRow) -> None:
    """Store a run. Of an occurrence there is one at most."""
    await tx.execute(
        sa.insert(deployment_runs).values({name: getattr(run, name) for name in _FIELDS})
    )


async def exists(session: ReadSession, deployment_id: str, scheduled_at: datetime) -> bool:
    """Whether an occurrence has had its run."""
    found = await session.scalar(
        sa.select(_R.id).where(_R.deployment_id == deployment_id, _R.scheduled_at == scheduled_at)
    )
    return found is not None


async def get(session: ReadSession, workspace_id: str, run_id: str) -> RunRow | None:
    """A run."""
    row = await session.first(
        sa.select(deployment_runs).where(_R.id == run_id, _R.workspace_id == workspace_id)
    )
    return None if row is None else _run(row)


async def page(
    session: ReadSession, workspace_id: str, matching: Filter, *, after: Key | None, limit: int
) -> Sequence[RunRow]:
    """At most ``limit`` runs, newest first."""
    statement = sa.select(deployment_runs).where(
        _R.workspace_id == workspace_id, *_conditions(matching)
    )
    statement = keyset(statement, _R.created_at, _R.id, after, descending=True).limit(limit)
    return [_run(row) for row in await session.all(statement)]


def _conditions(matching: Filter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if matching.deployment_id is not None:
        conditions.append(_R.deployment_id == matching.deployment_id)
    if matching.trigger_type is not None:
        manual = _R.scheduled_at.is_(None)
        conditions.append(manual if matching.trigger_type == "manual" else ~manual)
    if matching.has_error is not None:
        failed = _R.session_id.is_(None)
        conditions.append(failed if matching.has_error else ~failed)
    if matching.created_gt is not None:
        conditions.append(_R.created_at > matching.created_gt)
    if matching.created_gte is not None:
        conditions.append(_R.created_at >= matching.created_gte)
    if matching.created_lt is not None:
        conditions.append(_R.created_at < matching.created_lt)
    if matching.created_lte is not None:
        conditions.append(_R.created_at <= matching.created_lte)
    return conditions


def _run(row: RowMapping) -> RunRow:
    return RunRow(**{name: row[name] for name in _FIELDS})
