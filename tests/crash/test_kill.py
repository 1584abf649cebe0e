"""SIGKILL at random points of a session of thirty tool calls, fifty times over.

At the end: every event once and in order, no gap in the log, every line in the file exactly
once, and a client that reconnects with ``Last-Event-ID`` saw each event exactly once.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.crash.support import Resumer, check_database, check_order, dice, how_often, until, user
from tests.support.running import ServerProcess, client_of

CALLS = 30
KILLS = how_often(8)


def _idle(event: dict[str, Any]) -> bool:
    return bool(event["type"] == "session.status_idle")


def _play(server: ServerProcess, rng: random.Random, kills_left: int) -> int:
    """One session of thirty calls under fire; how often the server was killed."""
    client = client_of(server.url, max_retries=8)
    agent = client.beta.agents.create(
        name="crash", model="claude-sonnet-5", tools=[{"type": "agent_toolset_20260401"}]
    )
    environment = client.beta.environments.create(name="crash")
    session = client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    follower = Resumer(server.url, session.id)
    follower.start()
    script = "\n/then\n".join(f"/run echo line-{n} >> lines.txt" for n in range(CALLS))
    client.beta.sessions.events.send(session.id, events=[user(script)])  # type: ignore[list-item]
    kills = 0
    while kills < kills_left and follower.soon(_idle, rng.uniform(0.0, 0.25)) is None:
        server.kill()
        kills += 1
        server.start()
    follower.find(_idle)
    follower.end()
    _check(server, client, session.id, follower)
    client.beta.sessions.delete(session.id)
    return kills


def _check(server: ServerProcess, client: Any, session_id: str, follower: Resumer) -> None:
    listed = [event.to_dict() for event in client.beta.sessions.events.list(session_id)]
    check_order(listed)
    assert [event["id"] for event in follower.events] == [event["id"] for event in listed]
    uses = [event["id"] for event in listed if event["type"] == "agent.tool_use"]
    results = [event for event in listed if event["type"] == "agent.tool_result"]
    assert len(uses) == CALLS
    assert [event["tool_use_id"] for event in results] == uses
    assert not any(event.get("is_error") for event in results), results
    client.beta.sessions.events.send(session_id, events=[user("/run cat lines.txt")])
    until(lambda: client.beta.sessions.retrieve(session_id).status == "idle")
    results = list(client.beta.sessions.events.list(session_id, types=["agent.tool_result"]))
    lines = results[-1].content[0].text.split()
    assert lines == [f"line-{n}" for n in range(CALLS)]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("sandbox", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_nothing_is_lost_or_doubled(tmp_path: Path, sandbox: str, request: Any) -> None:
    if sandbox == "docker":
        request.getfixturevalue("docker_image")
    rng = dice()
    data_dir = tmp_path / "data"
    kills = 0
    with ServerProcess(data_dir, FREEHOLD_SANDBOX=sandbox) as server:
        while kills < KILLS:
            kills += _play(server, rng, KILLS - kills)
    check_database(data_dir / "freehold.db")
