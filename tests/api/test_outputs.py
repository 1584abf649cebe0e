"""What agents deliver is kept when their turn ends: each content once, also across crashes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from freehold.app import create_app
from freehold.harness.outputs import Harvester
from freehold.ports.log import SessionSpec
from freehold.ports.sandbox import Found, SandboxSpec
from freehold.sandbox.scripted import ScriptedSandboxProvider
from freehold.settings import Settings
from tests.api.conftest import said, turn
from tests.support.running import serve_app

OUT = "/mnt/session/outputs"


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Shelf:
    """Keeps outputs in memory; may die first."""

    def __init__(self) -> None:
        self.kept_files: list[tuple[str, bytes]] = []
        self.failures: list[BaseException] = []
        self._digests: dict[str, dict[str, str]] = {}

    async def kept(self, session_id: str) -> Mapping[str, str]:
        return self._digests.get(session_id, {})

    async def keep(self, spec: SessionSpec, file: Found, chunks: AsyncIterator[bytes]) -> None:
        data = b"".join([chunk async for chunk in chunks])
        if self.failures:
            raise self.failures.pop()
        self.kept_files.append((file.path, data))
        self._digests.setdefault(spec.session_id, {})[file.path] = file.sha256


class World:
    def __init__(self, tmp: Path) -> None:
        self.shelf, self.machines = Shelf(), ScriptedSandboxProvider()
        self.settings = Settings(data_dir=tmp / "data", model="scripted", scripted_latency=0)
        app = create_app(self.settings, sandboxes=self.machines, outputs=self.shelf)
        self.serving = serve_app(app)
        self.sdk = self.serving.__enter__().client()
        agent = self.sdk.beta.agents.create(
            name="a", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
        )
        environment = self.sdk.beta.environments.create(name="e")
        self.session = self.sdk.beta.sessions.create(
            agent=agent.id, environment_id=environment.id
        ).id

    def bash(self, command: str) -> list[Any]:
        text = f"/tool bash {json.dumps({'command': command})}"
        return list(turn(self.sdk, self.session, said(text)))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.sdk.close()
    made.serving.__exit__(None, None, None)


def test_new_and_changed_outputs_are_kept_before_the_client_hears_of_the_end(world: World) -> None:
    world.bash(f"mkdir {OUT}/deep; echo one > {OUT}/a; echo two > {OUT}/deep/b; echo no > /tmp/c")
    both = [(f"{OUT}/a", b"one\n"), (f"{OUT}/deep/b", b"two\n")]
    assert world.shelf.kept_files == both
    world.bash("echo nothing new")
    assert world.shelf.kept_files == both
    world.bash(f"echo three > {OUT}/a")
    assert world.shelf.kept_files == [*both, (f"{OUT}/a", b"three\n")]


def test_a_turn_without_tools_needs_no_sandbox(world: World) -> None:
    world.machines.fail_acquire("none", times=99)
    assert turn(world.sdk, world.session, said("hello"))[-1].type == "session.status_idle"
    assert world.shelf.kept_files == []


def test_what_cannot_be_kept_is_kept_when_the_next_turn_ends(world: World) -> None:
    world.shelf.failures.append(OSError("the disk is full"))
    events = world.bash(f"echo one > {OUT}/a")
    assert events[-1].type == "session.status_idle"
    assert not [event for event in events if event.type == "session.error"]
    assert world.shelf.kept_files == []
    world.bash("true")
    assert world.shelf.kept_files == [(f"{OUT}/a", b"one\n")]


def test_a_server_that_dies_before_outputs_are_kept_leaves_them_to_the_next(tmp_path: Path) -> None:
    world = World(tmp_path)
    # What it cannot come back from: the runner ends, and the session is still running.
    world.shelf.failures.append(RuntimeError("killed"))
    text = f"/tool bash {json.dumps({'command': f'echo one > {OUT}/a'})}"
    world.sdk.beta.sessions.events.send(world.session, events=[said(text)])
    until(lambda: not world.shelf.failures)
    assert world.sdk.beta.sessions.retrieve(world.session).status == "running"
    world.sdk.close()
    world.serving.__exit__(None, None, None)
    app = create_app(world.settings, sandboxes=world.machines.reopened(), outputs=world.shelf)
    with serve_app(app) as served, served.client() as sdk:
        until(lambda: sdk.beta.sessions.retrieve(world.session).status == "idle")
        kinds = [event.type for event in sdk.beta.sessions.events.list(world.session)]
        assert kinds.count("agent.message") == 1
        assert kinds.count("session.status_idle") == 1
        assert world.shelf.kept_files == [(f"{OUT}/a", b"one\n")]


async def test_no_mixture_of_two_versions_is_kept() -> None:
    provider, shelf = ScriptedSandboxProvider(), Shelf()
    sandbox = await provider.acquire(SandboxSpec(session_id="sesn_1"))
    spec: Any = type("Spec", (), {"session_id": "sesn_1"})()
    for changed in (b"longer than before", b"x", b"other"):
        await sandbox.write_file(f"{OUT}/a", b"first")
        (file,) = await sandbox.listing(OUT)

        class Late:
            layout = sandbox.layout
            read_stream = staticmethod(sandbox.read_stream)

            async def listing(self, _: str, data: bytes = changed, found: Found = file) -> Any:
                await sandbox.write_file(f"{OUT}/a", data)
                return [found]

        await Harvester(shelf).harvest(spec, Late())  # type: ignore[arg-type]
        assert shelf.kept_files == []
    assert file.sha256 == hashlib.sha256(b"first").hexdigest()
    await asyncio.wait_for(Harvester(shelf, largest=4).harvest(spec, sandbox), 30)
    assert shelf.kept_files == []
