"""Dreams with several servers on one database (spec 18)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.clocks import Wall
from tests.support.deployments import WORKSPACE, deployed, worker

from freehold.api.deps import ApiServices
from freehold.api.dreams import service
from freehold.api.dreams.pipeline import Pipeline
from freehold.api.dreams.schemas import DreamCreateParams
from freehold.api.memory_stores import service as memory_stores
from freehold.api.memory_stores.schemas import MemoryStoreCreateParams
from freehold.api.session_resources.attaching import Workshop
from freehold.api.sessions import service as session_service
from freehold.api.sessions.schemas import SessionCreateParams
from freehold.errors import BlobsUnavailable, Conflict
from freehold.ports.memory import Actor
from freehold.store import memory_changes, tables
from freehold.store.dreams import DreamRow, SqlDreams

NOON = datetime(2026, 10, 24, 12, tzinfo=UTC)

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def wall() -> Wall:
    return Wall(NOON)


@pytest.fixture
async def workers(
    database_url: str, tmp_path: Path, wall: Wall
) -> AsyncIterator[list[ApiServices]]:
    made = [worker(database_url, tmp_path / "shared", wall) for _ in range(2)]
    yield made
    for behind in made:
        await behind.files.close()
        await behind.database.close()


async def made_store(behind: ApiServices) -> str:
    async with behind.database.write() as tx:
        store = await memory_stores.create(
            tx,
            WORKSPACE,
            MemoryStoreCreateParams.model_validate({"name": "Notes"}),
            behind.clock,
        )
        for number in range(3):
            await memory_changes.create(
                tx,
                store,
                Actor("api_actor", "apikey_x"),
                behind.clock,
                path=f"/{number}",
                content="x",
            )
    return store.id


async def made_session(behind: ApiServices) -> str:
    deployment = await deployed(behind)
    params = {"agent": deployment.agent_id, "environment_id": deployment.environment_id}
    async with behind.database.write() as tx:
        session, _ = await session_service.create(
            tx,
            WORKSPACE,
            SessionCreateParams.model_validate(params),
            intake=behind.intake,
            clock=behind.clock,
            catalog=behind.catalog,
            sandboxes=behind.sandboxes,
            workshop=Workshop(behind.files, behind.sealer, behind.clock),
        )
    return session.id


async def begun(behind: ApiServices, store: str, session: str, *, in_place: bool) -> DreamRow:
    body: dict[str, Any] = {
        "inputs": [
            {"type": "memory_store", "memory_store_id": store},
            {"type": "sessions", "session_ids": [session]},
        ],
        "model": "claude-opus-5",
    }
    if in_place:
        body["output_behavior"] = {"type": "update_existing", "memory_store_id": store}
    async with behind.database.write() as tx:
        return await service.create(
            tx,
            WORKSPACE,
            DreamCreateParams.model_validate(body),
            clock=behind.clock,
            sandboxes=behind.sandboxes,
        )


async def now_is(behind: ApiServices, dream: DreamRow) -> DreamRow:
    async with behind.database.read() as session:
        return await service.find(session, WORKSPACE, dream.id)


async def counts(behind: ApiServices) -> list[int]:
    """How many sessions, stores, memories and files there are."""
    kinds = (tables.sessions, tables.memory_stores, tables.memories, tables.files)
    async with behind.database.read() as read:
        return [
            int(await read.scalar(sa.select(sa.func.count()).select_from(table))) for table in kinds
        ]


async def test_a_dream_starts_once(workers: list[ApiServices]) -> None:
    behind = workers[0]
    store, session = await made_store(behind), await made_session(behind)
    dreams = [await begun(behind, store, session, in_place=False) for _ in range(5)]
    before = await counts(behind)
    await asyncio.gather(*(Pipeline(one).start(dream) for dream in dreams for one in workers * 2))
    after = [await now_is(behind, dream) for dream in dreams]
    assert {dream.status for dream in after} == {"running"}
    added = [now - then for now, then in zip(await counts(behind), before, strict=True)]
    assert added == [5, 5, 15, 5]
    assert len({dream.session_id for dream in after}) == len(dreams)
    assert {dream.id for dream in dreams} <= set(await SqlDreams(behind.database).active())


async def test_one_of_many_gets_the_store(workers: list[ApiServices]) -> None:
    behind = workers[0]
    store, session = await made_store(behind), await made_session(behind)
    found = await asyncio.gather(
        *(begun(one, store, session, in_place=True) for one in workers * 4), return_exceptions=True
    )
    assert len([one for one in found if isinstance(one, DreamRow)]) == 1
    assert len([one for one in found if isinstance(one, Conflict)]) == len(found) - 1


async def test_a_dream_is_canceled_while_it_starts(workers: list[ApiServices]) -> None:
    behind, other = workers
    store, session = await made_store(behind), await made_session(behind)

    async def cancel(dream: DreamRow) -> None:
        async with other.database.write() as tx:
            await service.cancel(tx, WORKSPACE, dream.id, intake=other.intake, clock=other.clock)

    for in_place in (False, True):
        dream = await begun(behind, store, session, in_place=in_place)
        await asyncio.gather(Pipeline(behind).start(dream), cancel(dream))
        after = await now_is(behind, dream)
        assert after.status == "canceled"
        # What had begun is still to be stopped, and holds the store until then.
        assert after.active == (after.session_id is not None)


async def test_what_cannot_be_kept_is_tried_again_until_it_is_late(
    workers: list[ApiServices], wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = workers[0]
    store, session = await made_store(behind), await made_session(behind)
    dream = await begun(behind, store, session, in_place=False)

    def staged(_: object) -> None:
        raise BlobsUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(behind.files, "staged", staged)
        with pytest.raises(BlobsUnavailable):
            await Pipeline(behind).start(dream)
        assert (await now_is(behind, dream)).status == "pending"
        wall.ahead += timedelta(seconds=behind.settings.dream_timeout + 1)
        with pytest.raises(BlobsUnavailable):
            await Pipeline(behind).start(dream)
    after = await now_is(behind, dream)
    assert (after.status, after.active) == ("failed", False)
    assert after.error is not None
    assert after.error.type == "timeout"
