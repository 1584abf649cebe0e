"""A call of an MCP server's tool runs once, though the server is killed while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from freehold.harness.mcp import LOST
from tests.crash.support import until, user
from tests.support.mcp_servers import mcp_server
from tests.support.running import ServerProcess, client_of


def test_a_call_that_was_under_way_is_not_repeated(tmp_path: Path) -> None:
    process = ServerProcess(tmp_path / "data", FREEHOLD_SANDBOX="scripted")
    with mcp_server() as door, process:
        sdk = client_of(process.url, max_retries=5)
        agent = sdk.beta.agents.create(
            name="Connected",
            model="claude-opus-5",
            mcp_servers=[{"type": "url", "name": "things", "url": door.mcp}],
            tools=[
                {
                    "type": "mcp_toolset",
                    "mcp_server_name": "things",
                    "default_config": {"permission_policy": {"type": "always_allow"}},
                }
            ],
        )
        environment = sdk.beta.environments.create(name="plain")
        session = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
        words = '/tool mcp__things__slow\n/then\n/tool mcp__things__add {"a": 1, "b": 2}'
        sdk.beta.sessions.events.send(session.id, events=[user(words)])  # type: ignore[list-item]
        until(lambda: door.counts.get("slow") == 1)
        process.kill()
        process.start()
        until(lambda: sdk.beta.sessions.retrieve(session.id).status == "idle")
        results: list[Any] = [
            event
            for event in sdk.beta.sessions.events.list(session.id)
            if event.type == "agent.mcp_tool_result"
        ]
    assert [(result.is_error, result.content[0].text) for result in results] == [
        (True, LOST),
        (False, "3"),
    ]
    assert door.counts == {"slow": 1, "add": 1}
