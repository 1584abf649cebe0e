"""Keys, workspaces and kept answers, on both databases."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest

from freehold.core import keys as forms
from freehold.core.keys import Scope
from freehold.core.workspaces import DEFAULT_WORKSPACE
from freehold.dispatch.clock import SystemClock
from freehold.errors import Unauthenticated
from freehold.store import idempotency, keys, workspaces
from freehold.store.database import Database
from freehold.store.idempotency import Kept
from freehold.store.keys import KeyDesk, Minted
from freehold.store.workspaces import WorkspaceRow

CLOCK = SystemClock()
ENVIRONMENT = "env_01" + "2" * 22


async def mint(database: Database, scope: Scope, lifetime: timedelta | None = None) -> Minted:
    async with database.write() as tx:
        ends = None if lifetime is None else CLOCK.now() + lifetime
        return await keys.mint(tx, CLOCK, scope, expires_at=ends)


async def test_a_key_says_who_has_it(database: Database) -> None:
    desk = KeyDesk(database, CLOCK)
    for scope in (
        Scope("workspace", DEFAULT_WORKSPACE),
        Scope("admin"),
        Scope("environment", DEFAULT_WORKSPACE, ENVIRONMENT),
    ):
        minted = await mint(database, scope)
        found = await desk.check(minted.text)
        assert found is not None
        assert found.key_id == minted.row.id
        assert (found.kind, found.workspace_id, found.environment_id) == (
            scope.kind,
            scope.workspace_id,
            scope.environment_id,
        )
        assert await desk.check(minted.text[:-1]) is None
        assert await desk.check(minted.text + "1") is None
        assert await desk.check(minted.text[:-1] + "é") is None
    assert await desk.check("anything") is None


async def test_inactive_expired_and_revoked_keys(database: Database) -> None:
    desk = KeyDesk(database, CLOCK)
    minted = await mint(database, Scope("workspace", DEFAULT_WORKSPACE))
    for status, opens in (("inactive", False), ("active", True), ("archived", False)):
        async with database.write() as tx:
            await keys.update(tx, replace(minted.row, status=status))  # type: ignore[arg-type]
        assert (await desk.check(minted.text) is not None) is opens
    ended = await mint(database, Scope("admin"), -timedelta(seconds=1))
    assert await desk.check(ended.text) is None
    worker = await mint(
        database, Scope("environment", DEFAULT_WORKSPACE, ENVIRONMENT), -timedelta(seconds=1)
    )
    with pytest.raises(Unauthenticated, match="has expired"):
        await desk.check(worker.text)


async def test_a_workspace_that_is_archived_ends_its_keys(database: Database) -> None:
    desk = KeyDesk(database, CLOCK)
    row = WorkspaceRow(CLOCK.mint("wrkspc"), "brief", "#000000", {}, CLOCK.now())
    async with database.write() as tx:
        await workspaces.insert(tx, row)
    minted = await mint(database, Scope("workspace", row.id))
    assert await desk.check(minted.text) is not None
    assert await desk.has_workspace(row.id)
    async with database.write() as tx:
        await workspaces.update(tx, replace(row, archived_at=CLOCK.now()))
    assert await desk.check(minted.text) is None
    assert not await desk.has_workspace(row.id)


async def test_last_used_is_written_in_one_go(database: Database) -> None:
    desk = KeyDesk(database, CLOCK)
    minted = [await mint(database, Scope("workspace", DEFAULT_WORKSPACE)) for _ in range(3)]
    for key in minted[:2]:
        await desk.check(key.text)
    await desk.flush()
    async with database.read() as session:
        rows = [await keys.get(session, key.row.id) for key in minted]
    assert [row is not None and row.last_used_at is not None for row in rows] == [
        True,
        True,
        False,
    ]


async def test_lists_are_of_a_status(database: Database) -> None:
    now = CLOCK.now()
    active = await mint(database, Scope("admin"))
    over = await mint(database, Scope("admin"), -timedelta(seconds=1))
    gone = await mint(database, Scope("admin"), -timedelta(seconds=1))
    async with database.write() as tx:
        await keys.update(tx, replace(gone.row, status="archived"))
    for status, wanted in (("active", active), ("expired", over), ("archived", gone)):
        async with database.read() as session:
            rows = await keys.page(session, kinds=("admin",), limit=1000, now=now, status=status)
        found = {row.id for row in rows}
        assert wanted.row.id in found
        assert not found & {key.row.id for key in (active, over, gone) if key is not wanted}


@pytest.mark.parametrize(
    "parts",
    [("admin", "wrkspc_1"), ("workspace",), ("environment", "wrkspc_1"), ("admin", None, "env_1")],
)
def test_scopes_that_make_no_sense(parts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="no scope"):
        Scope(*parts)  # type: ignore[arg-type]


def test_keys_are_long_and_differ() -> None:
    made = {forms.generate("workspace").text for _ in range(100)}
    assert len(made) == 100
    assert {len(text) for text in made} == {len("sk-ant-api03-") + 56}


def _take_back_unless(won: bool) -> None:
    if not won:
        raise asyncio.InvalidStateError


async def test_an_answer_is_kept_once(database: Database) -> None:
    """Also by two transactions at the same time: one of them is told, and takes itself back."""
    key, now = CLOCK.mint("req"), CLOCK.now()
    since = now - timedelta(days=1)
    won: list[bool] = []

    async def keep(number: int) -> None:
        with contextlib.suppress(asyncio.InvalidStateError):
            async with database.write() as tx:
                kept = Kept(f"print-{number}", "answer")
                won.append(await idempotency.keep(tx, "wrkspc_1", key, kept, now=now, since=since))
                _take_back_unless(won[-1])

    await asyncio.gather(*(keep(number) for number in range(5)))
    assert sorted(won) == [False] * 4 + [True]
    async with database.read() as session:
        assert await idempotency.find(session, "wrkspc_1", key, since) is not None
        assert await idempotency.find(session, "wrkspc_2", key, since) is None
        later = now + timedelta(seconds=1)
        assert await idempotency.find(session, "wrkspc_1", key, later) is None
    async with database.write() as tx:
        # What is over makes room.
        assert await idempotency.keep(
            tx, "wrkspc_1", key, Kept("new", "answer"), now=later, since=later
        )
    async with database.write() as tx:
        await idempotency.forget(tx, later + timedelta(seconds=1))
    async with database.read() as session:
        assert await idempotency.find(session, "wrkspc_1", key, since) is None
