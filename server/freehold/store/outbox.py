"""Writing down what webhooks tell, in the transaction that brings it about (spec 20.2).

So an event is told if and only if it happened, wherever the server dies. What endpoints do not
want, or are disabled for, is never written: it would not be delivered later either.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from freehold.core import ids, times
from freehold.core.events import Record
from freehold.core.fold import fold
from freehold.core.state import SessionState
from freehold.core.webhooks import TELLING, Fired, of_record
from freehold.store.statements import Statements
from freehold.store.tables import sessions, webhook_deliveries, webhook_endpoints

_W = webhook_endpoints.c
_WANTING = sa.select(_W.id, _W.workspace_id, _W.enabled_events).where(_W.enabled)
_OF_WORKSPACE = _WANTING.where(_W.workspace_id == sa.bindparam("of_workspace"))
_OF_SESSION = _WANTING.where(
    _W.workspace_id
    == sa.select(sessions.c.workspace_id)
    .where(sessions.c.id == sa.bindparam("of_session"))
    .scalar_subquery()
)


async def tell(
    tx: Statements,
    workspace_id: str,
    kind: Fired,
    resource_id: str,
    at: datetime,
    **more: str,
) -> None:
    """Have it delivered, once this transaction is committed, to every endpoint that wants it.

    ``more`` are the fields beside those that every type has, such as ``vault_id``.
    """
    wanting = await tx.all(_OF_WORKSPACE, {"of_workspace": workspace_id})
    await _write(tx, wanting, [(kind, at)], resource_id, more)


async def listeners(tx: Statements, session_id: str, records: Sequence[Record]) -> Sequence[Any]:
    """The endpoints that might want to be told of these records of a session's log."""
    if not any(record.event.type in TELLING for record in records):
        return ()
    return await tx.all(_OF_SESSION, {"of_session": session_id})


async def tell_records(
    tx: Statements, wanting: Sequence[Any], before: SessionState, records: Sequence[Record]
) -> None:
    """Have records delivered to ``wanting``; ``before`` is the state that they change."""
    told: list[tuple[Fired, datetime]] = []
    state = before
    for record in records:
        told += [(kind, record.processed_at) for kind in of_record(state, record)]
        state = fold(state, record)
    await _write(tx, wanting, told, before.session_id, {})


async def _write(
    tx: Statements,
    wanting: Sequence[Any],
    told: Sequence[tuple[Fired, datetime]],
    resource_id: str,
    more: Mapping[str, str],
) -> None:
    rows: list[dict[str, Any]] = []
    for kind, at in told:
        event_id = ids.encode("whe", times.to_micros(at), os.urandom(ids.ENTROPY_BYTES))
        for endpoint in wanting:
            if kind not in endpoint["enabled_events"]:
                continue
            data = {
                "type": kind,
                "id": resource_id,
                "workspace_id": endpoint["workspace_id"],
                **more,
            }
            rows.append(
                {
                    "endpoint_id": endpoint["id"],
                    "event_id": event_id,
                    "data": data,
                    "occurred_at": at,
                    "attempts": 0,
                    "due_at": at,
                }
            )
    if rows:
        await tx.execute(sa.insert(webhook_deliveries), rows)
