"""MCP servers and an environment's networking."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.core.drafts import Draft, Draughtsman
from freehold.core.events import SessionError
from freehold.core.networking import (
    blocked_mcp_servers,
    credential_hosts,
    host_unreachable,
    mcp_hosts,
    opened_hosts,
    opens_package_hosts,
    unreachable,
)
from tests.playbooks.playbook import START, fresh_state

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


def test_a_url_that_is_none_has_no_host() -> None:
    assert mcp_hosts({"mcp_servers": [{"name": "odd", "url": "https://[::1"}]}) == ()


@pytest.mark.parametrize(
    ("wanted", "opened", "left"),
    [
        (["a.test"], ["a.test"], []),
        (["a.test"], ["*.test"], []),
        (["a.test"], ["b.test"], ["a.test"]),
        (["*.a.test"], ["*.a.test"], []),
        (["*.a.test"], ["*.test"], []),
        (["*.a.test"], ["a.test"], ["*.a.test"]),
        (["*.a.test"], ["any.a.test"], ["*.a.test"]),
        (["*.test"], ["*.a.test"], ["*.test"]),
        (["a.test", "b.test"], [], ["a.test", "b.test"]),
        ([], ["a.test"], []),
    ],
)
def test_which_of_a_credentials_hosts_cannot_be_reached(
    wanted: list[str], opened: list[str], left: list[str]
) -> None:
    assert unreachable(wanted, opened) == left


def test_what_an_environment_opens() -> None:
    assert opened_hosts({"networking": {"type": "unrestricted"}}, AGENT) is None
    assert opened_hosts({"type": "cloud"}, AGENT) is None
    assert opened_hosts(limited("a.test"), AGENT) == ["a.test"]
    assert opened_hosts(limited("a.test", mcp=True), AGENT) == [
        "a.test",
        "mcp.one.test",
        "two.test",
    ]
    assert not opens_package_hosts({"type": "cloud"})
    assert not opens_package_hosts(limited())
    assert opens_package_hosts({"networking": {"type": "limited", "allow_package_managers": True}})


def test_the_error_names_the_credential_and_its_hosts() -> None:
    auth = {"secret_name": "TOKEN", "networking": {"allowed_hosts": ["a.test", "b.test"]}}
    assert credential_hosts(auth) == ("a.test", "b.test")
    assert credential_hosts({"type": "static_bearer"}) == ()
    error = host_unreachable("vcrd_1", "vlt_1", auth, ["b.test"])
    assert error["message"].startswith("The credential TOKEN may go to b.test, which")
    assert (error["credential_id"], error["vault_id"]) == ("vcrd_1", "vlt_1")
    assert error["retry_status"] == {"type": "retrying"}


def test_the_log_knows_what_was_said_of_which_credential() -> None:
    auth = {"secret_name": "TOKEN"}
    pen = Draughtsman(fresh_state(), now=START, mint=lambda: "id", origin="runner")
    draft = Draft(SessionError(error=host_unreachable("vcrd_1", "vlt_1", auth, ["b.test"])))
    fork = pen.copy()
    pen.write(draft)
    assert pen.state.unreachable == ("vcrd_1",)
    assert not pen.state.halted
    # A copy goes its own way from where it was taken.
    assert (fork.state.unreachable, fork.records) == ((), [])
    [record] = fork.write(draft)
    assert record == pen.records[0]
