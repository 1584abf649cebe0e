"""``freehold worker`` serves a queue, each session in a sandbox of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic

from tests.api.conftest import said
from tests.api.test_workers import RUN, SKILL, call, ended, results
from tests.support.running import Served, serve
from tests.support.workers import TOOLSET, mint_key, served_database


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("command") / "data") as served:
        yield served


@pytest.fixture
def queue(sdk: Anthropic, shared: Served, tmp_path: Path) -> Iterator[Any]:
    """An environment's id, with ``freehold worker`` at its queue."""
    environment = sdk.beta.environments.create(name="own", config={"type": "self_hosted"})
    key, _ = mint_key(served_database(shared), environment.id)
    variables = {name: v for name, v in os.environ.items() if not name.startswith("ANTHROPIC_")}
    log = tmp_path / "worker.log"
    command = [sys.executable, "-m", "freehold", "worker", "--sandbox", "scripted"]
    command += ["--max-idle", "0.3", "--data-dir", str(tmp_path / "data")]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            env={
                **variables,
                "ANTHROPIC_BASE_URL": shared.url,
                "ANTHROPIC_ENVIRONMENT_ID": environment.id,
                "ANTHROPIC_ENVIRONMENT_KEY": key,
            },
            stdout=sink,
            stderr=sink,
        )
    try:
        yield environment.id
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
        assert key not in log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
        print(log.read_text())


def eventually(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 120
    while not (what := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return what


def start(sdk: Anthropic, environment_id: str, *words: str, **more: Any) -> str:
    skills = more.pop("skills", [])
    agent = sdk.beta.agents.create(name="a", model="claude-opus-5", tools=TOOLSET, skills=skills)
    first: Any = [said("\n".join(words))]
    made = sdk.beta.sessions.create(
        agent=agent.id, environment_id=environment_id, initial_events=first, **more
    )
    return made.id


@pytest.mark.timeout(300)
def test_sessions_run_in_sandboxes_of_their_own(sdk: Anthropic, queue: str) -> None:
    skill = sdk.beta.skills.create(
        files=[("reports/SKILL.md", SKILL), ("reports/scripts/run.sh", RUN)]
    )
    words = [
        call("write", file_path="a.txt", content="one\n"),
        call("bash", command="cat a.txt; pwd"),
        call("read", file_path="skills/reports/SKILL.md"),
        call("read", file_path="b.txt"),
        "/say done",
    ]
    skills = [{"type": "custom", "skill_id": skill.id}]
    first = start(sdk, queue, *words, skills=skills)
    second = start(sdk, queue, call("bash", command="ls /workspace"), "/say done")
    eventually(lambda: ended(sdk, first) and ended(sdk, second))
    told = results(sdk, first)
    assert told[1].split() == ["one", "/workspace"]
    assert "Use commas." in told[2]
    assert "a.txt" not in results(sdk, second)[0]
    events: list[Any] = list(sdk.beta.sessions.events.list(first))
    failed = [event.is_error for event in events if event.type == "user.tool_result"]
    assert failed == [False, False, False, True]
    work = sdk.beta.environments.work
    eventually(lambda: {item.state for item in work.list(queue)} == {"stopped"})


def test_a_key_that_opens_nothing(shared: Served, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "freehold", "worker", "--sandbox", "scripted"]
    command += ["--url", shared.url, "--environment", "env_x", "--data-dir", str(tmp_path)]
    key = "sk-ant-oat01-unknown"
    done = subprocess.run(
        command,
        env={**os.environ, "ANTHROPIC_ENVIRONMENT_KEY": key},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1, told
    assert "the queue cannot be served" in told
    assert "Invalid bearer token" in told
    assert "Traceback" not in told
    assert key not in told


@pytest.mark.timeout(300)
def test_what_it_cannot_do_it_says(sdk: Anthropic, queue: str) -> None:
    store = sdk.beta.memory_stores.create(name="Notes")
    session = start(
        sdk,
        queue,
        call("bash", command="ls"),
        "/say done",
        resources=[{"type": "memory_store", "memory_store_id": store.id}],
    )
    eventually(lambda: ended(sdk, session))
    assert "cannot mount memory stores" in results(sdk, session)[0]
