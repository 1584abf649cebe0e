"""The SDKs' own tool runners answer custom tools over a network that breaks between the calls."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import AsyncAnthropic, beta_async_tool

from tests.api.conftest import said
from tests.support.cutting import cutting_proxy
from tests.support.running import ServerProcess, client_of
from tests.support.typescript import HERE, installed_node

CITIES = ["A", "B", "C"]
WORDS = "\n".join(f'/tool weather {{"city": "{city}"}}' for city in CITIES)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    # So much latency as lets a runner that sends first be there when the turn begins.
    with ServerProcess(
        tmp_path_factory.mktemp("runner") / "data",
        FREEHOLD_SANDBOX="scripted",
        FREEHOLD_SCRIPTED_LATENCY="0.3",
    ) as process:
        yield process


async def _python(url: str, session_id: str) -> dict[str, Any]:
    ran: list[str] = []

    @beta_async_tool
    async def weather(city: str) -> str:
        """The weather of a city."""
        ran.append(city)
        return f"rain in {city}"

    calls = []
    message: Any = said(WORDS)
    async with AsyncAnthropic(
        base_url=url, api_key="test", _strict_response_validation=True
    ) as client:
        events = client.beta.sessions.events
        await events.send(session_id, events=[message])
        async for call in events.tool_runner(session_id, tools=[weather], max_idle=0.5):
            calls.append([call.tool_use_id, call.posted, call.is_error])
    return {"ran": ran, "calls": calls}


def _typescript(url: str, session_id: str) -> dict[str, Any]:
    done = subprocess.run(
        [installed_node(), "runner.mjs"],
        cwd=HERE,
        env={**os.environ, "BASE_URL": url, "SESSION_ID": session_id, "MESSAGE": WORDS},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("sdk", ["python", "typescript"])
@pytest.mark.parametrize("word", ["agent.custom_tool_use", "user.custom_tool_result"])
async def test_each_call_is_run_and_answered_once(
    server: ServerProcess, sdk: str, word: str
) -> None:
    with client_of(server.url) as client, cutting_proxy(server.port, word) as proxy:
        agent = client.beta.agents.create(
            name="run",
            model="claude-opus-5",
            tools=[
                {"type": "custom", "name": "weather", "description": "W.", "input_schema": SCHEMA}  # type: ignore[typeddict-item]
            ],
        )
        environment = client.beta.environments.create(name="run")
        session = client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
        if sdk == "python":
            told = await _python(proxy.url, session.id)
        else:
            told = _typescript(proxy.url, session.id)
        assert proxy.cuts >= 1
        listed: list[Any] = list(client.beta.sessions.events.list(session.id))
    uses = [event.id for event in listed if event.type == "agent.custom_tool_use"]
    results = [event for event in listed if event.type == "user.custom_tool_result"]
    assert sorted(told["ran"]) == CITIES
    assert sorted(told["calls"]) == sorted([use, True, False] for use in uses)
    answers = {event.custom_tool_use_id: event.content[0].text for event in results}
    assert len(results) == len(uses) == 3
    assert [answers[use] for use in uses] == [f"rain in {city}" for city in CITIES]
    assert listed[-1].stop_reason.type == "end_turn"
