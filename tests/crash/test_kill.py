"""SIGKILL at random points of a session of thirty tool calls, fifty times over.

At the end: every event once and in order, no gap in the log, every line in the file exactly
once, and a client that reconnects with ``Last-Event-ID`` saw each event exactly once.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.running import BETA, ServerProcess, client_of

CALLS = 30
KILLS = int(os.environ.get("FREEHOLD_TEST_KILLS", "50"))


class Follower(threading.Thread):
    """A client that always comes back, and says what it saw last."""

    def __init__(self, url: str, session_id: str) -> None:
        super().__init__(daemon=True)
        self.events: list[dict[str, Any]] = []
        self.last_id: str | None = None
        self.done = threading.Event()
        self.connected = threading.Event()
        self._url = f"{url}/v1/sessions/{session_id}/events/stream"

    def run(self) -> None:
        while not self.done.is_set():
            headers = dict(BETA)
            if self.last_id is not None:
                headers["last-event-id"] = self.last_id
            try:
                with httpx2.stream("GET", self._url, headers=headers, timeout=30) as response:
                    if response.status_code != 200:
                        time.sleep(0.05)
                        continue
                    self.connected.set()
                    self._follow(response)
            except httpx2.HTTPError:
                time.sleep(0.02)

    def _follow(self, response: httpx2.Response) -> None:
        frame_id, data = None, None
        for line in response.iter_lines():
            if line.startswith("id:"):
                frame_id = line[3:].strip()
            elif line.startswith("data:"):
                data = line[5:].strip()
            elif not line and frame_id and data:
                # Only a whole frame counts as seen, as in any conforming SSE client.
                self.events.append(json.loads(data))
                self.last_id = frame_id
                frame_id, data = None, None
                if self.events[-1]["type"] == "session.status_idle":
                    self.done.set()
                    return


def _play(server: ServerProcess, rng: random.Random, kills_left: int) -> int:
    """One session of thirty calls under fire; how often the server was killed."""
    client = client_of(server.url, max_retries=8)
    agent = client.beta.agents.create(
        name="crash", model="claude-sonnet-5", tools=[{"type": "agent_toolset_20260401"}]
    )
    environment = client.beta.environments.create(name="crash")
    session = client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    follower = Follower(server.url, session.id)
    follower.start()
    assert follower.connected.wait(10)
    script = "\n/then\n".join(f"/run echo line-{n} >> lines.txt" for n in range(CALLS))
    client.beta.sessions.events.send(
        session.id,
        events=[{"type": "user.message", "content": [{"type": "text", "text": script}]}],
    )
    kills = 0
    while kills < kills_left and not follower.done.wait(rng.uniform(0.0, 0.25)):
        server.kill()
        kills += 1
        server.start()
    assert follower.done.wait(120), [e["type"] for e in follower.events[-5:]]
    _check(server, client, session.id, follower)
    client.beta.sessions.delete(session.id)
    return kills


def _check(server: ServerProcess, client: Any, session_id: str, follower: Follower) -> None:
    listed = [event.to_dict() for event in client.beta.sessions.events.list(session_id)]
    ids = [event["id"] for event in listed]
    assert len(ids) == len(set(ids))
    assert [event["processed_at"] for event in listed] == sorted(
        event["processed_at"] for event in listed
    )
    assert [event["id"] for event in follower.events] == ids
    uses = [event["id"] for event in listed if event["type"] == "agent.tool_use"]
    results = [event for event in listed if event["type"] == "agent.tool_result"]
    assert len(uses) == CALLS
    assert [event["tool_use_id"] for event in results] == uses
    assert not any(event.get("is_error") for event in results), results
    ask = {"type": "text", "text": "/run cat lines.txt"}
    client.beta.sessions.events.send(
        session_id, events=[{"type": "user.message", "content": [ask]}]
    )
    deadline = time.monotonic() + 30
    while client.beta.sessions.retrieve(session_id).status != "idle":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    results = list(client.beta.sessions.events.list(session_id, types=["agent.tool_result"]))
    lines = results[-1].content[0].text.split()
    assert lines == [f"line-{n}" for n in range(CALLS)]


def _check_log(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "select s.head_seq, count(e.seq), min(e.seq), max(e.seq) from sessions s "
            "join session_events e on e.session_id = s.id group by s.id"
        ).fetchall()
    assert rows
    for head, count, first, last in rows:
        assert (count, first, last) == (head, 1, head)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("sandbox", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_nothing_is_lost_or_doubled(tmp_path: Path, sandbox: str, request: Any) -> None:
    if sandbox == "docker":
        request.getfixturevalue("docker_image")
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    data_dir = tmp_path / "data"
    kills = 0
    with ServerProcess(data_dir, FREEHOLD_SANDBOX=sandbox) as server:
        while kills < KILLS:
            kills += _play(server, rng, KILLS - kills)
    _check_log(data_dir / "freehold.db")
