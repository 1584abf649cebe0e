"""What is on its way to endpoints of webhooks, on every database."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.contract.test_event_log import create as create_session
from tests.contract.test_event_log import records

from freehold.core import events as ev
from freehold.core import webhooks
from freehold.core.fold import fold_all
from freehold.core.ids import ENTROPY_BYTES, encode
from freehold.core.workspaces import DEFAULT_WORKSPACE
from freehold.dispatch.clock import SystemClock
from freehold.errors import SequenceConflict
from freehold.ports.webhooks import Delivery
from freehold.store import outbox, webhook_endpoints
from freehold.store.database import Database
from freehold.store.event_log import SqlEventLog
from freehold.store.sealing import Sealer
from freehold.store.tables import webhook_deliveries
from freehold.store.webhook_deliveries import SqlOutbox
from freehold.store.webhook_endpoints import EndpointRow, SqlWebhookEndpoints

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
UNTIL = NOW + timedelta(seconds=25)
PATIENCE = timedelta(days=3)
KEY = secrets.token_bytes(32)
SEALER = Sealer(lambda: [KEY])
CLOCK = SystemClock()
URL = "https://hooks.example.com/"


def box(database: Database, sealer: Sealer = SEALER) -> SqlOutbox:
    return SqlOutbox(database, sealer, PATIENCE)


@pytest.fixture
async def workspace(database: Database) -> str:
    """A workspace of one's own; nothing is on its way from elsewhere."""
    async with database.write() as tx:
        await tx.execute(sa.delete(webhook_deliveries))
    return encode("wrkspc", 1, secrets.token_bytes(ENTROPY_BYTES))


async def endpoint(database: Database, workspace_id: str, *kinds: str, **more: Any) -> EndpointRow:
    endpoint_id = CLOCK.mint("whep")
    made = EndpointRow(
        id=endpoint_id,
        workspace_id=workspace_id,
        configured=False,
        url=URL,
        name="",
        description="",
        enabled_events=list(kinds or webhooks.DATA_TYPES),
        enabled=True,
        disabled_reason="",
        secret=SEALER.seal(endpoint_id, {"secret": "whsec_new"}),
        old_secret=None,
        overlap_until=None,
        failing_since=None,
        created_at=NOW,
        updated_at=NOW,
    )
    made = replace(made, **more)
    async with database.write() as tx:
        await webhook_endpoints.insert(tx, made)
    return made


async def tell(
    database: Database, workspace_id: str, resource_id: str = "agent_1", count: int = 1
) -> None:
    async with database.write() as tx:
        for _ in range(count):
            await outbox.tell(tx, workspace_id, "agent.created", resource_id, NOW)


async def claim(
    database: Database,
    now: datetime = NOW,
    until: datetime = UNTIL,
    most: int = 100,
    most_each: int = 100,
    **busy: int,
) -> list[Delivery]:
    return await box(database).claim(now, until, busy, most=most, most_each=most_each)


async def state(database: Database, row: EndpointRow) -> EndpointRow:
    async with database.read() as session:
        found = await webhook_endpoints.get(session, row.workspace_id, row.id)
    assert found is not None
    return found


async def waiting(database: Database) -> list[Any]:
    async with database.read() as session:
        return list(await session.all(sa.select(webhook_deliveries)))


async def test_it_is_written_with_the_change_or_not_at_all(
    database: Database, workspace: str
) -> None:
    row = await endpoint(database, workspace)
    with pytest.raises(RuntimeError, match="given up"):
        async with database.write() as tx:
            await outbox.tell(tx, workspace, "agent.created", "agent_1", NOW)
            raise RuntimeError("given up")
    assert await waiting(database) == []
    assert await box(database).next_due() is None
    async with database.write() as tx:
        await outbox.tell(
            tx, workspace, "vault_credential.created", "vcrd_1", NOW, vault_id="vlt_1"
        )
    assert await box(database).next_due() == NOW
    (delivery,) = await claim(database)
    assert (delivery.endpoint_id, delivery.url, delivery.secrets) == (row.id, URL, ["whsec_new"])
    assert (delivery.occurred_at, delivery.attempts, delivery.until) == (NOW, 0, UNTIL)
    assert delivery.data == {
        "type": "vault_credential.created",
        "id": "vcrd_1",
        "workspace_id": workspace,
        "vault_id": "vlt_1",
    }
    assert URL not in repr(delivery)
    assert "whsec" not in repr(delivery)


@pytest.mark.parametrize("locked", [True, False])
async def test_a_sessions_records_are_told_with_them(
    database: Database, workspace: str, locked: bool
) -> None:
    state = await create_session(database)
    row = await endpoint(database, "wrkspc_1", "session.status_run_started", "session.idled")
    event_log = SqlEventLog(database)
    idle = ev.SessionStatusIdle(stop_reason=ev.StopReason(type="end_turn"))
    made = records(0, [ev.SessionStatusRunning(), ev.SessionUsage(usage={}), idle])
    after = fold_all(state, made)
    with pytest.raises(SequenceConflict):
        async with event_log.transaction() as tx:
            await tx.append(state.session_id, 0, made, after)
            await tx.append(state.session_id, 0, made, after)
    assert await waiting(database) == []
    async with event_log.transaction() as tx:
        if locked:
            await tx.lock_session(state.session_id)
        await tx.append(state.session_id, 0, made[:1], fold_all(state, made[:1]))
        await tx.append(state.session_id, 1, made[1:], after)
    found = sorted(await waiting(database), key=lambda one: one["occurred_at"])
    assert [(one["data"], one["occurred_at"]) for one in found] == [
        (
            {"type": kind, "id": state.session_id, "workspace_id": "wrkspc_1"},
            record.processed_at,
        )
        for kind, record in (("session.status_run_started", made[0]), ("session.idled", made[2]))
    ]
    async with database.write() as tx:
        await webhook_endpoints.delete(tx, row)


async def test_who_is_told(database: Database, workspace: str) -> None:
    wants = await endpoint(database, workspace, "agent.created", "agent.updated")
    also = await endpoint(database, workspace)
    await endpoint(database, workspace, "agent.updated")
    await endpoint(database, workspace, enabled=False)
    elsewhere = encode("wrkspc", 2, secrets.token_bytes(ENTROPY_BYTES))
    await endpoint(database, elsewhere)
    await tell(database, workspace)
    claimed = await claim(database)
    assert {one.endpoint_id for one in claimed} == {wants.id, also.id}
    assert len({one.event_id for one in claimed}) == 1


async def test_of_several_servers_one_delivers(database: Database, workspace: str) -> None:
    for _ in range(3):
        await endpoint(database, workspace)
    await tell(database, workspace, count=10)
    servers = [Database(str(database.url.render_as_string(hide_password=False))) for _ in range(4)]
    keys: list[tuple[str, str]] = []
    try:
        while len(keys) < 30:
            # All look at the same moment, so that most of them come too late.
            found = await asyncio.gather(*(claim(server, most_each=4) for server in servers * 3))
            new = [(one.endpoint_id, one.event_id) for batch in found for one in batch]
            assert new
            keys += new
    finally:
        for server in servers:
            await server.close()
    assert len(keys) == len(set(keys)) == 30


async def test_a_claim_that_ran_out_is_somebody_elses(database: Database, workspace: str) -> None:
    row = await endpoint(database, workspace)
    await tell(database, workspace)
    (lost,) = await claim(database)
    assert await claim(database, now=UNTIL - timedelta(seconds=1)) == []
    later = UNTIL + timedelta(seconds=25)
    (again,) = await claim(database, now=UNTIL, until=later)
    assert (again.event_id, again.data, again.attempts) == (lost.event_id, lost.data, 0)
    # What the first one learned too late changes nothing of the second one's delivery.
    await box(database).delivered(lost)
    await box(database).failed(lost, later, None)
    assert [one["due_at"] for one in await waiting(database)] == [later]
    await box(database).delivered(again)
    assert await waiting(database) == []
    assert (await state(database, row)).failing_since is None


async def test_an_attempt_that_failed_comes_back_at_its_time(
    database: Database, workspace: str
) -> None:
    row = await endpoint(database, workspace)
    await tell(database, workspace)
    (first,) = await claim(database)
    again_at = NOW + timedelta(seconds=60)
    await box(database).failed(first, NOW, again_at)
    assert (await state(database, row)).failing_since == NOW
    assert await box(database).next_due() == again_at
    assert await claim(database, now=again_at - timedelta(microseconds=1)) == []
    (second,) = await claim(database, now=again_at, until=again_at + timedelta(seconds=9))
    assert second.attempts == 1
    await box(database).failed(second, again_at, None)
    assert await waiting(database) == []
    assert (await state(database, row)).failing_since == NOW
    await tell(database, workspace)
    (third,) = await claim(database)
    await box(database).delivered(third)
    assert (await state(database, row)).failing_since is None


async def test_limits_are_kept_and_nobody_is_held_up(database: Database, workspace: str) -> None:
    slow = await endpoint(database, workspace)
    await tell(database, workspace, count=20)
    other = await endpoint(database, workspace)
    await tell(database, workspace)
    claimed = await claim(database, most_each=4, **{slow.id: 3})
    # Of the one that is slow as many as have room, of the other the second event alone.
    assert sorted(one.endpoint_id for one in claimed) == sorted([slow.id, other.id])
    assert await claim(database, most_each=4, **{slow.id: 4}) == []
    assert len(await claim(database, most=7)) == 7


async def test_a_disabled_endpoint_loses_what_was_on_its_way(
    database: Database, workspace: str
) -> None:
    row = await endpoint(database, workspace)
    await tell(database, workspace, count=3)
    (first, *_) = await claim(database, most=1)
    await box(database).disable(first, NOW, webhooks.REDIRECTED)
    after = await state(database, row)
    assert (after.enabled, after.disabled_reason) == (False, webhooks.REDIRECTED)
    assert await waiting(database) == []
    async with database.write() as tx:
        await webhook_endpoints.update(tx, row)
    await tell(database, workspace)
    async with database.write() as tx:
        await webhook_endpoints.update(tx, replace(row, enabled=False))
    assert await waiting(database) == []


async def test_what_was_learned_of_an_old_url_does_not_disable_the_new_one(
    database: Database, workspace: str
) -> None:
    row = await endpoint(database, workspace)
    await tell(database, workspace, count=2)
    first, second = await claim(database)
    async with database.write() as tx:
        await webhook_endpoints.update(tx, replace(row, url="https://new.example.com/"))
    await box(database).disable(first, NOW, webhooks.REDIRECTED)
    await box(database).failed(second, NOW, None)
    after = await state(database, row)
    assert (after.enabled, after.failing_since) == (True, None)


async def test_an_endpoint_that_fails_for_long_is_disabled(
    database: Database, workspace: str
) -> None:
    row = await endpoint(database, workspace, failing_since=NOW - PATIENCE)
    await tell(database, workspace, count=2)
    first, second = await claim(database)
    await box(database).failed(first, NOW - timedelta(microseconds=1), UNTIL)
    assert (await state(database, row)).enabled
    await box(database).failed(second, NOW, UNTIL)
    after = await state(database, row)
    assert (after.enabled, after.failing_since) == (False, None)
    assert after.disabled_reason.startswith("auto-disabled: no delivery has succeeded since")
    assert await waiting(database) == []


async def test_deliveries_of_an_endpoint_that_is_gone_are_cleared_away(
    database: Database, workspace: str
) -> None:
    row = await endpoint(database, workspace)
    await tell(database, workspace)
    left = dict((await waiting(database))[0])
    async with database.write() as tx:
        await webhook_endpoints.delete(tx, row)
    assert await waiting(database) == []
    async with database.write() as tx:  # written by a transaction that did not see the end
        await tx.execute(sa.insert(webhook_deliveries).values(left))
    assert await claim(database) == []
    assert await waiting(database) == []


async def test_the_old_secret_signs_until_the_overlap_ends(
    database: Database, workspace: str
) -> None:
    row = await endpoint(database, workspace)
    old = SEALER.seal(row.id, {"secret": "whsec_old"})
    end = NOW + webhooks.OVERLAP
    async with database.write() as tx:
        await webhook_endpoints.update(tx, replace(row, old_secret=old, overlap_until=end))
    await tell(database, workspace, count=2)
    almost = end - timedelta(microseconds=1)
    (first,) = await claim(database, now=almost, until=end + timedelta(days=1), most=1)
    assert first.secrets == ["whsec_new", "whsec_old"]
    (second,) = await claim(database, now=end, until=end + timedelta(days=1))
    assert second.secrets == ["whsec_new"]


async def test_secrets_move_to_a_new_key(database: Database, workspace: str) -> None:
    row = await endpoint(database, workspace)
    async with database.write() as tx:
        await webhook_endpoints.update(tx, replace(row, old_secret=row.secret))
    fresh = secrets.token_bytes(32)
    both, new = Sealer(lambda: [fresh, KEY]), Sealer(lambda: [fresh])
    assert await SqlWebhookEndpoints(database, both, CLOCK).reseal() >= 1
    assert await SqlWebhookEndpoints(database, both, CLOCK).reseal() == 0
    after = await state(database, row)
    for sealed in (after.secret, after.old_secret):
        assert new.open(row.id, str(sealed)) == {"secret": "whsec_new"}
    # Without its key nothing is sent, and nothing is lost.
    await tell(database, workspace)
    assert await claim(database) == []
    found = await box(database, new).claim(UNTIL, UNTIL + PATIENCE, {}, most=9, most_each=9)
    assert len(found) == 1
    # But not for ever.
    late = UNTIL + 2 * PATIENCE
    assert await box(database).claim(late, late + PATIENCE, {}, most=9, most_each=9) == []
    assert await waiting(database) == []
    # What only waited for the server is delivered however late.
    await tell(database, workspace)
    found = await box(database, new).claim(late, late + PATIENCE, {}, most=9, most_each=9)
    assert len(found) == 1
    async with database.write() as tx:
        await webhook_endpoints.delete(tx, after)


async def test_another_workspaces_endpoint_is_not_there(database: Database, workspace: str) -> None:
    row = await endpoint(database, workspace)
    elsewhere = encode("wrkspc", 3, secrets.token_bytes(ENTROPY_BYTES))
    async with database.write() as tx:
        assert await webhook_endpoints.get(tx, elsewhere, row.id) is None
        assert await webhook_endpoints.of_workspace(tx, elsewhere) == []
        await webhook_endpoints.update(tx, replace(row, workspace_id=elsewhere, name="stolen"))
        await webhook_endpoints.delete(tx, replace(row, workspace_id=elsewhere))
    assert await state(database, row) == row


async def test_the_endpoints_of_the_settings_belong_to_the_default_workspace(
    database: Database,
) -> None:
    kept = SqlWebhookEndpoints(database, SEALER, CLOCK)
    await kept.configure([])
    async with database.read() as session:
        assert await webhook_endpoints.of_workspace(session, DEFAULT_WORKSPACE) == []
