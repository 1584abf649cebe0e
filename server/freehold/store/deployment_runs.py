"""Runs of deployments: added, never changed. Every query of a client's names the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.store.keyset import EVER, Key, Page, Span, checked, merged
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
    within: Span = EVER


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
    found = page_of(workspace_id, matching, after=after, limit=limit)
    return [_run(row) for row in await session.page(found)]


def page_of(workspace_id: str, matching: Filter, *, after: Key | None, limit: int) -> Page:
    """The query of :func:`page`."""
    here = _R.workspace_id == workspace_id
    whole = matching.deployment_id is None
    mine = sa.select(deployment_runs).where(here if whole else checked(here))
    if matching.deployment_id is not None:
        mine = mine.where(_R.deployment_id == matching.deployment_id)
    triggers = {"manual": _R.scheduled_at.is_(None), "schedule": _R.scheduled_at.is_not(None)}
    outcomes = {True: _R.session_id.is_(None), False: _R.session_id.is_not(None)}
    shelves = [
        mine.where(trigger, outcome)
        for kind, trigger in triggers.items()
        if matching.trigger_type in (None, kind)
        for failed, outcome in outcomes.items()
        if matching.has_error in (None, failed)
    ]
    return merged(
        shelves,
        _R.created_at,
        _R.id,
        after,
        descending=True,
        within=matching.within,
        limit=limit,
    )


def _run(row: RowMapping) -> RunRow:
    return RunRow(**{name: row[name] for name in _FIELDS})
