"""Repositories in sessions, from a client's side: a git host of our own, and the official SDK."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from freehold.sandbox.process import bubblewrap_works
from tests.api.conftest import refused, said, turn
from tests.support.certificates import Authority
from tests.support.git_server import GitServer
from tests.support.running import BETA, ServerProcess, client_of

TOKEN = "tok-canary-4711"
OTHER = "tok-canary-0815"

pytestmark = pytest.mark.skipif(
    not bubblewrap_works(), reason="bubblewrap may not make a sandbox here"
)


class World:
    """A git host and a server process whose sandboxes are the machine's own processes."""

    def __init__(self, folder: Path, **variables: str) -> None:
        authority = Authority(folder, "git")
        self.host = GitServer(folder / "host")
        self._open = contextlib.ExitStack()
        serving = self.host.serving(authority.certificate("localhost").context())
        self._open.enter_context(serving)
        self.data = folder / "data"
        self.process = ServerProcess(
            self.data,
            FREEHOLD_SANDBOX="process",
            FREEHOLD_EXTRA_CA_CERTS=str(authority.file),
            FREEHOLD_TRUSTED_NETWORKS="127.0.0.0/8",
            FREEHOLD_GIT_HOSTS=self.host.authority,
            FREEHOLD_LOG_LEVEL="debug",
            **variables,
        )
        with self._open:
            self._open.enter_context(self.process)
            self.sdk = self._open.enter_context(client_of(self.process.url))
            self._open = self._open.pop_all()
        self._made: list[str] = []

    def close(self) -> None:
        with self._open:
            for session in self._made:
                self.sdk.beta.sessions.delete(session)

    def resource(self, name: str, token: str | None = TOKEN, **fields: Any) -> dict[str, Any]:
        made = {"type": "github_repository", "url": self.host.url(name), **fields}
        return made if token is None else {**made, "authorization_token": token}

    def session(self, *resources: dict[str, Any], **options: Any) -> str:
        agent = self.sdk.beta.agents.create(
            name="Ada", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
        )
        environment = self.sdk.beta.environments.create(name=f"e{time.monotonic_ns()}")
        made = self.sdk.beta.sessions.create(
            agent=agent.id,
            environment_id=environment.id,
            resources=list(resources),  # type: ignore[arg-type]
            **options,
        )
        self._made.append(made.id)
        return made.id

    def run(self, session: str, command: str) -> list[Any]:
        message = said(f"/tool bash {json.dumps({'command': command})}")
        return list(turn(self.sdk, session, message))

    def bash(self, session: str, command: str) -> str:
        results = [e for e in self.run(session, command) if e.type == "agent.tool_result"]
        text: str = results[-1].content[0].text
        return text


def errors(events: list[Any]) -> list[Any]:
    return [event.error for event in events if event.type == "session.error"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("repositories"))
    yield made
    made.close()


def test_a_repository_is_there_before_the_first_call(world: World) -> None:
    world.host.create("ada/engine", TOKEN)
    session = world.session(world.resource("ada/engine"))
    shown = world.sdk.beta.sessions.retrieve(session).resources[0]
    assert (shown.type, shown.mount_path) == ("github_repository", "/workspace/engine")
    assert world.bash(session, "cd engine && cat README.md && git status -sb").splitlines() == [
        "# ada/engine",
        "## main...origin/main",
    ]


def test_branches_and_commits(world: World) -> None:
    world.host.create("ada/states", TOKEN)
    first = world.host.head("ada/states")
    world.host.commit("ada/states", {"on": "branch"}, branch="side")
    session = world.session(
        world.resource(
            "ada/states", checkout={"type": "branch", "name": "side"}, mount_path="/workspace/a"
        ),
        world.resource(
            "ada/states", checkout={"type": "commit", "sha": first[:10]}, mount_path="/srv/b"
        ),
    )
    told = world.bash(session, "cat a/on; echo; git -C /srv/b rev-parse HEAD; ls /srv/b")
    assert told.splitlines() == ["branch", first, "README.md"]


def test_the_session_goes_on_without_what_fails(world: World) -> None:
    world.host.create("ada/shut", TOKEN)
    world.host.create("ada/forbidden", TOKEN)
    world.host.answers["ada/forbidden"] = 403
    world.host.tokens["ada/none"] = None
    wrong = {
        "repository_authentication_error": world.resource("ada/shut", "wrong"),
        "repository_forbidden_error": world.resource("ada/forbidden"),
        "repository_not_found_error": world.resource("ada/none", None),
        "repository_checkout_error": world.resource(
            "ada/shut", checkout={"type": "branch", "name": "nowhere"}, mount_path="/workspace/d"
        ),
    }
    session = world.session(*wrong.values())
    events = world.run(session, "ls; echo went on")
    found = {error.type: error for error in errors(events)}
    assert set(found) == set(wrong)
    for kind, error in found.items():
        assert error.repository_url == wrong[kind]["url"]
        assert error.retry_status.type == "retrying"
        assert TOKEN not in error.message
    kinds = [event.type for event in events]
    assert kinds.index("session.error") < kinds.index("agent.tool_result")
    (result,) = [event for event in events if event.type == "agent.tool_result"]
    assert (result.content[0].text, result.is_error) == ("went on", False)
    assert events[-1].stop_reason.type == "end_turn"
    # Said once; the sandbox is what it is.
    assert errors(world.run(session, "true")) == []


def test_a_rotated_token_opens_what_was_shut(world: World) -> None:
    world.host.create("ada/rotating", OTHER)
    session = world.session(world.resource("ada/rotating", "expired"))
    assert [e.type for e in errors(world.run(session, "ls"))] == ["repository_authentication_error"]
    (resource,) = world.sdk.beta.sessions.resources.list(session)
    world.sdk.beta.sessions.resources.update(
        resource.id,  # type: ignore[union-attr]
        session_id=session,
        authorization_token=OTHER,
    )
    assert world.bash(session, "cat rotating/README.md") == "# ada/rotating"


def test_sessions_share_what_was_fetched_and_each_needs_its_own_right(world: World) -> None:
    world.host.create("ada/private", TOKEN, OTHER)
    commit = {"type": "commit", "sha": world.host.head("ada/private")}
    first = world.session(world.resource("ada/private"))
    assert world.bash(first, "ls private") == "README.md"
    sent = world.host.packs_sent()
    second = world.session(world.resource("ada/private", OTHER, checkout=commit))
    assert world.bash(second, "ls private") == "README.md"
    assert world.host.packs_sent() == sent + 1  # the refs, and no pack
    third = world.session(world.resource("ada/private", "stolen", checkout=commit))
    assert [e.type for e in errors(world.run(third, "ls"))] == ["repository_authentication_error"]


def test_git_asks_for_a_password_where_nothing_adds_one(world: World) -> None:
    world.host.create("ada/pushing", TOKEN)
    session = world.session(world.resource("ada/pushing"))
    told = world.bash(
        session,
        "cd pushing && git -c user.name=A -c user.email=a@b commit -qm x --allow-empty"
        " && GIT_TERMINAL_PROMPT=0 git -c http.sslVerify=false push -q 2>&1; git log --format=%s",
    )
    assert "could not read Username" in told or "unable to access" in told
    assert told.splitlines()[-2] == "x"


def test_the_tokens_are_nowhere(world: World) -> None:
    world.host.create("ada/canary", TOKEN)
    session = world.session(world.resource("ada/canary"), world.resource("ada/none", OTHER))
    told = world.bash(
        session,
        # Written so that the command is not what is found.
        "C=can; grep -rlE tok-${C}ary / --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr"
        " --exclude-dir=pytest-of-root 2>/dev/null; env; cat canary/.git/config;"
        " cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; echo DONE",
    )
    assert told.endswith("DONE")
    texts = [
        told,
        world.sdk.beta.sessions.retrieve(session).to_json(),
        *(event.to_json() for event in world.sdk.beta.sessions.events.list(session)),
        *(one.to_json() for one in world.sdk.beta.sessions.resources.list(session)),
        world.process.log.read_text(),
        *(
            file.read_bytes().decode("latin-1")
            for file in world.data.rglob("*")
            if file.is_file() and file.suffix not in {".pack", ".idx"}
        ),
    ]
    for text in texts:
        for secret in (TOKEN, OTHER, "eC1hY2Nlc3MtdG9rZW46"):  # base64 of "x-access-token:"
            assert secret not in text
    assert TOKEN in {password for _, password in world.host.requests}


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/o/r.git",
        "http://github.com/o/r",
        "https://github.com/o",
        "https://github.com/o/r/tree/main",
        "https://user:password@github.com/o/r",
        "https://gitlab.example/o/r",
        "https://github.com:8443/o/r",
        "https://github.com/o/..",
        "https://github.com/o/r?x=y",
        "git@github.com:o/r",
        "file:///etc",
    ],
)
def test_urls_that_name_no_repository(world: World, url: str) -> None:
    agent = world.sdk.beta.agents.create(name="A", model="claude-opus-5")
    environment = world.sdk.beta.environments.create(name=f"u{time.monotonic_ns()}")
    body = {
        "agent": agent.id,
        "environment_id": environment.id,
        "resources": [{"type": "github_repository", "url": url}],
    }
    answer = httpx.post(f"{world.process.url}/v1/sessions", headers=BETA, json=body)
    refused(
        answer,
        400,
        "Invalid `github_repository` resource: invalid github_repository url: must be "
        "https://github.com/{owner}/{repo} with no .git suffix",
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_server_killed_while_it_clones(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        world.host.create("ada/engine", TOKEN)
        world.host.hold = threading.Event()
        session = world.session(world.resource("ada/engine"))
        command = json.dumps({"command": "cat engine/README.md"})
        message = said(f"/tool bash {command}")
        world.sdk.beta.sessions.events.send(session, events=[message])  # type: ignore[list-item]
        # The first asks for refs, the second for the pack.
        until(lambda: world.host.packs_sent() >= 1)
        world.process.kill()
        world.host.hold.set()
        world.host.hold = None
        world.process.start()
        until(lambda: world.sdk.beta.sessions.retrieve(session).status == "idle")
        events = list(world.sdk.beta.sessions.events.list(session))
        assert errors(events) == []
        (result,) = [event for event in events if event.type == "agent.tool_result"]
        assert result.content[0].text == "# ada/engine"  # type: ignore[union-attr]
    finally:
        if world.host.hold is not None:
            world.host.hold.set()
        world.close()


def test_hosts_that_do_not_answer(tmp_path: Path) -> None:
    world = World(tmp_path, FREEHOLD_GIT_MAX_MB="1", FREEHOLD_GIT_TIMEOUT="20")
    try:
        world.host.create("ada/big", TOKEN)
        world.host.commit("ada/big", {"big": os.urandom(1_500_000).hex()})
        session = world.session(world.resource("ada/big"))
        (error,) = errors(world.run(session, "ls"))
        assert error.type == "repository_clone_error"
        assert "larger than 1 MB" in error.message
        world.host.answers["ada/down"] = 503
        session = world.session(world.resource("ada/down"))
        asked = len(world.host.requests)
        (error,) = errors(world.run(session, "ls"))
        assert error.type == "repository_clone_error"
        assert "503" in error.message
        assert len(world.host.requests) - asked == 3
    finally:
        world.close()
