"""First answers to requests with an ``Idempotency-Key``, kept for a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from freehold.store.tables import idempotency_keys
from freehold.store.units import ReadSession, WriteSession

_I = idempotency_keys.c


@dataclass(frozen=True)
class Kept:
    """What a key was used for, and the answer, sealed (it may hold a secret that is shown once)."""

    fingerprint: str
    answer: str


async def find(session: ReadSession, workspace_id: str, key: str, since: datetime) -> Kept | None:
    """What was kept under a key, not before ``since``."""
    row = await session.first(
        sa.select(_I.fingerprint, _I.answer).where(
            _I.workspace_id == workspace_id, _I.key == key, _I.created_at >= since
        )
    )
    return None if row is None else Kept(row["fingerprint"], row["answer"])


async def keep(
    tx: WriteSession, workspace_id: str, key: str, kept: Kept, *, now: datetime, since: datetime
) -> bool:
    """Keep an answer with the change that it tells of; whether nobody was first.

    If somebody was, this transaction is spoiled and has to be taken back.
    """
    await tx.execute(
        sa.delete(idempotency_keys).where(
            _I.workspace_id == workspace_id, _I.key == key, _I.created_at < since
        )
    )
    try:
        await tx.execute(
            sa.insert(idempotency_keys).values(
                workspace_id=workspace_id,
                key=key,
                fingerprint=kept.fingerprint,
                answer=kept.answer,
                created_at=now,
            )
        )
    except IntegrityError:
        return False
    return True


async def forget(tx: WriteSession, before: datetime) -> None:
    """Remove what is older, of all workspaces."""
    await tx.execute(sa.delete(idempotency_keys).where(_I.created_at < before))
