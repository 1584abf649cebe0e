"""Memory stores that a new session names (spec 9.2)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from freehold.api.memory_stores import service
from freehold.api.memory_stores.schemas import MemoryStoreCreateParams, MemoryStoreResourceParams
from freehold.core.memory_mounts import MountedStore
from freehold.dispatch.clock import SystemClock
from freehold.errors import InvalidRequest, NotFound
from freehold.store.database import Database

WORKSPACE = "wrkspc_test"
CLOCK = SystemClock()


async def made(database: Database, name: str, description: str = "") -> str:
    params = MemoryStoreCreateParams(name=name, description=description)
    async with database.write() as tx:
        return (await service.create(tx, WORKSPACE, params, CLOCK)).id


def resource(store_id: str, **more: Any) -> MemoryStoreResourceParams:
    return MemoryStoreResourceParams(type="memory_store", memory_store_id=store_id, **more)


async def mounted(database: Database, *resources: MemoryStoreResourceParams) -> list[MountedStore]:
    async with database.read() as session:
        return await service.mounted(session, WORKSPACE, resources)


async def test_stores_are_kept_as_they_are(database: Database) -> None:
    one = await made(database, "Team Notes", "What we know")
    two = await made(database, "team-notes")
    assert await mounted(
        database, resource(one, instructions="Read first."), resource(two, access="read_only")
    ) == [
        MountedStore(
            one,
            "Team Notes",
            "What we know",
            "read_write",
            "Read first.",
            "/mnt/memory/team-notes",
        ),
        MountedStore(two, "team-notes", "", "read_only", None, "/mnt/memory/team-notes-2"),
    ]
    assert await mounted(database) == []


async def test_what_cannot_be_attached(database: Database) -> None:
    stores = [await made(database, f"n{number}") for number in range(9)]
    with pytest.raises(InvalidRequest, match="at most 8 memory stores"):
        await mounted(database, *map(resource, stores))
    assert len(await mounted(database, *map(resource, stores[:8]))) == 8
    with pytest.raises(InvalidRequest, match=f"contains duplicate memory_store_id: {stores[0]}"):
        await mounted(database, resource(stores[0]), resource(stores[0]))
    gone = "memstore_01" + "1" * 22
    with pytest.raises(NotFound, match=f"Memory store `{gone}` not found."):
        await mounted(database, resource(gone))
    async with database.write() as tx:
        await service.archive(tx, WORKSPACE, stores[0], CLOCK)
    with pytest.raises(InvalidRequest, match=rf"Memory store {stores[0]} is archived\."):
        await mounted(database, resource(stores[0]))
    with pytest.raises(ValidationError, match="at most 4096"):
        resource(stores[1], instructions="x" * 4097)
