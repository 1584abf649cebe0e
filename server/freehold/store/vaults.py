"""Vaults. Every query names the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.store.keyset import Key, merged, shelves
from freehold.store.tables import vault_credentials, vaults
from freehold.store.units import ReadSession, WriteSession

_V = vaults.c


@dataclass(frozen=True)
class VaultRow:
    """A vault."""

    id: str
    workspace_id: str
    display_name: str
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


async def insert(tx: WriteSession, vault: VaultRow) -> None:
    """Store a new vault."""
    await tx.execute(sa.insert(vaults).values(_values(vault)))


async def get(
    session: ReadSession, workspace_id: str, vault_id: str, *, for_update: bool = False
) -> VaultRow | None:
    """A vault; with ``for_update`` nobody else changes it meanwhile."""
    statement = sa.select(vaults).where(_V.id == vault_id, _V.workspace_id == workspace_id)
    if for_update:
        statement = statement.with_for_update()
    row = await session.first(statement)
    return None if row is None else _vault(row)


async def page(
    session: ReadSession,
    workspace_id: str,
    *,
    after: Key | None,
    limit: int,
    include_archived: bool,
) -> Sequence[VaultRow]:
    """At most ``limit`` vaults, newest first."""
    found = merged(
        shelves(
            sa.select(vaults).where(_V.workspace_id == workspace_id),
            _V.archived_at,
            include_archived=include_archived,
        ),
        _V.created_at,
        _V.id,
        after,
        descending=True,
        limit=limit,
    )
    return [_vault(row) for row in await session.page(found)]


async def update(tx: WriteSession, vault: VaultRow) -> None:
    """Store a vault that exists as it is now."""
    await tx.execute(
        sa.update(vaults)
        .where(_V.id == vault.id, _V.workspace_id == vault.workspace_id)
        .values(_values(vault))
    )


async def delete(tx: WriteSession, vault: VaultRow) -> None:
    """Remove a vault and all its credentials."""
    await tx.execute(sa.delete(vault_credentials).where(vault_credentials.c.vault_id == vault.id))
    await tx.execute(
        sa.delete(vaults).where(_V.id == vault.id, _V.workspace_id == vault.workspace_id)
    )


def _values(vault: VaultRow) -> dict[str, object]:
    return {
        "id": vault.id,
        "workspace_id": vault.workspace_id,
        "display_name": vault.display_name,
        "metadata": vault.metadata,
        "created_at": vault.created_at,
        "updated_at": vault.updated_at,
        "archived_at": vault.archived_at,
    }


def _vault(row: RowMapping) -> VaultRow:
    return VaultRow(
        id=row["id"],
        workspace_id=row["workspace_id"],
        display_name=row["display_name"],
        metadata=row["metadata"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
    )
