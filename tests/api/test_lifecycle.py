"""Sandboxes that are stopped, lost and restored, as a client and its model see it (spec 22.3)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic

from freehold.app import create_app
from freehold.sandbox.docker import DockerSandboxProvider
from freehold.settings import Settings
from tests.api.conftest import said, turn
from tests.crash.support import until
from tests.docker_engine import MakeProvider, providers
from tests.support.running import serve_app

pytestmark = pytest.mark.docker

STOPPED = "The sandbox was stopped since the last call"
RESTORED = "were restored from a checkpoint of"
REPLACED = "The sandbox of earlier calls is gone"


class House:
    """A server on Docker, which can be started again, and a session in it."""

    def __init__(self, data_dir: Path, provider: DockerSandboxProvider, **values: Any) -> None:
        self.data_dir = data_dir
        self.provider = provider
        defaults: dict[str, Any] = {
            "model": "scripted",
            "scripted_latency": 0,
            "sandbox_idle_stop": 0,
            "checkpoint_every": 0,
        }
        self.settings = Settings(data_dir=data_dir, **{**defaults, **values})

    def serve(self) -> Any:
        return serve_app(create_app(self.settings, sandboxes=self.provider))

    def checkpoints(self) -> list[tuple[str, str, int]]:
        with sqlite3.connect(self.data_dir / "freehold.db") as connection:
            rows = connection.execute("select session_id, blob, seq from session_checkpoints")
            return list(rows)

    def blobs(self) -> set[str]:
        folder = self.data_dir / "blobs" / "checkpoints"
        return {path.name for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def make(docker_image: str) -> Iterator[MakeProvider]:
    import asyncio

    loop = asyncio.new_event_loop()
    context = providers(docker_image)
    yield loop.run_until_complete(context.__aenter__())
    loop.run_until_complete(context.__aexit__(None, None, None))
    loop.close()


def new_session(sdk: Anthropic) -> str:
    agent = sdk.beta.agents.create(
        name="a", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
    )
    environment = sdk.beta.environments.create(name="e")
    return sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id).id


def bash(sdk: Anthropic, session: str, command: str) -> list[str]:
    """The texts of the result's blocks."""
    events = turn(sdk, session, said(f"/tool bash {json.dumps({'command': command})}"))
    (result,) = [event for event in events if event.type == "agent.tool_result"]
    return [block.text for block in result.content]


def container(client: Any, session: str) -> Any:
    (found,) = [
        c for c in client.containers.list(all=True, ignore_removed=True) if c.name.endswith(session)
    ]
    return found


def status(client: Any, session: str) -> str:
    found = container(client, session)
    found.reload()
    return str(found.status)


def test_an_idle_sandbox_is_stopped_and_goes_on_with_its_files(
    tmp_path: Path, make: MakeProvider, docker_client: Any
) -> None:
    house = House(tmp_path / "data", make(), sandbox_idle_stop=0.3)
    with house.serve() as served, served.client() as sdk:
        session = new_session(sdk)
        bash(sdk, session, "cd /tmp; export A=1; echo kept > /workspace/a; sleep 600 & echo $!")
        until(lambda: status(docker_client, session) == "exited")
        assert container(docker_client, session).attrs["State"]["ExitCode"] == 0
        note, text = bash(sdk, session, "cat /workspace/a; pwd; echo [$A]; pgrep sleep")
        assert STOPPED in note
        assert "used more" not in note
        assert text.splitlines()[:3] == ["kept", "/workspace", "[]"]
        assert len(text.splitlines()) == 3
        # Told once: the next result is as it always was, unless it was stopped again meanwhile.
        until(lambda: status(docker_client, session) == "exited")
    # A server that starts finds it stopped, whoever stopped it.
    house.provider = make()
    house.settings = house.settings.model_copy(update={"sandbox_idle_stop": 0})
    with house.serve() as served, served.client() as sdk:
        assert STOPPED in bash(sdk, session, "true")[0]
        assert bash(sdk, session, "echo again") == ["again"]


def test_a_sandbox_stopped_by_hand_is_the_same_to_the_model(
    tmp_path: Path, make: MakeProvider, docker_client: Any
) -> None:
    house = House(tmp_path / "data", make())
    with house.serve() as served, served.client() as sdk:
        session = new_session(sdk)
        bash(sdk, session, "echo kept > a")
        container(docker_client, session).stop(timeout=1)
        note, text = bash(sdk, session, "cat a")
        assert (STOPPED in note, text) == (True, "kept")
        container(docker_client, session).kill()
        note, text = bash(sdk, session, "cat a")
        assert (STOPPED in note, "exit status 137" in note, text) == (True, True, "kept")


def test_a_lost_container_is_restored_from_its_checkpoint(
    tmp_path: Path, make: MakeProvider, docker_client: Any
) -> None:
    house = House(tmp_path / "data", make())
    with house.serve() as served, served.client() as sdk:
        session = new_session(sdk)
        bash(
            sdk,
            session,
            "mkdir -p deep/er; echo one > deep/er/a; ln -s a deep/er/b; chmod 700 deep/er/a; "
            "ln deep/er/a hard; mkfifo pipe; echo out > /mnt/session/outputs/o.txt; echo no > ~/h",
        )
        until(lambda: len(house.checkpoints()) == 1)
        first = house.checkpoints()
        container(docker_client, session).remove(force=True)
        note, text = bash(
            sdk,
            session,
            "cat deep/er/b hard /mnt/session/outputs/o.txt; stat -c '%a %h' deep/er/a; "
            "readlink deep/er/b; ls -A; ls ~/h",
        )
        assert RESTORED in note
        assert text.startswith("one\none\nout\n700 2\na\ndeep\nhard\n")
        assert "pipe" not in text
        assert "No such file" in text
        until(lambda: house.checkpoints() != first)
        assert bash(sdk, session, "echo again") == ["again"]
        # One a session: the last one's content goes.
        until(lambda: len(house.blobs()) == 1)
        outputs = sdk.beta.files.list(scope_id=session, betas=["managed-agents-2026-04-01"])
        assert [file.filename for file in outputs] == ["o.txt"]
        sdk.beta.sessions.delete(session)
        until(lambda: not house.checkpoints() and not house.blobs())


def test_without_a_checkpoint_the_model_is_told_that_files_are_gone(
    tmp_path: Path, make: MakeProvider, docker_client: Any
) -> None:
    house = House(tmp_path / "data", make(), checkpoint_max_mb=0)
    with house.serve() as served, served.client() as sdk:
        session = new_session(sdk)
        # A session that ran nothing before has nothing to be told.
        assert bash(sdk, session, "echo kept > a; echo done") == ["done"]
        container(docker_client, session).remove(force=True)
        note, text = bash(sdk, session, "ls")
        assert (REPLACED in note, text) == (True, "(no output)")
        assert house.checkpoints() == []


def test_what_is_moved_to_another_machine_goes_on(
    tmp_path: Path, make: MakeProvider, docker_client: Any, docker_image: str
) -> None:
    house = House(tmp_path / "data", make())
    with house.serve() as served, served.client() as sdk:
        session = new_session(sdk)
        bash(sdk, session, "echo kept > a")
        until(lambda: len(house.checkpoints()) == 1)
    container(docker_client, session).remove(force=True)
    moved = house.data_dir.rename(tmp_path / "moved")
    house = House(moved, make())
    with house.serve() as served, served.client() as sdk:
        note, text = bash(sdk, session, "cat a")
        assert (RESTORED in note, text) == (True, "kept")


def test_a_checkpoint_too_large_or_too_old_is_none(
    tmp_path: Path, make: MakeProvider, docker_client: Any
) -> None:
    house = House(tmp_path / "data", make(), checkpoint_max_mb=1)
    with house.serve() as served, served.client() as sdk:
        session = new_session(sdk)
        bash(sdk, session, "echo small > a")
        until(lambda: len(house.checkpoints()) == 1)
        bash(sdk, session, "head -c 3M /dev/urandom > large; truncate -s 1T sparse")
    assert len(house.blobs()) == 1
    with sqlite3.connect(house.data_dir / "freehold.db") as connection:
        connection.execute("update session_checkpoints set began_at = 0")
    house.provider = make()
    container(docker_client, session).remove(force=True)
    with house.serve() as served, served.client() as sdk:
        assert REPLACED in bash(sdk, session, "ls")[0]
