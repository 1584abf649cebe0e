"""MCP tunnels: their rows, and who gave them new tokens. Every query names the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.store.database import Database
from freehold.store.keyset import Key, merged, shelves
from freehold.store.resealing import reseal
from freehold.store.sealing import Sealer
from freehold.store.tables import tunnel_rotations, tunnels
from freehold.store.units import ReadSession, WriteSession

_T = tunnels.c


@dataclass(frozen=True)
class TunnelRow:
    """A tunnel. Its token is in ``sealed`` alone, for the tunnel's id; archived it has none."""

    id: str
    workspace_id: str
    display_name: str | None
    domain: str
    token_id: str
    sealed: str | None = field(repr=False)
    created_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True)
class Rotation:
    """A token put in the place of the one before; kept for audits."""

    token_id: str
    tunnel_id: str
    workspace_id: str
    api_key_id: str
    reason: str | None
    created_at: datetime


async def insert(tx: WriteSession, tunnel: TunnelRow) -> None:
    """Store a new tunnel."""
    await tx.execute(sa.insert(tunnels).values(_values(tunnel)))


async def get(
    session: ReadSession, workspace_id: str, tunnel_id: str, *, for_update: bool = False
) -> TunnelRow | None:
    """A tunnel; with ``for_update`` nobody else changes it meanwhile."""
    statement = sa.select(tunnels).where(_T.id == tunnel_id, _T.workspace_id == workspace_id)
    if for_update:
        statement = statement.with_for_update()
    row = await session.first(statement)
    return None if row is None else _tunnel(row)


async def page(
    session: ReadSession,
    workspace_id: str,
    *,
    after: Key | None,
    limit: int,
    include_archived: bool,
) -> Sequence[TunnelRow]:
    """At most ``limit`` tunnels, newest first."""
    found = merged(
        shelves(
            sa.select(tunnels).where(_T.workspace_id == workspace_id),
            _T.archived_at,
            include_archived=include_archived,
        ),
        _T.created_at,
        _T.id,
        after,
        descending=True,
        limit=limit,
    )
    return [_tunnel(row) for row in await session.page(found)]


async def update(tx: WriteSession, tunnel: TunnelRow) -> None:
    """Store a tunnel that exists as it is now."""
    await tx.execute(
        sa.update(tunnels)
        .where(_T.id == tunnel.id, _T.workspace_id == tunnel.workspace_id)
        .values(_values(tunnel))
    )


async def record(tx: WriteSession, rotation: Rotation) -> None:
    """Keep who rotated a token, and why."""
    await tx.execute(
        sa.insert(tunnel_rotations).values(
            token_id=rotation.token_id,
            tunnel_id=rotation.tunnel_id,
            workspace_id=rotation.workspace_id,
            api_key_id=rotation.api_key_id,
            reason=rotation.reason,
            created_at=rotation.created_at,
        )
    )


class SqlTunnelTokens:
    """The sealed tokens, as a whole."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def reseal(self) -> int:
        """Seal with the newest key what an older one sealed; how many."""
        return await reseal(self._database, self._sealer, tunnels, _T.sealed)


def _values(tunnel: TunnelRow) -> dict[str, object]:
    return {
        "id": tunnel.id,
        "workspace_id": tunnel.workspace_id,
        "display_name": tunnel.display_name,
        "domain": tunnel.domain,
        "token_id": tunnel.token_id,
        "sealed": tunnel.sealed,
        "created_at": tunnel.created_at,
        "archived_at": tunnel.archived_at,
    }


def _tunnel(row: RowMapping) -> TunnelRow:
    return TunnelRow(
        id=row["id"],
        workspace_id=row["workspace_id"],
        display_name=row["display_name"],
        domain=row["domain"],
        token_id=row["token_id"],
        sealed=row["sealed"],
        created_at=row["created_at"],
        archived_at=row["archived_at"],
    )
