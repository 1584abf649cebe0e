"""The files of a session's resources, as its agent finds them (spec 9.2, 22.1, 22.4)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.app import create_app
from freehold.core.mounts import UPLOADS
from freehold.ports.sandbox import SandboxProvider
from freehold.sandbox.process import ProcessSandboxProvider, bubblewrap_works
from freehold.sandbox.scripted import ScriptedSandboxProvider
from freehold.settings import Settings
from tests.api.conftest import said, turn
from tests.api.test_furnishing import Listening
from tests.support.running import serve_app

BETAS = ["managed-agents-2026-04-01", "files-api-2025-04-14"]


class World:
    """A server on sandboxes that outlive it."""

    def __init__(self, tmp: Path, sandboxes: Callable[[], SandboxProvider]) -> None:
        self.model = Listening()
        self.data = tmp / "data"
        self._sandboxes = sandboxes
        self._serving: Any = None
        self.start()

    def start(self) -> None:
        app = create_app(
            Settings(data_dir=self.data, model="scripted", scripted_latency=0),
            model=self.model,
            sandboxes=self._sandboxes(),
        )
        self._serving = serve_app(app)
        self.sdk = self._serving.__enter__().client()

    def stop(self) -> None:
        self.sdk.close()
        self._serving.__exit__(None, None, None)

    def upload(self, content: bytes, name: str = "data.csv") -> str:
        file_id: str = self.sdk.beta.files.upload(file=(name, content)).id
        return file_id

    def session(self, **mounts: bytes) -> str:
        """A session with files, given as ``name=content`` and mounted at ``/name``."""
        agent = self.sdk.beta.agents.create(
            name="Ada", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
        )
        environment = self.sdk.beta.environments.create(name=secrets.token_hex(4))
        made = self.sdk.beta.sessions.create(
            agent=agent.id,
            environment_id=environment.id,
            resources=[
                {"type": "file", "file_id": self.upload(content), "mount_path": f"/{name}"}
                for name, content in mounts.items()
            ],
        )
        session_id: str = made.id
        return session_id

    def add(self, session_id: str, content: bytes, mount_path: str) -> Any:
        return self.sdk.beta.sessions.resources.add(
            session_id, type="file", file_id=self.upload(content), mount_path=mount_path
        )

    def delete(self, session_id: str, mount_path: str) -> None:
        api = self.sdk.beta.sessions.resources
        (found,) = [one for one in api.list(session_id) if one.mount_path == mount_path]
        api.delete(found.id, session_id=session_id)

    def events(self, session_id: str, command: str) -> list[Any]:
        message = f"/tool bash {json.dumps({'command': command})}"
        return list(turn(self.sdk, session_id, said(message)))

    def bash(self, session_id: str, command: str) -> str:
        results = [e for e in self.events(session_id, command) if e.type == "agent.tool_result"]
        text: str = results[-1].content[-1].text
        return text

    def system(self) -> list[str]:
        """The blocks of the newest request."""
        return [block["text"] for block in self.model.requests[-1].system]


@pytest.fixture(params=["scripted", "process", pytest.param("docker", marks=[pytest.mark.docker])])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    make: Callable[[], SandboxProvider]
    match request.param:
        case "process":
            if not bubblewrap_works():
                pytest.skip("bubblewrap may not make a sandbox here")
            make = lambda: ProcessSandboxProvider(tmp_path / "data")  # noqa: E731
        case "docker":
            image = request.getfixturevalue("docker_image")
            owner = f"test-{secrets.token_hex(6)}"

            def make() -> SandboxProvider:
                from freehold.sandbox.docker import DockerSandboxProvider

                return DockerSandboxProvider(owner=owner, image=image)
        case _:
            make = ScriptedSandboxProvider().reopened
    made = World(tmp_path, make)
    yield made
    for session in made.sdk.beta.sessions.list():
        made.sdk.beta.sessions.delete(session.id)
    made.stop()


LIST = f"cd {UPLOADS} && ls"


def test_they_are_there_to_be_read_and_no_more(world: World) -> None:
    session = world.session(a=b"one", b=b"")
    assert world.bash(session, f"cat {UPLOADS}/a; echo; cat {UPLOADS}/b | wc -c").split() == [
        "one",
        "0",
    ]
    for attempt in (f"echo x > {UPLOADS}/a", f"rm -f {UPLOADS}/a", f"touch {UPLOADS}/new"):
        world.bash(session, f"({attempt}) 2>/dev/null")
    assert world.bash(session, f"{LIST}; cat a").split() == ["a", "b", "one"]


def test_a_session_without_files(world: World) -> None:
    session = world.session()
    assert world.bash(session, "echo fine") == "fine"
    assert not any(UPLOADS in text for text in world.system())


def test_the_system_prompt_names_them(world: World) -> None:
    session = world.session(a=b"one")
    world.bash(session, "true")
    first = world.system()[-1]
    assert first == (
        f"The user has given you files, mounted read-only under {UPLOADS}:\n"
        f" - {UPLOADS}/a (data.csv)"
    )
    world.bash(session, "true")
    assert world.system()[-1] == first
    world.add(session, b"two", "/deep/data.csv")
    world.bash(session, "true")
    assert world.system()[-1] == f"{first}\n - {UPLOADS}/deep/data.csv"


def test_what_is_added_and_deleted_is_seen_by_the_next_call(world: World) -> None:
    session = world.session(a=b"one")
    assert world.bash(session, LIST) == "a"
    world.add(session, b"two", "/deep/er/b")
    assert world.bash(session, f"{LIST}; cat deep/er/b").split() == ["a", "deep", "two"]
    world.delete(session, f"{UPLOADS}/deep/er/b")
    assert world.bash(session, LIST) == "a"
    # A file takes the place of a folder, and another content that of a file.
    world.add(session, b"three", "/deep")
    world.delete(session, f"{UPLOADS}/a")
    world.add(session, b"uno", "/a")
    assert world.bash(session, f"cd {UPLOADS}; cat a deep") == "unothree"
    world.delete(session, f"{UPLOADS}/a")
    world.delete(session, f"{UPLOADS}/deep")
    assert world.bash(session, f"ls -A {UPLOADS} | wc -l").strip() == "0"


def test_what_is_deleted_before_the_first_call_was_never_there(world: World) -> None:
    session = world.session(a=b"one", b=b"two")
    turn(world.sdk, session, said("hello"))  # the sandbox is made ready meanwhile
    world.delete(session, f"{UPLOADS}/a")
    assert world.bash(session, LIST) == "b"


def test_the_upload_may_be_deleted_before_the_sandbox_is_made(world: World) -> None:
    session = world.session(a=b"one")
    for file in world.sdk.beta.files.list(betas=BETAS):
        world.sdk.beta.files.delete(file.id, betas=BETAS)
    assert world.bash(session, f"cat {UPLOADS}/a") == "one"


def test_a_large_file(world: World) -> None:
    content = bytes(range(256)) * 20_000
    session = world.session(large=content)
    assert world.bash(session, f"wc -c < {UPLOADS}/large").strip() == str(len(content))


def test_another_server_finds_what_is_there_and_mends_the_rest(world: World) -> None:
    session = world.session(a=b"one", b=b"two", c=b"3")
    assert world.bash(session, f"{LIST} | wc -l").strip() == "3"
    world.delete(session, f"{UPLOADS}/a")
    world.delete(session, f"{UPLOADS}/b")
    world.add(session, b"new", "/b")  # as long as the one before
    world.stop()
    world.start()
    assert world.bash(session, f"{LIST}; cat b").split() == ["b", "c", "new"]


def test_a_copy_that_was_deleted_is_the_sessions_error(world: World) -> None:
    session = world.session(a=b"one")
    (copy,) = world.sdk.beta.files.list(scope_id=session, betas=BETAS)
    world.sdk.beta.files.delete(copy.id, betas=BETAS)
    events = world.events(session, "echo ran")
    (error,) = [event.error for event in events if event.type == "session.error"]
    assert error.message == (
        f"The file {copy.id}, a resource of this session that is mounted at {UPLOADS}/a, was "
        "deleted. Delete the resource too, or add the file again."
    )
    (result,) = [event for event in events if event.type == "agent.tool_result"]
    assert result.is_error
    world.delete(session, f"{UPLOADS}/a")
    assert world.bash(session, "echo ran") == "ran"


def test_a_sandbox_that_takes_anothers_place_has_them_too(tmp_path: Path) -> None:
    machines = ScriptedSandboxProvider()
    world = World(tmp_path, lambda: machines)
    try:
        session = world.session(a=b"one")
        world.bash(session, "true")
        machines.lose(session)
        assert world.bash(session, f"cat {UPLOADS}/a") == "one"
    finally:
        world.stop()
