"""The keys of workers (spec 4.7). The table has digests alone: a key is shown when it is made.

key, text = await mint(tx, workspace_id, environment_id, "laptop", clock=clock)
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.ports.clock import Clock
from freehold.store.tables import environment_keys
from freehold.store.units import ReadSession, WriteSession

PREFIX = "sk-ant-oat01-"
LIFETIME = timedelta(days=365)
"""How long a key is good, unless another time is asked for (spec 4.7)."""
_HINT = 4
_K = environment_keys.c


@dataclass(frozen=True)
class EnvironmentKeyRow:
    """A key, without what opens anything."""

    id: str
    workspace_id: str
    environment_id: str
    name: str
    hint: str
    """Its last characters."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def usable(self, now: datetime) -> bool:
        """Whether it still opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def digest(text: str) -> str:
    """What the table has of a key or a token. They are random, so nothing slower is needed."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


async def mint(
    tx: WriteSession,
    workspace_id: str,
    environment_id: str,
    name: str,
    *,
    clock: Clock,
    lifetime: timedelta | None = LIFETIME,
) -> tuple[EnvironmentKeyRow, str]:
    """Make a key for an environment, which the caller knows to exist; the row and the key."""
    text = PREFIX + secrets.token_urlsafe(48)
    now = clock.now()
    row = EnvironmentKeyRow(
        id=clock.mint("envkey"),
        workspace_id=workspace_id,
        environment_id=environment_id,
        name=name,
        hint=text[-_HINT:],
        created_at=now,
        expires_at=None if lifetime is None else now + lifetime,
        revoked_at=None,
    )
    await tx.execute(
        sa.insert(environment_keys).values(
            id=row.id,
            workspace_id=workspace_id,
            environment_id=environment_id,
            name=name,
            digest=digest(text),
            hint=row.hint,
            created_at=now,
            expires_at=row.expires_at,
        )
    )
    return row, text


async def of_digest(session: ReadSession, key_digest: str) -> EnvironmentKeyRow | None:
    """The key with this digest, usable or not."""
    found = await session.first(sa.select(environment_keys).where(_K.digest == key_digest))
    return None if found is None else _key(found)


async def listed(
    session: ReadSession, workspace_id: str, environment_id: str | None = None
) -> Sequence[EnvironmentKeyRow]:
    """The keys of a workspace, or of one of its environments, oldest first."""
    statement = sa.select(environment_keys).where(_K.workspace_id == workspace_id)
    if environment_id is not None:
        statement = statement.where(_K.environment_id == environment_id)
    rows = await session.all(statement.order_by(_K.created_at, _K.id))
    return [_key(row) for row in rows]


async def revoke(tx: WriteSession, workspace_id: str, key_id: str, now: datetime) -> bool:
    """Have a key open nothing any more; whether there was one that did."""
    changed = await tx.execute(
        sa.update(environment_keys)
        .where(_K.id == key_id, _K.workspace_id == workspace_id, _K.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return changed == 1


def _key(row: RowMapping) -> EnvironmentKeyRow:
    return EnvironmentKeyRow(
        id=row["id"],
        workspace_id=row["workspace_id"],
        environment_id=row["environment_id"],
        name=row["name"],
        hint=row["hint"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
