"""What the server puts into sandboxes, as the agent finds it and a client sees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from freehold.app import create_app
from freehold.errors import FurnishingFailed
from freehold.models import ScriptedModel
from freehold.ports.log import SessionSpec
from freehold.ports.model import ModelEvent, ModelRequest
from freehold.ports.sandbox import Placed, Root, Sandbox, SandboxProvider
from freehold.sandbox.process import ProcessSandboxProvider, bubblewrap_works
from freehold.sandbox.scripted import ScriptedSandboxProvider
from freehold.settings import Settings
from tests.api.conftest import said, turn
from tests.support.running import serve_app

LETTER = "/mnt/session/uploads/letter.txt"
NOTE = "/workspace/notes/note.md"


class Letters:
    """Puts a letter that the agent may read into each sandbox, and a note that is the agent's."""

    def __init__(self) -> None:
        self.done: list[tuple[str, bool]] = []
        self.failures = 0
        self.broken_off = 0

    async def roots(self, _: SessionSpec) -> Sequence[Root]:
        return [Root("/mnt/session/uploads")]

    async def describe(self, spec: SessionSpec) -> str | None:
        return f"A letter to {spec.agent['name']} lies at {LETTER}."

    async def furnish(self, spec: SessionSpec, sandbox: Sandbox, *, fresh: bool) -> None:
        if self.failures:
            self.failures -= 1
            raise FurnishingFailed("the letter is lost")
        await sandbox.place([Placed(LETTER, f"Dear {spec.agent['name']}".encode())])
        if self.broken_off:
            self.broken_off -= 1
            raise OSError("the disk is on fire")
        if fresh:
            await sandbox.place([Placed(NOTE, b"write here")], writable=True)
        self.done.append((spec.session_id, fresh))


class Listening(ScriptedModel):
    def __init__(self) -> None:
        super().__init__()
        self.requests: list[ModelRequest] = []

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        self.requests.append(request)
        async for event in super().stream(request):
            yield event


class World:
    """A server that furnishes sandboxes, and can be started again on the same ones."""

    def __init__(self, tmp: Path, sandboxes: Callable[[], SandboxProvider]) -> None:
        self.letters, self.model = Letters(), Listening()
        self._settings = Settings(data_dir=tmp / "data", model="scripted", scripted_latency=0)
        self._sandboxes = sandboxes
        self._serving: Any = None
        self.start()

    def start(self) -> None:
        app = create_app(
            self._settings,
            model=self.model,
            sandboxes=self._sandboxes(),
            furnishers=[self.letters],
        )
        self._serving = serve_app(app)
        self.sdk = self._serving.__enter__().client()

    def stop(self) -> None:
        self.sdk.close()
        self._serving.__exit__(None, None, None)

    def session(self, **fields: Any) -> str:
        given = {"tools": [{"type": "agent_toolset_20260401"}], **fields}
        agent = self.sdk.beta.agents.create(
            name="Ada", model="claude-opus-5", system="You help.", **given
        )
        environment = self.sdk.beta.environments.create(name=f"e{len(self.model.requests)}")
        made = self.sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
        return made.id

    def events(self, session_id: str, command: str) -> list[Any]:
        message = f"/tool bash {json.dumps({'command': command})}"
        return list(turn(self.sdk, session_id, said(message)))

    def bash(self, session_id: str, command: str) -> str:
        results = [e for e in self.events(session_id, command) if e.type == "agent.tool_result"]
        # Before it may stand what became of the sandbox.
        text: str = results[-1].content[-1].text
        return text


@pytest.fixture(params=["scripted", "process"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "process":
        if not bubblewrap_works():
            pytest.skip("bubblewrap may not make a sandbox here")
        made = World(tmp_path, lambda: ProcessSandboxProvider(tmp_path / "data"))
    else:
        machines = ScriptedSandboxProvider()
        made = World(tmp_path, machines.reopened)
    yield made
    for session in made.sdk.beta.sessions.list():
        made.sdk.beta.sessions.delete(session.id)
    made.stop()


def test_the_first_call_finds_it_and_cannot_change_it(world: World) -> None:
    session = world.session()
    assert world.bash(session, f"cat {LETTER}; echo; cat {NOTE}").split("\n") == [
        "Dear Ada",
        "write here",
    ]
    assert "Dear Ada" in world.bash(session, f"rm -rf {LETTER}; echo x > {LETTER}; cat {LETTER}")
    assert world.letters.done == [(session, True)]


def test_the_model_is_told_after_the_environment(world: World) -> None:
    session = world.session()
    world.bash(session, "true")
    world.bash(session, "true")
    systems = [[block["text"] for block in request.system] for request in world.model.requests]
    assert len(systems) == 4
    assert all(system == systems[0] for system in systems)
    own, environment, letter = systems[0]
    assert own == "You help."
    assert environment.startswith("You have been invoked in an environment")
    assert letter == f"A letter to Ada lies at {LETTER}."


def test_an_agent_without_a_sandbox_hears_nothing_of_it(world: World) -> None:
    session = world.session(tools=[])
    turn(world.sdk, session, said("hello"))
    assert [block["text"] for block in world.model.requests[-1].system] == ["You help."]
    assert world.letters.done == []


def test_what_cannot_be_furnished_is_the_sessions_error(world: World) -> None:
    world.letters.failures = 2  # ahead of the call, and before it
    session = world.session()
    events = world.events(session, "echo ran")
    (error,) = [event.error for event in events if event.type == "session.error"]
    assert error.message == "the letter is lost"
    (result,) = [event for event in events if event.type == "agent.tool_result"]
    assert result.is_error
    assert "did not run" in result.content[0].text
    assert events[-1].type == "session.status_idle"
    assert "Dear Ada" in world.bash(session, f"cat {LETTER}")


def test_furnishing_that_was_broken_off_is_done_again(world: World) -> None:
    world.letters.broken_off = 2
    session = world.session()
    (error,) = [e.error for e in world.events(session, "true") if e.type == "session.error"]
    assert error.message == "The sandbox could not be furnished: the disk is on fire"
    assert world.bash(session, f"cat {NOTE}") == "write here"
    assert world.letters.done == [(session, True)]


def test_a_restarted_server_leaves_the_agents_files_alone(world: World) -> None:
    session = world.session()
    world.bash(session, f"echo mine > {NOTE}")
    world.stop()
    world.start()
    assert world.bash(session, f"cat {NOTE} {LETTER}").split() == ["mine", "Dear", "Ada"]
    assert world.letters.done == [(session, True), (session, False)]


def test_a_sandbox_that_takes_another_ones_place_is_furnished_too(tmp_path: Path) -> None:
    machines = ScriptedSandboxProvider()
    world = World(tmp_path, lambda: machines)
    try:
        session = world.session()
        world.bash(session, f"echo mine > {NOTE}")
        machines.lose(session)
        assert world.bash(session, f"cat {NOTE}") == "write here"
        assert world.letters.done == [(session, True), (session, True)]
    finally:
        world.stop()


def test_plain_processes_say_that_they_keep_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, lambda: ProcessSandboxProvider(tmp_path / "data", plain=True))
    try:
        session = world.session()
        (error,) = [e.error for e in world.events(session, "true") if e.type == "session.error"]
        assert "Install bubblewrap or use Docker." in error.message
        world.sdk.beta.sessions.delete(session)
    finally:
        world.stop()
