"""What happens to the certificates of tunnels (spec 19). Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from freehold.api import pages
from freehold.api.tunnels import pem
from freehold.api.tunnels import service as tunnel_service
from freehold.api.tunnels.schemas import (
    TunnelCertificate,
    TunnelCertificateCreateParams,
    TunnelListQuery,
)
from freehold.core import limits
from freehold.core.ids import is_id
from freehold.errors import InvalidRequest, NotFound
from freehold.ports.clock import Clock
from freehold.store import tunnel_certificates
from freehold.store.tunnel_certificates import CertificateRow
from freehold.store.units import ReadSession, WriteSession

LIST = "tunnel certificates"


async def create(
    tx: WriteSession,
    workspace_id: str,
    tunnel_id: str,
    params: TunnelCertificateCreateParams,
    clock: Clock,
) -> CertificateRow:
    """Have a tunnel trust a CA.

    Raises:
        NotFound: no such tunnel.
        InvalidRequest: it is archived or full, or this is not one certificate of a CA.
    """
    try:
        found = pem.read(params.ca_certificate_pem)
    except ValueError as error:
        raise InvalidRequest(f"ca_certificate_pem: {error}") from None
    tunnel = await tunnel_service.find_open(tx, workspace_id, tunnel_id)
    most = limits.TUNNEL_CERTIFICATES
    held = await tunnel_certificates.page(
        tx, workspace_id, tunnel.id, after=None, limit=most, include_archived=False
    )
    if len(held) >= most:
        raise InvalidRequest(
            f"tunnel {tunnel.id} already holds {most} certificates that are not archived, the "
            "most it can"
        )
    certificate = CertificateRow(
        id=clock.mint("tcrt"),
        tunnel_id=tunnel.id,
        workspace_id=workspace_id,
        pem=params.ca_certificate_pem,
        fingerprint=found.fingerprint,
        expires_at=found.expires_at,
        created_at=clock.now(),
        archived_at=None,
    )
    await tunnel_certificates.insert(tx, certificate)
    return certificate


async def find(
    session: ReadSession,
    workspace_id: str,
    tunnel_id: str,
    certificate_id: str,
    *,
    for_update: bool = False,
) -> CertificateRow:
    """A certificate of a tunnel.

    Raises:
        NotFound: no such tunnel, or none of its certificates.
    """
    tunnel = await tunnel_service.find(session, workspace_id, tunnel_id)
    certificate = None
    if is_id("tcrt", certificate_id):
        certificate = await tunnel_certificates.get(
            session, workspace_id, tunnel.id, certificate_id, for_update=for_update
        )
    if certificate is None:
        raise NotFound("Tunnel certificate not found.")
    return certificate


async def listed(
    session: ReadSession, workspace_id: str, tunnel_id: str, query: TunnelListQuery
) -> tuple[Sequence[CertificateRow], str | None]:
    """A page of a tunnel's certificates and the cursor of the next.

    Raises:
        NotFound: no such tunnel. InvalidRequest: the cursor is none of this list.
    """
    tunnel = await tunnel_service.find(session, workspace_id, tunnel_id)
    name = pages.of(LIST, tunnel.id)
    rows = await tunnel_certificates.page(
        session,
        workspace_id,
        tunnel.id,
        after=pages.key(pages.decode(query.page, name, "desc")),
        limit=query.limit + 1,
        include_archived=query.include_archived,
    )
    return pages.forward(rows, query.limit, name)


async def archive(
    tx: WriteSession, workspace_id: str, tunnel_id: str, certificate_id: str, clock: Clock
) -> CertificateRow:
    """Have a tunnel trust it no more; a second time changes nothing.

    Raises:
        NotFound: no such tunnel, or none of its certificates.
    """
    certificate = await find(tx, workspace_id, tunnel_id, certificate_id, for_update=True)
    if certificate.archived_at is None:
        now = clock.now()
        certificate = replace(certificate, archived_at=now)
        await tunnel_certificates.archive(tx, workspace_id, tunnel_id, now, certificate.id)
    return certificate


def shown(row: CertificateRow) -> TunnelCertificate:
    """The certificate as the API shows it."""
    return TunnelCertificate(
        id=row.id,
        type="tunnel_certificate",
        tunnel_id=row.tunnel_id,
        fingerprint=row.fingerprint,
        expires_at=row.expires_at,
        created_at=row.created_at,
        archived_at=row.archived_at,
    )
