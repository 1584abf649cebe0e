"""Sessions as the API sees them. Every query names the workspace.

What a session's log folds to is written by :meth:`WriteSession.append` alone; this module reads
it, and writes what is not in the log.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.core.events import Json
from freehold.core.state import SessionState, Status
from freehold.store import codec, keyset, session_resources
from freehold.store.keyset import EVER, Key, Page, Span
from freehold.store.tables import session_events, sessions
from freehold.store.units import ReadSession, WriteSession

_S = sessions.c
_ERROR = "session.error"

_MINE = (
    _S.id == sa.bindparam("of_session"),
    _S.workspace_id == sa.bindparam("of_workspace"),
    _S.deleted_at.is_(None),
)
_SHOWN = (
    _S.id,
    _S.workspace_id,
    _S.agent_id,
    _S.agent_version,
    _S.agent,
    _S.environment_id,
    _S.environment,
    _S.primary_thread_id,
    _S.vault_ids,
    _S.title,
    _S.metadata,
    _S.budget,
    _S.state,
    _S.created_at,
    _S.updated_at,
    _S.archived_at,
    _S.deployment_id,
)
_GET = sa.select(*_SHOWN).where(*_MINE)
_HEAD = sa.select(_S.head_seq).where(*_MINE)
_STATE = sa.select(_S.state).where(*_MINE)


@dataclass(frozen=True)
class SessionRow:
    """A session that was not deleted."""

    id: str
    workspace_id: str
    agent_id: str
    agent_version: int
    agent: Json
    environment_id: str
    environment: Json
    primary_thread_id: str
    title: str | None
    metadata: dict[str, str]
    state: SessionState
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None
    budget: int | None = None
    """As the session was created, in cents; the state has the one in force."""
    vault_ids: tuple[str, ...] = ()
    deployment_id: str | None = None
    """The deployment whose run created it."""


@dataclass(frozen=True)
class Filter:
    """Which sessions a list is of; ``None`` is no condition."""

    agent_id: str | None = None
    agent_version: int | None = None
    statuses: Sequence[str] | None = None
    include_archived: bool = False
    within: Span = EVER
    memory_store_id: str | None = None
    deployment_id: str | None = None


async def insert(tx: WriteSession, session: SessionRow) -> None:
    """Store a session whose log is empty."""
    await tx.execute(
        sa.insert(sessions).values(
            id=session.id,
            workspace_id=session.workspace_id,
            agent_id=session.agent_id,
            agent_version=session.agent_version,
            agent=session.agent,
            environment_id=session.environment_id,
            environment=session.environment,
            primary_thread_id=session.primary_thread_id,
            vault_ids=list(session.vault_ids),
            title=session.title,
            metadata=session.metadata,
            budget=session.budget,
            status=session.state.status,
            head_seq=session.state.seq,
            state=codec.dump_state(session.state),
            needs_work=session.state.needs_work,
            created_at=session.created_at,
            updated_at=session.updated_at,
            deployment_id=session.deployment_id,
        )
    )


async def get(session: ReadSession, workspace_id: str, session_id: str) -> SessionRow | None:
    """A session."""
    row = await session.first(_GET, {"of_session": session_id, "of_workspace": workspace_id})
    return None if row is None else _session(row)


async def head(session: ReadSession, workspace_id: str, session_id: str) -> int | None:
    """Where a session's log ends; ``None`` if there is no such session."""
    seq = await session.scalar(_HEAD, {"of_session": session_id, "of_workspace": workspace_id})
    return None if seq is None else int(seq)


async def state(session: ReadSession, workspace_id: str, session_id: str) -> SessionState | None:
    """What a session's log folds to; ``None`` if there is no such session."""
    text = await session.scalar(_STATE, {"of_session": session_id, "of_workspace": workspace_id})
    return None if text is None else codec.load_state(text)


async def living(session: ReadSession, workspace_id: str, environment_id: str) -> int:
    """How many sessions on an environment are not over."""
    count = await session.scalar(
        sa.select(sa.func.count()).where(
            _S.environment_id == environment_id,
            _S.workspace_id == workspace_id,
            _S.deleted_at.is_(None),
            _S.status != "terminated",
        )
    )
    return int(count or 0)


async def states(
    session: ReadSession, workspace_id: str, session_ids: Collection[str]
) -> dict[str, SessionState]:
    """What the logs of those of these sessions fold to that are there."""
    if not session_ids:
        return {}
    rows = await session.all(
        sa.select(_S.id, _S.state).where(
            _S.id.in_(sorted(session_ids)),
            _S.workspace_id == workspace_id,
            _S.deleted_at.is_(None),
        )
    )
    return {row["id"]: codec.load_state(row["state"]) for row in rows}


async def has_event(session: ReadSession, session_id: str, kind: str) -> bool:
    """Whether the session's log has an event of this type."""
    found = await session.scalar(
        sa.select(session_events.c.seq)
        .where(session_events.c.session_id == session_id, session_events.c.type == kind)
        .limit(1)
    )
    return found is not None


async def last_error(session: ReadSession, session_id: str) -> str | None:
    """The message of the newest error in the session's log."""
    body = await session.scalar(
        sa.select(session_events.c.body)
        .where(session_events.c.session_id == session_id, session_events.c.type == _ERROR)
        .order_by(session_events.c.seq.desc())
        .limit(1)
    )
    return None if body is None else str(json.loads(body)["error"].get("message", ""))


async def page(
    session: ReadSession,
    workspace_id: str,
    matching: Filter,
    *,
    after: Key | None,
    descending: bool,
    limit: int,
) -> Sequence[SessionRow]:
    """At most ``limit`` sessions by time of creation, those beyond ``after``."""
    if matching.memory_store_id is None:
        found = page_of(workspace_id, matching, after=after, descending=descending, limit=limit)
        return [_session(row) for row in await session.page(found)]
    found = page_of_store(workspace_id, matching, after=after, descending=descending, limit=limit)
    ids = [row["session_id"] for row in await session.page(found)]
    rows = await session.all(sa.select(*_SHOWN).where(_S.id.in_(ids)))
    by_id = {row["id"]: _session(row) for row in rows}
    return [by_id[one] for one in ids]


def page_of(
    workspace_id: str, matching: Filter, *, after: Key | None, descending: bool, limit: int
) -> Page:
    """The query of :func:`page`, unless a memory store is named."""
    mine = sa.select(*_SHOWN).where(*_conditions(workspace_id, matching))
    shelves = [
        shelf
        for status in _statuses(matching)
        for shelf in keyset.shelves(
            mine.where(_S.status == status),
            _S.archived_at,
            include_archived=matching.include_archived,
        )
    ]
    return keyset.merged(
        shelves,
        _S.created_at,
        _S.id,
        after,
        descending=descending,
        within=matching.within,
        limit=limit,
    )


def page_of_store(
    workspace_id: str, matching: Filter, *, after: Key | None, descending: bool, limit: int
) -> Page:
    """The ids of the sessions on a page of those that have a memory store.

    In the order of the store's own rows; each session is looked at when its turn has come.
    """
    rows = session_resources.OF_STORES.c
    wanted = [*_conditions(workspace_id, matching), _S.status.in_(_statuses(matching))]
    if not matching.include_archived:
        wanted.append(_S.archived_at.is_(None))
    # Not a join, nor what databases make one of: they would rather start at the sessions.
    listed = sa.select(sa.and_(*wanted)).where(_S.id == rows.session_id).scalar_subquery()
    mine = sa.select(rows.session_id).where(
        rows.memory_store_id == matching.memory_store_id, listed
    )
    return keyset.merged(
        [mine],
        rows.created_at,
        rows.session_id,
        after,
        descending=descending,
        within=matching.within,
        limit=limit,
    )


def _conditions(workspace_id: str, matching: Filter) -> list[sa.ColumnElement[bool]]:
    here = _S.workspace_id == workspace_id
    narrower = matching.agent_id is not None or matching.deployment_id is not None
    conditions = [keyset.checked(here) if narrower else here, _S.deleted_at.is_(None)]
    if matching.agent_id is not None:
        conditions.append(_S.agent_id == matching.agent_id)
        if matching.agent_version is not None:
            conditions.append(_S.agent_version == matching.agent_version)
    if matching.deployment_id is not None:
        conditions.append(_S.deployment_id == matching.deployment_id)
    return conditions


def _statuses(matching: Filter) -> list[str]:
    if matching.statuses:
        return sorted(set(matching.statuses))
    over = () if matching.include_archived else ("terminated",)
    return [status for status in get_args(Status) if status not in over]


async def update(tx: WriteSession, session: SessionRow) -> None:
    """Store a session's title, metadata, agent and archiving as they are now."""
    values: dict[str, Any] = {
        "title": session.title,
        "metadata": session.metadata,
        "agent": session.agent,
        "archived_at": session.archived_at,
    }
    await tx.execute(
        sa.update(sessions)
        .where(_S.id == session.id, _S.workspace_id == session.workspace_id)
        .values(values)
    )


def _session(row: RowMapping) -> SessionRow:
    return SessionRow(
        id=row["id"],
        workspace_id=row["workspace_id"],
        agent_id=row["agent_id"],
        agent_version=row["agent_version"],
        agent=row["agent"],
        environment_id=row["environment_id"],
        environment=row["environment"],
        primary_thread_id=row["primary_thread_id"],
        title=row["title"],
        metadata=row["metadata"],
        state=codec.load_state(row["state"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
        budget=row["budget"],
        vault_ids=tuple(row["vault_ids"]),
        deployment_id=row["deployment_id"],
    )
