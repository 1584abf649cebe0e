"""A session's resources may change while its sandbox is made ready for a call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from freehold.core.state import SessionState
from freehold.dispatch.fanout import InProcessFanout
from freehold.errors import FurnishingFailed
from freehold.harness.furnishing import Furnishing
from freehold.harness.sessions import SessionHandle
from freehold.harness.tools import Hands
from freehold.ports.log import EventLog, SessionSpec
from freehold.ports.sandbox import Root, Sandbox
from freehold.sandbox.scripted import ScriptedSandboxProvider

START = datetime(2026, 3, 15, 10, tzinfo=UTC)
FILE = {"type": "file", "file_id": "file_1", "mount_path": "/mnt/session/uploads/a"}
WITH_FILE = SessionSpec(
    session_id="sesn_1",
    workspace_id="wrkspc_1",
    primary_thread_id="sthr_1",
    agent={"name": "a", "tools": [], "mcp_servers": []},
    environment_id="env_1",
    environment={"type": "cloud"},
    created_at=START,
    resources=(FILE,),
)


class Log:
    """Reads of one session, which a test can hold up."""

    def __init__(self) -> None:
        self.now = WITH_FILE
        self.going_on = asyncio.Event()
        self.going_on.set()
        self.reads = 0

    async def spec(self, _: str) -> SessionSpec:
        self.reads += 1
        found = replace(self.now)
        await self.going_on.wait()
        return found

    async def state(self, _: str) -> SessionState:
        return SessionState(
            session_id="sesn_1", primary_thread_id="sthr_1", agent_name="a", created_at=START
        )


def handle_of(log: Log) -> SessionHandle:
    return SessionHandle("sesn_1", cast(EventLog, log), InProcessFanout())


async def test_what_was_read_before_an_update_is_not_kept() -> None:
    log = Log()
    handle = handle_of(log)
    log.going_on.clear()
    reading = asyncio.create_task(handle.spec())
    await asyncio.sleep(0)
    log.now = replace(WITH_FILE, resources=())
    handle.forget_spec()
    log.going_on.set()
    assert (await reading).resources == (FILE,)
    assert (await handle.spec()).resources == ()
    assert await handle.spec() is await handle.spec()
    assert log.reads == 2


class Missing:
    """Fails as long as the session wants anything; ``meanwhile`` happens at each failure."""

    def __init__(self, meanwhile: Any) -> None:
        self.meanwhile = meanwhile
        self.asked = 0

    async def roots(self, _: SessionSpec) -> Sequence[Root]:
        return ()

    async def describe(self, _: SessionSpec) -> str | None:
        return None

    async def furnish(self, spec: SessionSpec, sandbox: Sandbox, *, fresh: bool) -> None:
        self.asked += 1
        if spec.resources:
            self.meanwhile()
            raise FurnishingFailed("the file was deleted")


async def test_what_was_taken_away_meanwhile_is_not_missed() -> None:
    log = Log()

    def taken_away() -> None:
        log.now = replace(WITH_FILE, resources=())

    furnisher = Missing(taken_away)
    hands = Hands(ScriptedSandboxProvider(), Furnishing([furnisher]))
    await hands.attach(handle_of(log))
    assert furnisher.asked == 2


async def test_what_is_still_wanted_is_missed() -> None:
    furnisher = Missing(lambda: None)
    hands = Hands(ScriptedSandboxProvider(), Furnishing([furnisher]))
    with pytest.raises(FurnishingFailed):
        await hands.attach(handle_of(Log()))
    assert furnisher.asked == 1
