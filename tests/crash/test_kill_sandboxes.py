"""SIGKILL of the server, of the container and of the engine while sandboxes are stopped, started
again, kept and restored: what a call was acknowledged to have done is there, once.
"""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.harness.tools import LOST, NOT_STARTED
from tests.crash.support import PATIENCE, check_order, dice, how_often, until, user
from tests.support.own_engine import OwnEngine, own_engine
from tests.support.running import ServerProcess, client_of

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]

KILLS = how_often(8)


class Play:
    """A session whose calls each leave a line."""

    def __init__(self, server: ServerProcess, data_dir: Path) -> None:
        self.server = server
        self._data_dir = data_dir
        self.sdk = client_of(server.url, max_retries=8)
        agent = self.sdk.beta.agents.create(
            name="crash", model="claude-sonnet-5", tools=[{"type": "agent_toolset_20260401"}]
        )
        environment = self.sdk.beta.environments.create(name="crash")
        made = self.sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
        self.session: str = made.id
        self.done: list[str] = []
        """Lines of calls that were answered without an error."""
        self.perhaps: list[str] = []
        """Lines of calls that were answered with one."""
        self._count = 0

    def begin(self) -> str:
        """Send a message whose call leaves a line; the line."""
        line = f"line-{self._count}"
        self._count += 1
        text = f"/run echo {line} >> lines.txt"
        self.sdk.beta.sessions.events.send(self.session, events=[user(text)])  # type: ignore[list-item]
        return line

    def finish(self, line: str) -> None:
        """Wait for the end of the turn and see what came of the call."""
        until(lambda: self.sdk.beta.sessions.retrieve(self.session).status == "idle")
        events = [event.to_dict() for event in self.sdk.beta.sessions.events.list(self.session)]
        check_order(events)
        results = [event for event in events if event["type"] == "agent.tool_result"]
        assert len(results) == self._count, results
        (self.perhaps if results[-1].get("is_error") else self.done).append(line)

    def once(self) -> None:
        """A whole turn."""
        self.finish(self.begin())

    def kept(self) -> bool:
        """Whether a checkpoint has all that was done."""
        with sqlite3.connect(self._data_dir / "freehold.db") as connection:
            (state,) = connection.execute("select state from sessions").fetchone()
            row = connection.execute("select seq from session_checkpoints").fetchone()
        used = json.loads(state)["sandbox_used"]
        return row is not None and row[0] >= used

    def check(self) -> None:
        """Every line that was acknowledged is there once, and no line twice."""
        deadline = time.monotonic() + PATIENCE
        while (text := self._lines()) in {NOT_STARTED, LOST}:
            # An engine that was killed takes its time to come back. What counts is the files.
            assert time.monotonic() < deadline, text
            time.sleep(1)
        lines = [line for line in text.split() if line.startswith("line-")]
        assert len(lines) == len(set(lines)), text
        assert [line for line in lines if line in self.done] == self.done, text
        assert set(lines) <= {*self.done, *self.perhaps}, text

    def _lines(self) -> str:
        self.sdk.beta.sessions.events.send(self.session, events=[user("/run cat lines.txt")])
        until(lambda: self.sdk.beta.sessions.retrieve(self.session).status == "idle")
        results = list(
            self.sdk.beta.sessions.events.list(self.session, types=["agent.tool_result"])
        )
        self._count += 1
        text: str = results[-1].content[-1].text
        return text

    def container(self, client: Any) -> Any:
        (found,) = [
            c
            for c in client.containers.list(all=True, ignore_removed=True)
            if c.name.endswith(self.session)
        ]
        return found


@pytest.fixture
def server(tmp_path: Path, docker_image: str) -> Iterator[ServerProcess]:
    with ServerProcess(
        tmp_path / "data",
        FREEHOLD_SANDBOX="docker",
        FREEHOLD_SANDBOX_IMAGE=docker_image,
        FREEHOLD_SANDBOX_IDLE_STOP="0.3",
        FREEHOLD_CHECKPOINT_EVERY="0",
    ) as running:
        yield running


def _restarted(play: Play) -> None:
    play.server.kill()
    play.server.start()


def test_server_killed_while_it_stops_keeps_and_starts_again(
    server: ServerProcess, tmp_path: Path, docker_client: Any
) -> None:
    rng = dice()
    play = Play(server, tmp_path / "data")
    for _ in range(KILLS):
        play.once()
        # Somewhere in: the checkpoint, the pause, the stop.
        time.sleep(rng.uniform(0, 1.2))
        _restarted(play)
        line = play.begin()
        # Somewhere in: the start, the call.
        time.sleep(rng.uniform(0, 0.8))
        _restarted(play)
        play.finish(line)
    assert not play.perhaps
    play.check()
    play.sdk.beta.sessions.delete(play.session)
    until(
        lambda: (
            not [
                c
                for c in docker_client.containers.list(all=True, ignore_removed=True)
                if play.session in c.name
            ]
        )
    )


def test_container_killed_while_it_stops_and_starts_again(
    server: ServerProcess, tmp_path: Path, docker_client: Any
) -> None:
    rng = dice()
    play = Play(server, tmp_path / "data")
    play.once()
    for _ in range(KILLS):
        line = play.begin()
        time.sleep(rng.uniform(0, 0.8))
        with contextlib.suppress(Exception):
            play.container(docker_client).kill()
        play.finish(line)
        time.sleep(rng.uniform(0, 0.8))
    play.check()
    play.sdk.beta.sessions.delete(play.session)


def test_server_killed_while_it_restores(
    server: ServerProcess, tmp_path: Path, docker_client: Any
) -> None:
    rng = dice()
    play = Play(server, tmp_path / "data")
    for _ in range(max(1, KILLS // 2)):
        play.once()
        until(play.kept)
        play.container(docker_client).remove(force=True)
        line = play.begin()
        # Somewhere in: making the container, restoring, the call.
        time.sleep(rng.uniform(0, 1.5))
        _restarted(play)
        play.finish(line)
    # A call that another server had begun, or may have, is not made in the new sandbox.
    play.check()
    play.sdk.beta.sessions.delete(play.session)
    until(lambda: not list((tmp_path / "data" / "blobs" / "checkpoints").rglob("*/*")))


@pytest.fixture
def engine(docker_image: str) -> Iterator[OwnEngine]:
    with own_engine() as own:
        own.load(docker_image)
        yield own


def test_engine_killed(tmp_path: Path, engine: OwnEngine, docker_image: str) -> None:
    """While it is away a call fails and says so; afterwards the session goes on."""
    rng: random.Random = dice()
    with ServerProcess(
        tmp_path / "data",
        FREEHOLD_SANDBOX="docker",
        FREEHOLD_SANDBOX_IMAGE=docker_image,
        FREEHOLD_SANDBOX_NETWORK="none",
        FREEHOLD_SANDBOX_IDLE_STOP="0.3",
        FREEHOLD_CHECKPOINT_EVERY="0",
        DOCKER_HOST=engine.host,
    ) as server:
        play = Play(server, tmp_path / "data")
        play.once()
        for _ in range(max(1, KILLS // 4)):
            # Somewhere in: the checkpoint, the pause, the stop.
            time.sleep(rng.uniform(0, 1.2))
            line = play.begin()
            time.sleep(rng.uniform(0, 0.8))
            engine.kill()
            play.finish(line)
            engine.start()
            play.once()
            assert play.done, "the engine is back, and calls still fail"
        play.check()
        play.sdk.beta.sessions.delete(play.session)
        until(lambda: not engine.run("ps", "-aq").stdout.strip())
