"""HTTP for MCP servers and their token endpoints: trust, time-outs, credentials."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator

import httpx2

from freehold.errors import HttpAnswer
from freehold.guard import Guard
from freehold.mcp.guard import GuardedTransport
from freehold.ports.mcp import Bearer
from freehold.telemetry import NamedSecrets

CONNECT_TIMEOUT = 10.0
"""Seconds for a connection, its TLS included."""

SHOWN_BODY = 4_096
"""Bytes of an answer that are shown to people."""


class Http:
    """Makes clients that trust and check alike.

    Args:
        tls: whom to trust.
        network: the guard that every connection goes through.
    """

    def __init__(self, tls: ssl.SSLContext, network: Guard) -> None:
        self._tls = tls
        self._network = network

    def client(self, *, read_timeout: float, auth: httpx2.Auth | None = None) -> httpx2.AsyncClient:
        """A client that follows no redirect; ``read_timeout`` is seconds between two bytes."""
        return httpx2.AsyncClient(
            transport=GuardedTransport(self._tls, self._network),
            auth=auth,
            timeout=httpx2.Timeout(CONNECT_TIMEOUT, read=read_timeout),
            follow_redirects=False,
            trust_env=False,
        )


class BearerAuth(httpx2.Auth):
    """Sends the session's token, once more with a new one if the server rejects the first."""

    def __init__(self, bearer: Bearer, secrets: NamedSecrets) -> None:
        self._bearer = bearer
        self._secrets = secrets

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """See :class:`httpx2.Auth`."""
        token = await self._bearer.token()
        self._put(request, token)
        response = yield request
        if response.status_code == httpx2.codes.UNAUTHORIZED and token is not None:
            # Rejected means that nothing was done, so the request may be sent again.
            other = await self._bearer.renewed(token)
            if other is not None:
                await response.aread()
                self._put(request, other)
                yield request

    def _put(self, request: httpx2.Request, token: str | None) -> None:
        if token is not None:
            self._secrets.add(token)
            request.headers["Authorization"] = f"Bearer {token}"


async def shown_answer(response: httpx2.Response, secrets: NamedSecrets) -> HttpAnswer:
    """The beginning of a streamed answer, for people."""
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > SHOWN_BODY:
            break
    # Masked before it is cut, so that no half of a secret is left at the end.
    text = secrets.masked(body.decode("utf-8", "replace"))
    return HttpAnswer(
        status_code=response.status_code,
        content_type=response.headers.get("content-type", ""),
        body=text[:SHOWN_BODY],
        body_truncated=len(body) > SHOWN_BODY or len(text) > SHOWN_BODY,
    )
