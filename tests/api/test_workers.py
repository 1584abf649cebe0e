"""The official ``EnvironmentWorker`` of both SDKs, unmodified, in a self-hosted environment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic

from tests.api.conftest import said
from tests.support.running import Served, serve
from tests.support.workers import (
    TOOLSET,
    WorkerProcess,
    bearer,
    mint_key,
    polling,
    served_database,
)

SDKS = ["python", "typescript"]
SKILL = b"---\nname: reports\ndescription: Writes reports.\n---\nUse commas.\n"
RUN = b"#!/bin/sh\necho ran with $1\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("workers") / "data") as served:
        yield served


@pytest.fixture(scope="module")
def agent(sdk: Anthropic) -> Any:
    skill = sdk.beta.skills.create(
        files=[("reports/SKILL.md", SKILL), ("reports/scripts/run.sh", RUN)]
    )
    return sdk.beta.agents.create(
        name="Helper",
        model="claude-opus-5",
        tools=TOOLSET,
        skills=[{"type": "custom", "skill_id": skill.id}],
    )


@dataclass(frozen=True)
class Place:
    """A self-hosted environment, and what its worker is to know."""

    url: str
    sdk: Anthropic
    agent_id: str
    environment_id: str
    key: str
    workdir: Path

    def session(self, *words: str, **more: Any) -> Any:
        first: Any = [said("\n".join(words))]
        return self.sdk.beta.sessions.create(
            agent=self.agent_id, environment_id=self.environment_id, initial_events=first, **more
        )

    def say(self, session_id: str, *words: str) -> None:
        events: Any = [said("\n".join(words))]
        self.sdk.beta.sessions.events.send(session_id, events=events)

    def worker(self, sdk_name: str, **variables: str) -> WorkerProcess:
        variables = variables or polling(self.environment_id, self.key)
        return WorkerProcess(sdk_name, self.url, self.workdir, **variables)


@pytest.fixture
def place(shared: Served, sdk: Anthropic, agent: Any, tmp_path: Path) -> Place:
    made = sdk.beta.environments.create(name="own", config={"type": "self_hosted"})
    key, _ = mint_key(served_database(shared), made.id)
    return Place(shared.url, sdk, agent.id, made.id, key, tmp_path / "work")


def call(name: str, **arguments: Any) -> str:
    return f"/tool {name} {json.dumps(arguments)}"


def eventually(found: Callable[[], Any], worker: WorkerProcess) -> Any:
    deadline = time.monotonic() + 120
    while not (what := found()):
        assert time.monotonic() < deadline, worker.told
        time.sleep(0.1)
    return what


def ended(sdk: Anthropic, session_id: str, turns: int = 1) -> bool:
    ends = [
        event
        for event in sdk.beta.sessions.events.list(session_id, types=["session.status_idle"])
        if event.type == "session.status_idle" and event.stop_reason.type == "end_turn"
    ]
    return len(ends) >= turns


def results(sdk: Anthropic, session_id: str) -> list[str]:
    """The texts that the worker answered, in order; each call has one answer."""
    events: list[Any] = list(sdk.beta.sessions.events.list(session_id, limit=1000))
    calls = [event.id for event in events if event.type == "agent.tool_use"]
    answers = [event for event in events if event.type == "user.tool_result"]
    assert [answer.tool_use_id for answer in answers] == calls
    assert not [event for event in events if event.type == "agent.tool_result"]
    return ["".join(block.text for block in answer.content) for answer in answers]


@pytest.mark.parametrize("sdk_name", SDKS)
@pytest.mark.timeout(300)
def test_a_worker_serves_a_queue(place: Place, sdk_name: str) -> None:
    sdk, environment_id = place.sdk, place.environment_id
    store = sdk.beta.memory_stores.create(name="Notes")
    sdk.beta.memory_stores.memories.create(store.id, path="/old.md", content="remember me")
    session = place.session(
        call("bash", command="echo hello; cat /mnt/memory/notes/old.md"),
        call("bash", command="skills/reports/scripts/run.sh 7"),
        call("write", file_path="kept.txt", content="one\ntwo\n"),
        call("edit", file_path="kept.txt", old_string="two", new_string="three"),
        call("grep", pattern="three"),
        call("glob", pattern="*.txt"),
        call("read", file_path="missing.txt"),
        call("write", file_path="/mnt/memory/notes/new.md", content="learned"),
        "/say done",
        resources=[{"type": "memory_store", "memory_store_id": store.id}],
    )
    work = sdk.beta.environments.work
    with place.worker(sdk_name) as worker:
        eventually(lambda: ended(sdk, session.id), worker)
        told = results(sdk, session.id)
        assert told[0].split() == ["hello", "remember", "me"]
        assert told[1].strip() == "ran with 7"
        assert (worker.workdir / "kept.txt").read_text() == "one\nthree\n"
        assert "three" in told[4]
        if sdk_name == "python":  # the other one's wants Node 22
            assert "kept.txt" in told[5]
        (item,) = work.list(environment_id)
        assert item.data.id == session.id
        eventually(
            lambda: work.retrieve(item.id, environment_id=environment_id).state == "stopped",
            worker,
        )
        memories = {
            memory.path: memory.content  # type: ignore[union-attr]
            for memory in sdk.beta.memory_stores.memories.list(store.id, view="full")
        }
        assert memories == {"/old.md": "remember me", "/new.md": "learned"}
        assert work.stats(environment_id).workers_polling == 1
        # The session is dormant and its item over; a message brings both back.
        place.say(session.id, call("bash", command="echo again"))
        eventually(lambda: ended(sdk, session.id, turns=2), worker)
        assert results(sdk, session.id)[-1].strip() == "again"
        assert worker.finish() == 0, worker.told
    assert sdk.beta.sessions.retrieve(session.id).status == "idle"


@pytest.mark.parametrize("sdk_name", SDKS)
@pytest.mark.parametrize("with_key", [False, True])
@pytest.mark.timeout(300)
def test_a_worker_serves_one_item(place: Place, sdk_name: str, with_key: bool) -> None:
    sdk, environment_id = place.sdk, place.environment_id
    session = place.session(call("bash", command="pwd"), call("bash", command="false"), "/say done")
    # What claims the item is another process than what serves it.
    poller = bearer(place.url, place.key)
    item = poller.beta.environments.work.poll(environment_id)
    assert item is not None
    assert item.secret is not None
    poller.beta.environments.work.ack(item.id, environment_id=environment_id)
    credential = {"ANTHROPIC_WORK_SECRET": item.secret}
    if with_key:
        credential = {"ANTHROPIC_ENVIRONMENT_KEY": place.key}
    with place.worker(
        sdk_name,
        ANTHROPIC_WORK_ID=item.id,
        ANTHROPIC_ENVIRONMENT_ID=environment_id,
        ANTHROPIC_SESSION_ID=session.id,
        **credential,
    ) as worker:
        assert worker.finish(120) == 0, worker.told
    assert ended(sdk, session.id)
    assert results(sdk, session.id)[0].strip() == str(worker.workdir)
    work = sdk.beta.environments.work
    assert work.retrieve(item.id, environment_id=environment_id).state == "stopped"


@pytest.mark.timeout(300)
def test_an_interrupt_reaches_what_the_worker_waits_for(place: Place) -> None:
    sdk, environment_id = place.sdk, place.environment_id
    session = place.session(call("bash", command="sleep 3; echo late"), "/say done")
    with place.worker("python") as worker:
        work = sdk.beta.environments.work
        eventually(lambda: next(iter(work.list(environment_id))).state == "active", worker)
        eventually(
            lambda: list(sdk.beta.sessions.events.list(session.id, types=["session.status_idle"])),
            worker,
        )
        sdk.beta.sessions.events.send(session.id, events=[{"type": "user.interrupt"}])
        eventually(lambda: ended(sdk, session.id), worker)
        place.say(session.id, call("bash", command="echo next"))
        eventually(lambda: ended(sdk, session.id, turns=2), worker)
        assert worker.finish() == 0, worker.told
    events: list[Any] = list(sdk.beta.sessions.events.list(session.id, limit=1000))
    closed = [event for event in events if event.type == "agent.tool_result"]
    answered = [event for event in events if event.type == "user.tool_result"]
    assert [event.is_error for event in closed] == [True]
    assert [event.content[0].text.strip() for event in answered] == ["next"]
