"""Secrets are nowhere but with those whom they are for.

A server process that is given a canary for every secret it can have, real servers behind it that
quote what they are given, and a search through all that a run leaves behind: the database's
files, the log, every event, every byte of the stream, every answer, the sandbox.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx2 as httpx
import pytest
from docker.errors import APIError
from tests.docker_gate import Hosts
from tests.support.mcp_servers import Door, mcp_server
from tests.support.models import served
from tests.support.running import ServerProcess

from freehold.models import ScriptedModel
from freehold.models.scripted.http import Receive, Scope, ScriptedHttp, Send

MARK = "5f3c9e7a1b"
METHODS = ("none", "client_secret_basic", "client_secret_post")


def canary(name: str) -> str:
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
SPY = (
    "env; cat /proc/self/environ /proc/1/environ /proc/*/environ /proc/*/cmdline 2>&1; "
    "cat /etc/passwd; git config --list; ls -laR /workspace /tmp /mnt /run 2>/dev/null"
)


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


def search(places: dict[str, bytes]) -> None:
    for place, content in places.items():
        for name, needle in needles().items():
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


def oauth(door: Door, method: str, access: str, refresh: str, secret: str | None) -> dict[str, Any]:
    auth = {"type": method, **({"client_secret": secret} if secret else {})}
    return {
        "type": "mcp_oauth",
        "access_token": access,
        "mcp_server_url": door.mcp,
        "refresh": {
            "token_endpoint": door.token_endpoint,
            "client_id": "me",
            "refresh_token": refresh,
            "token_endpoint_auth": auth,
        },
    }


def renewing(method: Any) -> Door:
    """A server whose token endpoint wants this kind of authentication."""
    door = Door(tokens=set(), echo=True, auth=method)
    door.client = ("me", TOKENS.get(f"secret-{method}"))
    door.refresh_tokens = {
        TOKENS[f"refresh-{method}"]: (TOKENS[f"new-{method}"], TOKENS[f"next-{method}"])
    }
    return door


def variable(value: Any) -> dict[str, Any]:
    return {
        "type": "environment_variable",
        "secret_name": "TOKEN",
        "secret_value": value,
        "networking": {"type": "unrestricted"},
    }


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_byte_of_a_vaults_secret_is_left_anywhere(tmp_path: Path, level: str) -> None:
    run = Run(tmp_path, level, "scripted")
    with contextlib.ExitStack() as stack:
        bearer = stack.enter_context(mcp_server(Door(tokens={TOKENS["static"]}, echo=True)))
        doors = {m: stack.enter_context(mcp_server(renewing(m))) for m in METHODS}
        refusing = stack.enter_context(
            mcp_server(Door(tokens=set(), echo=True, auth="client_secret_post"))
        )
        stack.enter_context(run.running())
        vault = run.post("/v1/vaults", display_name="canaries")["id"]
        path = f"/v1/vaults/{vault}/credentials"
        static = {"type": "static_bearer", "token": TOKENS["static"], "mcp_server_url": bearer.mcp}
        run.post(path, auth=static)
        for method, door in doors.items():
            names = (f"old-{method}", f"refresh-{method}", f"secret-{method}")
            access, refresh, secret = map(TOKENS.get, names)
            run.post(path, auth=oauth(door, method, str(access), str(refresh), secret))
        wrong = [TOKENS[f"wrong-{what}"] for what in ("access", "refresh", "client")]
        refused = run.post(path, auth=oauth(refusing, "client_secret_post", *wrong))["id"]
        # Refused bodies are not quoted either, nor is a second credential for one server.
        run.post(path, 409, auth=static)
        run.post(path, 400, auth={**static, "token": TOKENS["static"] + " "})
        run.post(path, auth=variable(TOKENS["variable"]))
        run.post(path, 400, auth=variable([TOKENS["variable"]]))
        run.post(path, 400, auth={**variable(TOKENS["variable"]), "bogus": TOKENS["variable"]})
        for shown in run.get(path)["data"]:
            run.get(f"{path}/{shown['id']}")
        assert run.post(f"{path}/{refused}/mcp_oauth_validate")["status"] == "invalid"
        servers = {"bearer": bearer, **{m.replace("_", ""): d for m, d in doors.items()}}
        servers["refusing"] = refusing
        session = run.session(
            "claude-opus-5",
            vault_ids=[vault],
            mcp_servers=[{"type": "url", "name": n, "url": d.mcp} for n, d in servers.items()],
        )
        calls = [f"/tool mcp__{name}__whoami" for name in servers if name != "refusing"]
        calls.append('/tool mcp__refusing__add {"a": 1, "b": 1}')
        events = run.turn(session, "\n".join(calls))
        search(run.places())  # before the database has put its files in order

    # The run was one in which every secret was used.
    assert f"Bearer {TOKENS['static']}" in bearer.seen
    for method, door in doors.items():
        assert f"Bearer {TOKENS[f'old-{method}']}" in door.seen
        assert f"Bearer {TOKENS[f'new-{method}']}" in door.seen
        assert [form["refresh_token"] for form in door.forms] == [TOKENS[f"refresh-{method}"]]
    posted = doors["client_secret_post"].forms[0]
    assert posted["client_secret"] == TOKENS["secret-client_secret_post"]
    assert f"Bearer {TOKENS['wrong-access']}" in refusing.seen
    assert refusing.forms[0]["client_secret"] == TOKENS["wrong-client"]
    assert refusing.forms[0]["refresh_token"] == TOKENS["wrong-refresh"]
    assert "mcp_authentication_failed_error" in json.dumps(events)
    assert json.dumps(events).count("[redacted]") >= 4  # whoami said so, and was masked
    search(run.places())


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_byte_of_the_servers_own_secrets_is_left_anywhere(tmp_path: Path, level: str) -> None:
    run = Run(tmp_path, level, "scripted")
    with run.running():
        for model in ("claude-opus-5", "claude-haiku-4-5"):
            session = run.session(model)
            told = run.turn(session, '/run env\n/tool web_search {"query": "cats"}\n/say done')
            assert "a.example" in json.dumps(told)
            body = {"model": model, "max_tokens": 10}
            run.post("/v1/messages", messages=[{"role": "user", "content": "hello"}], **body)
        # A server that quotes the key it was given, to a session and to a client.
        told = run.turn(run.session("claude-sonnet-5"), "hello")
        assert "no such key: " in json.dumps(told)
        for stream in (False, True):
            body = {"model": "claude-sonnet-5", "max_tokens": 10, "stream": stream}
            hello = [{"role": "user", "content": "hello"}]
            quoted = run.post("/v1/messages", 401, messages=hello, **body)
            assert "no such key: " in quoted["error"]["message"]
        # A key that nobody has.
        response = run.http.get(
            "/v1/agents",
            headers={"x-api-key": TOKENS["unknown-key"], "authorization": "Bearer another"},
        )
        assert response.status_code == 401
        run.said.append(f"{response.headers} {response.text}")
        search(run.places())

    # The run was one in which every key was used, each by whom it is for.
    assert OWN["model-key"] in json.dumps(run.model.headers)
    assert OWN["route-key"] in json.dumps(run.routed.headers)
    assert OWN["quoted-key"] in json.dumps(run.quoting.headers)
    assert OWN["search"] in json.dumps(run.engine.headers)
    meant = {"model": "model-key", "routed": "route-key", "quoting": "quoted-key"}
    for server, name in {**meant, "engine": "search"}.items():
        sent = json.dumps(getattr(run, server).headers)
        assert sent.count(MARK) == sent.count(OWN[name])  # the client's own key least of all
    search(run.places())


@pytest.mark.docker
def test_a_sandbox_holds_no_secret(tmp_path: Path, docker_client: Any, docker_image: str) -> None:
    run = Run(tmp_path, "debug", "docker", FREEHOLD_SANDBOX_IMAGE=docker_image)
    with mcp_server(Door(tokens={TOKENS["static"]}, echo=True)) as bearer, run.running():
        vault = run.post("/v1/vaults", display_name="canaries")["id"]
        static = {"type": "static_bearer", "token": TOKENS["static"], "mcp_server_url": bearer.mcp}
        run.post(f"/v1/vaults/{vault}/credentials", auth=static)
        session = run.session(
            "claude-opus-5",
            vault_ids=[vault],
            mcp_servers=[{"type": "url", "name": "bearer", "url": bearer.mcp}],
        )
        try:
            events = run.turn(session, f"/tool mcp__bearer__whoami\n/run {SPY}\n/say done")
            results = [event for event in events if event["type"] == "agent.tool_result"]
            assert "PATH=" in json.dumps(results)  # it could look
            found = [
                container
                for container in docker_client.containers.list(all=True)
                if session in json.dumps(container.attrs)
            ]
            assert found
            for container in found:
                changed = [entry["Path"] for entry in container.diff() or ()]
                archives = [
                    b"".join(container.get_archive(path)[0]) for path in ("/workspace", "/tmp")
                ]
                image = container.image
                search(
                    {
                        "container": json.dumps(container.attrs).encode(),
                        "changes": json.dumps(changed).encode(),
                        "files": b"".join(archives),
                        "image": json.dumps([image.attrs, image.history()]).encode(),
                    }
                )
            search(run.places())
        finally:
            assert run.http.delete(f"/v1/sessions/{session}").is_success


@pytest.mark.docker
def test_a_variables_value_is_seen_by_its_host_and_by_nobody_else(
    tmp_path: Path, docker_client: Any, docker_image: str, hosts: Hosts
) -> None:
    """The whole way: a vault, a session, a gate, a host that quotes what it is sent."""
    run = Run(
        tmp_path,
        "debug",
        "docker",
        FREEHOLD_SANDBOX_IMAGE=docker_image,
        FREEHOLD_GATE_IMAGE=hosts.gate_image,
        FREEHOLD_SANDBOX_NETWORK="gate",
        FREEHOLD_GATE_NETWORK=hosts.network,
        FREEHOLD_TRUSTED_NETWORKS=f"{hosts.address(hosts.open)}/32",
    )
    secret, rotated = TOKENS["variable"], canary("rotated")
    limited = {"type": "limited", "allowed_hosts": ["allowed.test", "tls.test"]}
    with contextlib.ExitStack() as stack:
        stack.enter_context(run.running())
        vault = run.post("/v1/vaults", display_name="canaries")["id"]
        path = f"/v1/vaults/{vault}/credentials"
        networking = {"type": "limited", "allowed_hosts": ["allowed.test", "shut-out.test"]}
        made = run.post(path, auth={**variable(secret), "networking": networking})["id"]
        session = run.session(
            "claude-opus-5",
            vault_ids=[vault],
            environment={"type": "cloud", "networking": limited},
        )
        stack.callback(_removed, docker_client, tmp_path)
        stack.callback(run.http.delete, f"/v1/sessions/{session}")
        send = (
            'curl -sS -H \'X-Record: 1\' -u "me:$TOKEN" -H "X-Key: $TOKEN" '
            '-d "key=$TOKEN" https://{}/ | tee -a /tmp/said'
        )
        words = [f"/run {send.format(host)}" for host in ("allowed.test", "tls.test")]
        events = run.turn(session, "\n".join([*words, f"/run {SPY}", "/say done"]))
        update = {"type": "environment_variable", "secret_value": rotated}
        run.post(f"{path}/{made}", auth=update)
        run.turn(session, f"/run {send.format('allowed.test')}\n/say done")
        told = [event for event in events if event["type"] == "session.error"]
        assert [event["error"]["type"] for event in told] == ["credential_host_unreachable_error"]
        assert "shut-out.test" in told[0]["error"]["message"]
        assert "TOKEN=fhsecret_" in json.dumps(events)  # it could look
        label = {"label": f"dev.freehold.owner={_owner(tmp_path)}"}
        found = docker_client.containers.list(all=True, filters=label, ignore_removed=True)
        assert len(found) >= 2
        for container in found:
            folders = ("/workspace", "/tmp") if session in json.dumps(container.attrs) else ()
            archives = [b"".join(container.get_archive(folder)[0]) for folder in folders]
            logs = b"" if folders else container.logs()
            described = json.dumps(container.attrs).encode()
            search({"container": described, "files": b"".join(archives), "log": logs})
        search(run.places())

    # The run was one in which both values were used, at the host they are for.
    heard = "\n".join(line for line in hosts.heard(hosts.open) if line.startswith("GOT"))
    requests = [json.loads(line.removeprefix("GOT ")) for line in heard.splitlines()]
    sent = [{name.lower(): value for name, value in one["headers"]} for one in requests][-3:]
    assert [one["x-key"] for one in sent][::2] == [secret, rotated]
    assert [one["body"] for one in requests][-3::2] == [f"key={secret}", f"key={rotated}"]
    basic = base64.b64encode(f"me:{secret}".encode()).decode()
    assert sent[0]["authorization"] == f"Basic {basic}"
    assert sent[1]["x-key"].startswith("fhsecret_")
    search(run.places())


def _owner(folder: Path) -> str:
    return (folder / "data" / "installation").read_text().strip()


def _removed(client: Any, folder: Path) -> None:
    """The gate outlives its server, as it is to; not its test."""
    label = f"dev.freehold.owner={_owner(folder)}"
    for container in client.containers.list(
        all=True, filters={"label": label}, ignore_removed=True
    ):
        with contextlib.suppress(APIError):  # The server removes some of them at this moment.
            container.remove(force=True)
