"""docs/OFFLINE.md: what can be rehearsed without a network, sent as it stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from anthropic import Anthropic

from tests.api.conftest import said
from tests.support.mcp_servers import mcp_server
from tests.support.running import Served, serve

DOCUMENT = (Path(__file__).parents[2] / "docs/OFFLINE.md").read_text(encoding="utf-8")
_SECTION = DOCUMENT.split("## Rehearsals")[1].split("\n## ")[0]
_ROW = re.compile(r"^\| (.+?) \| (`.+`) \| (`.+`) \|$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")


def rehearsals() -> list[Any]:
    return [
        pytest.param("\n".join(_CODE.findall(message)), _CODE.findall(shown), id=title)
        for title, message, shown in _ROW.findall(_SECTION)
    ]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("rehearsals")
    with serve(folder / "data", retry_base=0.01, retry_limit=2) as served:
        yield served


@pytest.fixture(scope="module")
def performer(sdk: Anthropic) -> Iterator[Any]:
    """The agent that the document speaks of."""
    asks = {"name": "write", "permission_policy": {"type": "always_ask"}}
    judged = {"name": "edit", "permission_policy": {"type": "auto"}}
    with mcp_server() as door:
        yield sdk.beta.agents.create(
            name="Performer",
            model="claude-opus-5",
            mcp_servers=[{"type": "url", "name": "things", "url": door.mcp}],
            tools=[
                {"type": "agent_toolset_20260401", "configs": [asks, judged]},  # type: ignore[list-item]
                {"type": "mcp_toolset", "mcp_server_name": "things"},
                {
                    "type": "custom",
                    "name": "get_weather",
                    "description": "The weather in a city.",
                    "input_schema": {"type": "object"},
                },
            ],
        )


def performed(sdk: Anthropic, agent: Any, environment: Any, message: str) -> list[Any]:
    """All events of a session from its first message until it waits or is over."""
    session = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    with sdk.beta.sessions.events.stream(session.id) as stream:
        sdk.beta.sessions.events.send(session.id, events=[said(message)])  # type: ignore[list-item]
        for event in stream:
            if event.type in ("session.status_idle", "session.status_terminated"):
                break
    return list(sdk.beta.sessions.events.list(session.id))


@pytest.mark.parametrize(("message", "shown"), rehearsals())
def test_each_rehearsal_shows_what_it_promises(
    sdk: Anthropic, performer: Any, environment: Any, message: str, shown: list[str]
) -> None:
    events = performed(sdk, performer, environment, message)
    told = " ".join(e.to_json(indent=None) for e in events if e.type != "user.message")
    assert [word for word in shown if word not in told] == []


def test_there_are_rehearsals() -> None:
    assert len(rehearsals()) > 20


def test_a_window_that_stays_full(tmp_path: Path) -> None:
    (source,) = re.findall(r"^```yaml\n(.*?)^```$", _SECTION, re.MULTILINE | re.DOTALL)
    assert yaml.safe_load(source)
    (tmp_path / "full.yaml").write_text(source)
    with (
        serve(tmp_path / "data", model=f"scripted:{tmp_path}/full.yaml") as served,
        served.client() as sdk,
    ):
        agent = sdk.beta.agents.create(
            name="a", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
        )
        environment = sdk.beta.environments.create(name="e")
        events = performed(sdk, agent, environment, "count")
        types = [event.type for event in events]
        assert types.count("agent.thread_context_compacted") == 3
        (error,) = [event.error for event in events if event.type == "session.error"]
        assert error.type == "compaction_limit_reached_error"
        assert error.retry_status.type == "exhausted"
        assert events[-1].stop_reason.type == "retries_exhausted"


def test_all_of_a_long_result_is_in_the_file(
    sdk: Anthropic, performer: Any, environment: Any
) -> None:
    script = "/run seq 1 60000\n/then\n/run cat /tmp/tool_outputs/*.txt | wc -c"
    events = performed(sdk, performer, environment, script)
    long, count = [event for event in events if event.type == "agent.tool_result"]
    assert long.content[0].text.startswith("[The output has 348,893 characters. It is in /tmp/")
    assert long.content[0].text.endswith("\n59999\n60000")
    assert len(long.content[0].text) < 15_000
    assert count.content[0].text == "348893"
