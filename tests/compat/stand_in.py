"""A go-between for the test suites that the SDKs' generator writes for their API resources.

Those suites are made for a mock that answers whatever it is asked, so they name agents, sessions
and vaults that nobody ever created. This stands between such a suite and a Freehold: for each
request it creates, in Freehold, what the request names, and puts the ids of that in the places of
the made-up ones. Answers go back untouched, and the suite checks them against its types. So each
method of an SDK meets a real answer, with all of its parameters.

Nothing else is changed: what a suite sends that the service refuses (a cron expression ``x``, a
skill without a ``SKILL.md``) is refused, and what it got is written down for the report, one JSON
object for each request that was not answered with success.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

BETAS = "managed-agents-2026-04-01"
SKILL = b"---\nname: stand-in\ndescription: Stands in for another skill.\n---\nNothing to do.\n"

# What a suite of generated tests may call a thing that it did not create: the ids of the API's
# reference, the name of the parameter, letters.
MADE_UP = re.compile(r"^(?:[a-z]+_01[A-Za-z0-9]{16,}|[a-z_]*_?id|[a-z]+(?:ID|Id)|x+|string)$")

_HOP = {"host", "connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade"}


class Made:
    """What one request names, created when it is first asked for."""

    def __init__(self, http: httpx2.AsyncClient, headers: dict[str, str], betas: str) -> None:
        self._http = http
        self._headers = headers
        self._betas = betas
        self._made: dict[str, str] = {}

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        headers = {**self._headers, **options.pop("headers", {})}
        answer = await self._http.request(method, path, headers=headers, **options)
        if answer.is_error:
            raise LookupError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    async def post(self, path: str, body: Any, **options: Any) -> Any:
        return await self._call("POST", path, json=body, **options)

    async def get(self, path: str) -> Any:
        return await self._call("GET", path)

    async def __call__(self, kind: str) -> str:
        if kind not in self._made:
            make: Callable[[], Awaitable[str]] = getattr(self, f"_{kind}")
            self._made[kind] = await make()
        return self._made[kind]

    async def _agent(self) -> str:
        tools = [{"type": "agent_toolset_20260401"}]
        body = {"name": "stand-in", "model": "claude-opus-5-5", "tools": tools}
        return str((await self.post("/v1/agents", body))["id"])

    async def _environment(self) -> str:
        return str((await self.post("/v1/environments", {"name": f"e-{uuid.uuid4()}"}))["id"])

    async def _queue(self) -> str:
        body = {"name": f"q-{uuid.uuid4()}", "config": {"type": "self_hosted"}}
        return str((await self.post("/v1/environments", body))["id"])

    async def _work(self) -> str:
        queue = await self("queue")
        body = {"agent": await self("agent"), "environment_id": queue}
        session = await self.post("/v1/sessions", body)
        said = {"type": "user.message", "content": [{"type": "text", "text": "/run true"}]}
        await self.post(f"/v1/sessions/{session['id']}/events", {"events": [said]})
        # The item is queued when the turn begins.
        for _ in range(100):
            if listed := (await self.get(f"/v1/environments/{queue}/work"))["data"]:
                return str(listed[0]["id"])
            await asyncio.sleep(0.05)
        raise LookupError("no work was queued")

    async def _session(self) -> str:
        body = {"agent": await self("agent"), "environment_id": await self("environment")}
        mounted = {"type": "file", "file_id": await self("file"), "mount_path": "/uploads/a.txt"}
        session = await self.post("/v1/sessions", {**body, "resources": [mounted]})
        self._made["resource"] = session["resources"][0]["id"]
        return str(session["id"])

    async def _resource(self) -> str:
        await self("session")
        return self._made["resource"]

    async def _thread(self) -> str:
        listed = await self.get(f"/v1/sessions/{await self('session')}/threads")
        return str(listed["data"][0]["id"])

    async def _vault(self) -> str:
        return str((await self.post("/v1/vaults", {"display_name": "stand-in"}))["id"])

    async def _credential(self) -> str:
        auth = {"type": "static_bearer", "token": "t", "mcp_server_url": "https://example.com/mcp"}
        path = f"/v1/vaults/{await self('vault')}/credentials"
        return str((await self.post(path, {"auth": auth}))["id"])

    async def _oauth_credential(self) -> str:
        # Nobody listens there.
        auth = {"type": "mcp_oauth", "mcp_server_url": "https://127.0.0.1:9/mcp"}
        path = f"/v1/vaults/{await self('vault')}/credentials"
        return str((await self.post(path, {"auth": {**auth, "access_token": "t"}}))["id"])

    async def _store(self) -> str:
        return str((await self.post("/v1/memory_stores", {"name": "stand-in"}))["id"])

    async def _memory(self) -> str:
        path = f"/v1/memory_stores/{await self('store')}/memories"
        return str((await self.post(path, {"path": "/a.md", "content": "a"}))["id"])

    async def _memory_version(self) -> str:
        memory = await self("memory")
        path = f"/v1/memory_stores/{await self('store')}"
        # Another, for a memory's newest version cannot be redacted.
        await self.post(f"{path}/memories/{memory}", {"content": "b"})
        listed = await self.get(f"{path}/memory_versions")
        return str(listed["data"][-1]["id"])

    async def _file(self) -> str:
        files = {"file": ("a.txt", b"a", "text/plain")}
        headers = {"anthropic-beta": "files-api-2025-04-14"}
        answer = await self._call("POST", "/v1/files", files=files, headers=headers)
        return str(answer["id"])

    async def _skill(self) -> str:
        # Two, for the only version of a skill cannot be deleted.
        files = {"files[]": ("stand-in/SKILL.md", SKILL, "text/markdown")}
        # With the request's own headers: older clients call versions by other ids.
        headers = {"anthropic-beta": self._betas}
        skill = await self._call("POST", "/v1/skills", files=files, headers=headers)
        path = f"/v1/skills/{skill['id']}/versions"
        newest = await self._call("POST", path, files=files, headers=headers)
        self._made["skill_version"] = str(
            newest.get("id") if "version" not in newest else newest["version"]
        )
        return str(skill["id"])

    async def _skill_version(self) -> str:
        await self("skill")
        return self._made["skill_version"]

    async def _deployment(self) -> str:
        said = {"type": "user.message", "content": [{"type": "text", "text": "Hello."}]}
        body = {"agent": await self("agent"), "environment_id": await self("environment")}
        body |= {"name": "stand-in", "initial_events": [said]}
        return str((await self.post("/v1/deployments", body))["id"])

    async def _run(self) -> str:
        return str((await self.post(f"/v1/deployments/{await self('deployment')}/run", {}))["id"])

    async def _profile(self) -> str:
        return str((await self.post("/v1/user_profiles", {}))["id"])

    async def make_room(self) -> None:
        """Delete old webhook endpoints: an organization has 32 at most."""
        headers = {"anthropic-beta": "webhooks-2026-10-07"}
        path = "/v1/organizations/webhooks"
        listed = await self._call("GET", path, headers=headers, params={"limit": 100})
        for old in sorted(listed["data"], key=lambda one: str(one["created_at"]))[:-8]:
            with contextlib.suppress(LookupError):  # another request was quicker
                await self._call("DELETE", f"{path}/{old['id']}", headers=headers)

    async def _webhook(self) -> str:
        await self.make_room()
        path = "/v1/organizations/webhooks"
        body = {"url": "https://example.com/hook", "enabled_events": ["external_key.failed"]}
        headers = {"anthropic-beta": "webhooks-2026-10-07"}
        return str((await self.post(path, body, headers=headers))["id"])

    async def _api_key(self) -> str:
        # The newest, which nobody uses: a suite may rename it or make it inactive.
        listed = (await self.get("/v1/organizations/api_keys"))["data"]
        return str(max(listed, key=lambda key: str(key["created_at"]))["id"])

    async def _workspace_record(self) -> str:
        path = "/v1/organizations/workspaces"
        return str((await self.post(path, {"name": f"w-{uuid.uuid4()}"}))["id"])


# The collections whose members a path names, with what is made for each.
_PATHS: list[tuple[re.Pattern[str], tuple[str, ...]]] = [
    (re.compile(pattern), kinds)
    for pattern, kinds in (
        (r"/v1/sessions/([^/]+)/threads/([^/]+)(?:/.*)?", ("session", "thread")),
        (r"/v1/sessions/([^/]+)/resources/([^/]+)(?:/.*)?", ("session", "resource")),
        (r"/v1/sessions/([^/]+)(?:/.*)?", ("session",)),
        (r"/v1/environments/([^/]+)/work/(?!poll|stats)([^/]+)(?:/.*)?", ("queue", "work")),
        (r"/v1/environments/([^/]+)/work(?:/.*)?", ("queue",)),
        (r"/v1/environments/([^/]+)(?:/.*)?", ("environment",)),
        (r"/v1/agents/([^/]+)(?:/.*)?", ("agent",)),
        (
            r"/v1/vaults/([^/]+)/credentials/([^/]+)/mcp_oauth_validate",
            ("vault", "oauth_credential"),
        ),
        (r"/v1/vaults/([^/]+)/credentials/([^/]+)(?:/.*)?", ("vault", "credential")),
        (r"/v1/vaults/([^/]+)(?:/.*)?", ("vault",)),
        (r"/v1/memory_stores/([^/]+)/memories/([^/]+)(?:/.*)?", ("store", "memory")),
        (r"/v1/memory_stores/([^/]+)/memory_versions/([^/]+)(?:/.*)?", ("store", "memory_version")),
        (r"/v1/memory_stores/([^/]+)(?:/.*)?", ("store",)),
        (r"/v1/files/([^/]+)(?:/.*)?", ("file",)),
        (r"/v1/skills/([^/]+)/versions/([^/]+)(?:/.*)?", ("skill", "skill_version")),
        (r"/v1/skills/([^/]+)(?:/.*)?", ("skill",)),
        (r"/v1/deployments/([^/]+)(?:/.*)?", ("deployment",)),
        (r"/v1/deployment_runs/([^/]+)(?:/.*)?", ("run",)),
        (r"/v1/user_profiles/([^/]+)(?:/.*)?", ("profile",)),
        (r"/v1/organizations/webhooks/([^/]+)(?:/.*)?", ("webhook",)),
        (r"/v1/organizations/api_keys/([^/]+)(?:/.*)?", ("api_key",)),
        (r"/v1/organizations/workspaces/([^/]+)(?:/.*)?", ("workspace_record",)),
    )
]

_FIELDS = {
    "agent": "agent",
    "agent_id": "agent",
    "environment_id": "environment",
    "file_id": "file",
    "memory_store_id": "store",
    "session_id": "session",
    "deployment_id": "deployment",
    "vault_ids": "vault",
}


async def put(value: Any, made: Made, kind: str | None = None) -> Any:
    """``value`` with the made-up ids in its fields replaced."""
    if isinstance(value, dict):
        # An agent is also named by an object with its id.
        kinds = {**_FIELDS, "id": kind} if kind else _FIELDS
        return {key: await put(entry, made, kinds.get(key)) for key, entry in value.items()}
    if isinstance(value, list):
        return [await put(entry, made, kind) for entry in value]
    if kind is not None and isinstance(value, str) and MADE_UP.match(value):
        return await made(kind)
    return value


async def place(path: str, made: Made) -> str:
    """``path`` with the made-up ids in it replaced."""
    if path == "/v1/models/model_id":
        return "/v1/models/claude-opus-5-5"
    for pattern, kinds in _PATHS:
        if found := pattern.fullmatch(path):
            for index in range(len(kinds), 0, -1):
                start, end = found.span(index)
                path = path[:start] + await made(kinds[index - 1]) + path[end:]
            break
    return path


def told(content: bytes) -> str:
    """The message of an error's body."""
    try:
        return str(json.loads(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return content[:200].decode("utf-8", "replace")


class StandIn:
    """The application; ``log`` gets a line for each request that did not succeed."""

    def __init__(self, upstream: str, log: Path, key: str, admin_key: str) -> None:
        self._upstream = upstream
        self._log = log
        self._key = key
        self._admin_key = admin_key
        self._http: httpx2.AsyncClient

    @asynccontextmanager
    async def life(self, _: Starlette) -> AsyncIterator[None]:
        async with httpx2.AsyncClient(base_url=self._upstream, timeout=60) as self._http:
            yield

    def _note(self, request: Request, status: int, message: str) -> None:
        sdk = request.headers.get("x-stainless-lang", "-")
        line = [sdk, request.method, request.url.path, status, message]
        with self._log.open("a") as log:
            log.write(json.dumps(line) + "\n")

    async def answer(self, request: Request) -> Response:
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            if name not in _HOP:
                # Some clients send a header line for each beta.
                headers[name] = f"{headers[name]},{value}" if name in headers else value
        # A workspace that nobody created either; the key's own stands in for it.
        headers.pop("anthropic-workspace-id", None)
        headers.pop("accept-encoding", None)
        headers.pop("authorization", None)
        organization = re.match(r"/v1/organizations/(?!webhooks)", request.url.path)
        headers["x-api-key"] = self._admin_key if organization else self._key
        betas = headers.get("anthropic-beta", "")
        known = {"x-api-key": headers["x-api-key"], "anthropic-beta": BETAS}
        made = Made(self._http, known, betas)
        body = await request.body()
        try:
            path = await place(request.url.path, made)
            if (request.method, path) == ("POST", "/v1/organizations/webhooks"):
                await made.make_room()
            if body and headers.get("content-type", "").startswith("application/json"):
                body = json.dumps(await put(json.loads(body), made)).encode()
        except LookupError as e:
            self._note(request, 0, f"could not be made: {e}")
            # A status that no client tries again.
            return Response(str(e), 424)
        sent = self._http.build_request(
            request.method, path, params=request.url.query, headers=headers, content=body
        )
        got = await self._http.send(sent, stream=True)
        passed = {k: v for k, v in got.headers.items() if k.lower() not in _HOP}
        if got.is_error:
            content = await got.aread()
            self._note(request, got.status_code, told(content))
            return Response(content, got.status_code, passed)
        if got.headers.get("content-type", "").startswith("text/event-stream"):
            # The mock's streams end. A session that nobody speaks to says nothing.
            await got.aclose()
            return Response(b'event: ping\ndata: {"type": "ping"}\n\n', 200, passed)
        return StreamingResponse(got.aiter_raw(), got.status_code, passed)


def application(upstream: str, log: Path, key: str, admin_key: str) -> Starlette:
    stand_in = StandIn(upstream, log, key, admin_key)
    every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    route = Route("/{rest:path}", stand_in.answer, methods=every)
    return Starlette(routes=[route], lifespan=stand_in.life)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--upstream", required=True, help="where Freehold answers")
    parser.add_argument("--port", type=int, default=4010)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--key", default="any", help="Freehold's key of a workspace")
    parser.add_argument("--admin-key", default="any", help="Freehold's key of the organization")
    options = parser.parse_args()
    app = application(options.upstream, options.log, options.key, options.admin_key)
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
