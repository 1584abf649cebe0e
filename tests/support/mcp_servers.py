"""Real MCP servers on loopback, by the official package, and a token endpoint beside them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, unquote_plus

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from freehold.core.addresses import BAD_PORTS
from tests.support.certificates import Certificate

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
LONG_NAME = "a_tool_with_a_name_that_is_much_longer_than_the_sixty_four_characters_of_the_api"


_given: ContextVar[str | None] = ContextVar("given", default=None)


def tools(counts: dict[str, int]) -> MCPServer:
    """A server with tools of every kind; ``counts`` says how often each ran."""
    server: MCPServer = MCPServer("things")

    def ran(name: str) -> None:
        counts[name] = counts.get(name, 0) + 1

    @server.tool()
    def add(a: int, b: int) -> str:
        """Add two numbers."""
        ran("add")
        return f"{a + b}"

    @server.tool()
    async def mark(text: str, seconds: float = 0) -> str:
        """Leave a mark, then take a while."""
        ran(f"mark {text}")
        await asyncio.sleep(seconds)
        return f"marked {text}"

    @server.tool()
    def break_it() -> str:
        """Fail."""
        ran("break_it")
        raise ToolError("it broke")

    @server.tool()
    def whoami() -> str:
        """Quote the credential, as careless servers do."""
        return f"you are {(_given.get() or '').removeprefix('Bearer ')}"

    @server.tool()
    def picture() -> Image:
        """A picture."""
        return Image(data=PIXEL, format="png")

    @server.tool(structured_output=False)
    def everything() -> list[ContentBlock]:
        """One of each."""
        data = base64.b64encode(b"12345").decode()
        return [
            TextContent(text="  spaced\n"),
            ImageContent(data=data, mime_type="image/tiff"),
            AudioContent(data=data, mime_type="audio/wav"),
            ResourceLink(name="report", uri="file:///report.txt", mime_type="text/plain"),
            EmbeddedResource(resource=TextResourceContents(uri="file:///a", text="inside")),
            EmbeddedResource(
                resource=BlobResourceContents(uri="file:///b", blob=data, mime_type="a/b")
            ),
        ]

    @server.tool(name=LONG_NAME)
    def long() -> str:
        """Has a long name."""
        return "long"

    @server.tool()
    def novel(length: int) -> str:
        """A long text."""
        return "once " + "x" * length + " end"

    @server.tool()
    async def slow() -> str:
        """Take longer than anybody waits."""
        ran("slow")
        await asyncio.sleep(600)
        return "done"

    return server


@dataclass
class Door:
    """What stands before a server: whom it lets in, and what it saw."""

    tokens: set[str] | None = None
    """Those that are let in; ``None``: everybody."""
    status: int | None = None
    """Answers this to everything."""
    legacy: bool = False
    """Knows the protocol as it was before 2026: a handshake, and sessions."""
    forgetful: bool = False
    """Has forgotten the sessions it gave; the next handshake ends that."""
    echo: bool = False
    """Says in its refusals what token it was given."""
    counts: dict[str, int] = field(default_factory=dict)
    """How often each tool ran."""
    seen: list[str | None] = field(default_factory=list)
    """``Authorization`` of each request."""
    # The token endpoint.
    auth: Literal["none", "client_secret_basic", "client_secret_post"] = "none"
    client: tuple[str, str | None] = ("client", None)
    refresh_tokens: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """A refresh token, good once, and what it gives: an access and a refresh token."""
    forms: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    @property
    def mcp(self) -> str:
        return f"{self.url}/mcp"

    @property
    def token_endpoint(self) -> str:
        return f"{self.url}/token"


class _Guarded:
    def __init__(self, app: Any, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if scope["path"] == "/token":
            await self._token(headers, await _body(receive), send)
            return
        given = headers.get("authorization")
        self._door.seen.append(given)
        _given.set(given)
        if self._door.status is not None:
            await _answer(send, self._door.status, {"error": "no"})
        elif self._door.tokens is not None and (given or "")[7:] not in self._door.tokens:
            said = f"invalid token: {given}" if self._door.echo else "invalid token"
            await _answer(send, 401, {"error": said})
        elif self._door.legacy and scope["method"] == "POST":
            await self._older(scope, headers, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _older(
        self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        body = await _body(receive)
        method = json.loads(body).get("method")
        if method == "server/discover":
            await _answer(send, 400, {"error": "no such method"})
            return
        if method == "initialize":
            self._door.forgetful = False
        if self._door.forgetful and "mcp-session-id" in headers:
            await _answer(send, 404, {"error": "no such session"})
            return
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> dict[str, Any]:
            return parts.pop() if parts else await receive()

        await self._app(scope, again, send)

    async def _token(self, headers: dict[str, str], body: bytes, send: Send) -> None:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self._door.forms.append(form)
        offered = self._door.refresh_tokens.pop(form.get("refresh_token", ""), None)
        if offered is None or self._client(headers, form) != self._door.client:
            await _answer(send, 400, {"error": "invalid_grant", "given": form})
            return
        access, refresh = offered
        if self._door.tokens is not None:
            self._door.tokens.add(access)
        answer: dict[str, Any] = {"access_token": access, "token_type": "Bearer"}
        answer |= {"expires_in": 3600} | ({"refresh_token": refresh} if refresh else {})
        await _answer(send, 200, answer)

    def _client(self, headers: dict[str, str], form: dict[str, str]) -> tuple[str, str | None]:
        if self._door.auth != "client_secret_basic":
            return form.get("client_id", ""), form.get("client_secret")
        pair = base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode()
        name, _, secret = pair.partition(":")
        return unquote_plus(name), unquote_plus(secret)


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _answer(send: Send, status: int, value: Any) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


def _listener() -> socket.socket:
    while True:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        if listener.getsockname()[1] not in BAD_PORTS:
            listener.listen(64)
            return listener
        listener.close()


@contextlib.contextmanager
def mcp_server(
    door: Door | None = None, *, sse: bool = False, certificate: Certificate | None = None
) -> Iterator[Door]:
    """A server behind a door, in a thread of its own, until the block ends; with a certificate
    it speaks TLS."""
    door = door or Door()
    made = tools(door.counts)
    app = _Guarded(made.sse_app() if sse else made.streamable_http_app(), door)
    with _listener() as listener:
        scheme, tls = "http", {}
        if certificate is not None:
            files = {"ssl_certfile": certificate.chain, "ssl_keyfile": certificate.key}
            scheme, tls = "https", {name: str(file) for name, file in files.items()}
        door.url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            app,
            log_level="critical",
            timeout_graceful_shutdown=0,
            **tls,  # type: ignore[arg-type]
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield door
        finally:
            server.should_exit = True
            thread.join(10)
