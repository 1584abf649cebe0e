"""MCP servers and an environment's networking."""

from __future__ import annotations

from typing import Any

from freehold.core.networking import blocked_mcp_servers, mcp_hosts

AGENT: dict[str, Any] = {
    "mcp_servers": [
        {"name": "one", "url": "https://Mcp.One.test:8443/path"},
        {"name": "two", "url": "https://two.test/sse"},
        {"name": "again", "url": "https://two.test/other"},
    ]
}


def limited(*hosts: str, mcp: bool = False) -> dict[str, Any]:
    networking = {"type": "limited", "allowed_hosts": list(hosts), "allow_mcp_servers": mcp}
    return {"type": "cloud", "networking": networking}


def test_hosts_of_mcp_servers() -> None:
    assert mcp_hosts(AGENT) == ("mcp.one.test", "two.test")
    assert mcp_hosts({}) == ()


def test_mcp_servers_that_the_environment_blocks() -> None:
    assert blocked_mcp_servers(AGENT, limited("two.test")) == (
        'MCP server host(s) blocked by environment network policy: "one" (mcp.one.test). Add these '
        "hosts to the environment's allowed_hosts, or set allow_mcp_servers=true."
    )
    assert blocked_mcp_servers(AGENT, limited("*.one.test", "TWO.test")) is None
    assert blocked_mcp_servers(AGENT, limited(mcp=True)) is None
    assert blocked_mcp_servers(AGENT, {"networking": {"type": "unrestricted"}}) is None
    assert blocked_mcp_servers(AGENT, {"type": "self_hosted"}) is None
