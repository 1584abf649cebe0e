"""All that a session's sandbox is promised, at once: what no test of one part alone shows.

A server as a user runs it, Docker sandboxes behind the egress gate, the scripted model, a git host
of our own, and the official SDK.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sqlite3
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest

from tests.api.conftest import said, turn
from tests.crash.support import until
from tests.docker_engine import with_stand_ins
from tests.docker_git import GitHost, git_host
from tests.support.running import BETA, ServerProcess, client_of

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

FIRST, SECOND, VALUE = "tok-canary-4711", "tok-canary-0815", "tok-canary-1234"
ENCODED = "eC1hY2Nlc3MtdG9rZW46"  # base64 of "x-access-token:"
ROOT = Path(__file__).parents[2]
XLSX: Any = {"type": "anthropic", "skill_id": "xlsx"}
TOOLSET: Any = {"type": "agent_toolset_20260401"}
PACKAGES: Any = {
    "apt": ["hello"],
    "cargo": ["ripgrep@14.0.0"],
    "gem": ["rake:13.0.0"],
    "go": ["example.com/tool@v1.2.3"],
    "npm": ["is-odd@3.0.1"],
    "pip": ["six==1.16.0"],
}
LIMITED: Any = {"type": "limited", "allowed_hosts": [], "allow_package_managers": True}
SKILL = b"---\nname: greeting\ndescription: Greets.\n---\nRun scripts/greet.sh NAME.\n"
GREET = b"#!/bin/sh\necho hello $1, says the skill\n"
OUT, UPLOADS = "/mnt/session/outputs", "/mnt/session/uploads"
FILES_API = ["managed-agents-2026-04-01", "files-api-2025-04-14"]


class World:
    """A server process and a git host, which only the gate of its sandboxes reaches."""

    def __init__(self, client: DockerClient, git: GitHost, folder: Path, image: str) -> None:
        self.docker, self.git, self.data = client, git, folder / "data"
        self._process: ServerProcess | None = None
        self._variables = {
            "FREEHOLD_SANDBOX": "docker",
            "FREEHOLD_SANDBOX_IMAGE": image,
            "FREEHOLD_GATE_IMAGE": git.gate_image,
            "FREEHOLD_GATE_NETWORK": git.network,
            "FREEHOLD_GIT_HOSTS": git.address,
            "FREEHOLD_EXTRA_CA_CERTS": str(git.authority.file),
            "FREEHOLD_TRUSTED_NETWORKS": ",".join([f"{git.address}/32", *_mirrors(client, image)]),
            "FREEHOLD_CHECKPOINT_EVERY": "0",
            "FREEHOLD_SANDBOX_IDLE_STOP": "0",
        }

    @property
    def process(self) -> ServerProcess:
        assert self._process is not None
        return self._process

    def start(self, **variables: str) -> None:
        self._process = ServerProcess(self.data, **{**self._variables, **variables})
        self._process.start()
        self.sdk = client_of(self._process.url, timeout=300)

    def end(self) -> None:
        with contextlib.suppress(Exception):
            for session in self.sdk.beta.sessions.list():
                self.sdk.beta.sessions.delete(session.id)
        self.sdk.close()
        self.process.stop(60)

    def environment(self, **config: Any) -> str:
        made = self.sdk.beta.environments.create(
            name=f"e{time.monotonic_ns()}", config={"type": "cloud", **config}
        )
        return made.id

    def session(self, environment: str, *, skills: Any = (), **fields: Any) -> str:
        agent = self.sdk.beta.agents.create(
            name="Ada", model="claude-opus-5", tools=[TOOLSET], skills=list(skills)
        )
        made = self.sdk.beta.sessions.create(agent=agent.id, environment_id=environment, **fields)
        return made.id

    def turn(self, session: str, command: str) -> list[str]:
        """The texts of a bash call's result: notes, if there are any, and what it printed."""
        events = turn(self.sdk, session, said(f"/tool bash {json.dumps({'command': command})}"))
        assert [event.error for event in events if event.type == "session.error"] == []
        assert events[-1].stop_reason.type == "end_turn"
        (result,) = [event for event in events if event.type == "agent.tool_result"]
        return [block.text for block in result.content]

    def bash(self, session: str, command: str) -> str:
        """What it printed, where there is nothing else to tell."""
        (text,) = self.turn(session, command)
        return text

    def outputs(self, session: str) -> dict[str, bytes]:
        """What the session delivered, by name; each name once."""
        found = list(self.sdk.beta.files.list(scope_id=session, betas=FILES_API))
        delivered = [file for file in found if file.downloadable]
        assert len({file.filename for file in delivered}) == len(delivered)
        return {
            file.filename: self.sdk.beta.files.download(file.id, betas=FILES_API).read()
            for file in delivered
        }

    def container(self, session: str) -> Any:
        (found,) = self.docker.containers.list(
            all=True, filters={"name": session}, ignore_removed=True
        )
        return found

    def kept(self, session: str) -> bool:
        """Whether a checkpoint has all that was done."""
        with contextlib.closing(sqlite3.connect(self.data / "freehold.db")) as database:
            (state,) = database.execute(
                "select state from sessions where id = ?", [session]
            ).fetchone()
            row = database.execute(
                "select seq from session_checkpoints where session_id = ?", [session]
            ).fetchone()
        return row is not None and row[0] >= json.loads(state)["sandbox_used"]


def _mirrors(client: DockerClient, image: str) -> list[str]:
    """Ranges to trust where the registries that the image uses are at internal addresses."""
    from freehold.sandbox.docker.packages.hosts import read_package_hosts

    found = set()
    for host in read_package_hosts(client, image, "test"):
        with contextlib.suppress(OSError):
            found |= {info[4][0] for info in socket.getaddrinfo(host, 443, socket.AF_INET)}
    return sorted(f"{address}/32" for address in found if not ip_address(address).is_global)


@pytest.fixture(scope="module")
def world(
    docker_client: DockerClient,
    docker_image: str,
    gate_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    from freehold.sandbox.docker.packages.images import present

    folder = tmp_path_factory.mktemp("whole")
    repositories = {"ada/engine": {"main.py": "print('one')\n"}}
    images = (docker_image, gate_image)
    with (
        with_stand_ins(docker_client, docker_image) as image,
        git_host(docker_client, images, folder, repositories) as git,
    ):
        made = World(docker_client, git, folder, image)
        made.start()
        try:
            yield made
        finally:
            made.end()
            git.remove_gates()
            base = docker_client.images.get(image).id
            for built in present(docker_client):
                if built.base == base:
                    docker_client.images.remove(built.tag, force=True)


@pytest.fixture(scope="module")
def store(world: World) -> str:
    """A memory store with something in it."""
    made = world.sdk.beta.memory_stores.create(name="Notes", description="What was learned.")
    world.sdk.beta.memory_stores.memories.create(made.id, path="/first.md", content="known\n")
    return made.id


def test_packages_of_every_kind(world: World) -> None:
    session = world.session(world.environment(packages=PACKAGES))
    told = world.bash(
        session,
        "hello; python3 -c 'import six; print(six.__version__)';"
        " node -p \"require('$(npm root -g)/is-odd')(3)\"; grep ' as ' ~/started",
    )
    assert told.splitlines() == [
        "Hello, world!",
        "1.16.0",
        "true",
        *(f"{name} as agent in /home/agent:" for name in ("cargo", "gem", "go")),
    ]


class Story:
    """One session that has everything."""

    elsewhere = (
        "curl -sS https://elsewhere.example/; echo; curl -sS http://elsewhere.example/; echo"
    )
    refusal = ("Host not in allowlist: elsewhere.example",) * 2
    commit = "git -c user.name=A -c user.email=a@b.c commit -qam"
    push = "git push -q origin HEAD && echo pushed"

    def __init__(self, world: World, store: str) -> None:
        self.world, self.store = world, store
        world.git.allow(engine=[FIRST])
        self.environment = world.environment(networking=LIMITED, packages=PACKAGES)
        skill = world.sdk.beta.skills.create(
            files=[("greeting/SKILL.md", SKILL), ("greeting/scripts/greet.sh", GREET)]
        )
        vault = world.sdk.beta.vaults.create(display_name="variables")
        auth: Any = {
            "type": "environment_variable",
            "secret_name": "SERVICE_KEY",
            "secret_value": VALUE,
            "networking": {"type": "unrestricted"},
        }
        world.sdk.beta.vaults.credentials.create(vault.id, auth=auth)
        self.session = world.session(
            self.environment,
            skills=[{"type": "custom", "skill_id": skill.id}, XLSX],
            vault_ids=[vault.id],
            resources=[
                {"type": "file", "file_id": self.file("data.csv"), "mount_path": "/data.csv"},
                {
                    "type": "github_repository",
                    "url": world.git.url("ada/engine"),
                    "authorization_token": FIRST,
                },
                {"type": "memory_store", "memory_store_id": store, "access": "read_write"},
            ],
        )

    def file(self, name: str) -> str:
        given = (name, f"in {name}\n".encode())
        return self.world.sdk.beta.files.upload(file=given, betas=FILES_API).id

    def lines(self, command: str) -> list[str]:
        return self.world.bash(self.session, command).splitlines()

    def everything(self, upload: str) -> str:
        """A command that looks at all there is."""
        return (
            "cd /workspace/engine && git log --format=%s -2 && git status -sb && tail -1 main.py;"
            f" cd /workspace; skills/greeting/scripts/greet.sh Bob; cat {UPLOADS}/{upload};"
            f" cat /mnt/memory/notes/*; echo $SERVICE_KEY; cat {OUT}/report.txt; hello"
        )

    def finds_what_was_promised(self) -> None:
        told = self.lines(
            f"cat {UPLOADS}/data.csv; skills/greeting/scripts/greet.sh Ada; ls skills;"
            " cat /mnt/memory/notes/first.md; python3 engine/main.py; hello; echo $SERVICE_KEY;"
            " pip install -q --no-deps iniconfig==2.0.0 2>&1; python3 -c 'import iniconfig, six';"
            f" {self.elsewhere}"
        )
        self.placeholder = told[7]
        assert self.placeholder.startswith("fhsecret_")
        assert told == [
            *("in data.csv", "hello Ada, says the skill", "greeting", "xlsx", "known", "one"),
            *("Hello, world!", self.placeholder, *self.refusal),
        ]

    def works(self) -> None:
        """A commit is pushed, a memory written, an output delivered."""
        told = self.lines(
            "cd engine && echo \"print('two')\" > main.py && "
            f"{self.commit} two && {self.push};"
            f" echo learned > /mnt/memory/notes/new.md; echo result > {OUT}/report.txt"
        )
        assert told == ["pushed"]
        assert self.world.git.git("ada/engine", "show", "main:main.py") == "print('two')"
        self.has_delivered_once()

    def has_delivered_once(self) -> None:
        assert self.world.outputs(self.session) == {"report.txt": b"result\n"}
        memories = self.world.sdk.beta.memory_stores.memories.list(self.store, view="full")
        found = {one.path: one.content for one in memories if one.type == "memory"}
        assert found == {"/first.md": "known\n", "/new.md": "learned\n"}

    def loses_its_container(self) -> None:
        """And what the agent left unfinished is still there."""
        self.lines(
            "cd /workspace/engine && git checkout -qb side && echo 3 > new && git add new &&"
            f" {self.commit} unpushed && echo '# dirty' >> main.py && echo 4 > untracked"
        )
        until(lambda: self.world.kept(self.session), "no checkpoint was taken")
        self.world.container(self.session).remove(force=True)
        note, told = self.world.turn(self.session, self.everything("data.csv"))
        assert "were restored from a checkpoint" in note
        assert told.splitlines() == self.all_of("data.csv")
        self.has_delivered_once()

    def all_of(self, upload: str) -> list[str]:
        return [
            *("unpushed", "two", "## side", " M main.py", "?? untracked", "# dirty"),
            *("hello Bob, says the skill", f"in {upload}", "known", "learned"),
            *(self.placeholder, "result", "Hello, world!"),
        ]

    def is_given_other_things(self) -> None:
        """While it lives: a file more and one less, and another token."""
        resources = self.world.sdk.beta.sessions.resources
        resources.add(
            self.session, type="file", file_id=self.file("more"), mount_path=f"{UPLOADS}/more"
        )
        for resource in list(resources.list(self.session)):
            if resource.type == "file" and resource.mount_path.endswith("data.csv"):
                resources.delete(resource.id, session_id=self.session)
            elif resource.type == "github_repository":
                self.world.git.allow(engine=[SECOND])
                resources.update(resource.id, session_id=self.session, authorization_token=SECOND)
        told = self.lines(f"ls {UPLOADS}; cd /workspace/engine && {self.push}; {self.elsewhere}")
        assert told == ["more", "pushed", *self.refusal]
        assert self.world.git.git("ada/engine", "log", "-1", "--format=%s", "side") == "unpushed"

    def rests(self) -> None:
        """Its server is killed, and the next one stops what is idle until it is wanted."""
        world = self.world
        world.process.kill()
        world.start(FREEHOLD_SANDBOX_IDLE_STOP="0.3")
        for _ in range(2):
            until(lambda: world.container(self.session).status == "exited", "it is not stopped")
            note, told = world.turn(self.session, self.everything("more"))
            assert "has been started again" in note
            assert told.splitlines() == self.all_of("more")
        look = f"cd /workspace/engine && git pull -q origin main && {self.push}; {self.elsewhere}"
        assert world.turn(self.session, look)[-1].splitlines() == ["pushed", *self.refusal]


def test_everything_at_once(world: World, store: str) -> None:
    story = Story(world, store)
    story.finds_what_was_promised()
    story.works()
    no_secret_is_inside(world, story.session)
    story.loses_its_container()
    story.is_given_other_things()
    no_secret_is_inside(world, story.session)
    story.rests()
    no_secret_is_inside(world, story.session)
    story.has_delivered_once()
    # Another session reads what this one has learned.
    memory: Any = {"type": "memory_store", "memory_store_id": store, "access": "read_only"}
    other = world.session(story.environment, resources=[memory])
    assert world.turn(other, "cat /mnt/memory/notes/new.md")[-1] == "learned"


def test_a_variable_that_comes_when_the_sandbox_is_there(world: World) -> None:
    """One with unrestricted networking is behind the gate as well."""
    vault = world.sdk.beta.vaults.create(display_name="empty")
    session = world.session(world.environment(), vault_ids=[vault.id])
    assert world.turn(session, "echo ${LATER-none}")[-1] == "none"
    auth: Any = {
        "type": "environment_variable",
        "secret_name": "LATER",
        "secret_value": VALUE,
        "networking": {"type": "unrestricted"},
    }
    world.sdk.beta.vaults.credentials.create(vault.id, auth=auth)
    assert world.turn(session, "echo ${LATER%%_*}")[-1] == "fhsecret"


def test_the_page_about_sandboxes_runs_as_written(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", world.process.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "anything")
    world.git.allow(engine=["github_pat_example"])
    text = (ROOT / "docs/SANDBOXES.md").read_text(encoding="utf-8")
    text = text.replace("https://github.com/ada/engine", world.git.url("ada/engine"))
    program = "".join(re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    exec(program, names := {})  # noqa: S102 - our own documents
    assert capsys.readouterr().out == "report.txt b'done\\n'\n"
    session = names["session"].id
    told = world.turn(
        session,
        f"ls {UPLOADS} skills; skills/greeting/greet.sh you; ls -d /mnt/memory/lessons engine;"
        " [[ $SERVICE_KEY == fhsecret_* ]] && hello",
    )[-1]
    assert told.split() == [
        *(f"{UPLOADS}:", "data.csv", "more.txt", "skills:", "greeting", "xlsx", "hello", "you"),
        *("/mnt/memory/lessons", "engine", "Hello,", "world!"),
    ]


def test_a_repository_in_the_place_of_the_skills_is_refused(world: World) -> None:
    agent = world.sdk.beta.agents.create(
        name="Ada", model="claude-opus-5", tools=[TOOLSET], skills=[XLSX]
    )
    body = {"agent": agent.id, "environment_id": world.environment()}
    for resource in (
        {"url": world.git.url("ada/skills")},
        {"url": world.git.url("ada/engine"), "mount_path": "/workspace/skills/xlsx/x"},
    ):
        answer = httpx.post(
            f"{world.process.url}/v1/sessions",
            headers=BETA,
            json={**body, "resources": [{"type": "github_repository", **resource}]},
        )
        assert answer.status_code == 400
        assert "/workspace/skills is not for repositories" in answer.json()["error"]["message"]


def no_secret_is_inside(world: World, session: str) -> None:
    """Neither what the agent can find nor what root could has them."""
    look = (
        # Written so that the command is not what is found.
        'C=can; E=eC1hY2Nlc3Mt; cd /; grep -rlaE "tok-${C}ary|${E}dG9rZW46" / --exclude-dir=proc'
        " --exclude-dir=sys --exclude-dir=usr 2>/dev/null; cat /proc/[0-9]*/environ"
        " /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'; env; cat /workspace/*/.git/config;"
        " git -C /workspace/engine config -l; find / -xdev -name .git-credentials; echo DONE"
    )
    given = ["bash", "-c", look]
    code, output = world.container(session).exec_run(given, user="0:0", workdir="/")
    assert code == 0, output
    for text in (world.turn(session, f"({look})")[-1], output.decode("latin-1")):
        assert text.rstrip().endswith("DONE")
        for secret in (FIRST, SECOND, VALUE, ENCODED):
            assert secret not in text
    events = [event.to_json() for event in world.sdk.beta.sessions.events.list(session)]
    for text in (*events, world.process.log.read_text()):
        for secret in (FIRST, SECOND, VALUE, ENCODED):
            assert secret not in text
