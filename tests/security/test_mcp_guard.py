"""MCP connections and token endpoints cannot be turned inward: checked by who was connected to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.inward import INWARD, WRITTEN
from tests.support.mcp_servers import mcp_server
from tests.support.running import BETA, ServerProcess, free_port
from tests.support.web import PUBLIC, Detour, Names, Site, moved, page, site, site_beside, tls

from freehold.core.addresses import LOOPBACK, Network, parse_network
from freehold.errors import McpError, McpUnreachable, TokenRefreshFailed
from freehold.mcp import Http, HttpMcpProber, HttpTokenEndpoint, McpNetwork
from freehold.mcp.client import HttpMcpClient
from freehold.ports.mcp import McpServer
from freehold.settings import Settings

TOKEN = "token-that-must-stay"


class Held:
    """A session's credential."""

    async def token(self) -> str | None:
        return TOKEN

    async def renewed(self, rejected: str) -> str | None:
        return None


class Client:
    """All that connects because a client of the API said so."""

    def __init__(
        self,
        network: Detour | None = None,
        names: Names | None = None,
        trusted: tuple[Network, ...] = (),
    ) -> None:
        resolver = {"resolver": names} if names else {}
        http = Http(tls(None), McpNetwork(trusted, **resolver, network=network))
        self.mcp = HttpMcpClient(http)
        self._endpoint = HttpTokenEndpoint(http)
        self._prober = HttpMcpProber(http)

    async def list(self, url: str) -> str:
        """Ask a server; why it could not be asked."""
        with pytest.raises(McpUnreachable) as caught:
            await self.mcp.list_tools("sesn_1", McpServer("there", url), Held())
        return str(caught.value)

    async def refresh(self, url: str) -> str:
        """Ask a token endpoint; why it could not be asked."""
        refresh = {
            "token_endpoint": url,
            "client_id": "me",
            "token_endpoint_auth": {"type": "client_secret_post"},
        }
        with pytest.raises(TokenRefreshFailed) as caught:
            await self._endpoint.refresh(refresh, TOKEN, "secret")
        return str(caught.value)

    async def everything(self, url: str) -> list[str]:
        """Ask in every way; what is said of it."""
        probe = await self._prober.probe(url, TOKEN)
        assert probe.accepted is False
        self.answered = probe.answer is not None
        return [await self.list(url), await self.refresh(url)]


@pytest.mark.parametrize("address", INWARD.values(), ids=INWARD)
async def test_inward_addresses(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    names = Names(evil_example=[[address]], many_example=[[PUBLIC, "2606:2800:220:1::1", address]])
    # Whatever were connected to, the listener would see it.
    async with site({"/mcp": page("{}")}) as inside:
        network = Detour(inside)
        client = Client(network, names)
        for url in (
            f"http://{host}/mcp",
            f"https://{host}:8000/mcp",
            "https://evil.example/mcp",
            "https://many.example/mcp",
        ):
            for told in await client.everything(url):
                assert "does not lead to a public address" in told
                assert "FREEHOLD_MCP_NETWORKS" in told
                if "evil" in url:
                    assert address not in told  # nobody learns where names lead inside
            assert not client.answered
        assert (network.asked, inside.connections) == ([], 0)


@pytest.mark.parametrize(
    "host",
    [
        "abcd.tunnel.freehold.invalid",
        "wiki.abcd.tunnel.freehold.invalid",
        "WIKI.abcd.Tunnel.Freehold.invalid.",
        "wiki.abcd1234.tunnel.anthropic.com",
    ],
)
async def test_no_resolver_learns_of_hosts_behind_tunnels(host: str) -> None:
    network, names = Detour(), Names()
    client = Client(network, names)
    for told in await client.everything(f"https://{host}/mcp"):
        assert "tunnels carry no traffic on this server" in told
    assert (names.asked, network.asked) == ([], [])


async def test_hosts_that_are_only_called_so_are_looked_up() -> None:
    names = Names()
    client = Client(Detour(), names)
    for host in ("nottunnel.freehold.invalid", "tunnel.anthropic.com.example"):
        await client.everything(f"https://{host}/mcp")
        assert set(names.asked) == {host}
        names.asked.clear()


@pytest.mark.parametrize("url", WRITTEN)
async def test_ways_to_write_loopback(url: str) -> None:
    async with site({"/": page("inside")}) as inside:
        await Client().everything(url.format(port=inside.port))
        assert inside.connections == 0


async def test_the_listener_of_these_tests_would_see_a_connection() -> None:
    async with site() as inside:
        client = Client(trusted=LOOPBACK)
        assert "404" in await client.list(f"http://localhost:{inside.port}/mcp")
        assert inside.connections > 0
        seen = inside.connections
        assert "404" in await client.refresh(f"http://localhost:{inside.port}/token")
        assert inside.connections > seen


async def test_nothing_opens_metadata_or_networks_that_are_not_named() -> None:
    network = Detour()
    everything = (parse_network("0.0.0.0/0"), parse_network("::/0"))
    for trusted, host in (
        (everything, "169.254.169.254"),
        (everything, "[fd00:ec2::254]"),
        (everything, "[::ffff:169.254.169.254]"),
        (LOOPBACK, "10.0.0.1"),
        (LOOPBACK, "[fd00::1]"),
    ):
        await Client(network, trusted=trusted).everything(f"http://{host}/")
    assert network.asked == []


@pytest.mark.parametrize("port", [22, 25, 6379, 2375, 5432])
async def test_ports_of_other_protocols(port: int) -> None:
    network = Detour()
    for host in ("127.0.0.1", "good.example"):
        told = await Client(network, Names(), LOOPBACK).everything(f"http://{host}:{port}/")
        assert all(f"port {port} belongs to another protocol" in text for text in told)
    assert network.asked == []


async def test_a_name_is_asked_once_and_the_checked_address_is_used() -> None:
    async with site() as there:
        network, names = Detour(there), Names(rebind_example=[[PUBLIC], ["127.0.0.1"]])
        told = await Client(network, names).list("https://rebind.example/mcp")
        # The site answers 404, so SSE is tried on a connection of its own: that is looked up anew.
        assert "does not lead to a public address" in told
        assert network.asked == [(PUBLIC, 443)]
        assert network.names == ["rebind.example"]  # TLS asks for the name's certificate
        assert there.header("host") == "rebind.example"


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
async def test_redirects_to_other_servers_are_not_followed(status: str) -> None:
    async with site({"/": page("inside")}) as inside, site() as there:
        there.answers = {"/": moved(f"{inside.url}/", status=status)}
        # Even where the other server could be had.
        await Client(trusted=LOOPBACK).everything(f"{there.url}/")
        assert there.connections > 0
        assert inside.connections == 0


async def test_a_redirect_to_the_same_name_is_checked_again() -> None:
    async with site() as there:
        there.answers = {"/mcp": moved("/other", "Connection: close", status="307 T")}
        names = Names(rebind_example=[[PUBLIC], ["127.0.0.1"]])
        network = Detour(there)
        await Client(network, names).list("http://rebind.example/mcp")
        assert network.asked == [(PUBLIC, 80)]


async def test_an_sse_server_cannot_name_another_server() -> None:
    async with site() as inside, site() as there:

        async def stream(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            writer.write(f"event: endpoint\ndata: {inside.url}/messages\n\n".encode())
            await writer.drain()
            await asyncio.sleep(3600)

        async def answer(writer: asyncio.StreamWriter) -> None:
            if there.requests[-1].startswith("GET"):
                await stream(writer)
            else:
                writer.write(page("", status="405 Method Not Allowed"))

        there.answers = {"/mcp": answer}
        await Client(trusted=LOOPBACK).list(f"{there.url}/mcp")
        assert any(request.startswith("GET") for request in there.requests)
        assert inside.connections == 0


async def test_proxies_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with site() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with httpx2.AsyncClient() as plain:  # it would be
            await plain.get("http://evil.example/")
        assert proxy.connections == 1
        client = Client(Detour(), Names())
        await client.everything("http://good.example/mcp")
        await client.everything("https://good.example/mcp")
        assert proxy.connections == 1


class TestSettings:
    """What is open when nothing, or something, is said."""

    def test_a_server_without_keys_opens_loopback(self) -> None:
        assert Settings().resolved_mcp_networks == LOOPBACK

    def test_a_server_with_keys_opens_nothing(self) -> None:
        assert Settings(api_keys=("sk-1",)).resolved_mcp_networks == ()  # type: ignore[arg-type]

    def test_what_is_named_takes_the_place_of_the_default(self) -> None:
        made = Settings(mcp_networks="10.0.0.0/8, ::1", trusted_networks="192.168.0.0/16")  # type: ignore[arg-type]
        assert list(map(str, made.resolved_mcp_networks)) == [
            "192.168.0.0/16",
            "10.0.0.0/8",
            "::1/128",
        ]
        assert made.trusted_networks == ("192.168.0.0/16",)  # web_fetch gets no more

    def test_none_closes_loopback(self) -> None:
        assert Settings(mcp_networks="none").resolved_mcp_networks == ()  # type: ignore[arg-type]

    def test_what_is_no_network_is_refused(self) -> None:
        with pytest.raises(ValueError, match="host bits"):
            Settings(mcp_networks="10.0.0.1/8")  # type: ignore[arg-type]


def _session(http: httpx2.Client, url: str, token_endpoint: str) -> tuple[str, str, str]:
    """A session with a server and an OAuth credential for it; vault, credential, session."""

    def made(path: str, **body: Any) -> str:
        response = http.post(path, json=body)
        assert response.is_success, response.text
        found: str = response.json()["id"]
        return found

    vault = made("/v1/vaults", display_name="keys")
    credential = made(
        f"/v1/vaults/{vault}/credentials",
        auth={
            "type": "mcp_oauth",
            "access_token": TOKEN,
            "mcp_server_url": url,
            "refresh": {
                "token_endpoint": token_endpoint,
                "client_id": "me",
                "refresh_token": "refresh-token",
                "token_endpoint_auth": {"type": "none"},
            },
        },
    )
    agent = made(
        "/v1/agents",
        name="Inward",
        model="claude-opus-5",
        mcp_servers=[{"type": "url", "name": "there", "url": url}],
        tools=[{"type": "mcp_toolset", "mcp_server_name": "there"}],
    )
    environment = made("/v1/environments", name="plain")
    session = made("/v1/sessions", agent=agent, environment_id=environment, vault_ids=[vault])
    return vault, credential, session


def _errors(http: httpx2.Client, session: str) -> list[Any]:
    """Say something, wait until the session is idle; its errors."""
    said = {"type": "user.message", "content": [{"type": "text", "text": "/say hi"}]}
    with http.stream("GET", f"/v1/sessions/{session}/events/stream", timeout=60) as stream:
        http.post(f"/v1/sessions/{session}/events", json={"events": [said]})
        for line in stream.iter_lines():
            if "session.status_idle" in line:
                break
    events = http.get(f"/v1/sessions/{session}/events").json()["data"]
    return [event["error"] for event in events if event["type"] == "session.error"]


@pytest.mark.parametrize("opened", [False, True])
def test_a_whole_server_that_has_keys(tmp_path: Path, opened: bool) -> None:
    variables = {"FREEHOLD_SANDBOX": "scripted", "FREEHOLD_API_KEYS": "test"}
    if opened:
        variables["FREEHOLD_MCP_NETWORKS"] = "127.0.0.0/8"
    process = ServerProcess(tmp_path / "data", **variables)
    server: Site
    endpoint: Site
    with (
        site_beside({"/mcp": page("{}", status="401 Unauthorized")}) as server,
        site_beside() as endpoint,
        process,
        httpx2.Client(base_url=process.url, headers=BETA, timeout=30) as http,
    ):
        url = f"{server.url}/mcp"
        vault, credential, session = _session(http, url, f"{endpoint.url}/token")
        path = f"/v1/vaults/{vault}/credentials/{credential}/mcp_oauth_validate"
        found = http.post(path).json()
        (error,) = _errors(http, session)
        assert error["mcp_server_name"] == "there"
        if opened:
            assert found["status"] == "invalid"
            assert error["type"] == "mcp_authentication_failed_error"
            assert server.connections > 0
            assert endpoint.connections > 0
        else:
            assert found["status"] != "valid"
            assert error["type"] == "mcp_connection_failed_error"
            assert "127.0.0.1 does not lead to a public address" in error["message"]
            assert (server.connections, endpoint.connections) == (0, 0)


async def test_a_real_server_on_loopback_works_when_it_is_opened() -> None:
    with mcp_server() as door:
        client = Client(trusted=LOOPBACK)
        try:
            tools = await client.mcp.list_tools("sesn_1", McpServer("t", door.mcp), Held())
            assert "add" in {tool["name"] for tool in tools}
        finally:
            await client.mcp.close()


async def test_nobody_there_is_no_refusal() -> None:
    client = Client(trusted=LOOPBACK)
    with pytest.raises(McpError, match="could not connect"):
        await client.mcp.list_tools(
            "sesn_1", McpServer("t", f"http://127.0.0.1:{free_port()}/mcp"), Held()
        )
