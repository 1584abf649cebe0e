"""Tunnels, their certificates and tokens on the wire (spec 19)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from freehold.api.requests import INTEGER, Boolean, Params, Query
from freehold.api.schemas import Shown, Timestamp
from freehold.core import limits

_Name = Annotated[str, StringConstraints(min_length=1, max_length=limits.TUNNEL_DISPLAY_NAME)]
_Pem = Annotated[str, StringConstraints(min_length=1, max_length=limits.TUNNEL_CERTIFICATE_PEM)]
_Reason = Annotated[str, StringConstraints(max_length=limits.ROTATION_REASON)]


class TunnelCreateParams(Params):
    """Body of ``POST /v1/tunnels``."""

    display_name: _Name | None = None


class TunnelRotateTokenParams(Params):
    """Body of ``POST /v1/tunnels/{tunnel_id}/rotate_token``."""

    reason: _Reason | None = None


class TunnelCertificateCreateParams(Params):
    """Body of ``POST /v1/tunnels/{tunnel_id}/certificates``."""

    ca_certificate_pem: _Pem


class TunnelListQuery(Query):
    """Parameters of the lists of tunnels and of certificates."""

    limit: Annotated[int, Field(ge=1, le=limits.TUNNELS_PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None
    include_archived: Boolean = False


class Tunnel(Shown):
    """An MCP tunnel."""

    id: str
    type: Literal["tunnel"]
    display_name: str | None
    domain: str
    created_at: Timestamp
    archived_at: Timestamp | None


class TunnelPage(Shown):
    """A page of tunnels."""

    data: list[Tunnel]
    next_page: str | None = None


class TunnelToken(Shown):
    """What a tunnel's connector would show for itself."""

    id: str
    type: Literal["tunnel_token"]
    tunnel_token: str


class TunnelCertificate(Shown):
    """The certificate of a CA that a tunnel trusts until it is archived."""

    id: str
    type: Literal["tunnel_certificate"]
    tunnel_id: str
    fingerprint: str
    expires_at: Timestamp | None
    created_at: Timestamp
    archived_at: Timestamp | None


class TunnelCertificatePage(Shown):
    """A page of certificates."""

    data: list[TunnelCertificate]
    next_page: str | None = None
