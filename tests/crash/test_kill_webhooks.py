"""What happened is told, wherever the server is killed between the change and its delivery."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.support import until, user
from tests.support.receiver import SECRET, Receiver, receiver
from tests.support.running import ServerProcess, client_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

Started = tuple[ServerProcess, Receiver]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """A server that is not running yet, and the receiver that its settings name."""
    with receiver() as inbox:
        named = [{"name": "inbox", "url": inbox.url, "secret": SECRET}]
        process = ServerProcess(
            tmp_path / "data",
            FREEHOLD_SANDBOX="scripted",
            FREEHOLD_WEBHOOKS=json.dumps(named),
            FREEHOLD_WEBHOOK_TIMEOUT="1",
        )
        with process:
            yield process, inbox


def test_between_the_change_and_the_delivery(started: Started) -> None:
    process, inbox = started
    changed = []
    for number in range(4):
        sdk = client_of(process.url)
        changed.append(sdk.beta.agents.create(name=f"a{number}", model="claude-opus-5").id)
        process.kill()
        process.start()
    for agent_id in changed:
        inbox.first("agent.created", id=agent_id).unwrap()


def test_in_the_middle_of_a_delivery(started: Started, tmp_path: Path) -> None:
    process, inbox = started
    held = threading.Event()

    def hold(_: Any) -> int:
        held.wait(60)
        return 200

    inbox.answer = hold
    agent = client_of(process.url).beta.agents.create(name="a", model="claude-opus-5")
    first = inbox.first("agent.created", id=agent.id)
    process.kill()
    inbox.answer = lambda _: 200
    held.set()
    process.start()
    posts = inbox.wait(lambda posts: len(posts) == 2)
    # The same event again, signed anew: that is what the receiver tells repetitions by.
    assert posts[1].body == first.body
    assert posts[1].headers["webhook-id"] == first.headers["webhook-id"]
    posts[1].unwrap()
    until(lambda: _waiting(tmp_path) == [])
    assert len(inbox.posts) == 2


def test_while_it_waits_to_try_again(started: Started, tmp_path: Path) -> None:
    process, inbox = started
    inbox.answer = lambda _: 503
    agent = client_of(process.url).beta.agents.create(name="a", model="claude-opus-5")
    inbox.first("agent.created", id=agent.id)
    until(lambda: [attempts for attempts, _ in _waiting(tmp_path)] == [1])
    process.kill()
    before = _waiting(tmp_path)
    inbox.answer = lambda _: 200
    process.start()
    assert _waiting(tmp_path) == before
    inbox.wait(lambda posts: len(posts) == 2)[1].unwrap()
    until(lambda: _waiting(tmp_path) == [])


def test_in_the_middle_of_a_turn(started: Started) -> None:
    process, inbox = started
    sdk = client_of(process.url, max_retries=5)
    agent = sdk.beta.agents.create(name="a", model="claude-opus-5")
    environment = sdk.beta.environments.create(name="e")
    session = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    sdk.beta.sessions.events.send(session.id, events=[user("/run echo one\n/then\n/say two")])  # type: ignore[list-item]
    process.kill()
    process.start()
    until(lambda: sdk.beta.sessions.retrieve(session.id).status == "idle")
    inbox.first("session.idled", id=session.id)
    records = [event.type for event in sdk.beta.sessions.events.list(session.id)]
    ran = len({p.headers["webhook-id"] for p in inbox.posts if p.kind == "session.running"})
    assert ran == records.count("session.status_running") == 1


def _waiting(tmp_path: Path) -> list[tuple[int, int]]:
    with sqlite3.connect(tmp_path / "data/freehold.db") as connection:
        return connection.execute(
            "select attempts, due_at from webhook_deliveries order by event_id"
        ).fetchall()
