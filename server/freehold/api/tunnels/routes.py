"""``/v1/tunnels``. Tunnels are kept as the hosted service keeps them; no traffic goes through."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import betas, requests, responses
from freehold.api.deps import api_key_id, services, workspace_id
from freehold.api.idempotency import kept
from freehold.api.openapi import operation
from freehold.api.tunnels import certificates, service
from freehold.api.tunnels.schemas import (
    Tunnel,
    TunnelCertificate,
    TunnelCertificateCreateParams,
    TunnelCertificatePage,
    TunnelCreateParams,
    TunnelListQuery,
    TunnelPage,
    TunnelRotateTokenParams,
    TunnelToken,
)

router = APIRouter(prefix="/v1/tunnels", tags=["tunnels"])

_BETAS = (betas.TUNNELS,)


@router.post("", **operation("Create a tunnel", Tunnel, body=TunnelCreateParams, betas=_BETAS))
async def create_tunnel(request: Request) -> Response:
    """It has a domain and a token from the start."""
    params = await requests.read_or(request, TunnelCreateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        tunnel = await service.create(
            tx, workspace_id(request), params, sealer=behind.sealer, clock=behind.clock
        )
        return await kept(request, tx, responses.shown(service.shown(tunnel)))


@router.get("", **operation("List tunnels", TunnelPage, query=TunnelListQuery, betas=_BETAS))
async def list_tunnels(request: Request) -> Response:
    """Newest first."""
    query = requests.query(request, TunnelListQuery)
    async with services(request).database.read() as session:
        rows, following = await service.listed(session, workspace_id(request), query)
    return responses.page([service.shown(row) for row in rows], following, null_at_end=True)


@router.get("/{tunnel_id}", **operation("Retrieve a tunnel", Tunnel, betas=_BETAS))
async def retrieve_tunnel(request: Request, tunnel_id: str) -> Response:
    """One tunnel, archived or not."""
    async with services(request).database.read() as session:
        tunnel = await service.find(session, workspace_id(request), tunnel_id)
    return responses.shown(service.shown(tunnel))


@router.post("/{tunnel_id}/archive", **operation("Archive a tunnel", Tunnel, betas=_BETAS))
async def archive_tunnel(request: Request, tunnel_id: str) -> Response:
    """Its certificates are archived too and its token is purged; again is no error."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        tunnel = await service.archive(tx, workspace_id(request), tunnel_id, behind.clock)
        return await kept(request, tx, responses.shown(service.shown(tunnel)))


@router.post(
    "/{tunnel_id}/reveal_token",
    **operation("Reveal a tunnel's token", TunnelToken, betas=_BETAS),
)
async def reveal_token(request: Request, tunnel_id: str) -> Response:
    """The same until it is rotated."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.read() as session:
        tunnel = await service.find(session, workspace_id(request), tunnel_id)
    return responses.shown(service.revealed(tunnel, behind.sealer))


@router.post(
    "/{tunnel_id}/rotate_token",
    **operation("Rotate a tunnel's token", TunnelToken, body=TunnelRotateTokenParams, betas=_BETAS),
)
async def rotate_token(request: Request, tunnel_id: str) -> Response:
    """The token before is of no use any more; who rotated it, and why, is kept."""
    params = await requests.read_or(request, TunnelRotateTokenParams)
    behind = services(request)
    async with behind.database.write() as tx:
        tunnel = await service.rotate(
            tx,
            workspace_id(request),
            tunnel_id,
            params,
            api_key_id=api_key_id(request),
            sealer=behind.sealer,
            clock=behind.clock,
        )
        return await kept(request, tx, responses.shown(service.revealed(tunnel, behind.sealer)))


@router.post(
    "/{tunnel_id}/certificates",
    **operation(
        "Register a certificate",
        TunnelCertificate,
        body=TunnelCertificateCreateParams,
        betas=_BETAS,
    ),
)
async def create_certificate(request: Request, tunnel_id: str) -> Response:
    """Of a CA that the tunnel is to trust; at most two that are not archived."""
    params = await requests.read(request, TunnelCertificateCreateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await certificates.create(tx, workspace_id(request), tunnel_id, params, behind.clock)
        return await kept(request, tx, responses.shown(certificates.shown(row)))


@router.get(
    "/{tunnel_id}/certificates",
    **operation("List certificates", TunnelCertificatePage, query=TunnelListQuery, betas=_BETAS),
)
async def list_certificates(request: Request, tunnel_id: str) -> Response:
    """Newest first."""
    query = requests.query(request, TunnelListQuery)
    async with services(request).database.read() as session:
        rows, following = await certificates.listed(
            session, workspace_id(request), tunnel_id, query
        )
    return responses.page([certificates.shown(row) for row in rows], following, null_at_end=True)


@router.get(
    "/{tunnel_id}/certificates/{certificate_id}",
    **operation("Retrieve a certificate", TunnelCertificate, betas=_BETAS),
)
async def retrieve_certificate(request: Request, tunnel_id: str, certificate_id: str) -> Response:
    """One certificate, archived or not."""
    async with services(request).database.read() as session:
        row = await certificates.find(session, workspace_id(request), tunnel_id, certificate_id)
    return responses.shown(certificates.shown(row))


@router.post(
    "/{tunnel_id}/certificates/{certificate_id}/archive",
    **operation("Archive a certificate", TunnelCertificate, betas=_BETAS),
)
async def archive_certificate(request: Request, tunnel_id: str, certificate_id: str) -> Response:
    """The tunnel trusts it no more; again is no error."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await certificates.archive(
            tx, workspace_id(request), tunnel_id, certificate_id, behind.clock
        )
        return await kept(request, tx, responses.shown(certificates.shown(row)))
