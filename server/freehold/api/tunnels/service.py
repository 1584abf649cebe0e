"""What happens to tunnels and their tokens (spec 19). Never commits."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from freehold.api import pages
from freehold.api.tunnels.schemas import (
    Tunnel,
    TunnelCreateParams,
    TunnelListQuery,
    TunnelRotateTokenParams,
    TunnelToken,
)
from freehold.core.ids import is_id
from freehold.core.tunnels import domain_of
from freehold.errors import InvalidRequest, NotFound
from freehold.ports.clock import Clock
from freehold.store import tunnel_certificates, tunnels
from freehold.store.sealing import Sealer
from freehold.store.tunnels import Rotation, TunnelRow
from freehold.store.units import ReadSession, WriteSession

LIST = "tunnels"
ARCHIVED = "Tunnel is archived."
_TOKEN_BYTES = 32


async def create(
    tx: WriteSession, workspace_id: str, params: TunnelCreateParams, *, sealer: Sealer, clock: Clock
) -> TunnelRow:
    """Store a new tunnel, with a domain and a token of its own."""
    tunnel_id = clock.mint("tnl")
    tunnel = TunnelRow(
        id=tunnel_id,
        workspace_id=workspace_id,
        display_name=params.display_name,
        domain=domain_of(tunnel_id),
        token_id=clock.mint("tnltok"),
        sealed=_new_token(tunnel_id, sealer),
        created_at=clock.now(),
        archived_at=None,
    )
    await tunnels.insert(tx, tunnel)
    return tunnel


async def find(
    session: ReadSession, workspace_id: str, tunnel_id: str, *, for_update: bool = False
) -> TunnelRow:
    """A tunnel.

    Raises:
        NotFound: no such tunnel; what is no id is not there either (spec 1.4).
    """
    tunnel = None
    if is_id("tnl", tunnel_id):
        tunnel = await tunnels.get(session, workspace_id, tunnel_id, for_update=for_update)
    if tunnel is None:
        raise NotFound("Tunnel not found.")
    return tunnel


async def find_open(tx: WriteSession, workspace_id: str, tunnel_id: str) -> TunnelRow:
    """A tunnel that may be changed, and that nobody else changes meanwhile.

    Raises:
        NotFound: no such tunnel. InvalidRequest: it is archived.
    """
    tunnel = await find(tx, workspace_id, tunnel_id, for_update=True)
    if tunnel.archived_at is not None:
        raise InvalidRequest(ARCHIVED)
    return tunnel


async def listed(
    session: ReadSession, workspace_id: str, query: TunnelListQuery
) -> tuple[Sequence[TunnelRow], str | None]:
    """A page of tunnels and the cursor of the next.

    Raises:
        InvalidRequest: the cursor is none of this list.
    """
    rows = await tunnels.page(
        session,
        workspace_id,
        after=pages.key(pages.decode(query.page, LIST, "desc")),
        limit=query.limit + 1,
        include_archived=query.include_archived,
    )
    return pages.forward(rows, query.limit, LIST)


async def archive(tx: WriteSession, workspace_id: str, tunnel_id: str, clock: Clock) -> TunnelRow:
    """Close it for good, with its certificates, and purge its token; again changes nothing.

    Raises:
        NotFound: no such tunnel.
    """
    tunnel = await find(tx, workspace_id, tunnel_id, for_update=True)
    if tunnel.archived_at is None:
        now = clock.now()
        tunnel = replace(tunnel, archived_at=now, sealed=None)
        await tunnels.update(tx, tunnel)
        await tunnel_certificates.archive(tx, workspace_id, tunnel.id, now)
    return tunnel


async def rotate(
    tx: WriteSession,
    workspace_id: str,
    tunnel_id: str,
    params: TunnelRotateTokenParams,
    *,
    api_key_id: str,
    sealer: Sealer,
    clock: Clock,
) -> TunnelRow:
    """Give it another token; who did it, and why, is kept.

    Raises:
        NotFound: no such tunnel. InvalidRequest: it is archived.
    """
    tunnel = await find_open(tx, workspace_id, tunnel_id)
    sealed = _new_token(tunnel.id, sealer)
    tunnel = replace(tunnel, token_id=clock.mint("tnltok"), sealed=sealed)
    await tunnels.update(tx, tunnel)
    await tunnels.record(
        tx,
        Rotation(
            token_id=tunnel.token_id,
            tunnel_id=tunnel.id,
            workspace_id=workspace_id,
            api_key_id=api_key_id,
            reason=params.reason,
            created_at=clock.now(),
        ),
    )
    return tunnel


def _new_token(tunnel_id: str, sealer: Sealer) -> str:
    return sealer.seal(tunnel_id, {"tunnel_token": secrets.token_urlsafe(_TOKEN_BYTES)})


def revealed(row: TunnelRow, sealer: Sealer) -> TunnelToken:
    """The tunnel's token.

    Raises:
        InvalidRequest: the tunnel is archived, so it has none.
        SecretUnreadable: no configured key opens it.
    """
    if row.sealed is None:
        raise InvalidRequest(ARCHIVED)
    token = sealer.open(row.id, row.sealed)["tunnel_token"]
    return TunnelToken(id=row.token_id, type="tunnel_token", tunnel_token=token)


def shown(row: TunnelRow) -> Tunnel:
    """The tunnel as the API shows it."""
    return Tunnel(
        id=row.id,
        type="tunnel",
        display_name=row.display_name,
        domain=row.domain,
        created_at=row.created_at,
        archived_at=row.archived_at,
    )
