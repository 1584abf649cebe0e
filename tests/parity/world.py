"""A server with everything behind it that its endpoints need, and an object for every id."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from anthropic import Anthropic, DefaultHttpxClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from freehold.core.keys import Scope
from freehold.core.workspaces import DEFAULT_WORKSPACE
from freehold.dispatch.clock import SystemClock
from freehold.models.scripted.http import ScriptedHttp
from freehold.models.scripted.model import ScriptedModel
from freehold.store import keys, workspaces
from freehold.store.database import Database
from freehold.store.workspaces import WorkspaceRow
from tests.support.models import served
from tests.support.running import BETA, Served, serve

REMOTE = "remote"
"""A model whose server is another, so that messages can be passed on to it."""

TOOLSET: Any = [{"type": "agent_toolset_20260401"}]
SKILL = b"---\nname: reports\ndescription: Writes reports.\n---\n\n# How\n"
BOTH_FILES = ["managed-agents-2026-04-01"]

_KEY = "sk-server-0123456789"


def said(words: str) -> Any:
    """A ``user.message`` of text."""
    return {"type": "user.message", "content": [{"type": "text", "text": words}]}


class World:
    """A server, the SDK against it, and what was asked and answered last."""

    def __init__(self, server: Served, key: str = "test") -> None:
        self.server = server
        self.key = key
        self.answers: list[httpx2.Response] = []
        self.sdk: Anthropic = server.client(
            http_client=DefaultHttpxClient(event_hooks={"response": [self.answers.append]})
        ).with_options(api_key=key)
        self.http = httpx2.Client(
            base_url=server.url, headers={**BETA, "x-api-key": key}, timeout=60
        )
        self.bare = httpx2.Client(base_url=server.url, timeout=60)
        self._numbers = itertools.count(1)

    def close(self) -> None:
        self.sdk.close()
        self.http.close()
        self.bare.close()

    def name(self, word: str) -> str:
        """A name that no other object has."""
        return f"{word} {next(self._numbers)}"

    def idle(self, session_id: str, *events: Any) -> list[Any]:
        """Send events; everything that is told until the session rests."""
        told = []
        with self.sdk.beta.sessions.events.stream(session_id) as stream:
            self.sdk.beta.sessions.events.send(session_id, events=list(events))
            for event in stream:
                told.append(event)
                if event.type in ("session.status_idle", "session.status_terminated"):
                    break
        return told

    # Each of these makes a new object and is asked for its id; `ids` are those before it in a path.

    def agent(self, _: Any = None, **more: Any) -> str:
        given: dict[str, Any] = {"name": self.name("agent"), "model": "claude-opus-5"}
        return self.sdk.beta.agents.create(**{**given, "tools": TOOLSET, **more}).id

    def environment(self, _: Any = None, **more: Any) -> str:
        return self.sdk.beta.environments.create(name=self.name("environment"), **more).id

    def own_environment(self, _: Any = None) -> str:
        return self.environment(config={"type": "self_hosted"})

    def session(self, _: Any = None, **more: Any) -> str:
        more["agent"] = more.get("agent") or self.agent()
        more["environment_id"] = more.get("environment_id") or self.environment()
        return self.sdk.beta.sessions.create(**more).id

    def thread(self, ids: dict[str, str]) -> str:
        return next(iter(self.sdk.beta.sessions.threads.list(ids["session_id"]))).id

    def repository(self, ids: dict[str, str]) -> str:
        """A session with one; the resource's id. Nothing is fetched before a tool runs."""
        resource: Any = {"type": "github_repository", "url": "https://github.com/o/r"}
        ids["session_id"] = self.session(resources=[resource])
        session = self.sdk.beta.sessions.retrieve(ids["session_id"])
        return session.resources[0].id  # type: ignore[union-attr]

    def vault(self, _: Any = None) -> str:
        return self.sdk.beta.vaults.create(display_name=self.name("vault")).id

    def credential(self, ids: dict[str, str]) -> str:
        # Nobody listens there, which validating is told at once.
        auth: Any = {
            "type": "mcp_oauth",
            "access_token": "t",
            "mcp_server_url": "http://127.0.0.1:9/mcp",
        }
        return self.sdk.beta.vaults.credentials.create(ids["vault_id"], auth=auth).id

    def store(self, _: Any = None) -> str:
        return self.sdk.beta.memory_stores.create(name=self.name("store")).id

    def memory(self, ids: dict[str, str]) -> str:
        memories = self.sdk.beta.memory_stores.memories
        return memories.create(ids["memory_store_id"], path="/notes/a.md", content="hi").id

    def memory_version(self, ids: dict[str, str]) -> str:
        """One that is not the newest, which could not be redacted."""
        memories = self.sdk.beta.memory_stores.memories
        store = ids["memory_store_id"]
        made = memories.create(store, path="/notes/a.md", content="hi", view="full")
        memories.update(made.id, memory_store_id=store, content="ho")
        return made.memory_version_id

    def file(self, _: Any = None) -> str:
        return self.sdk.beta.files.upload(file=("data.csv", b"a,b\n")).id

    def output(self, _: Any = None) -> str:
        """A file that an agent delivered."""
        session = self.session()
        command = {"command": "printf data > /mnt/session/outputs/table.csv"}
        self.idle(session, said(f"/tool bash {json.dumps(command)}"))
        found = self.sdk.beta.files.list(scope_id=session, betas=BOTH_FILES)
        return next(iter(found)).id

    def skill(self, _: Any = None) -> str:
        return self.sdk.beta.skills.create(files=[("reports/SKILL.md", SKILL)]).id

    def skill_version(self, ids: dict[str, str]) -> str:
        """One of two, as the only one could not be deleted."""
        versions = self.sdk.beta.skills.versions
        return versions.create(ids["skill_id"], files=[("reports/SKILL.md", SKILL)]).id

    def deployment(self, _: Any = None, **more: Any) -> str:
        given: dict[str, Any] = {
            "name": self.name("deployment"),
            "agent": self.agent(),
            "environment_id": self.environment(),
            "initial_events": [said("/say Done.")],
            **more,
        }
        return self.sdk.beta.deployments.create(**given).id

    def deployment_run(self, _: Any = None) -> str:
        return self.sdk.beta.deployments.run(self.deployment()).id

    def work(self, ids: dict[str, str]) -> str:
        """An item that waits for a worker."""
        self.session(environment_id=ids["environment_id"])
        return next(iter(self.sdk.beta.environments.work.list(ids["environment_id"]))).id

    def dream(self, _: Any = None) -> str:
        inputs: Any = [
            {"type": "memory_store", "memory_store_id": self.store()},
            {"type": "sessions", "session_ids": [self.session()]},
        ]
        return self.sdk.beta.dreams.create(inputs=inputs, model="claude-opus-5").id

    def canceled_dream(self, _: Any = None) -> str:
        return self.sdk.beta.dreams.cancel(self.dream()).id

    def user_profile(self, _: Any = None) -> str:
        return self.sdk.beta.user_profiles.create(name=self.name("profile")).id

    def tunnel(self, _: Any = None) -> str:
        return self.sdk.beta.tunnels.create().id

    def certificate(self, ids: dict[str, str]) -> str:
        certificates = self.sdk.beta.tunnels.certificates
        return certificates.create(ids["tunnel_id"], ca_certificate_pem=authority()).id

    def webhook_endpoint(self, _: Any = None) -> str:
        endpoint = self.sdk.beta.organization.webhooks.create(
            url="https://hooks.example.com/freehold", enabled_events=["external_key.failed"]
        )
        return endpoint.id

    def api_key(self, _: Any = None) -> str:
        """A workspace's; only the command-line program makes keys."""
        return mint(self.server, Scope("workspace", DEFAULT_WORKSPACE)).row.id

    def workspace(self, _: Any = None) -> str:
        return self.sdk.beta.organization.workspaces.create(name=self.name("workspace")).id


@functools.cache
def authority() -> str:
    """The certificate of a CA of one's own, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Private CA")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def mint(server: Served, scope: Scope) -> keys.Minted:
    """A new key, as the command-line program makes one beside a server that runs."""

    async def minted() -> keys.Minted:
        database = Database(server.app.state.services.settings.resolved_database_url)
        try:
            async with database.write() as tx:
                return await keys.mint(tx, SystemClock(), scope)
        finally:
            await database.close()

    return asyncio.run(minted())


MAKE: dict[str, Callable[[World, dict[str, str]], str]] = {
    "agent_id": World.agent,
    "environment_id": World.environment,
    "session_id": World.session,
    "thread_id": World.thread,
    "resource_id": World.repository,
    "vault_id": World.vault,
    "credential_id": World.credential,
    "memory_store_id": World.store,
    "memory_id": World.memory,
    "memory_version_id": World.memory_version,
    "file_id": World.file,
    "skill_id": World.skill,
    "version": World.skill_version,
    "model_id": lambda *_: "claude-opus-5",
    "deployment_id": World.deployment,
    "deployment_run_id": World.deployment_run,
    "work_id": World.work,
    "webhook_endpoint_id": World.webhook_endpoint,
    "dream_id": World.dream,
    "user_profile_id": World.user_profile,
    "tunnel_id": World.tunnel,
    "certificate_id": World.certificate,
    "workspace_id": World.workspace,
    "api_key_id": World.api_key,
}
"""Who makes the object that a path's parameter names."""


@contextlib.contextmanager
def world(folder: Path, **settings: Any) -> Iterator[World]:
    """A server with the scripted model and sandbox, and a model of another server's."""
    with served(ScriptedHttp(ScriptedModel(), api_key=_KEY)) as url:
        models = folder / "models.toml"
        models.write_text(
            f"""
[[models]]
id = "{REMOTE}"
upstream = "claude-haiku-4-5"
base_url = "{url}"
api_key = "{_KEY}"
price = {{ input = 0, output = 0 }}

[[models]]
id = "down"
base_url = "http://127.0.0.1:9"
"""
        )
        with serve(folder / "data", models=models, **settings) as server:
            yield from _closing(World(server))


@contextlib.contextmanager
def administered(folder: Path) -> Iterator[World]:
    """A server that asks for keys, and the SDK with an admin's."""
    with serve(folder / "data") as server:
        yield from _closing(World(server, mint(server, Scope("admin")).text))


@contextlib.contextmanager
def in_workspace(server: Served, name: str) -> Iterator[World]:
    """The server as the key of a new workspace sees it."""

    clock = SystemClock()
    row = WorkspaceRow(clock.mint("wrkspc"), name[:40], "#6C5BB9", {}, clock.now())

    async def insert() -> None:
        database = Database(server.app.state.services.settings.resolved_database_url)
        try:
            async with database.write() as tx:
                await workspaces.insert(tx, row)
        finally:
            await database.close()

    asyncio.run(insert())
    yield from _closing(World(server, mint(server, Scope("workspace", row.id)).text))


def _closing(made: World) -> Iterator[World]:
    try:
        yield made
    finally:
        made.close()
