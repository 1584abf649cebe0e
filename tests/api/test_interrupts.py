"""Interrupts that really stop what runs: the process tree of a tool, a model that thinks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic

from freehold.core.decide import INTERRUPTED
from freehold.core.events import UserInterrupt
from freehold.dispatch.clock import SystemClock
from freehold.dispatch.fanout import InProcessFanout
from freehold.dispatch.inprocess import InProcessDispatcher
from freehold.harness.intake import Intake
from freehold.harness.sessions import Sessions
from freehold.store.database import Database
from freehold.store.event_log import SqlEventLog
from tests.support.running import Served, serve


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Served]:
    """A server whose tools run in process sandboxes."""
    with serve(tmp_path / "data", sandbox="process") as served:
        yield served


def _session(client: Anthropic) -> str:
    toolset: Any = [{"type": "agent_toolset_20260401"}]
    agent = client.beta.agents.create(name="i", model="claude-opus-5", tools=toolset)
    environment = client.beta.environments.create(name="i")
    return client.beta.sessions.create(agent=agent.id, environment_id=environment.id).id


def _say(client: Anthropic, session_id: str, *texts: str, interrupt: bool = False) -> None:
    events: list[Any] = [{"type": "user.interrupt"}] if interrupt else []
    events += [
        {"type": "user.message", "content": [{"type": "text", "text": text}]} for text in texts
    ]
    client.beta.sessions.events.send(session_id, events=events)


def _wait_for(client: Anthropic, session_id: str, kind: str, count: int = 1) -> list[Any]:
    deadline = time.monotonic() + 30
    while True:
        events = list(client.beta.sessions.events.list(session_id))
        if [event.type for event in events].count(kind) >= count:
            return events
        assert time.monotonic() < deadline, [event.type for event in events]
        time.sleep(0.02)


def test_a_running_tool_is_stopped_with_all_its_children(real: Served) -> None:
    client = real.client()
    session_id = _session(client)
    _say(client, session_id, "/run (sleep 600; touch late) & echo $! > pid; wait; touch late")
    _wait_for(client, session_id, "agent.tool_use")
    time.sleep(1.0)
    _say(client, session_id, "/run sleep 0.2; ps -p $(cat pid) -o comm= ; ls", interrupt=True)
    events = _wait_for(client, session_id, "session.status_idle", 2)
    types = [event.type for event in events]
    stop = types.index("user.interrupt")
    assert types[stop - 1 : stop + 4] == [
        "agent.tool_result",
        "user.interrupt",
        "session.thread_status_idle",
        "session.usage",
        "session.status_idle",
    ]
    assert events[stop - 1].content[0].text == INTERRUPTED
    assert events[stop + 3].stop_reason.type == "end_turn"
    last = [event for event in events if event.type == "agent.tool_result"][-1]
    assert "sleep" not in last.content[0].text
    assert "late" not in last.content[0].text.split()


def test_a_thinking_model_is_cut_off(real: Served) -> None:
    client = real.client()
    session_id = _session(client)
    _say(client, session_id, "/wait 600\n/say never")
    _wait_for(client, session_id, "span.model_request_start")
    begun = time.monotonic()
    _say(client, session_id, "/say instead", interrupt=True)
    events = _wait_for(client, session_id, "session.status_idle", 2)
    assert time.monotonic() - begun < 60
    ends = [event for event in events if event.type == "span.model_request_end"]
    assert ends[0].is_error is True
    said = [event for event in events if event.type == "agent.message"]
    assert [block.text for message in said for block in message.content] == ["instead"]


async def test_an_interrupt_that_a_dead_server_took_in_stops_the_tool_too(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with serve(data_dir, sandbox="process") as server:
        client = server.client()
        session_id = _session(client)
        _say(client, session_id, "/run echo $BASHPID > pid; exec sleep 600")
        pid = data_dir / "sandboxes" / session_id / "workspace" / "pid"
        deadline = time.monotonic() + 30
        while not pid.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    await _take_in(data_dir / "freehold.db", session_id, UserInterrupt())
    with serve(data_dir, sandbox="process") as server:
        client = server.client()
        events = _wait_for(client, session_id, "session.status_idle")
        (result,) = [event for event in events if event.type == "agent.tool_result"]
        assert result.content[0].text == INTERRUPTED
        # The shell is free at once: what kept it has been stopped.
        _say(client, session_id, "/run echo free")
        events = _wait_for(client, session_id, "session.status_idle", 2)
        results = [event for event in events if event.type == "agent.tool_result"]
        assert results[-1].content[0].text == "free"


async def _take_in(file: Path, session_id: str, event: UserInterrupt) -> None:
    """Acknowledge an event as a server does that dies before it acts on it."""
    database = Database(f"sqlite:///{file}")
    event_log = SqlEventLog(database)
    sessions = Sessions(event_log, InProcessFanout())
    intake = Intake(sessions, InProcessDispatcher(event_log), SystemClock())
    async with event_log.transaction() as tx:
        await intake.send(tx, session_id, [event])
    await database.close()
