"""Secrets to be looked for in all that a server leaves behind."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx2 as httpx

from freehold.models import ScriptedModel
from freehold.models.scripted.http import Receive, Scope, ScriptedHttp, Send
from tests.support.models import served
from tests.support.running import ServerProcess

MARK = "5f3c9e7a1b"
METHODS = ("none", "client_secret_basic", "client_secret_post")


def canary(name: str) -> str:
    """A secret that is found wherever it is."""
    return f"canary-{name}-{MARK}"


OWN = {name: canary(name) for name in ("api-key", "model-key", "route-key", "quoted-key", "search")}
"""Those of the server itself."""
SEALING = f"sealed!{MARK}-the-server's-key".encode()[:32]
TOKENS = {
    name: canary(name)
    for name in (
        "static",
        "wrong-access",
        "wrong-refresh",
        "wrong-client",
        "variable",
        "unknown-key",
        *(f"{what}-{method}" for method in METHODS for what in ("old", "new", "refresh", "next")),
        *(f"secret-{method}" for method in METHODS[1:]),
    )
}
"""Those of clients: of vaults, and one that a client sends for no good."""
ALLOW = {"permission_policy": {"type": "always_allow"}}


def needles() -> dict[str, bytes]:
    """All that must not be found, in each form in which it goes over a wire."""
    found: dict[str, bytes] = {}
    for name, secret in {**OWN, **TOKENS}.items():
        found[name] = secret.encode()
        found[f"{name}, quoted"] = quote_plus(secret).encode()
        for joined in (secret, f"me:{secret}", f"me:{quote_plus(secret)}"):
            # The end may be padded otherwise where more follows.
            found[f"{name}, base64 of {joined}"] = base64.b64encode(joined.encode())[:-4]
    found["sealing key"] = SEALING
    found["sealing key, as it is set"] = base64.b64encode(SEALING)
    found["any"] = MARK.encode()
    return found


def search(places: dict[str, bytes], more: Mapping[str, str] | None = None) -> None:
    """Fail if any of the secrets, or of ``more``, is anywhere."""
    sought = needles() | {name: secret.encode() for name, secret in (more or {}).items()}
    for place, content in places.items():
        for name, needle in sought.items():
            assert needle not in content, f"{name} in {place}: …{_around(content, needle)!r}…"


def _around(content: bytes, needle: bytes) -> bytes:
    at = content.index(needle)
    return content[max(0, at - 80) : at + len(needle) + 20]


class Quoting:
    """An HTTP server that quotes all it is sent; with ``answer`` as a success, else as a 401."""

    def __init__(self, answer: Any = None) -> None:
        self._answer = answer
        self.headers: list[dict[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.headers.append(headers)
        status, said = 200, self._answer
        if said is None:
            status = 401
            message = f"no such key: {headers.get('x-api-key')}; {headers.get('authorization')}"
            said = {"type": "error", "error": {"type": "authentication_error", "message": message}}
        body = json.dumps(said).encode()
        length = (b"content-length", str(len(body)).encode())
        kind = (b"content-type", b"application/json")
        start = {"type": "http.response.start", "status": status, "headers": [kind, length]}
        await send(start)
        await send({"type": "http.response.body", "body": body})


class Model(ScriptedHttp):
    """The scripted Messages API, and what it was sent."""

    def __init__(self, key: str) -> None:
        super().__init__(ScriptedModel(), api_key=key)
        self.headers: list[dict[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers.append({n.decode(): v.decode() for n, v in scope["headers"]})
        await super().__call__(scope, receive, send)


class Run:
    """A server with every secret it can have, and all that it said."""

    def __init__(self, folder: Path, level: str, sandbox: str, **variables: str) -> None:
        self.folder = folder
        self.model, self.routed, self.quoting = (
            Model(OWN["model-key"]),
            Model(OWN["route-key"]),
            Quoting(),
        )
        hit = {"url": "https://a.example/", "title": "A", "description": "found"}
        self.engine = Quoting({"web": {"results": [hit]}})
        self.said: list[str] = []
        self.streams: list[bytearray] = []
        self._variables = {
            "FREEHOLD_LOG_LEVEL": level,
            "FREEHOLD_SANDBOX": sandbox,
            "FREEHOLD_API_KEYS": f"another-key,{OWN['api-key']}",
            "FREEHOLD_SECRET_KEY": base64.b64encode(SEALING).decode(),
            "FREEHOLD_MODEL_API_KEY": OWN["model-key"],
            "FREEHOLD_WEB_SEARCH": "brave",
            "FREEHOLD_WEB_SEARCH_API_KEY": OWN["search"],
            "FREEHOLD_MCP_NETWORKS": "127.0.0.0/8",
            "FREEHOLD_RETRY_LIMIT": "0",
            "ROUTE_KEY": OWN["route-key"],
            **variables,
        }

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with (
            served(self.model) as model,
            served(self.routed) as routed,
            served(self.quoting) as quoting,
            served(self.engine) as engine,
        ):
            table = self.folder / "models.toml"
            table.write_text(
                f'[[models]]\nid = "claude-haiku-4-5"\nbase_url = "{routed}"\n'
                'api_key_env = "ROUTE_KEY"\n'
                f'[[models]]\nid = "claude-sonnet-5"\nbase_url = "{quoting}"\n'
                f'api_key = "{OWN["quoted-key"]}"\n'
            )
            self.process = ServerProcess(
                self.folder / "data",
                model="upstream",
                FREEHOLD_MODELS=str(table),
                FREEHOLD_MODEL_BASE_URL=model,
                FREEHOLD_WEB_SEARCH_URL=engine,
                **self._variables,
            )
            headers = {"anthropic-beta": "managed-agents-2026-04-01", "x-api-key": OWN["api-key"]}
            with (
                self.process,
                httpx.Client(base_url=self.process.url, headers=headers, timeout=60) as self.http,
            ):
                yield

    def post(self, path: str, status: int = 200, **body: Any) -> Any:
        response = self.http.post(path, json=body)
        self.said.append(f"{response.headers} {response.text}")
        assert response.status_code == status, response.text
        return response.json()

    def get(self, path: str) -> Any:
        response = self.http.get(path)
        self.said.append(f"{response.headers} {response.text}")
        return response.json()

    def session(self, model: str, **more: Any) -> str:
        agent = self.post(
            "/v1/agents",
            name="Canary",
            model=model,
            tools=[
                {"type": "agent_toolset_20260401", "default_config": ALLOW},
                *(
                    {"type": "mcp_toolset", "mcp_server_name": s["name"], "default_config": ALLOW}
                    for s in more.get("mcp_servers", ())
                ),
            ],
            mcp_servers=more.pop("mcp_servers", []),
        )
        config = more.pop("environment", {"type": "cloud"})
        environment = self.post("/v1/environments", name="plain", config=config)
        made: str = self.post(
            "/v1/sessions", agent=agent["id"], environment_id=environment["id"], **more
        )["id"]
        return made

    def turn(self, session: str, words: str) -> list[Any]:
        """Say something; the session's events once it is idle, the stream kept byte by byte."""
        listening = threading.Event()
        stream = bytearray()
        self.streams.append(stream)

        def listen() -> None:
            query = "event_deltas[]=agent.message&event_deltas[]=agent.thinking"
            path = f"/v1/sessions/{session}/events/stream?{query}"
            with self.http.stream("GET", path, timeout=120) as response:
                listening.set()
                for chunk in response.iter_raw():
                    stream.extend(chunk)
                    if b"session.status_idle" in stream:
                        return

        listener = threading.Thread(target=listen)
        listener.start()
        assert listening.wait(20)
        message = {"type": "user.message", "content": [{"type": "text", "text": words}]}
        self.post(f"/v1/sessions/{session}/events", events=[message])
        listener.join(120)
        assert b"session.status_idle" in stream
        found: list[Any] = self.get(f"/v1/sessions/{session}/events?limit=1000")["data"]
        self.get(f"/v1/sessions/{session}")
        return found

    def places(self) -> dict[str, bytes]:
        """All that there is to search."""
        data = self.folder / "data"
        files = [path for path in data.rglob("*") if path.is_file()]
        assert any(path.suffix == ".db" for path in files)
        return {
            **{str(path.relative_to(data)): path.read_bytes() for path in files},
            "log": self.process.log.read_bytes(),
            "answers": "\n".join(self.said).encode(),
            **{f"stream {n}": bytes(stream) for n, stream in enumerate(self.streams)},
        }
