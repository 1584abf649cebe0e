"""SIGKILL while two sessions write the memories of one store, and a client does.

At the end every line that an agent was told to write is in a memory, no content was stored twice
in a row, nothing deleted has come back, and both sandboxes hold what the store has.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic

from tests.crash.support import PATIENCE, Caller, check_database, dice, how_often, until, user
from tests.support.running import ServerProcess, client_of

CALLS = 8
KILLS = how_often(12)
HERE = "/mnt/memory/notes"


def _script(name: str) -> str:
    """Each call adds a line to a file of its own and to one that both have, and deletes one."""
    calls = []
    for number in range(CALLS):
        command = (
            f"cd {HERE}; echo {name}-{number} >> own-{name}.md; "
            f"echo {name}-{number} >> {name}/shared-{number % 2}.md; rm -f doomed-{name}-{number}"
        )
        calls.append(f"/tool bash {json.dumps({'command': f'mkdir -p {HERE}/{name}; {command}'})}")
    return "\n/then\n".join(calls)


def _client(url: str, store: str, made: list[str], over: threading.Event) -> None:
    number = 0
    with client_of(url) as sdk:
        while not over.is_set():
            path = f"/client/{number}.md"
            try:
                sdk.beta.memory_stores.memories.create(store, path=path, content=path)
            except anthropic.ConflictError:
                pass  # its answer had been lost
            except (anthropic.APIError, httpx2.HTTPError):
                time.sleep(0.02)
                continue
            made.append(path)
            number += 1
            time.sleep(0.1)


def _prepare(sdk: Anthropic) -> tuple[str, dict[str, str]]:
    store = sdk.beta.memory_stores.create(name="Notes").id
    agent = sdk.beta.agents.create(
        name="crash", model="claude-sonnet-5", tools=[{"type": "agent_toolset_20260401"}]
    )
    environment = sdk.beta.environments.create(name="crash")
    sessions = {}
    for name in ("ada", "bob"):
        for number in range(CALLS):
            path = f"/doomed-{name}-{number}"
            sdk.beta.memory_stores.memories.create(store, path=path, content=path)
        made = sdk.beta.sessions.create(
            agent=agent.id,
            environment_id=environment.id,
            resources=[{"type": "memory_store", "memory_store_id": store}],
        )
        sessions[name] = made.id
    return store, sessions


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("sandbox", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_memories_survive(tmp_path: Path, sandbox: str, request: Any) -> None:
    variables = {"FREEHOLD_SANDBOX": sandbox}
    if sandbox == "docker":
        variables["FREEHOLD_SANDBOX_IMAGE"] = request.getfixturevalue("docker_image")
    rng = dice()
    data_dir = tmp_path / "data"
    with ServerProcess(data_dir, **variables) as server, client_of(server.url) as sdk:
        caller = Caller(sdk)
        store, sessions = _prepare(sdk)
        for name, session in sessions.items():
            sdk.beta.sessions.events.send(session, events=[user(_script(name))])  # type: ignore[list-item]
        made: list[str] = []
        over = threading.Event()
        client = threading.Thread(target=_client, args=(server.url, store, made, over))
        client.start()
        try:
            for _ in range(KILLS):
                time.sleep(rng.uniform(0.0, 0.4))
                server.kill()
                server.start()
        finally:
            over.set()
            client.join(PATIENCE)
        _wait(caller, sessions)
        contents = _contents(caller, store)
        expected = {path: path for path in made}
        for name in sessions:
            lines = [f"{name}-{number}\n" for number in range(CALLS)]
            expected[f"/own-{name}.md"] = "".join(lines)
            expected[f"/{name}/shared-0.md"] = "".join(lines[0::2])
            expected[f"/{name}/shared-1.md"] = "".join(lines[1::2])
        assert contents == expected
        _check_versions(caller, store, sessions)
        for session in sessions.values():
            found = "find . -type f | sort"
            command = f"export LC_ALL=C; cd {HERE} && {found} && {found} | xargs cat"
            script = f"/tool bash {json.dumps({'command': command})}"
            caller.persist(
                lambda s=session, t=script: sdk.beta.sessions.events.send(s, events=[user(t)])
            )
            _wait(caller, {"": session})
            events = caller.listed(session)
            results = [event for event in events if event["type"] == "agent.tool_result"]
            assert not any(event.get("is_error") for event in results)
            paths = sorted(contents, key=lambda path: f".{path}")
            shown = "".join(f".{path}\n" for path in paths) + "".join(
                contents[path] for path in paths
            )
            assert results[-1]["content"][0]["text"].strip() == shown.strip()
            assert not [event for event in events if event["type"] == "session.error"]
        for session in sessions.values():
            sdk.beta.sessions.delete(session)
    check_database(data_dir / "freehold.db")


def _wait(caller: Caller, sessions: dict[str, str]) -> None:
    for session in sessions.values():
        until(
            lambda s=session: (
                caller.persist(lambda: caller.sdk.beta.sessions.retrieve(s)).status == "idle"
            )
        )


def _contents(caller: Caller, store: str) -> dict[str, str]:
    memories = caller.sdk.beta.memory_stores.memories
    return caller.persist(
        lambda: {
            memory.path: memory.content
            for memory in memories.list(store, view="full")
            if memory.type == "memory"
        }
    )


def _check_versions(caller: Caller, store: str, sessions: dict[str, str]) -> None:
    """Of each memory of an agent's one version a change; each line came with one alone."""
    versions = caller.sdk.beta.memory_stores.memory_versions
    found = caller.persist(lambda: list(versions.list(store, view="full")))
    for name, session in sessions.items():
        own = [v for v in found if v.path == f"/own-{name}.md"]
        contents = [v.content for v in reversed(own)]
        lines = [f"{name}-{number}\n" for number in range(CALLS)]
        assert contents == ["".join(lines[: end + 1]) for end in range(CALLS)]
        assert {getattr(v.created_by, "session_id", None) for v in own} == {session}
        for number in range(CALLS):
            doomed = [v.operation for v in found if v.path == f"/doomed-{name}-{number}"]
            assert doomed == ["deleted", "created"]
