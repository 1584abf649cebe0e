"""An MCP server in a process of its own, built on nothing but the official package.

It serves tools at ``/mcp``, guarded by the package's own bearer check, and renews tokens at the
package's own token endpoint, ``/token``. A refresh token is good for one use. ``/control/…`` is for
the tests: tokens are granted and made to expire there, gates opened, and what was asked is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from mcp.server import MCPServer
from mcp.server.auth.provider import AccessToken, AuthorizationCode, RefreshToken
from mcp.server.auth.settings import AuthSettings
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Json = dict[str, Any]
LIFETIME = 3_600
SCOPE = "read"
SECRET = "s:ecret &/%+ü"
ROOT = Path(__file__).parents[2]


class Grants:
    """The package's authorization server provider: who has which token, and until when."""

    def __init__(self, resource: str) -> None:
        self._resource = resource
        self._clients: dict[str, OAuthClientInformationFull] = {}
        self._access: dict[str, AccessToken] = {}
        self._refresh: dict[str, RefreshToken] = {}
        self.renewals: dict[str, int] = defaultdict(int)

    def grant(self, kind: str) -> Json:
        """A new client of a kind of ``token_endpoint_auth``, or ``static``, and its tokens."""
        client_id = f"client {kind} {secrets.token_hex(8)}"
        secret = SECRET if kind.startswith("client_secret") else None
        self._clients[client_id] = OAuthClientInformationFull(
            client_id=client_id,
            client_secret=secret,
            grant_types=["refresh_token"],
            token_endpoint_auth_method="none" if kind == "static" else kind,
        )
        tokens = self._tokens(client_id)
        return {
            "client_id": client_id,
            "client_secret": secret,
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
        }

    def expire(self, client_id: str) -> None:
        """Let every access token of a client have expired."""
        for token in self._access.values():
            if token.client_id == client_id:
                token.expires_at = int(time.time()) - 10

    def _tokens(self, client_id: str) -> OAuthToken:
        access = AccessToken(
            token=f"access-{secrets.token_hex(16)}",
            client_id=client_id,
            scopes=[SCOPE],
            expires_at=int(time.time()) + LIFETIME,
            resource=self._resource,
        )
        refresh = RefreshToken(
            token=f"refresh-{secrets.token_hex(16)}", client_id=client_id, scopes=[SCOPE]
        )
        self._access[access.token], self._refresh[refresh.token] = access, refresh
        return OAuthToken(
            access_token=access.token,
            refresh_token=refresh.token,
            expires_in=LIFETIME,
            scope=SCOPE,
        )

    # What the package asks.

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self._clients.get(client_id)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self._access.get(token)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        return self._refresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        del self._refresh[refresh_token.token]
        self.renewals[client.client_id] += 1
        return self._tokens(client.client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        raise NotImplementedError

    async def authorize(self, client: OAuthClientInformationFull, params: Any) -> str:
        raise NotImplementedError

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        raise NotImplementedError

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        raise NotImplementedError

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        raise NotImplementedError

    async def exchange_identity_assertion(self, client: Any, params: Any) -> OAuthToken:
        raise NotImplementedError


class Gates:
    """Doors at which a tool waits until a test opens them."""

    def __init__(self) -> None:
        self.entered: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.open: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.counts: dict[str, int] = defaultdict(int)

    async def through(self, gate: str) -> None:
        """Wait at a gate."""
        self.counts[gate] += 1
        self.entered[gate].set()
        await self.open[gate].wait()


def build(url: str) -> MCPServer:
    """The server as it is reached at ``url``."""
    grants, gates = Grants(f"{url}/mcp"), Gates()
    server: MCPServer = MCPServer(
        "things",
        log_level="ERROR",
        auth_server_provider=grants,
        auth=AuthSettings(
            issuer_url=url,  # type: ignore[arg-type]
            resource_server_url=f"{url}/mcp",  # type: ignore[arg-type]
            required_scopes=[SCOPE],
            validate_token_resource=True,
        ),
    )

    @server.tool()
    def add(a: int, b: int) -> str:
        """Add two numbers."""
        return f"{a + b}"

    @server.tool()
    async def hold(gate: str) -> str:
        """Wait at a gate."""
        await gates.through(gate)
        return f"through {gate}"

    @server.custom_route("/control/grant", methods=["POST"])
    async def grant(request: Request) -> Response:
        return JSONResponse(grants.grant(request.query_params["kind"]))

    @server.custom_route("/control/expire", methods=["POST"])
    async def expire(request: Request) -> Response:
        grants.expire(request.query_params["client"])
        return JSONResponse({})

    @server.custom_route("/control/open", methods=["POST"])
    async def open_gate(request: Request) -> Response:
        gates.open[request.query_params["gate"]].set()
        return JSONResponse({})

    @server.custom_route("/control/entered", methods=["POST"])
    async def entered(request: Request) -> Response:
        await gates.entered[request.query_params["gate"]].wait()
        return JSONResponse({})

    @server.custom_route("/control/told", methods=["POST"])
    async def told(request: Request) -> Response:
        return JSONResponse({"renewals": grants.renewals, "counts": gates.counts})

    return server


class McpProcess:
    """The running process, as tests see it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.mcp = f"{url}/mcp"

    def control(self, what: str, **query: str) -> str:
        """The URL of a control; to be asked by POST."""
        return str(httpx2.URL(f"{self.url}/control/{what}", params=query))

    def ask(self, what: str, **query: str) -> Json:
        """Ask a control."""
        answer = httpx2.post(self.control(what, **query), timeout=30)
        answer.raise_for_status()
        told: Json = answer.json()
        return told

    def credential(self, kind: str) -> tuple[Json, str]:
        """The ``auth`` of a credential that the server takes, and its client's id."""
        given = self.ask("grant", kind=kind)
        if kind == "static":
            auth: Json = {"type": "static_bearer", "token": given["access_token"]}
        else:
            secret = given["client_secret"]
            how = {"type": kind, **({"client_secret": secret} if secret else {})}
            auth = {
                "type": "mcp_oauth",
                "access_token": given["access_token"],
                "expires_at": "2199-01-01T00:00:00Z",
                "refresh": {
                    "token_endpoint": f"{self.url}/token",
                    "client_id": given["client_id"],
                    "refresh_token": given["refresh_token"],
                    "scope": SCOPE,
                    "resource": self.mcp,
                    "token_endpoint_auth": how,
                },
            }
        return {**auth, "mcp_server_url": self.mcp}, given["client_id"]


@contextlib.contextmanager
def mcp_process() -> Iterator[McpProcess]:
    """The server in a process of its own, until the block ends."""
    with socket.socket() as listener:
        # Made here, so that nobody else can take its port and callers wait until it is served.
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.support.mcp_process", str(listener.fileno())],
            cwd=ROOT,
            pass_fds=[listener.fileno()],
        )
    try:
        served = McpProcess(url)
        served.ask("told")
        yield served
    finally:
        child.terminate()
        child.wait(30)


def main(descriptor: int) -> None:
    """Serve on a socket that listens already."""
    listener = socket.socket(fileno=descriptor)
    app = build(f"http://127.0.0.1:{listener.getsockname()[1]}").streamable_http_app()
    config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=0)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(int(sys.argv[1]))
