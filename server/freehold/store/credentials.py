"""Credentials of vaults: their rows, and the way sessions get at their secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.core import times, urls
from freehold.core.events import Json
from freehold.core.webhooks import Fired
from freehold.ports.vaults import OpenedCredential
from freehold.store import outbox
from freehold.store.database import Database
from freehold.store.keyset import Key, keyset
from freehold.store.resealing import reseal
from freehold.store.sealing import Sealer
from freehold.store.tables import vault_credentials
from freehold.store.units import ReadSession, WriteSession

_C = vault_credentials.c
_ACTIVE = _C.archived_at.is_(None)
_VARIABLE = "variable "


@dataclass(frozen=True)
class CredentialRow:
    """A credential. ``auth`` is what the API shows; the secrets are in ``sealed`` alone."""

    id: str
    vault_id: str
    workspace_id: str
    display_name: str | None
    metadata: dict[str, str]
    auth: Json
    sealed: str | None = field(repr=False)
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


def purpose(auth: Json) -> str:
    """What no two active credentials of a vault share (spec 14.3)."""
    if auth["type"] == "environment_variable":
        return f"{_VARIABLE}{auth['secret_name']}"
    return _server_purpose(auth["mcp_server_url"])


def _server_purpose(url: str) -> str:
    return f"server {urls.normalised(url)}"


async def insert(tx: WriteSession, credential: CredentialRow) -> None:
    """Store a new credential. Whether another has its purpose is to be asked before."""
    await tx.execute(sa.insert(vault_credentials).values(_values(credential)))


async def get(
    session: ReadSession,
    workspace_id: str,
    vault_id: str,
    credential_id: str,
    *,
    for_update: bool = False,
) -> CredentialRow | None:
    """A credential of a vault; with ``for_update`` nobody else changes it meanwhile."""
    statement = sa.select(vault_credentials).where(
        _C.id == credential_id, _C.vault_id == vault_id, _C.workspace_id == workspace_id
    )
    if for_update:
        statement = statement.with_for_update()
    row = await session.first(statement)
    return None if row is None else _credential(row)


async def page(
    session: ReadSession,
    vault_id: str,
    *,
    after: Key | None,
    limit: int,
    include_archived: bool,
) -> Sequence[CredentialRow]:
    """At most ``limit`` credentials of a vault, newest first."""
    statement = sa.select(vault_credentials).where(_C.vault_id == vault_id)
    if not include_archived:
        statement = statement.where(_ACTIVE)
    statement = keyset(statement, _C.created_at, _C.id, after, descending=True).limit(limit)
    return [_credential(row) for row in await session.all(statement)]


async def active(session: ReadSession, vault_id: str) -> Sequence[CredentialRow]:
    """All credentials of a vault that are not archived."""
    statement = sa.select(vault_credentials).where(_C.vault_id == vault_id, _ACTIVE)
    return [_credential(row) for row in await session.all(statement)]


async def of_vault(session: ReadSession, vault_id: str) -> Sequence[str]:
    """The ids of all credentials of a vault, archived ones too."""
    statement = sa.select(_C.id).where(_C.vault_id == vault_id).order_by(_C.created_at, _C.id)
    return [row["id"] for row in await session.all(statement)]


async def active_variables(
    session: ReadSession, workspace_id: str, vault_ids: Sequence[str]
) -> Sequence[CredentialRow]:
    """The ``environment_variable`` credentials of vaults that are not archived, oldest first."""
    statement = (
        sa.select(vault_credentials)
        .where(
            _C.workspace_id == workspace_id,
            _C.vault_id.in_(sorted(set(vault_ids))),
            _C.purpose.startswith(_VARIABLE, autoescape=True),
            _ACTIVE,
        )
        .order_by(_C.created_at, _C.id)
    )
    return [_credential(row) for row in await session.all(statement)]


async def update(tx: WriteSession, credential: CredentialRow) -> None:
    """Store a credential that exists as it is now."""
    await tx.execute(
        sa.update(vault_credentials)
        .where(_C.id == credential.id, _C.vault_id == credential.vault_id)
        .values(_values(credential))
    )


async def archive_all(tx: WriteSession, vault_id: str, now: datetime) -> None:
    """Archive a vault's credentials and purge their secrets (spec 14.3)."""
    await tx.execute(
        sa.update(vault_credentials)
        .where(_C.vault_id == vault_id, _ACTIVE)
        .values(sealed=None, archived_at=now, updated_at=now)
    )


async def delete(tx: WriteSession, credential: CredentialRow) -> None:
    """Remove a credential for good."""
    await tx.execute(
        sa.delete(vault_credentials).where(
            _C.id == credential.id, _C.vault_id == credential.vault_id
        )
    )


class SqlCredentialStore:
    """Where sessions find their credentials (:class:`ports.vaults.CredentialStore`)."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def for_server(
        self, workspace_id: str, vault_ids: Sequence[str], url: str
    ) -> OpenedCredential | None:
        """The credential for a server's URL; the first vault that has one wins."""
        if not vault_ids:
            return None
        statement = sa.select(vault_credentials).where(
            _C.workspace_id == workspace_id,
            _C.vault_id.in_(sorted(set(vault_ids))),
            _C.purpose == _server_purpose(url),
            _ACTIVE,
        )
        async with self._database.read() as session:
            rows = {row["vault_id"]: row for row in await session.all(statement)}
        for vault_id in vault_ids:
            if vault_id in rows:
                return self._opened(_credential(rows[vault_id]))
        return None

    async def reload(self, credential_id: str) -> OpenedCredential | None:
        """The credential as it is now; ``None``: it was archived or deleted."""
        statement = sa.select(vault_credentials).where(_C.id == credential_id, _ACTIVE)
        async with self._database.read() as session:
            row = await session.first(statement)
        return None if row is None else self._opened(_credential(row))

    async def renew(
        self, credential: OpenedCredential, secrets: Json, expires_at: datetime | None
    ) -> bool:
        """Keep new tokens; whether they were kept: not if somebody else changed the credential.

        ``updated_at`` tells when a client changed it, so it stays.
        """
        mine = (_C.id == credential.id, _C.sealed == credential.sealed)
        async with self._database.write() as tx:
            row = await tx.first(sa.select(_C.auth).where(*mine).with_for_update())
            if row is None:
                return False
            auth = {key: value for key, value in row["auth"].items() if key != "expires_at"}
            if expires_at is not None:
                auth["expires_at"] = times.render(expires_at)
            await tx.execute(
                sa.update(vault_credentials)
                .where(*mine)
                .values(auth=auth, sealed=self._sealer.seal(credential.id, secrets))
            )
        return True

    async def refresh_failed(self, credential: OpenedCredential, now: datetime) -> None:
        """Have webhooks tell of it, unless the credential is gone by now."""
        async with self._database.write() as tx:
            row = await tx.first(
                sa.select(_C.workspace_id, _C.vault_id).where(_C.id == credential.id, _ACTIVE)
            )
            if row is not None:
                kind: Fired = "vault_credential.refresh_failed"
                vault_id = row["vault_id"]
                await outbox.tell(
                    tx, row["workspace_id"], kind, credential.id, now, vault_id=vault_id
                )

    async def reseal(self) -> int:
        """Seal with the newest key what an older one sealed; how many."""
        return await reseal(self._database, self._sealer, vault_credentials, _C.sealed)

    def _opened(self, row: CredentialRow) -> OpenedCredential:
        sealed = row.sealed or ""
        return OpenedCredential(
            id=row.id,
            vault_id=row.vault_id,
            auth=row.auth,
            secrets=self._sealer.open(row.id, sealed),
            sealed=sealed,
        )


def _values(credential: CredentialRow) -> dict[str, object]:
    return {
        "id": credential.id,
        "vault_id": credential.vault_id,
        "workspace_id": credential.workspace_id,
        "display_name": credential.display_name,
        "metadata": credential.metadata,
        "auth": credential.auth,
        "purpose": purpose(credential.auth),
        "sealed": credential.sealed,
        "created_at": credential.created_at,
        "updated_at": credential.updated_at,
        "archived_at": credential.archived_at,
    }


def _credential(row: RowMapping) -> CredentialRow:
    return CredentialRow(
        id=row["id"],
        vault_id=row["vault_id"],
        workspace_id=row["workspace_id"],
        display_name=row["display_name"],
        metadata=row["metadata"],
        auth=row["auth"],
        sealed=row["sealed"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
    )
