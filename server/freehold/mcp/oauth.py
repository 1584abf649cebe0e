"""Renewing OAuth access tokens at their token endpoint (RFC 6749, section 6; spec 14.2)."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import httpx2

from freehold.core.events import Json
from freehold.errors import HttpAnswer, McpError, TokenRefreshFailed
from freehold.mcp.http import Http, shown_answer
from freehold.ports.vaults import NewTokens
from freehold.telemetry import NamedSecrets

TIMEOUT = 15.0
"""Seconds without a byte after which a token endpoint counts as out of reach."""

_LARGEST = 64 * 1024
_ENDLESS = 1e10
"""Seconds, three hundred years."""


class HttpTokenEndpoint:
    """Asks token endpoints (:class:`ports.vaults.TokenEndpoint`)."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def refresh(self, refresh: Json, refresh_token: str, secret: str | None) -> NewTokens:
        """Ask for a new access token; see :class:`ports.vaults.TokenEndpoint`."""
        form, headers = _question(refresh, refresh_token, secret)
        quoted = quote(secret, safe="") if secret else None
        secrets = NamedSecrets(refresh_token, secret, quoted, headers.get("Authorization"))
        try:
            async with (
                self._http.client(read_timeout=TIMEOUT) as client,
                client.stream(
                    "POST", refresh["token_endpoint"], data=form, headers=headers
                ) as response,
            ):
                if not response.is_success:
                    answer = await shown_answer(response, secrets)
                    raise TokenRefreshFailed(
                        f"the token endpoint answered HTTP {answer.status_code}", answer
                    )
                return _tokens(await _json(response), response)
        except McpError as error:
            raise TokenRefreshFailed(f"the token endpoint is out of reach: {error}") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            # The error may quote the request: only its kind is told.
            raise TokenRefreshFailed(
                f"the token endpoint is out of reach ({type(error).__name__})"
            ) from None


def _question(
    refresh: Json, refresh_token: str, secret: str | None
) -> tuple[dict[str, str], dict[str, str]]:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    form |= {name: refresh[name] for name in ("scope", "resource") if refresh.get(name)}
    headers = {"Accept": "application/json"}
    client_id = refresh["client_id"]
    # Beside Basic authentication it says nothing new, but servers look the client up by it, those
    # built on the official MCP package among them.
    form["client_id"] = client_id
    match refresh["token_endpoint_auth"]["type"]:
        case "client_secret_basic":
            # Both are encoded before they are joined (RFC 6749, section 2.3.1); a space as %20,
            # which is read by those too that take a plus for a plus.
            pair = f"{quote(client_id, safe='')}:{quote(secret or '', safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        case "client_secret_post":
            form["client_secret"] = secret or ""
        case _:
            pass
    return form, headers


async def _json(response: httpx2.Response) -> Any:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _LARGEST:
            raise _unreadable(response)
    try:
        return httpx2.Response(response.status_code, content=body).json()
    except ValueError:
        raise _unreadable(response) from None


def _tokens(body: Any, response: httpx2.Response) -> NewTokens:
    if not isinstance(body, dict) or not isinstance(body.get("access_token"), str):
        raise _unreadable(response)
    if not _sendable(body["access_token"]):
        raise _unreadable(response)
    refresh_token, expires_in = body.get("refresh_token"), body.get("expires_in")
    return NewTokens(
        access_token=body["access_token"],
        refresh_token=refresh_token if isinstance(refresh_token, str) and refresh_token else None,
        expires_in=_seconds(expires_in),
    )


def _seconds(value: Any) -> float | None:
    try:
        seconds = float(value)  # some servers quote it
    except (TypeError, ValueError):
        return None
    return seconds if 0 < seconds < _ENDLESS else None


def _sendable(token: str) -> bool:
    return bool(token) and all("!" <= char <= "~" for char in token)


def _unreadable(response: httpx2.Response) -> TokenRefreshFailed:
    # It may hold a token, so nothing of the body is told.
    return TokenRefreshFailed(
        "the token endpoint's answer holds no access token that can be used",
        HttpAnswer(response.status_code, response.headers.get("content-type", ""), "", False),
    )
