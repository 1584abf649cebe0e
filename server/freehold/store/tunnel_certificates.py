"""The CA certificates of MCP tunnels. Every query names the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.store.keyset import Key, keyset
from freehold.store.tables import tunnel_certificates
from freehold.store.units import ReadSession, WriteSession

_C = tunnel_certificates.c
_ACTIVE = _C.archived_at.is_(None)


@dataclass(frozen=True)
class CertificateRow:
    """A certificate, in the tunnel's set of trusted ones until it is archived."""

    id: str
    tunnel_id: str
    workspace_id: str
    pem: str
    fingerprint: str
    expires_at: datetime | None
    created_at: datetime
    archived_at: datetime | None


async def insert(tx: WriteSession, certificate: CertificateRow) -> None:
    """Store a new certificate. How many the tunnel has is to be asked before."""
    await tx.execute(sa.insert(tunnel_certificates).values(_values(certificate)))


async def get(
    session: ReadSession,
    workspace_id: str,
    tunnel_id: str,
    certificate_id: str,
    *,
    for_update: bool = False,
) -> CertificateRow | None:
    """A certificate of a tunnel; with ``for_update`` nobody else changes it meanwhile."""
    statement = sa.select(tunnel_certificates).where(
        _C.id == certificate_id, _C.tunnel_id == tunnel_id, _C.workspace_id == workspace_id
    )
    if for_update:
        statement = statement.with_for_update()
    row = await session.first(statement)
    return None if row is None else _certificate(row)


async def page(
    session: ReadSession,
    workspace_id: str,
    tunnel_id: str,
    *,
    after: Key | None,
    limit: int,
    include_archived: bool,
) -> Sequence[CertificateRow]:
    """At most ``limit`` certificates of a tunnel, newest first."""
    statement = sa.select(tunnel_certificates).where(
        _C.tunnel_id == tunnel_id, _C.workspace_id == workspace_id
    )
    if not include_archived:
        statement = statement.where(_ACTIVE)
    statement = keyset(statement, _C.created_at, _C.id, after, descending=True).limit(limit)
    return [_certificate(row) for row in await session.all(statement)]


async def archive(
    tx: WriteSession,
    workspace_id: str,
    tunnel_id: str,
    now: datetime,
    certificate_id: str | None = None,
) -> None:
    """Archive one of a tunnel's certificates, or all that are not archived."""
    statement = sa.update(tunnel_certificates).where(
        _C.tunnel_id == tunnel_id, _C.workspace_id == workspace_id, _ACTIVE
    )
    if certificate_id is not None:
        statement = statement.where(_C.id == certificate_id)
    await tx.execute(statement.values(archived_at=now))


def _values(certificate: CertificateRow) -> dict[str, object]:
    return {
        "id": certificate.id,
        "tunnel_id": certificate.tunnel_id,
        "workspace_id": certificate.workspace_id,
        "pem": certificate.pem,
        "fingerprint": certificate.fingerprint,
        "expires_at": certificate.expires_at,
        "created_at": certificate.created_at,
        "archived_at": certificate.archived_at,
    }


def _certificate(row: RowMapping) -> CertificateRow:
    return CertificateRow(
        id=row["id"],
        tunnel_id=row["tunnel_id"],
        workspace_id=row["workspace_id"],
        pem=row["pem"],
        fingerprint=row["fingerprint"],
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        archived_at=row["archived_at"],
    )
