"""The work queue on either database: each item goes to one worker, whoever asks at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from freehold.core.events import (
    Event,
    Record,
    SessionArchived,
    SessionDeleted,
    SessionStatusRunning,
)
from freehold.core.fold import fold
from freehold.core.state import SessionState
from freehold.core.work import acknowledged, beaten, enqueued, stopped
from freehold.dispatch.clock import SystemClock
from freehold.store import tables, work
from freehold.store.database import Database
from freehold.store.event_log import SqlEventLog
from freehold.store.work_rows import WorkRow

CLOCK = SystemClock()
WORKSPACE = "wrkspc_1"
RECLAIM = timedelta(seconds=5)


@pytest.fixture
def own() -> str:
    """An environment that no other test has: they share a database."""
    return CLOCK.mint("env")


def _item(environment: str, now: datetime) -> WorkRow:
    return WorkRow(
        id=CLOCK.mint("work"),
        workspace_id=WORKSPACE,
        environment_id=environment,
        session_id=CLOCK.mint("sesn"),
        metadata={"k": "v"},
        created_at=now,
        work=enqueued(now),
    )


async def queue(database: Database, environment: str, count: int = 1) -> list[str]:
    found = []
    for _ in range(count):
        item = _item(environment, CLOCK.now())
        async with database.write() as tx:
            await work.insert(tx, item)
        found.append(item.id)
    return found


async def claim(
    database: Database, own: str, *, name: str = "t", workspace: str = WORKSPACE, ahead: float = 0
) -> WorkRow | None:
    now = CLOCK.now() + timedelta(seconds=ahead)
    async with database.write() as tx:
        token = f"{name} of {own}"
        return await work.claim(tx, workspace, own, token=token, now=now, reclaim=RECLAIM)


async def test_workers_that_ask_at_once_share_the_items(database: Database, own: str) -> None:
    items = await queue(database, own, 12)
    await queue(database, CLOCK.mint("env"), 3)
    found = await asyncio.gather(*(claim(database, own, name=f"t{number}") for number in range(20)))
    ids = [item.id for item in found if item is not None]
    assert sorted(ids) == sorted(items)
    assert await claim(database, own) is None
    assert await claim(database, own, workspace="wrkspc_2", ahead=60) is None


async def test_two_that_acknowledge_at_once(database: Database, own: str) -> None:
    await queue(database, own)
    item = await claim(database, own)
    assert item is not None

    async def acknowledge() -> str:
        async with database.write() as tx:
            now = CLOCK.now()
            row = await work.get(tx, WORKSPACE, own, item.id, now, for_update=True)
            assert row is not None
            if row.work.state != "queued":
                return "late"
            row = replace(row, work=acknowledged(row.work, now))
            await work.save(tx, row)
            return "first"

    assert sorted(await asyncio.gather(*(acknowledge() for _ in range(6)))) == [
        "first",
        *["late"] * 5,
    ]


async def test_a_lease_that_ran_out_is_found_by_the_next_poll(database: Database, own: str) -> None:
    (item_id,) = await queue(database, own)
    now = CLOCK.now()
    async with database.write() as tx:
        row = await work.get(tx, WORKSPACE, own, item_id, now, for_update=True)
        assert row is not None
        beat = beaten(row.work, now, None, 10)
        await work.save(tx, replace(row, work=beat.work))
    assert await claim(database, own, ahead=9) is None
    stats_now = now + timedelta(seconds=11)
    async with database.read() as session:
        stats = await work.stats(session, WORKSPACE, own, stats_now)
    assert (stats.depth, stats.pending) == (1, 0)
    again = await claim(database, own, name="second", ahead=11)
    assert again is not None
    assert (again.id, again.metadata) == (item_id, {"k": "v"})
    assert again.work.latest_heartbeat_at is None


async def test_tokens_of_this_holder_and_the_one_before(database: Database, own: str) -> None:
    await queue(database, own)
    for number in range(3):
        assert await claim(database, own, name=f"t{number}", ahead=number * 10) is not None
    async with database.read() as session:
        known = [
            await work.of_token(session, f"t{number} of {own}", CLOCK.now()) is not None
            for number in range(3)
        ]
    assert known == [False, True, True]


async def test_what_is_given_up_is_not_handed_out_too_early(database: Database, own: str) -> None:
    (item_id,) = await queue(database, own)
    now = CLOCK.now()
    async with database.write() as tx:
        row = await work.get(tx, WORKSPACE, own, item_id, now, for_update=True)
        assert row is not None
        wanted = replace(row.work, wanted=True, failures=3)
        tired = stopped(wanted, now, force=True, by_worker=True)
        await work.save(tx, replace(row, work=tired))
    assert await claim(database, own, ahead=5) is None
    assert await claim(database, own, ahead=8) is not None


@pytest.mark.parametrize("worker", ["a", "a" * 256, "wörker 🙂"])
async def test_who_polls_is_counted_for_a_while(database: Database, own: str, worker: str) -> None:
    now = CLOCK.now()
    async with database.write() as tx:
        await work.polled(tx, own, worker, now)
        await work.polled(tx, own, worker, now)
        await work.polled(tx, own, "b2", now - timedelta(seconds=31))
    async with database.read() as session:
        stats = await work.stats(session, WORKSPACE, own, now)
    assert stats.workers_polling == 1


async def test_an_item_follows_its_sessions_log(database: Database, own: str) -> None:
    now = CLOCK.now()
    item = replace(_item(own, now), work=replace(enqueued(now), wanted=False))
    state = SessionState(
        session_id=item.session_id,
        primary_thread_id=CLOCK.mint("sthr"),
        agent_name="a",
        created_at=now,
        self_hosted=True,
    )
    async with database.write() as tx:
        await tx.execute(
            sa.insert(tables.sessions).values(
                id=state.session_id,
                workspace_id=WORKSPACE,
                agent_id="agent_1",
                agent_version=1,
                agent={},
                environment_id=own,
                environment={"type": "self_hosted"},
                primary_thread_id=state.primary_thread_id,
                metadata={},
                status=state.status,
                head_seq=0,
                state=state.model_dump_json(),
                needs_work=False,
                created_at=now,
                updated_at=now,
            )
        )
        await work.insert(tx, item)
        await work.save(tx, replace(item, work=stopped(item.work, now, force=True, by_worker=True)))
    assert await claim(database, own) is None

    async def grow(event: Event) -> None:
        nonlocal state
        async with database.write() as tx:
            record = Record(
                seq=state.seq + 1,
                id=CLOCK.mint("sevt"),
                processed_at=CLOCK.now(),
                event=event,
                origin="runner",
            )
            state = fold(state, record)
            await tx.append(state.session_id, record.seq - 1, [record], state)

    await grow(SessionStatusRunning())
    found = await claim(database, own)
    assert found is not None
    assert (found.id, found.work.wanted) == (item.id, True)
    await grow(SessionArchived())
    async with database.read() as session:
        row = await work.get(session, WORKSPACE, own, item.id, CLOCK.now())
    assert row is not None
    assert (row.work.state, row.work.wanted) == ("stopped", False)
    log = SqlEventLog(database)
    await grow(SessionDeleted())
    assert await log.purge_deleted(CLOCK.now() + timedelta(seconds=1)) >= 1
    async with database.read() as session:
        assert await work.get(session, WORKSPACE, own, item.id, CLOCK.now()) is None
