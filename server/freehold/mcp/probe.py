"""Trying a credential on its MCP server: the handshake's first request, by hand (spec 14.3)."""

from __future__ import annotations

import asyncio
import contextlib

import httpx2

from freehold import __version__
from freehold.core.events import Json
from freehold.errors import McpError
from freehold.mcp.http import Http, shown_answer
from freehold.ports.vaults import Probe
from freehold.telemetry import NamedSecrets

TIMEOUT = 15.0
"""Seconds without a byte after which a server counts as out of reach."""

METHOD = "initialize"
_SESSION_HEADER = "mcp-session-id"


class HttpMcpProber:
    """Tries credentials (:class:`ports.vaults.McpProber`)."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def probe(self, url: str, token: str) -> Probe:
        """Say hello with the token; an answer to the hello is not waited for in full."""
        headers = {
            "Accept": "application/json, text/event-stream",
            "Authorization": f"Bearer {token}",
        }
        hello = await asyncio.to_thread(_hello)
        try:
            async with self._http.client(read_timeout=TIMEOUT) as client:
                async with client.stream("POST", url, json=hello, headers=headers) as response:
                    session_id = response.headers.get(_SESSION_HEADER)
                    if not response.is_success:
                        answer = await shown_answer(response, NamedSecrets(token))
                        return Probe(METHOD, accepted=False, answer=answer)
                if session_id is not None:
                    headers[_SESSION_HEADER] = session_id
                    with contextlib.suppress(httpx2.HTTPError, McpError):
                        await client.delete(url, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL, McpError):
            return Probe(METHOD, accepted=False, answer=None)
        return Probe(METHOD, accepted=True, answer=None)


def _hello() -> Json:
    # Imported late: the package around it is the largest there is here.
    from mcp_types.version import LATEST_HANDSHAKE_VERSION  # noqa: PLC0415

    return {
        "jsonrpc": "2.0",
        "id": 1,
        "method": METHOD,
        "params": {
            "protocolVersion": LATEST_HANDSHAKE_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "freehold", "version": __version__},
        },
    }
