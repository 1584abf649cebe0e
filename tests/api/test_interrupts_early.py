"""An interrupt that comes before the tool it stops has begun."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from freehold.core.decide import INTERRUPTED
from freehold.sandbox.process import ProcessSandboxProvider
from tests.api.conftest import said
from tests.support.running import serve


def test_a_tool_does_not_begin_after_its_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire, ready = ProcessSandboxProvider.acquire, threading.Event()

    async def slow(self: ProcessSandboxProvider, spec: Any) -> Any:
        while not ready.is_set():
            await asyncio.sleep(0.01)
        return await acquire(self, spec)

    monkeypatch.setattr(ProcessSandboxProvider, "acquire", slow)
    with serve(tmp_path / "data", sandbox="process") as served, served.client() as client:
        agent = client.beta.agents.create(
            name="i", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
        )
        environment = client.beta.environments.create(name="i")
        session = client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
        events = client.beta.sessions.events

        def until(kind: str, count: int = 1) -> list[Any]:
            deadline = time.monotonic() + 60
            while True:
                listed = list(events.list(session.id))
                if [event.type for event in listed].count(kind) >= count:
                    return listed
                assert time.monotonic() < deadline, [event.type for event in listed]
                time.sleep(0.02)

        begun: Any = said("/run sleep 600")
        after: Any = said("/run echo after")
        events.send(session.id, events=[begun])
        until("agent.tool_use")
        # The call waits for its sandbox; who interrupts it need not.
        events.send(session.id, events=[{"type": "user.interrupt"}, after])
        until("session.status_idle")
        ready.set()
        # The shell is free: a command that began would have kept it for two minutes.
        listed = until("session.status_idle", 2)
        results = [event for event in listed if event.type == "agent.tool_result"]
        assert [result.content[0].text for result in results] == [INTERRUPTED, "after"]
