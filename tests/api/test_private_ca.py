"""Real TLS with a CA of one's own (``FREEHOLD_EXTRA_CA_CERTS``): pages, MCP, token endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic

from tests.api.conftest import said, turn
from tests.support.certificates import Authority
from tests.support.mcp_servers import Door, mcp_server
from tests.support.running import ServerProcess, client_of
from tests.support.web import page, site_beside

ALLOW = {"permission_policy": {"type": "always_allow"}}
PAGES: dict[str, Any] = {"/": page("<title>Inside</title><p>Only we know.</p>")}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def sdk(ours: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anthropic]:
    """A server process that trusts this CA and opens this machine's loopback."""
    variables = {
        "FREEHOLD_SANDBOX": "scripted",
        "FREEHOLD_EXTRA_CA_CERTS": str(ours.file),
        "FREEHOLD_TRUSTED_NETWORKS": "127.0.0.0/8,::1",
    }
    process = ServerProcess(tmp_path_factory.mktemp("tls") / "data", **variables)
    with process, client_of(process.url) as client:
        yield client


def session_of(sdk: Anthropic, urls: dict[str, str], vaults: list[str]) -> str:
    agent = sdk.beta.agents.create(
        name="Inside",
        model="claude-opus-5",
        mcp_servers=[{"type": "url", "name": name, "url": url} for name, url in urls.items()],
        tools=[
            {"type": "agent_toolset_20260401", "default_config": ALLOW},  # type: ignore[list-item]
            *(
                {"type": "mcp_toolset", "mcp_server_name": name, "default_config": ALLOW}
                for name in urls
            ),
        ],
    )
    environment = sdk.beta.environments.create(name="plain")
    return sdk.beta.sessions.create(
        agent=agent.id, environment_id=environment.id, vault_ids=vaults
    ).id


def fetched(sdk: Anthropic, url: str) -> Any:
    session = session_of(sdk, {}, [])
    events = turn(sdk, session, said(f'/tool web_fetch {{"url": "{url}"}}'))
    return next(event for event in events if event.type == "agent.tool_result")


def test_a_page(sdk: Anthropic, ours: Authority) -> None:
    tls = ours.certificate("localhost", "127.0.0.1").context()
    with site_beside(PAGES, tls) as there:
        for host in ("localhost", "127.0.0.1"):
            result = fetched(sdk, f"https://{host}:{there.port}/")
            (block,) = result.content
            assert (block.title, block.source.data) == ("Inside", "Only we know.")
        assert len(there.requests) == 2


def test_a_redirect_from_one_server_to_the_other(sdk: Anthropic, ours: Authority) -> None:
    tls = ours.certificate("localhost").context()
    with site_beside(PAGES, tls) as there, site_beside({}, tls) as first:
        location = f"Location: https://localhost:{there.port}/"
        first.answers["/"] = page("", location, status="302 Found")
        (block,) = fetched(sdk, f"https://localhost:{first.port}/").content
        assert block.source.data == "Only we know."


@pytest.mark.parametrize("wrong", ["another authority", "another name", "expired"])
def test_whom_we_do_not_trust_is_told_nothing(
    sdk: Anthropic, ours: Authority, tmp_path: Path, wrong: str
) -> None:
    certificate = {
        "another authority": lambda: Authority(tmp_path, "theirs").certificate("localhost"),
        "another name": lambda: ours.certificate("other.example"),
        "expired": lambda: ours.certificate("localhost", days=-1),
    }[wrong]()
    with site_beside(PAGES, certificate.context()) as there:
        result = fetched(sdk, f"https://localhost:{there.port}/")
        assert result.is_error
        assert "url_not_accessible" in result.content[0].text
        assert "certificate" in result.content[0].text.lower()
        assert there.requests == []
    with mcp_server(certificate=certificate) as door:
        url = door.mcp.replace("127.0.0.1", "localhost")
        session = session_of(sdk, {"there": url}, [])
        events = turn(sdk, session, said("/say hi"))
        (error,) = [event.error for event in events if event.type == "session.error"]
        assert error.type == "mcp_connection_failed_error"
        assert "certificate" in error.message.lower()
        assert door.seen == []


def test_an_mcp_server_and_its_token_endpoint(sdk: Anthropic, ours: Authority) -> None:
    certificate = ours.certificate("127.0.0.1")
    door = Door(tokens=set(), auth="client_secret_basic", client=("me", "secret"))
    door.refresh_tokens = {"refresh-1": ("access-2", "refresh-2")}
    with mcp_server(door, certificate=certificate):
        assert door.mcp.startswith("https://")
        vault = sdk.beta.vaults.create(display_name="keys")
        sdk.beta.vaults.credentials.create(
            vault.id,
            auth={
                "type": "mcp_oauth",
                "access_token": "access-1",
                "mcp_server_url": door.mcp,
                "refresh": {
                    "token_endpoint": door.token_endpoint,
                    "client_id": "me",
                    "refresh_token": "refresh-1",
                    "token_endpoint_auth": {
                        "type": "client_secret_basic",
                        "client_secret": "secret",
                    },
                },
            },
        )
        session = session_of(sdk, {"things": door.mcp}, [vault.id])
        events = turn(sdk, session, said('/tool mcp__things__add {"a": 2, "b": 3}'))
        (result,) = [event for event in events if event.type == "agent.mcp_tool_result"]
        assert [block.text for block in result.content] == ["5"]
        assert door.seen[0] == "Bearer access-1"
        assert door.seen[-1] == "Bearer access-2"
        assert [form["refresh_token"] for form in door.forms] == ["refresh-1"]


def test_the_older_transport(sdk: Anthropic, ours: Authority) -> None:
    with mcp_server(sse=True, certificate=ours.certificate("127.0.0.1")) as door:
        session = session_of(sdk, {"things": f"{door.url}/sse"}, [])
        events = turn(sdk, session, said('/tool mcp__things__add {"a": 2, "b": 3}'))
        (result,) = [event for event in events if event.type == "agent.mcp_tool_result"]
        assert [block.text for block in result.content] == ["5"]
