"""What is on its way to endpoints of webhooks (:class:`ports.webhooks.Outbox`).

A delivery is claimed by moving the time at which it is due. Only one of several servers can move
it from where it was, and one whose server dies is due again when the claim runs out, so each is
delivered at least once and by nobody twice at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from freehold.core import times, webhooks
from freehold.errors import SecretUnreadable
from freehold.ports.webhooks import Delivery
from freehold.store.database import Database
from freehold.store.sealing import Sealer
from freehold.store.tables import webhook_deliveries, webhook_endpoints
from freehold.store.units import ReadSession, WriteSession

log = logging.getLogger(__name__)

_D = webhook_deliveries.c
_W = webhook_endpoints.c


class SqlOutbox:
    """The table of deliveries.

    Args:
        database: Where it is.
        sealer: Opens the signing secrets.
        patience: How long an endpoint may take nothing before it is disabled.
    """

    def __init__(self, database: Database, sealer: Sealer, patience: timedelta) -> None:
        self._database = database
        self._sealer = sealer
        self._patience = patience

    async def next_due(self) -> datetime | None:
        """See :class:`ports.webhooks.Outbox`."""
        async with self._database.read() as session:
            micros = await session.scalar(sa.select(sa.cast(sa.func.min(_D.due_at), sa.BigInteger)))
        return None if micros is None else times.from_micros(micros)

    async def claim(
        self,
        now: datetime,
        until: datetime,
        busy: Mapping[str, int],
        *,
        most: int,
        most_each: int,
    ) -> list[Delivery]:
        """See :class:`ports.webhooks.Outbox`."""
        async with self._database.read() as session:
            due = await _due(session, now, busy, most, most_each)
        if not due:
            return []
        claimed: list[Delivery] = []
        async with self._database.write() as tx:
            endpoints = {
                row["id"]: row
                for row in await tx.all(
                    sa.select(webhook_endpoints).where(
                        _W.id.in_({row["endpoint_id"] for row in due}), _W.enabled
                    )
                )
            }
            # In one order, so that two servers never wait for each other.
            for row in sorted(due, key=lambda row: (row["endpoint_id"], row["event_id"])):
                endpoint = endpoints.get(row["endpoint_id"])
                if endpoint is None:
                    # Written beside a transaction that disabled or removed the endpoint.
                    await tx.execute(sa.delete(webhook_deliveries).where(*_seen(row)))
                elif await _claimed(tx, row, until):
                    delivery = self._delivery(row, endpoint, now, until)
                    if delivery is not None:
                        claimed.append(delivery)
                    elif now - row["occurred_at"] > self._patience:
                        await tx.execute(sa.delete(webhook_deliveries).where(*_seen(row, until)))
        return claimed

    def _delivery(self, row: Any, endpoint: Any, now: datetime, until: datetime) -> Delivery | None:
        try:
            secrets = self._secrets(endpoint, now)
        except SecretUnreadable as error:
            # Claimed all the same: it is looked at again for some days, its key may come back.
            log.warning("webhook %s is not delivered: %s", row["event_id"], error)
            return None
        return Delivery(
            endpoint_id=row["endpoint_id"],
            event_id=row["event_id"],
            url=endpoint["url"],
            secrets=secrets,
            data=row["data"],
            occurred_at=row["occurred_at"],
            attempts=row["attempts"],
            until=until,
        )

    def _secrets(self, endpoint: Any, now: datetime) -> list[str]:
        found: list[str] = [self._sealer.open(endpoint["id"], endpoint["secret"])["secret"]]
        overlap = endpoint["overlap_until"]
        if endpoint["old_secret"] is not None and overlap is not None and now < overlap:
            found.append(self._sealer.open(endpoint["id"], endpoint["old_secret"])["secret"])
        return found

    async def delivered(self, delivery: Delivery) -> None:
        """See :class:`ports.webhooks.Outbox`."""
        async with self._database.write() as tx:
            await tx.execute(sa.delete(webhook_deliveries).where(*_ours(delivery)))
            await tx.execute(
                sa.update(webhook_endpoints)
                .where(_W.id == delivery.endpoint_id, _W.failing_since.is_not(None))
                .values(failing_since=None)
            )

    async def failed(self, delivery: Delivery, now: datetime, again_at: datetime | None) -> None:
        """See :class:`ports.webhooks.Outbox`."""
        async with self._database.write() as tx:
            if again_at is None:
                await tx.execute(sa.delete(webhook_deliveries).where(*_ours(delivery)))
            else:
                await tx.execute(
                    sa.update(webhook_deliveries)
                    .where(*_ours(delivery))
                    .values(attempts=delivery.attempts + 1, due_at=again_at)
                )
            row = await tx.first(
                sa.select(_W.failing_since).where(*_still(delivery)).with_for_update()
            )
            if row is None:
                return
            since = row["failing_since"]
            if since is None:
                await tx.execute(
                    sa.update(webhook_endpoints).where(*_still(delivery)).values(failing_since=now)
                )
            elif (reason := webhooks.gave_up(since, now, self._patience)) is not None:
                await _disable(tx, delivery, now, reason)

    async def disable(self, delivery: Delivery, now: datetime, reason: str) -> None:
        """See :class:`ports.webhooks.Outbox`."""
        async with self._database.write() as tx:
            await tx.execute(sa.delete(webhook_deliveries).where(*_ours(delivery)))
            await _disable(tx, delivery, now, reason)


async def _due(
    session: ReadSession, now: datetime, busy: Mapping[str, int], most: int, most_each: int
) -> Sequence[Any]:
    """What may be claimed, of each endpoint the longest due first."""
    waiting = await session.all(
        sa.select(_D.endpoint_id, sa.func.min(_D.due_at).label("first_due"))
        .where(_D.due_at <= now)
        .group_by(_D.endpoint_id)
        .order_by(sa.text("first_due"), _D.endpoint_id)
    )
    found: list[Any] = []
    for row in waiting:
        free = min(most_each - busy.get(row["endpoint_id"], 0), most - len(found))
        if free > 0:
            found += await session.all(
                sa.select(webhook_deliveries)
                .where(_D.endpoint_id == row["endpoint_id"], _D.due_at <= now)
                .order_by(_D.due_at, _D.event_id)
                .limit(free)
            )
    return found


def _seen(row: Any, due_at: datetime | None = None) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _D.endpoint_id == row["endpoint_id"],
        _D.event_id == row["event_id"],
        _D.due_at == (due_at or row["due_at"]),
    )


async def _claimed(tx: WriteSession, row: Any, until: datetime) -> bool:
    """Whether nobody else was faster."""
    return (
        await tx.execute(sa.update(webhook_deliveries).where(*_seen(row)).values(due_at=until)) == 1
    )


def _ours(delivery: Delivery) -> tuple[sa.ColumnElement[bool], ...]:
    """The delivery, unless the claim ran out and somebody else has it."""
    return (
        _D.endpoint_id == delivery.endpoint_id,
        _D.event_id == delivery.event_id,
        _D.due_at == delivery.until,
    )


def _still(delivery: Delivery) -> tuple[sa.ColumnElement[bool], ...]:
    """The endpoint, if what was learned of its URL still says something of it."""
    return (_W.id == delivery.endpoint_id, _W.url == delivery.url, _W.enabled)


async def _disable(tx: WriteSession, delivery: Delivery, now: datetime, reason: str) -> None:
    changed = await tx.execute(
        sa.update(webhook_endpoints)
        .where(*_still(delivery))
        .values(enabled=False, disabled_reason=reason, failing_since=None, updated_at=now)
    )
    if changed:
        log.warning("webhook endpoint %s: %s", delivery.endpoint_id, reason)
        await tx.execute(
            sa.delete(webhook_deliveries).where(_D.endpoint_id == delivery.endpoint_id)
        )
