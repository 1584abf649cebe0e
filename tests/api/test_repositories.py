"""The repositories on both databases: tenancy, order, pages, locks; and a whole turn on each."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from freehold.core.state import SessionState
from freehold.dispatch.clock import SystemClock
from freehold.store import agents, environments, sessions
from freehold.store.agents import AgentRow
from freehold.store.database import Database
from freehold.store.environments import EnvironmentRow
from freehold.store.keyset import Key
from freehold.store.sessions import Filter, SessionRow
from tests.api.conftest import said, turn
from tests.support.running import serve

CLOCK = SystemClock()
START = datetime(2026, 3, 15, 10, tzinfo=UTC)
NASTY = "quotes \" \\ ', é, 🏡, \u2028"


@pytest.fixture
def workspace() -> str:
    """A workspace of the test's own: the databases are shared by a module."""
    return CLOCK.mint("wrkspc")


def an_agent(workspace: str, at: datetime = START) -> AgentRow:
    return AgentRow(CLOCK.mint("agent"), workspace, 1, {"name": NASTY}, at, at, None)


def an_environment(workspace: str, at: datetime = START) -> EnvironmentRow:
    return EnvironmentRow(
        id=CLOCK.mint("env"),
        workspace_id=workspace,
        name=NASTY,
        description=None,
        config={"type": "cloud"},
        metadata={"k": NASTY},
        scope="organization",
        created_at=at,
        updated_at=at,
        archived_at=None,
    )


def a_session(workspace: str, at: datetime = START, **fields: Any) -> SessionRow:
    session_id = CLOCK.mint("sesn")
    row = SessionRow(
        id=session_id,
        workspace_id=workspace,
        agent_id="agent_a",
        agent_version=1,
        agent={"name": NASTY},
        environment_id="env_e",
        environment={},
        primary_thread_id="sthr_t",
        title=NASTY,
        metadata={"k": NASTY},
        state=SessionState(
            session_id=session_id, primary_thread_id="sthr_t", agent_name="a", created_at=at
        ),
        created_at=at,
        updated_at=at,
        archived_at=None,
    )
    return replace(row, **fields)


async def test_what_is_stored_comes_back(database: Database, workspace: str) -> None:
    agent, environment, session = (
        an_agent(workspace),
        an_environment(workspace),
        a_session(workspace),
    )
    async with database.write() as tx:
        await agents.insert(tx, agent)
        await environments.insert(tx, environment)
        await sessions.insert(tx, session)
    async with database.read() as reading:
        assert await agents.get(reading, workspace, agent.id) == agent
        assert await agents.get_version(reading, workspace, agent.id, 1) == agent
        assert await environments.get(reading, workspace, environment.id) == environment
        assert await sessions.get(reading, workspace, session.id) == session
        assert await sessions.head(reading, workspace, session.id) == 0
        assert await sessions.state(reading, workspace, session.id) == session.state


async def test_another_workspace_finds_and_changes_nothing(
    database: Database, workspace: str
) -> None:
    other = CLOCK.mint("wrkspc")
    agent, environment, session = (
        an_agent(workspace),
        an_environment(workspace),
        a_session(workspace),
    )
    async with database.write() as tx:
        await agents.insert(tx, agent)
        await environments.insert(tx, environment)
        await sessions.insert(tx, session)
    async with database.write() as tx:
        assert not await environments.delete(tx, other, environment.id)
        await environments.update(tx, replace(environment, workspace_id=other, name="theirs"))
        await agents.archive(tx, other, agent.id, START)
        await sessions.update(tx, replace(session, workspace_id=other, title="theirs"))
        assert await agents.get(tx, other, agent.id, for_update=True) is None
    async with database.read() as reading:
        assert await agents.get(reading, workspace, agent.id) == agent
        assert await environments.get(reading, workspace, environment.id) == environment
        assert await sessions.get(reading, workspace, session.id) == session
        found = [
            await agents.get(reading, other, agent.id),
            await agents.get_version(reading, other, agent.id, 1),
            await environments.get(reading, other, environment.id),
            await sessions.get(reading, other, session.id),
            await sessions.head(reading, other, session.id),
            await sessions.state(reading, other, session.id),
            *await agents.page(reading, other, after=None, limit=9, include_archived=True),
            *await agents.page_versions(reading, other, agent.id, before=None, limit=9),
            *await environments.page(reading, other, after=None, limit=9, include_archived=True),
            *await sessions.page(reading, other, Filter(), after=None, descending=True, limit=9),
        ]
    assert set(found) == {None}


@pytest.mark.parametrize("descending", [True, False])
async def test_pages_break_ties_by_id(database: Database, workspace: str, descending: bool) -> None:
    """Rows of one microsecond neither repeat nor hide."""
    moments = [START, START, START, START + timedelta(microseconds=1)]
    rows = [a_session(workspace, at) for at in moments]
    async with database.write() as tx:
        for row in rows:
            await sessions.insert(tx, row)
    expected = sorted((row.created_at, row.id) for row in rows)
    if descending:
        expected.reverse()
    seen: list[tuple[datetime, str]] = []
    after: Key | None = None
    async with database.read() as reading:
        for _ in rows:
            (row,) = await sessions.page(
                reading, workspace, Filter(), after=after, descending=descending, limit=1
            )
            seen.append((row.created_at, row.id))
            after = Key(row.created_at, row.id)
        assert not await sessions.page(
            reading, workspace, Filter(), after=after, descending=descending, limit=1
        )
    assert seen == expected


async def test_versions(database: Database, workspace: str) -> None:
    first = an_agent(workspace)
    second = replace(first, version=2, body={"name": "b"}, updated_at=START + timedelta(seconds=1))
    async with database.write() as tx:
        await agents.insert(tx, first)
        await agents.add_version(tx, second)
    async with database.read() as reading:
        assert await agents.get(reading, workspace, first.id) == second
        assert await agents.get_version(reading, workspace, first.id, 1) == first
        assert list(
            await agents.page_versions(reading, workspace, first.id, before=None, limit=9)
        ) == [second, first]
        assert list(
            await agents.page_versions(reading, workspace, first.id, before=2, limit=9)
        ) == [first]


async def test_two_who_change_one_agent_take_turns(database: Database, workspace: str) -> None:
    """Read for update, add one: nobody's version is lost."""
    agent = an_agent(workspace)
    async with database.write() as tx:
        await agents.insert(tx, agent)

    async def bump() -> None:
        async with database.write() as tx:
            stored = await agents.get(tx, workspace, agent.id, for_update=True)
            assert stored is not None
            await agents.add_version(tx, replace(stored, version=stored.version + 1))

    await asyncio.gather(*(bump() for _ in range(8)))
    async with database.read() as reading:
        final = await agents.get(reading, workspace, agent.id)
    assert final is not None
    assert final.version == 9


def test_a_session_from_end_to_end(database_url: str, tmp_path: Path) -> None:
    """The same as the rest of this folder does on SQLite, in short, on each database."""
    with serve(tmp_path / "data", database_url=database_url) as served, served.client() as sdk:
        agent = sdk.beta.agents.create(name=NASTY, model="m")
        assert sdk.beta.agents.update(agent.id, metadata={"k": NASTY}).version == 2
        environment = sdk.beta.environments.create(name=NASTY)
        assert sdk.beta.environments.update(environment.id, description="d").description == "d"
        made = [
            sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id, title=str(n))
            for n in range(3)
        ]
        assert [one.title for one in sdk.beta.sessions.list(agent_id=agent.id, limit=1)] == [
            "2",
            "1",
            "0",
        ]
        assert len(sdk.beta.sessions.list(agent_id=agent.id, statuses=["idle"]).data) == 3
        seen = turn(sdk, made[0].id, said(f"/say {NASTY}"))
        assert "é, 🏡" in next(
            event.content[0].text for event in seen if event.type == "agent.message"
        )
        types: Any = ["agent.message"]
        newest = sdk.beta.sessions.events.list(made[0].id, types=types, order="desc", limit=1)
        assert [event.type for event in newest] == ["agent.message"]
        sdk.beta.sessions.update(made[0].id, metadata={"k": "v"})
        assert sdk.beta.sessions.archive(made[0].id).status == "terminated"
        assert sdk.beta.sessions.delete(made[1].id).id == made[1].id
        assert [one.id for one in sdk.beta.sessions.list(agent_id=agent.id)] == [made[2].id]
