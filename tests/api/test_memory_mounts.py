"""Memory stores in sessions: what the agent finds, what comes of what it writes, who sees it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic

from freehold.app import create_app
from freehold.models import ScriptedModel
from freehold.ports.model import ModelEvent, ModelRequest
from freehold.ports.sandbox import SandboxProvider
from freehold.sandbox.process import ProcessSandboxProvider, bubblewrap_works
from freehold.sandbox.scripted import ScriptedSandboxProvider
from freehold.settings import Settings
from tests.api.conftest import said, turn
from tests.support.running import serve_app


class Listening(ScriptedModel):
    def __init__(self) -> None:
        super().__init__()
        self.requests: list[ModelRequest] = []

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        self.requests.append(request)
        async for event in super().stream(request):
            yield event


class World:
    """A server whose sandboxes are of one kind, and can be started again on the same ones."""

    def __init__(self, data_dir: Path, sandboxes: Callable[[], SandboxProvider]) -> None:
        self.model = Listening()
        self.data_dir = data_dir
        self._settings = Settings(data_dir=data_dir, model="scripted", scripted_latency=0)
        self._sandboxes = sandboxes
        self._serving: Any = None
        self.start()

    def start(self) -> None:
        app = create_app(self._settings, model=self.model, sandboxes=self._sandboxes())
        self._serving = serve_app(app)
        self.sdk: Anthropic = self._serving.__enter__().client()

    def stop(self) -> None:
        self.sdk.close()
        self._serving.__exit__(None, None, None)

    def restart(self) -> None:
        self.stop()
        self.start()

    def store(self, name: str = "Notes", **files: str) -> str:
        """A store, with memories at these paths (``_`` is ``/``, ``__`` a dot)."""
        made = self.sdk.beta.memory_stores.create(name=name, description=f"all about {name}")
        for path, content in files.items():
            self.put(made.id, "/" + path.replace("__", ".").replace("_", "/"), content)
        return made.id

    def put(self, store: str, path: str, content: str) -> None:
        """Write a memory as a client does, whether or not it is there."""
        memories = self.sdk.beta.memory_stores.memories
        for memory in memories.list(store):
            if memory.type == "memory" and memory.path == path:
                memories.update(memory.id, memory_store_id=store, content=content)
                return
        memories.create(store, path=path, content=content)

    def contents(self, store: str) -> dict[str, str]:
        memories = self.sdk.beta.memory_stores.memories.list(store, view="full")
        return {memory.path: memory.content for memory in memories if memory.type == "memory"}

    def versions(self, store: str) -> list[tuple[str, str | None, str]]:
        """Oldest first."""
        found = self.sdk.beta.memory_stores.memory_versions.list(store)
        told = [(v.operation, v.path, getattr(v.created_by, "session_id", "client")) for v in found]
        return list(reversed(told))

    def session(self, *stores: str | dict[str, Any]) -> str:
        agent = self.sdk.beta.agents.create(
            name="Ada", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
        )
        environment = self.sdk.beta.environments.create(name=f"e{len(self.model.requests)}")
        resources: list[Any] = [
            {"type": "memory_store", **({"memory_store_id": s} if isinstance(s, str) else s)}
            for s in stores
        ]
        made = self.sdk.beta.sessions.create(
            agent=agent.id, environment_id=environment.id, resources=resources
        )
        return made.id

    def call(self, session: str, tool: str, **given: Any) -> str:
        """The text of a tool's result, all its blocks."""
        events = turn(self.sdk, session, said(f"/tool {tool} {json.dumps(given)}"))
        assert not [event for event in events if event.type == "session.error"], events
        results = [event for event in events if event.type == "agent.tool_result"]
        return "\n".join(block.text for block in results[-1].content)

    def behind(self, session: str, path: str, content: str) -> None:
        """Write a file in the sandbox while no call runs, as a process left behind would."""
        provider = self._sandboxes()
        if isinstance(provider, ScriptedSandboxProvider):
            provider._machines[session].files.write(path, content.encode())
        elif isinstance(provider, ProcessSandboxProvider):
            (place,) = self.data_dir.rglob(path.rsplit("/", 1)[-1])
            place.write_text(content, encoding="utf-8")
        else:
            pytest.skip("no way into a container is made for this")

    def bash(self, session: str, command: str) -> str:
        return self.call(session, "bash", command=command)


@contextlib.contextmanager
def _world(kind: str, tmp: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    data_dir = tmp / "data"
    if kind == "process":
        if not bubblewrap_works():
            pytest.skip("bubblewrap may not make a sandbox here")
        made = World(data_dir, lambda: ProcessSandboxProvider(data_dir))
    elif kind == "docker":
        from freehold.sandbox.docker import DockerSandboxProvider

        image = request.getfixturevalue("docker_image")
        made = World(data_dir, lambda: DockerSandboxProvider(owner=data_dir.name, image=image))
    else:
        machines = ScriptedSandboxProvider()
        made = World(data_dir, machines.reopened)
    try:
        yield made
    finally:
        for session in made.sdk.beta.sessions.list():
            made.sdk.beta.sessions.delete(session.id)
        made.stop()


@pytest.fixture(
    scope="module",
    params=["scripted", "process", pytest.param("docker", marks=pytest.mark.docker)],
)
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    with _world(request.param, tmp_path_factory.mktemp("memory"), request) as made:
        yield made


@pytest.fixture(
    scope="module", params=["process", pytest.param("docker", marks=pytest.mark.docker)]
)
def machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A world whose sandboxes are real machines."""
    with _world(request.param, tmp_path_factory.mktemp("memory"), request) as made:
        yield made


HERE = "/mnt/memory/notes"


def test_what_one_session_writes_the_next_one_reads(world: World) -> None:
    store = world.store(known__md="from before")
    first = world.session(store)
    assert world.bash(first, f"cat {HERE}/known.md") == "from before"
    world.call(first, "write", file_path=f"{HERE}/people/ada.md", content="likes tea\n")
    world.bash(first, f"echo more >> {HERE}/known.md; echo x > /workspace/not-a-memory")
    assert world.contents(store) == {
        "/known.md": "from beforemore\n",
        "/people/ada.md": "likes tea\n",
    }
    assert world.versions(store) == [
        ("created", "/known.md", "client"),
        ("created", "/people/ada.md", first),
        ("modified", "/known.md", first),
    ]
    second = world.session(store)
    assert world.bash(second, f"cat {HERE}/known.md {HERE}/people/ada.md").splitlines() == [
        "from beforemore",
        "likes tea",
    ]
    world.bash(second, f"rm -r {HERE}/people")
    assert set(world.contents(store)) == {"/known.md"}
    assert world.versions(store)[-1] == ("deleted", "/people/ada.md", second)


def test_sessions_share_a_store_while_they_live(world: World) -> None:
    store = world.store(plan__md="1\n2\n3\n")
    one, two = world.session(store), world.session(store)
    world.bash(one, "true")
    world.bash(two, "true")
    world.bash(one, f"echo new > {HERE}/new.md")
    assert world.bash(two, f"cat {HERE}/new.md").strip() == "new"
    world.bash(two, f"rm {HERE}/new.md; echo 4 >> {HERE}/plan.md")
    world.put(store, "/from/client.md", "hello")
    seen = world.bash(one, f"ls {HERE}; cat {HERE}/plan.md {HERE}/from/client.md")
    assert seen.split() == ["from", "plan.md", "1", "2", "3", "4", "hello"]
    assert world.call(two, "read", file_path=f"{HERE}/from/client.md") == "hello"


def test_what_both_change_is_kept_and_told(world: World) -> None:
    store = world.store(a__md="base\n", b__md="1\n2\n3\n", c__md="c", d__md="d")
    session = world.session(store)
    world.bash(session, "true")
    # What the agent left running changes its files after the turn, as others change theirs.
    world.behind(session, f"{HERE}/a.md", "mine\n")
    world.behind(session, f"{HERE}/b.md", "1\n2\nthree\n")
    world.put(store, "/a.md", "theirs\n")
    world.put(store, "/b.md", "one\n2\n3\n")
    world.put(store, "/c.md", "seen before it is overwritten")
    told = world.bash(session, f"echo after > {HERE}/c.md; cat {HERE}/a.md")
    contents = world.contents(store)
    (aside,) = set(contents) - {"/a.md", "/b.md", "/c.md", "/d.md"}
    assert contents == {
        "/a.md": "theirs\n",
        "/b.md": "one\n2\nthree\n",
        "/c.md": "after\n",
        "/d.md": "d",
        aside: "mine\n",
    }
    assert f"{HERE}/a.md: it was changed elsewhere at the same time" in told
    assert f"kept as {HERE}{aside}." in told
    assert f"{HERE}/b.md: it was changed elsewhere in the meantime" in told
    seen = world.bash(session, f"cat {HERE}/a.md {HERE}{aside} {HERE}/b.md")
    assert seen.split() == ["theirs", "mine", "one", "2", "three"]
    assert len(world.versions(store)) == 4 + 3 + 3


def test_read_only_stores_refuse_writes_and_follow_their_store(world: World) -> None:
    store = world.store(rules__md="obey", deep_er__md="x")
    session = world.session({"memory_store_id": store, "access": "read_only"})
    for command in (
        f"echo no > {HERE}/rules.md",
        f"echo no > {HERE}/other.md",
        f"rm -rf {HERE}/rules.md {HERE}",
        f"mkdir {HERE}/folder",
        f"chmod -R 777 /mnt/memory; echo no > {HERE}/rules.md",
    ):
        world.bash(session, command)
        assert world.call(session, "read", file_path=f"{HERE}/rules.md") == "obey"
    refused = world.call(session, "write", file_path=f"{HERE}/rules.md", content="no")
    assert "write" in refused
    world.put(store, "/rules.md", "obey more")
    (memory,) = world.sdk.beta.memory_stores.memories.list(store, path_prefix="/deep/")
    world.sdk.beta.memory_stores.memories.delete(memory.id, memory_store_id=store)
    assert world.bash(session, f"ls {HERE}; cat {HERE}/rules.md").split() == [
        "rules.md",
        "obey",
        "more",
    ]
    assert all(actor == "client" for _, _, actor in world.versions(store))


def test_the_prompt_names_the_stores_as_they_were(world: World) -> None:
    own, shared = world.store("Own Notes"), world.store("Own notes")
    session = world.session(
        {"memory_store_id": own, "instructions": "Write here."},
        {"memory_store_id": shared, "access": "read_only"},
    )
    world.bash(session, "true")
    world.sdk.beta.memory_stores.update(own, name="Other", description="other")
    world.bash(session, "true")
    systems = [[block["text"] for block in r.system] for r in world.model.requests[-4:]]
    assert all(system == systems[0] for system in systems)
    assert systems[0][-1] == (
        "Available stores (write only inside the directories listed below):\n"
        ' - "Own Notes" → /mnt/memory/own-notes/ (read-write): all about Own Notes\n'
        "Write here.\n"
        ' - "Own notes" → /mnt/memory/own-notes-2/ (read-only): all about Own notes'
    )
    assert world.bash(session, "ls /mnt/memory").split() == ["own-notes", "own-notes-2"]


def test_what_no_memory_can_be_is_told_and_fails_nothing(world: World) -> None:
    store = world.store()
    session = world.session(store)
    big = "x" * 102_401
    told = world.call(session, "write", file_path=f"{HERE}/big.md", content=big)
    assert f"{HERE}/big.md: not stored" in told
    assert "102400 bytes" in told
    assert "not stored" not in world.bash(session, "true")
    assert world.contents(store) == {}
    world.bash(session, f"echo small > {HERE}/big.md")
    assert world.contents(store) == {"/big.md": "small\n"}


def test_an_archived_and_a_deleted_store(world: World) -> None:
    archived, deleted = world.store("Archived", a="1"), world.store("Deleted", a="1")
    session = world.session(archived, deleted)
    world.bash(session, "true")
    world.sdk.beta.memory_stores.archive(archived)
    world.sdk.beta.memory_stores.delete(deleted)
    told = world.bash(session, "echo 2 > /mnt/memory/archived/a; echo 2 > /mnt/memory/deleted/a")
    assert "/mnt/memory/archived/a: not stored" in told
    assert "cannot modify archived resource" in told
    assert "/mnt/memory/deleted: the store was deleted" in told
    assert world.contents(archived) == {"/a": "1"}
    assert world.bash(session, "cat /mnt/memory/deleted/a").strip() == "2"


def test_a_restarted_server_takes_it_up(world: World) -> None:
    store = world.store(a__md="1", gone__md="x")
    session = world.session(store)
    world.bash(session, f"echo 2 > {HERE}/a.md; rm {HERE}/gone.md")
    world.restart()
    world.put(store, "/b.md", "new\n")
    assert world.bash(session, f"cat {HERE}/a.md {HERE}/b.md; ls {HERE}").split() == [
        "2",
        "new",
        "a.md",
        "b.md",
    ]
    world.bash(session, f"echo 3 > {HERE}/a.md")
    assert world.contents(store) == {"/a.md": "3\n", "/b.md": "new\n"}
    assert len(world.versions(store)) == 6


def test_plain_processes_cannot_keep_them(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    world = World(data_dir, lambda: ProcessSandboxProvider(data_dir, plain=True))
    try:
        store = world.store()
        with pytest.raises(Exception, match="bubblewrap or use Docker"):
            world.session(store)
    finally:
        world.stop()


class TestWhatAgentsDo:
    def test_links_devices_and_names_hurt_nobody(self, machine: World) -> None:
        store = machine.store(kept__md="kept", d_x__md="kept")
        session = machine.session(store)
        told = machine.bash(
            session,
            f"cd {HERE} && ln -s /etc/passwd link && ln -s / root && mkfifo pipe && "
            "printf secret > /tmp/secret && ln /tmp/secret hard; printf x > $'bad\\xff'; "
            "rm kept.md; ln -s /etc/hostname kept.md; mv d /tmp/d; ln -s /tmp/d d; "
            "printf '\\377' > binary; echo fine > fine.md; truncate -s 1T huge",
        )
        contents = machine.contents(store)
        contents.pop("/hard", None)  # an ordinary file, where hard links across are possible
        assert contents == {"/kept.md": "kept", "/d/x.md": "kept", "/fine.md": "fine\n"}
        for part in ("/kept.md: it is not a regular", "/binary: not stored", "/huge: not stored"):
            assert part in told
        assert "names are not UTF-8" in told
        assert "passwd" not in told

    def test_closed_folders_are_not_deleted_ones(self, machine: World) -> None:
        store = machine.store(d_x__md="kept", e__md="kept")
        session = machine.session(store)
        machine.bash(session, f"chmod 000 {HERE}/d {HERE}/e.md; true")
        machine.bash(session, f"chmod 000 {HERE}; true")
        assert machine.contents(store) == {"/d/x.md": "kept", "/e.md": "kept"}
        machine.bash(session, f"chmod 755 {HERE} {HERE}/d; chmod 644 {HERE}/e.md; rm -r {HERE}/d")
        assert machine.contents(store) == {"/e.md": "kept"}

    def test_a_hundred_thousand_files(self, machine: World) -> None:
        store = machine.store(a__md="kept")
        session = machine.session(store)
        told = machine.bash(session, f"cd {HERE}; seq 100000 | xargs touch")
        assert "nothing in it is stored while it is so full" in told
        assert machine.contents(store) == {"/a.md": "kept"}
        assert "so full" not in machine.bash(session, "true")
        machine.bash(session, f"cd {HERE}; seq 100000 | xargs rm; echo after > b.md")
        assert machine.contents(store) == {"/a.md": "kept", "/b.md": "after\n"}

    def test_renames_and_folders_in_the_place_of_files(self, machine: World) -> None:
        store = machine.store(a__md="a", d_x__md="x", d_y__md="y")
        one, two = machine.session(store), machine.session(store)
        machine.bash(two, "true")
        machine.bash(one, f"cd {HERE}; mv d e; rm a.md; mkdir a.md; echo in > a.md/in")
        expected = {"/e/x.md": "x", "/e/y.md": "y", "/a.md/in": "in\n"}
        assert machine.contents(store) == expected
        assert machine.bash(two, f"cd {HERE}; find . -type f | sort").split() == [
            "./a.md/in",
            "./e/x.md",
            "./e/y.md",
        ]
        assert machine.bash(two, f"ls {HERE}").split() == ["a.md", "e"]

    def test_what_is_written_in_the_background_comes_with_the_turns_end(
        self, machine: World
    ) -> None:
        store = machine.store()
        session = machine.session(store)
        steps = [
            ("bash", {"command": f"(sleep 0.5; echo late > {HERE}/late.md) > /dev/null 2>&1 &"}),
            ("read", {"file_path": "/etc/hostname"}),
        ]
        script = [f"/tool {tool} {json.dumps(given)}" for tool, given in steps]
        turn(machine.sdk, session, said("\n/then\n".join([*script, "/wait 1"])))
        assert machine.contents(store) == {"/late.md": "late\n"}
