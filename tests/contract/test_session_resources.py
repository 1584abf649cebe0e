"""Resources of sessions as the store keeps them, on every database."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from tests.contract.test_event_log import START
from tests.contract.test_event_log import create as create_session

from freehold.dispatch.clock import SystemClock
from freehold.errors import SecretUnreadable
from freehold.store import session_resources
from freehold.store.database import Database
from freehold.store.event_log import SqlEventLog
from freehold.store.sealing import Sealer
from freehold.store.session_resources import ResourceRow, SqlRepositoryTokens

CLOCK = SystemClock()
FILE = {"type": "file", "file_id": "file_1", "mount_path": "/mnt/session/uploads/a"}
REPOSITORY = {
    "type": "github_repository",
    "url": "https://github.com/o/r",
    "mount_path": "/workspace/r",
    "checkout": None,
}
STORE = {
    "type": "memory_store",
    "memory_store_id": "memstore_1",
    "access": "read_only",
    "name": "Notes",
    "description": "",
    "mount_path": "/mnt/memory/notes",
}
SHOWN = "2026-03-15T10:00:00.000000Z"


def sealer(*keys: bytes) -> Sealer:
    return Sealer(lambda: keys)


KEY = os.urandom(32)


def resource(session_id: str, position: int, body: dict[str, Any], **more: Any) -> ResourceRow:
    row: dict[str, Any] = {
        "id": CLOCK.mint("sesrsc"),
        "session_id": session_id,
        "workspace_id": "wrkspc_1",
        "position": position,
        "type": body["type"],
        "body": body,
        "secret": None,
        "created_at": START,
        "updated_at": START,
    }
    return ResourceRow(**(row | more))


async def given(database: Database, *bodies: dict[str, Any]) -> tuple[str, list[ResourceRow]]:
    """A session with these resources, stored in the reverse of their order."""
    session_id = (await create_session(database)).session_id
    rows = [resource(session_id, position, body) for position, body in enumerate(bodies)]
    async with database.write() as tx:
        await session_resources.insert(tx, rows[::-1])
    return session_id, rows


async def test_the_log_tells_them_as_the_api_shows_them(database: Database) -> None:
    log = SqlEventLog(database)
    session_id, (file, repository, _) = await given(database, FILE, REPOSITORY, STORE)
    spec = await log.spec(session_id)
    assert spec is not None
    moments = {"created_at": SHOWN, "updated_at": SHOWN}
    assert spec.resources == (
        {"id": file.id, **FILE, **moments},
        {"id": repository.id, **REPOSITORY, **moments},
        STORE,
    )
    other = await log.spec((await create_session(database)).session_id)
    assert other is not None
    assert other.resources == ()


async def test_rows_come_back_change_and_go(database: Database) -> None:
    session_id, rows = await given(database, FILE, REPOSITORY, STORE)
    other, theirs = await given(database, FILE)
    bare, _ = await given(database)
    async with database.read() as session:
        assert await session_resources.of_session(session, session_id) == rows
        all_of_them = await session_resources.of_sessions(session, [session_id, other, bare])
        assert all_of_them == {session_id: rows, other: theirs}
        assert await session_resources.page(session, session_id, after=0, limit=1) == rows[1:2]
        assert await session_resources.page(session, session_id, after=None, limit=None) == rows
        assert await session_resources.get(session, other, rows[0].id) is None
    later = START + timedelta(seconds=1)
    changed = resource(session_id, 1, REPOSITORY, id=rows[1].id, secret="s", updated_at=later)
    async with database.write() as tx:
        await session_resources.update(tx, changed)
        await session_resources.delete(tx, rows[0])
    async with database.read() as session:
        assert await session_resources.of_session(session, session_id) == [changed, rows[2]]
        assert await session_resources.get(session, session_id, rows[0].id) is None
    async with database.write() as tx:
        await session_resources.forget(tx, session_id)
    async with database.read() as session:
        assert await session_resources.of_session(session, session_id) == []
        assert await session_resources.of_session(session, other) == theirs


async def test_tokens_are_opened_by_their_own_resource_alone(database: Database) -> None:
    session_id, (one, two, _) = await given(database, REPOSITORY, REPOSITORY, REPOSITORY)
    sealed = session_resources.seal_token(sealer(KEY), one.id, "canary")
    assert "canary" not in sealed
    async with database.write() as tx:
        await session_resources.update(
            tx, resource(session_id, 0, REPOSITORY, id=one.id, secret=sealed)
        )
    tokens = SqlRepositoryTokens(database, sealer(KEY))
    assert await tokens.tokens(session_id) == {one.id: "canary"}
    async with database.read() as session:
        [row, *_] = await session_resources.of_session(session, session_id)
    assert "canary" not in repr(row)
    assert sealed not in repr(row)
    async with database.write() as tx:
        await session_resources.update(
            tx, resource(session_id, 1, REPOSITORY, id=two.id, secret=sealed)
        )
    with pytest.raises(SecretUnreadable):
        await tokens.tokens(session_id)


async def test_tokens_are_sealed_anew_with_the_newest_key(database: Database) -> None:
    session_id, (one,) = await given(database, REPOSITORY)
    secret = session_resources.seal_token(sealer(KEY), one.id, "canary")
    async with database.write() as tx:
        await session_resources.update(
            tx, resource(session_id, 0, REPOSITORY, id=one.id, secret=secret)
        )
    new = os.urandom(32)
    assert await SqlRepositoryTokens(database, sealer(new)).reseal() == 0
    assert await SqlRepositoryTokens(database, sealer(new, KEY)).reseal() >= 1
    assert await SqlRepositoryTokens(database, sealer(new)).tokens(session_id) == {one.id: "canary"}
