"""Sessions whose vaults hold environment variables (spec 14.4, 6.8)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from anthropic import Anthropic

from freehold.app import create_app
from freehold.core.workspaces import DEFAULT_WORKSPACE
from freehold.errors import SandboxUnavailable
from freehold.ports.egress import Grants
from freehold.ports.sandbox import Sandbox, SandboxSpec
from freehold.sandbox.scripted import ScriptedSandboxProvider
from freehold.settings import Settings
from freehold.store.database import Database
from freehold.store.sealing import KEY_FILE, Sealer
from freehold.store.variables import SqlVariables
from tests.support.running import BETA, serve, serve_app

VALUE = "the-real-value"


class Asking(ScriptedSandboxProvider):
    """Keeps what its sandboxes' requests are given."""

    def __init__(self) -> None:
        super().__init__()
        self.specs: dict[str, SandboxSpec] = {}
        self.given: list[Grants] = []
        self.failures = 0
        self.package_mirrors: tuple[str, ...] = ()

    async def acquire(self, spec: SandboxSpec) -> Sandbox:
        self.specs[spec.session_id] = spec
        await self.regrant(spec.session_id)
        return await super().acquire(spec)

    async def regrant(self, session_id: str) -> None:
        if self.failures:
            self.failures -= 1
            raise SandboxUnavailable("not now")
        if (spec := self.specs.get(session_id)) is not None:
            assert spec.grants is not None
            self.given.append(await spec.grants())

    async def package_hosts(self, environment: Any) -> tuple[str, ...]:
        return self.package_mirrors


@pytest.fixture
def provider() -> Asking:
    return Asking()


@pytest.fixture
def sdk(tmp_path: Path, provider: Asking) -> Any:
    settings = Settings(
        data_dir=tmp_path,
        model="scripted",
        scripted_latency=0,
        sandbox="scripted",
        sandbox_warm=0,
    )
    with serve_app(create_app(settings, sandboxes=provider)) as served:
        yield served.client()


def vault_with(sdk: Anthropic, name: str = "TOKEN", **changes: Any) -> tuple[str, str]:
    vault = sdk.beta.vaults.create(display_name="variables")
    auth: Any = {
        "type": "environment_variable",
        "secret_name": name,
        "secret_value": VALUE,
        "networking": {"type": "unrestricted"},
        **changes,
    }
    return vault.id, sdk.beta.vaults.credentials.create(vault.id, auth=auth).id


def session_of(sdk: Anthropic, *vaults: str, **networking: Any) -> Any:
    agent = sdk.beta.agents.create(
        name="A",
        model="claude-opus-5",
        tools=[
            {
                "type": "agent_toolset_20260401",
                "default_config": {"permission_policy": {"type": "always_allow"}},
            }
        ],
    )
    config: Any = {"type": "cloud"}
    if networking:
        config["networking"] = {"type": "limited", **networking}
    environment = sdk.beta.environments.create(name="E", config=config)
    return sdk.beta.sessions.create(
        agent=agent.id, environment_id=environment.id, vault_ids=list(vaults)
    )


def turn(sdk: Anthropic, session: Any, words: str = "/run ls") -> list[Any]:
    with sdk.beta.sessions.events.stream(session.id) as stream:
        sdk.beta.sessions.events.send(
            session.id,
            events=[{"type": "user.message", "content": [{"type": "text", "text": words}]}],
        )
        for event in stream:
            if event.type == "session.status_idle":
                break
    return list(sdk.beta.sessions.events.list(session.id, limit=1000))


def test_each_name_once_from_the_first_vault_that_has_it(sdk: Anthropic, provider: Asking) -> None:
    first, _ = vault_with(sdk, "TOKEN", secret_value="first")
    second, _ = vault_with(
        sdk,
        "TOKEN",
        secret_value="second",
    )
    third, _ = vault_with(
        sdk,
        "OTHER",
        networking={"type": "limited", "allowed_hosts": ["a.example", "*.b.example"]},
        injection_location={"header": True},
    )
    turn(sdk, session_of(sdk, second, first, third))
    found = {one.name: one for one in provider.given[-1].variables}
    assert {name: one.value for name, one in found.items()} == {"TOKEN": "second", "OTHER": VALUE}
    assert (found["TOKEN"].hosts, found["TOKEN"].header, found["TOKEN"].body) == (None, True, True)
    other = found["OTHER"]
    assert (other.hosts, other.header, other.body) == (("a.example", "*.b.example"), True, False)


def test_placeholders_are_the_sessions_own_and_stay(
    tmp_path: Path, sdk: Anthropic, provider: Asking
) -> None:
    vault, credential = vault_with(sdk)
    sessions = [session_of(sdk, vault) for _ in range(2)]
    shown = []
    for session in (*sessions, sessions[0]):
        turn(sdk, session)
        (one,) = provider.given[-1].variables
        assert one.placeholder.startswith("fhsecret_")
        assert len(one.placeholder) >= 40
        assert one.placeholder.isascii()
        assert one.placeholder.replace("_", "").isalnum()
        shown.append(one.placeholder)
    assert shown[0] == shown[2] != shown[1]
    rotated: Any = {"type": "environment_variable", "secret_value": "rotated"}
    sdk.beta.vaults.credentials.update(credential, vault_id=vault, auth=rotated)
    assert {one.placeholder for grants in provider.given for one in grants.variables} == {*shown}
    # Another server on the same data has them, too.
    assert asyncio.run(_placeholders(tmp_path, sessions[0], vault)) == [shown[0]]


async def _placeholders(data_dir: Path, session: Any, vault: str) -> list[str]:
    settings = Settings(data_dir=data_dir)
    database = Database(settings.resolved_database_url)
    try:
        store = SqlVariables(database, Sealer.of_file(data_dir / KEY_FILE))
        found = await store.variables(session.id, DEFAULT_WORKSPACE, [vault])
        return [one.placeholder for one in found]
    finally:
        await database.close()


@pytest.mark.parametrize("how", ["rotate", "archive", "delete", "archive vault", "delete vault"])
def test_a_change_is_in_force_when_it_is_answered(
    sdk: Anthropic, provider: Asking, how: str
) -> None:
    vault, credential = vault_with(sdk)
    turn(sdk, session_of(sdk, vault))
    assert [one.value for one in provider.given[-1].variables] == [VALUE]
    before = len(provider.given)
    provider.failures = 1  # It is tried again.
    match how:
        case "rotate":
            auth: Any = {"type": "environment_variable", "secret_value": "rotated"}
            sdk.beta.vaults.credentials.update(credential, vault_id=vault, auth=auth)
        case "archive":
            sdk.beta.vaults.credentials.archive(credential, vault_id=vault)
        case "delete":
            sdk.beta.vaults.credentials.delete(credential, vault_id=vault)
        case "archive vault":
            sdk.beta.vaults.archive(vault)
        case _:
            sdk.beta.vaults.delete(vault)
    assert len(provider.given) == before + 1
    assert [one.value for one in provider.given[-1].variables] == (
        ["rotated"] if how == "rotate" else []
    )


def test_a_variable_that_comes_later_is_given_too(sdk: Anthropic, provider: Asking) -> None:
    vault, _ = vault_with(sdk)
    turn(sdk, session_of(sdk, vault))
    auth: Any = {
        "type": "environment_variable",
        "secret_name": "LATER",
        "secret_value": VALUE,
        "networking": {"type": "unrestricted"},
    }
    sdk.beta.vaults.credentials.create(vault, auth=auth)
    assert sorted(one.name for one in provider.given[-1].variables) == ["LATER", "TOKEN"]


def test_hosts_of_mcp_servers_follow_an_update(sdk: Anthropic, provider: Asking) -> None:
    session = session_of(sdk, allow_mcp_servers=True)
    turn(sdk, session)
    assert provider.given[-1].mcp_hosts == ()
    servers: Any = [{"type": "url", "name": "new", "url": "https://mcp.example.com/mcp"}]
    tools: Any = [
        {"type": "agent_toolset_20260401"},
        {"type": "mcp_toolset", "mcp_server_name": "new"},
    ]
    sdk.beta.sessions.update(session.id, agent={"mcp_servers": servers, "tools": tools})
    assert provider.given[-1].mcp_hosts == ("mcp.example.com",)


@pytest.mark.parametrize(
    ("hosts", "allowed", "shut_out"),
    [
        (["a.example"], ["a.example"], None),
        (["a.x.example", "*.b.x.example"], ["*.x.example"], None),
        (["*.b.example"], ["*.b.example"], None),
        (["*.b.example"], ["b.example", "x.b.example"], "*.b.example"),
        (["a.example", "b.example"], ["a.example"], "b.example"),
        (["x.example"], ["*.x.example"], "x.example"),
        (["pip.example"], [], None),  # by the package managers
        ([], [], None),
    ],
)
def test_hosts_that_the_environment_shuts_out_are_told_of_once(
    sdk: Anthropic,
    provider: Asking,
    hosts: list[str],
    allowed: list[str],
    shut_out: str | None,
) -> None:
    provider.package_mirrors = ("pip.example",)
    vault, credential = vault_with(sdk, networking={"type": "limited", "allowed_hosts": hosts})
    managers = "pip.example" in hosts
    session = session_of(sdk, vault, allowed_hosts=allowed, allow_package_managers=managers)
    turn(sdk, session)
    events = turn(sdk, session)
    errors = [event for event in events if event.type == "session.error"]
    assert events[-1].type == "session.status_idle"
    if shut_out is None:
        assert errors == []
        return
    (error,) = errors
    assert error.error.type == "credential_host_unreachable_error"
    assert (error.error.credential_id, error.error.vault_id) == (credential, vault)
    assert error.error.retry_status.type == "retrying"
    assert f" {shut_out}," in error.error.message
    kinds = [event.type for event in events]
    assert kinds.index("session.error") < kinds.index("session.thread_status_running")


def test_a_host_that_even_package_managers_do_not_open_is_told_of_when_it_runs(
    sdk: Anthropic, provider: Asking
) -> None:
    provider.package_mirrors = ("pip.example",)
    vault, credential = vault_with(
        sdk, networking={"type": "limited", "allowed_hosts": ["pip.example", "x.example"]}
    )
    session = session_of(sdk, vault, allowed_hosts=[], allow_package_managers=True)
    assert list(sdk.beta.sessions.events.list(session.id)) == []
    turn(sdk, session)
    (error,) = [event for event in turn(sdk, session) if event.type == "session.error"]
    assert error.error.credential_id == credential
    assert "may go to x.example, which" in error.error.message


def test_a_variable_for_any_host_is_shut_out_of_none(sdk: Anthropic) -> None:
    vault, _ = vault_with(sdk)
    events = turn(sdk, session_of(sdk, vault, allowed_hosts=["a.example"]))
    assert [event for event in events if event.type == "session.error"] == []


def test_where_values_cannot_be_kept_out_the_session_is_refused(tmp_path: Path) -> None:
    with serve(tmp_path, sandbox="process") as served:
        sdk = served.client()
        vault, credential = vault_with(sdk)
        agent = sdk.beta.agents.create(name="A", model="claude-opus-5")
        environment = sdk.beta.environments.create(name="E")
        body = {"agent": agent.id, "environment_id": environment.id, "vault_ids": [vault]}
        with httpx.Client(base_url=served.url, headers=BETA) as http:
            answer = http.post("/v1/sessions", json=body)
            assert answer.status_code == 400
            message = answer.json()["error"]["message"]
            assert message.startswith(f"vault_ids: vault {vault} holds the environment variable")
            assert f"(credential {credential})" in message
            assert "FREEHOLD_SANDBOX=docker" in message
            sdk.beta.vaults.credentials.archive(credential, vault_id=vault)
            assert http.post("/v1/sessions", json=body).status_code == 200
