"""The work queue of self-hosted environments. Every query names the workspace or the token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from freehold.core.work import can_offer, offered
from freehold.store.keyset import Key, keyset
from freehold.store.tables import work, work_pollers
from freehold.store.units import ReadSession, WriteSession
from freehold.store.work_rows import WorkRow, row_of, values_of

_W = work.c
_P = work_pollers.c

POLLING = timedelta(seconds=30)
"""How long a worker counts as polling after it did (spec 4.2)."""
_TRIES = 16
"""Items that one poll looks at: those whose leases ran out may not be there to be taken yet."""


@dataclass(frozen=True)
class Stats:
    """How a queue stands (spec 4.2)."""

    depth: int
    pending: int
    oldest_queued_at: datetime | None
    workers_polling: int


async def insert(tx: WriteSession, item: WorkRow) -> None:
    """Queue a session that was just created."""
    await tx.execute(
        sa.insert(work).values(
            id=item.id,
            workspace_id=item.workspace_id,
            environment_id=item.environment_id,
            session_id=item.session_id,
            metadata=item.metadata,
            created_at=item.created_at,
            **values_of(item.work),
        )
    )


async def get(
    session: ReadSession,
    workspace_id: str,
    environment_id: str,
    work_id: str,
    now: datetime,
    *,
    for_update: bool = False,
) -> WorkRow | None:
    """An item; with ``for_update`` nobody else changes it meanwhile."""
    statement = sa.select(work).where(
        _W.id == work_id, _W.environment_id == environment_id, _W.workspace_id == workspace_id
    )
    if for_update:
        statement = statement.with_for_update()
    found = await session.first(statement)
    return None if found is None else row_of(found, now)


async def page(
    session: ReadSession,
    workspace_id: str,
    environment_id: str,
    now: datetime,
    *,
    after: Key | None,
    limit: int,
) -> Sequence[WorkRow]:
    """At most ``limit`` items, newest first."""
    statement = sa.select(work).where(
        _W.environment_id == environment_id, _W.workspace_id == workspace_id
    )
    statement = keyset(statement, _W.created_at, _W.id, after, descending=True).limit(limit)
    return [row_of(found, now) for found in await session.all(statement)]


async def save(tx: WriteSession, item: WorkRow) -> None:
    """Store an item that was read ``for_update`` as it is now."""
    await tx.execute(
        sa.update(work)
        .where(_W.id == item.id)
        .values(metadata=item.metadata, **values_of(item.work))
    )


def _claimable(
    workspace_id: str, environment_id: str, now: datetime, reclaim: timedelta
) -> tuple[sa.ColumnElement[bool], ...]:
    ran_out = sa.and_(_W.lease_until.is_not(None), _W.lease_until <= now)
    waiting = sa.and_(
        _W.state == "queued",
        _W.available_at <= now,
        sa.or_(_W.offered_at.is_(None), _W.offered_at <= now - reclaim),
    )
    given_up = sa.and_(
        ran_out,
        sa.or_(
            _W.state.in_(("starting", "active")),
            sa.and_(_W.state == "stopping", _W.wanted, sa.not_(_W.held)),
        ),
    )
    return (
        _W.environment_id == environment_id,
        _W.workspace_id == workspace_id,
        sa.or_(waiting, given_up),
    )


async def any_claimable(
    session: ReadSession, workspace_id: str, environment_id: str, now: datetime, reclaim: timedelta
) -> bool:
    """Whether :func:`claim` may find something; costs no writer."""
    statement = sa.select(_W.id).where(*_claimable(workspace_id, environment_id, now, reclaim))
    return await session.scalar(statement.limit(1)) is not None


async def claim(
    tx: WriteSession,
    workspace_id: str,
    environment_id: str,
    *,
    token: str,
    now: datetime,
    reclaim: timedelta,
) -> WorkRow | None:
    """Hand out the item that has waited longest; ``token`` is the digest of what goes with it."""
    statement = (
        sa.select(work)
        .where(*_claimable(workspace_id, environment_id, now, reclaim))
        .order_by(_W.started_at, _W.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    for _ in range(_TRIES):
        found = await tx.first(statement)
        if found is None:
            return None
        item = row_of(found, now)
        if can_offer(item.work, now, reclaim):
            item = replace(item, work=offered(item.work, now))
            await tx.execute(
                sa.update(work)
                .where(_W.id == item.id)
                .values(previous_token=found["token"], token=token, **values_of(item.work))
            )
            return item
        # Its lease is over and it is not to be handed out yet: from now on the row says so.
        await save(tx, item)
    return None


async def polled(tx: WriteSession, environment_id: str, worker_id: str, now: datetime) -> None:
    """Note that a worker asks for work; forget those that no longer do."""
    await tx.execute(
        sa.delete(work_pollers).where(
            _P.environment_id == environment_id,
            sa.or_(_P.worker_id == worker_id, _P.polled_at <= now - POLLING),
        )
    )
    await tx.execute(
        sa.insert(work_pollers).values(
            environment_id=environment_id, worker_id=worker_id, polled_at=now
        )
    )


async def stats(
    session: ReadSession, workspace_id: str, environment_id: str, now: datetime
) -> Stats:
    """How the queue stands."""
    mine = (_W.environment_id == environment_id, _W.workspace_id == workspace_id)
    ran_out = sa.and_(_W.lease_until.is_not(None), _W.lease_until <= now)
    unclaimed = sa.and_(_W.state == "queued", _W.offered_at.is_(None))
    lost = sa.and_(_W.state.in_(("starting", "active")), ran_out)
    waiting = await session.first(
        sa.select(sa.func.count().label("depth"), sa.func.min(_W.started_at).label("oldest")).where(
            *mine, sa.or_(unclaimed, lost)
        )
    )
    pending = await session.scalar(
        sa.select(sa.func.count()).where(*mine, _W.state == "queued", _W.offered_at.is_not(None))
    )
    polling = await session.scalar(
        sa.select(sa.func.count()).where(
            _P.environment_id == environment_id, _P.polled_at > now - POLLING
        )
    )
    return Stats(
        depth=0 if waiting is None else int(waiting["depth"]),
        pending=int(pending or 0),
        oldest_queued_at=None if waiting is None else waiting["oldest"],
        workers_polling=int(polling or 0),
    )


async def queued(
    session: ReadSession, workspace_id: str, environment_id: str, now: datetime
) -> bool:
    """Whether work of an environment is in its queue."""
    found = await stats(session, workspace_id, environment_id, now)
    return found.depth + found.pending > 0


async def of_token(session: ReadSession, digest: str, now: datetime) -> WorkRow | None:
    """The item that a token was handed out with, by the token's digest."""
    statement = sa.select(work).where(sa.or_(_W.token == digest, _W.previous_token == digest))
    found = await session.first(statement)
    return None if found is None else row_of(found, now)
