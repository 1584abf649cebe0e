"""SIGKILL of each part in the middle of each thing that is done with a sandbox.

===================== ============= ============= ============= =============
in the middle of      server        engine        container     gate
===================== ============= ============= ============= =============
package build         here [1]      here          here          no part in it
files furnished       here [2]      here          here          no part in it
clone                 here          here          here          no part in it
push through the gate here          here          here          here [3]
skills furnished      here          here          here          no part in it
memories synced       here [4]      here          here          no part in it
outputs harvested     here [5]      here          here          no part in it
stop and resume       [6]           [6]           [6]           [3]
checkpoint, restore   [6]           [6]           [6]           [3]
===================== ============= ============= ============= =============

[1] also ``tests/contract/test_docker_packages.py``; [2] also ``test_kill_resources.py``, for
process sandboxes; [3] also ``tests/security/test_egress_lifecycle.py``: a gate that dies while its
sandbox rests, or with everything at once; [4] also ``test_kill_memory.py``, at random and with a
client that writes at the same time; [5] also ``tests/api/test_output_files.py``, for process
sandboxes; [6] ``test_kill_sandboxes.py``. The calls of a turn as such: ``test_kill.py`` and
``test_kill_whole_turn.py``; MCP: ``test_kill_mcp.py``; uploads: ``test_kill_files.py``.

After each kill what died is started again. Then the turn ends; a call that failed says that it was
lost or could not be begun; the next turn finds all in order; nothing that a result acknowledged is
gone, nothing is there twice. ``FREEHOLD_TEST_KILLS`` is how often each cell is played.
"""

from __future__ import annotations

import contextlib
import http.server
import io
import json
import os
import random
import secrets
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from freehold.harness.tools import LOST, NOT_STARTED
from tests.crash.support import Event, check_database, check_order, dice, how_often, until, user
from tests.support.certificates import Authority
from tests.support.git_server import GitServer
from tests.support.own_engine import OwnEngine, own_engine
from tests.support.running import ServerProcess, client_of

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]

KILLS = how_often(1)
USUAL = {
    ("test_package_build", "container"),
    ("test_files", "server"),
    ("test_clone", "engine"),
    ("test_push", "gate"),
    ("test_push", "server"),
    ("test_skills", "container"),
    ("test_memories", "server"),
    ("test_outputs", "server"),
}
"""What is played without ``FREEHOLD_TEST_KILLS``."""
RIGHT = (
    LOST,
    NOT_STARTED,
    "the sandbox was restarted while this call was running",
    # What git says of a connection that ends.
    "RPC failed",
    "unable to access",
)
"""What a call that failed says."""
TOKEN = "tok-4711"
OUT = "/mnt/session/outputs"
LARGE = bytes(range(256)) * 40_000
TOOLSET = {"type": "agent_toolset_20260401"}
BETAS = ["managed-agents-2026-04-01", "files-api-2025-04-14"]


class Index:
    """A package index with one package, which is sent once ``hold`` is set."""

    def __init__(self, address: str) -> None:
        index = self
        self.hold = threading.Event()
        self.asked = 0
        name = "crossing-1.0-py3-none-any.whl"
        wheel = io.BytesIO()
        with zipfile.ZipFile(wheel, "w") as packed:
            told = "crossing-1.0.dist-info"
            packed.writestr("crossing.py", "there = True\n")
            packed.writestr(
                f"{told}/METADATA", "Metadata-Version: 2.1\nName: crossing\nVersion: 1.0\n"
            )
            tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            packed.writestr(f"{told}/WHEEL", tag)
            packed.writestr(f"{told}/RECORD", "")

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = f'<a href="/{name}">{name}</a>'.encode()
                if self.path.endswith(".whl"):
                    index.asked += 1
                    index.hold.wait(60)
                    page = wheel.getvalue()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(page)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class World:
    """An engine, a server on it, a git host and a package index, all of our own."""

    def __init__(
        self, engine: OwnEngine, process: ServerProcess, git: GitServer, index: Index
    ) -> None:
        self.engine, self.process, self.git, self.index = engine, process, git, index
        self.docker = docker.DockerClient(base_url=engine.host)
        self.sdk = client_of(process.url, max_retries=8)
        self.rng: random.Random = dice()
        self.agent = self.sdk.beta.agents.create(
            name="crash",
            model="claude-opus-5",
            tools=[TOOLSET],  # type: ignore[list-item]
        ).id
        self.environment = self.sdk.beta.environments.create(
            name="limited",
            config={"type": "cloud", "networking": {"type": "limited", "allowed_hosts": []}},
        ).id

    def session(self, *resources: Any, **given: Any) -> str:
        wanted = {"agent": self.agent, "environment_id": self.environment, **given}
        return self.sdk.beta.sessions.create(resources=list(resources), **wanted).id

    def repository(self) -> tuple[str, Any]:
        """A fresh one; its name and the resource."""
        name = f"ada/r{secrets.token_hex(4)}"
        self.git.create(name, TOKEN)
        url = f"https://{self.engine.outside}/{name}"
        return name, {
            "type": "github_repository",
            "url": url,
            "authorization_token": TOKEN,
            "mount_path": "/workspace/r",
        }

    def begin(self, session: str, command: str) -> None:
        text = f"/tool bash {json.dumps({'command': command})}"
        self.sdk.beta.sessions.events.send(session, events=[user(text)])  # type: ignore[list-item]

    def events(self, session: str) -> list[Event]:
        return [event.to_dict() for event in self.sdk.beta.sessions.events.list(session)]

    def finish(self, session: str) -> tuple[bool, str]:
        """Wait for the end of the turn; whether its call was answered as done, and the answer."""
        until(lambda: self.sdk.beta.sessions.retrieve(session).status == "idle", "no end")
        events = self.events(session)
        check_order(events)
        uses = [event["id"] for event in events if event["type"] == "agent.tool_use"]
        results = [event for event in events if event["type"] == "agent.tool_result"]
        assert [event["tool_use_id"] for event in results] == uses, events
        text = "".join(block.get("text", "") for block in results[-1]["content"])
        failed = bool(results[-1].get("is_error"))
        if failed:
            assert any(words in text for words in RIGHT), text
        if text == NOT_STARTED:
            (error,) = [e["error"] for e in events[-6:] if e["type"] == "session.error"]
            assert error["type"] == "unknown_error", error
            assert error["retry_status"] == {"type": "exhausted"}, error
        return not failed, text

    def turn(self, session: str, command: str) -> str:
        """A turn that goes well."""
        self.begin(session, command)
        done, text = self.finish(session)
        assert done, (text, [e.get("error") for e in self.events(session)[-6:]])
        return text

    def _containers(self, end: str) -> list[Any]:
        listed = self.docker.containers.list(ignore_removed=True)
        return [one for one in listed if str(one.name).endswith(end)]

    def left(self) -> list[str]:
        """The containers of sessions and builds that there are, running or not."""
        listed = self.docker.containers.list(all=True, ignore_removed=True)
        gate = "dev.freehold.gate"
        return [str(one.name) for one in listed if gate not in one.labels]

    def runs(self, session: str) -> bool:
        return bool(self._containers(session))

    def kill(self, victim: str, session: str) -> None:
        """Kill, and start again what nobody else does."""
        if victim == "server":
            self.process.kill()
            self.process.start()
        elif victim == "engine":
            self.engine.kill()
            self.engine.start()
        else:
            label = {"gate": "dev.freehold.gate=gate", "builder": "dev.freehold.packages.owner"}
            found = (
                self.docker.containers.list(filters={"label": label[victim]}, ignore_removed=True)
                if victim in label
                else self._containers(session)
            )
            for container in found:
                # It may just end by itself.
                with contextlib.suppress(docker.errors.APIError):
                    container.kill("KILL")

    def crossed(
        self,
        victim: str,
        session: str,
        command: str,
        middle: Callable[[], Any],
        *,
        spread: float = 0.3,
        release: threading.Event | None = None,
    ) -> tuple[bool, str]:
        """Begin a call, kill in the middle, and see its end."""
        self.begin(session, command)
        until(middle, "never in the middle")
        time.sleep(self.rng.uniform(0, spread))
        self.kill(victim, session)
        if release is not None:
            release.set()
        return self.finish(session)

    def listed(self, session: str, kind: str) -> bool:
        return any(event["type"] == kind for event in self.events(session))


@pytest.fixture(scope="module")
def world(
    docker_image: str, gate_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("crossings")
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(own_engine())
        engine.load(docker_image, gate_image)
        authority = Authority(folder, "git")
        (folder / "Dockerfile").write_text(
            f"FROM {gate_image}\nUSER root\nCOPY git.pem /tmp/ca.pem\n"
            "RUN cat /tmp/ca.pem >> /etc/ssl/certs/ca-certificates.crt\nUSER 1000:1000\n"
        )
        engine.run("build", "-q", "--network=none", "-t", "freehold-gate:own", str(folder))
        git = GitServer(folder / "git")
        tls = authority.certificate(engine.outside).context()
        stack.enter_context(git.serving(tls, engine.listening, 443))
        index = Index(engine.listening)
        stack.callback(index.server.shutdown)
        process = ServerProcess(
            folder / "data",
            DOCKER_HOST=engine.host,
            FREEHOLD_SANDBOX="docker",
            FREEHOLD_SANDBOX_IMAGE=docker_image,
            FREEHOLD_GATE_IMAGE="freehold-gate:own",
            FREEHOLD_TRUSTED_NETWORKS=f"{engine.outside}/32",
            FREEHOLD_GIT_HOSTS=engine.outside,
            FREEHOLD_EXTRA_CA_CERTS=str(authority.file),
            PIP_INDEX_URL=f"http://{engine.outside}:{index.port}/simple",
            PIP_TRUSTED_HOST=engine.outside,
            **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), ""),
        )
        stack.enter_context(process)
        made = World(engine, process, git, index)
        stack.callback(made.docker.close)
        yield made
        for session in made.sdk.beta.sessions.list():
            made.sdk.beta.sessions.delete(session.id)
        # Nothing is left but the gate, whatever was killed.
        until(lambda: not made.left(), "a container is left")
        made.sdk.close()
        process.stop()
        check_database(folder / "data" / "freehold.db")


@pytest.fixture(params=["server", "engine", "container"])
def victim(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _played(request: pytest.FixtureRequest) -> None:
    """All cells take ten minutes; without being asked, each row and each victim has its turn."""
    cell = (request.node.originalname, request.node.callspec.params["victim"])
    if "FREEHOLD_TEST_KILLS" not in os.environ and cell not in USUAL:
        pytest.skip("FREEHOLD_TEST_KILLS plays every cell")


@pytest.mark.parametrize("round_", range(KILLS))
def test_package_build(world: World, victim: str, round_: int) -> None:
    world.index.hold.clear()
    asked = world.index.asked
    # The same to pip, and another environment to the server.
    packages = {"pip": ["crossing==1.0" + ".0" * (asked + 1)]}
    environment = world.sdk.beta.environments.create(
        name="packed", config={"type": "cloud", "packages": packages}
    ).id
    session = world.session(environment_id=environment)
    done, text = world.crossed(
        "builder" if victim == "container" else victim,
        session,
        "python -c 'import crossing; print(crossing.there)'",
        lambda: world.index.asked > asked,
        release=world.index.hold,
    )
    assert not done or text == "True"
    again = world.session(environment_id=environment)
    assert world.turn(again, "python -c 'import crossing; print(crossing.there)'") == "True"
    assert world.turn(session, "echo on") == "on"


@pytest.mark.parametrize("round_", range(KILLS))
def test_files(world: World, victim: str, round_: int) -> None:
    made = world.sdk.beta.files.upload(file=("large", LARGE)).id
    session = world.session({"type": "file", "file_id": made, "mount_path": "/large"})
    size = "wc -c < /mnt/session/uploads/large; md5sum < /mnt/session/uploads/large"
    done, text = world.crossed(victim, session, size, lambda: world.runs(session))
    expected = world.turn(session, size)
    assert expected.startswith(str(len(LARGE)))
    assert not done or text.endswith(expected)


@pytest.mark.parametrize("round_", range(KILLS))
def test_clone(world: World, victim: str, round_: int) -> None:
    name, resource = world.repository()
    session = world.session(resource)
    world.git.hold = threading.Event()
    sent = world.git.packs_sent()
    look = "cd /workspace/r && cat README.md && git status -sb && git fsck 2>&1"
    done, text = world.crossed(
        victim, session, look, lambda: world.git.packs_sent() > sent, release=world.git.hold
    )
    expected = f"# {name}\n## main...origin/main"
    assert not done or text.endswith(expected)
    assert world.turn(session, look).endswith(expected)


@pytest.mark.parametrize("round_", range(KILLS))
@pytest.mark.parametrize("victim", ["server", "engine", "container", "gate"])
def test_push(world: World, victim: str, round_: int) -> None:
    name, resource = world.repository()
    session = world.session(resource)
    assert world.turn(session, "cd /workspace/r && git status -sb").endswith(
        "## main...origin/main"
    )
    world.git.hold_pushes = threading.Event()
    begun = len(world.git.requests)
    commit = "git -c user.name=A -c user.email=a@b commit -qm {} --allow-empty"
    done, text = world.crossed(
        victim,
        session,
        f"cd /workspace/r && {commit.format('one')}; git push -q 2>&1 && echo PUSHED",
        lambda: any(path.endswith("/git-receive-pack") for path, _ in world.git.requests[begun:]),
        release=world.git.hold_pushes,
    )
    world.git.hold_pushes = None
    if done and text.endswith("PUSHED"):
        assert world.git.head(name) == world.turn(session, "git -C /workspace/r rev-parse HEAD")
    push = "git pull -q --rebase 2>&1; git push -q 2>&1; git status -sb; git log --format=%s"
    after = world.turn(session, f"cd /workspace/r && {push}").splitlines()
    # Its commit has arrived once, whether or not the push was told to be done; where the call is
    # told to be lost it may not have been made.
    assert after[-1] == "change", after
    assert after.count("one") == 1 or (not done and after.count("one") == 0), after
    assert world.git.head(name) == world.turn(session, "git -C /workspace/r rev-parse HEAD")


@pytest.mark.parametrize("round_", range(KILLS))
def test_skills(world: World, victim: str, round_: int) -> None:
    skill = f"s{secrets.token_hex(4)}"
    head = f"---\nname: {skill}\ndescription: Does things.\n---\n".encode()
    parts: list[Any] = [(f"{skill}/p/{n}.txt", f"{n}\n".encode()) for n in range(150)]
    made = world.sdk.beta.skills.create(files=[(f"{skill}/SKILL.md", head), *parts])
    agent = world.sdk.beta.agents.create(
        name="skilled",
        model="claude-opus-5",
        tools=[TOOLSET],  # type: ignore[list-item]
        skills=[{"type": "custom", "skill_id": made.id}],
    ).id
    session = world.session(agent=agent)
    look = f"cd $(dirname $(find / -path '*/{skill}/SKILL.md' 2>&-)) && cat p/* | sort -n | md5sum"
    look += " && find . -type f | wc -l"
    done, text = world.crossed(victim, session, look, lambda: world.runs(session))
    after = world.turn(session, look)
    assert after.endswith("\n151")
    assert not done or text.endswith(after)


@pytest.mark.parametrize("round_", range(KILLS))
def test_memories(world: World, victim: str, round_: int) -> None:
    store = world.sdk.beta.memory_stores.create(name="Notes").id
    memories = world.sdk.beta.memory_stores.memories
    for number in range(20):
        memories.create(store, path=f"/old-{number}.md", content=f"{number}")
    session = world.session({"type": "memory_store", "memory_store_id": store})
    here = "/mnt/memory/notes"
    write = f"cd {here}; for n in $(seq 20); do echo n$n >> new-$n.md; rm -f old-$n.md; done"
    done, _ = world.crossed(
        victim, session, write, lambda: world.listed(session, "agent.tool_use"), spread=1.0
    )
    world.turn(session, "true")
    found = {m.path: m.content for m in memories.list(store, view="full") if m.type == "memory"}
    new = {f"/new-{n}.md": f"n{n}\n" for n in range(1, 21)}
    written = {"/old-0.md": "0", **new}
    if done:
        assert found == written
    else:
        # Some of it, and each memory as a whole.
        old = {f"/old-{n}.md": f"{n}" for n in range(20)}
        assert found.items() <= {**old, **new}.items()
        assert "/old-0.md" in found
    shown = world.turn(session, f"cd {here} && find . -type f | wc -l")
    assert shown.endswith(str(len(found)))
    versions = list(world.sdk.beta.memory_stores.memory_versions.list(store))
    told = [(version.path, version.operation) for version in versions]
    assert len(told) == len(set(told))


@pytest.mark.parametrize("round_", range(KILLS))
def test_outputs(world: World, victim: str, round_: int) -> None:
    session = world.session()
    world.turn(session, "true")
    write = f"for n in $(seq 8); do head -c 400000 /dev/zero | tr '\\0' $n > {OUT}/$n; done"
    done, _ = world.crossed(
        victim,
        session,
        write,
        lambda: sum(e["type"] == "agent.tool_result" for e in world.events(session)) > 1,
        spread=0.4,
    )
    assert done
    world.turn(session, "true")
    found = list(world.sdk.beta.files.list(scope_id=session, betas=BETAS))
    assert sorted(str(file.filename) for file in found) == [str(n) for n in range(1, 9)]
    for file in found:
        content = world.sdk.beta.files.download(file.id, betas=BETAS).read()
        assert content == str(file.filename).encode() * 400_000
