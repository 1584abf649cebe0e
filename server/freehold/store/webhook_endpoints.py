"""Endpoints of webhooks: their rows, and those that the settings name."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.core import ids
from freehold.core.webhook_endpoints import ConfiguredEndpoint
from freehold.core.workspaces import DEFAULT_WORKSPACE
from freehold.errors import SecretUnreadable
from freehold.ports.clock import Clock
from freehold.store.database import Database
from freehold.store.sealing import Sealer
from freehold.store.tables import webhook_deliveries, webhook_endpoints
from freehold.store.units import ReadSession, WriteSession

log = logging.getLogger(__name__)

_W = webhook_endpoints.c


@dataclass(frozen=True)
class EndpointRow:
    """An endpoint. Its secrets are there as ciphertexts alone."""

    id: str
    workspace_id: str
    configured: bool
    url: str = field(repr=False)
    name: str
    description: str
    enabled_events: Sequence[str]
    enabled: bool
    disabled_reason: str
    secret: str = field(repr=False)
    old_secret: str | None = field(repr=False)
    overlap_until: datetime | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


async def insert(tx: WriteSession, endpoint: EndpointRow) -> None:
    """Store a new endpoint."""
    await tx.execute(sa.insert(webhook_endpoints).values(_values(endpoint)))


async def get(
    session: ReadSession, workspace_id: str, endpoint_id: str, *, for_update: bool = False
) -> EndpointRow | None:
    """An endpoint; with ``for_update`` nobody else changes it meanwhile."""
    statement = sa.select(webhook_endpoints).where(
        _W.id == endpoint_id, _W.workspace_id == workspace_id
    )
    if for_update:
        statement = statement.with_for_update()
    row = await session.first(statement)
    return None if row is None else _endpoint(row)


async def of_workspace(
    session: ReadSession, workspace_id: str, *, for_update: bool = False
) -> list[EndpointRow]:
    """All endpoints of a workspace, oldest first; there are never many."""
    statement = (
        sa.select(webhook_endpoints)
        .where(_W.workspace_id == workspace_id)
        .order_by(_W.created_at, _W.id)
    )
    if for_update:
        statement = statement.with_for_update()
    return [_endpoint(row) for row in await session.all(statement)]


async def update(tx: WriteSession, endpoint: EndpointRow) -> None:
    """Store an endpoint that exists as it is now. A disabled one loses what was on its way."""
    await tx.execute(
        sa.update(webhook_endpoints)
        .where(_W.id == endpoint.id, _W.workspace_id == endpoint.workspace_id)
        .values(_values(endpoint))
    )
    if not endpoint.enabled:
        await _drop_deliveries(tx, endpoint.id)


async def delete(tx: WriteSession, endpoint: EndpointRow) -> None:
    """Remove an endpoint and what was on its way to it."""
    await _drop_deliveries(tx, endpoint.id)
    await tx.execute(
        sa.delete(webhook_endpoints).where(
            _W.id == endpoint.id, _W.workspace_id == endpoint.workspace_id
        )
    )


async def _drop_deliveries(tx: WriteSession, endpoint_id: str) -> None:
    await tx.execute(
        sa.delete(webhook_deliveries).where(webhook_deliveries.c.endpoint_id == endpoint_id)
    )


def configured_id(name: str) -> str:
    """The id of an endpoint that the settings name, the same at every start."""
    digest = hashlib.sha256(f"freehold webhook {name}".encode()).digest()
    return ids.encode("whep", int.from_bytes(digest[:7], "big"), digest[7 : 7 + ids.ENTROPY_BYTES])


class SqlWebhookEndpoints:
    """Keeps the endpoints in step with the settings and with the keys that seal secrets."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def configure(self, wanted: Sequence[ConfiguredEndpoint]) -> None:
        """Have the endpoints that the settings name, and no others that they once named.

        One whose URL or secret is another now is enabled; else it stays as it was, so that one
        that disabled itself stays so until somebody has looked.
        """
        async with self._database.write() as tx:
            stored = {
                endpoint.id: endpoint
                for endpoint in await of_workspace(tx, DEFAULT_WORKSPACE, for_update=True)
                if endpoint.configured
            }
            for one in wanted:
                before = stored.pop(configured_id(one.name), None)
                if before is None:
                    await insert(tx, self._new(one))
                elif (after := self._changed(before, one)) != before:
                    await update(tx, replace(after, updated_at=self._clock.now()))
            for leftover in stored.values():
                await delete(tx, leftover)

    def _new(self, one: ConfiguredEndpoint) -> EndpointRow:
        now = self._clock.now()
        endpoint_id = configured_id(one.name)
        return EndpointRow(
            id=endpoint_id,
            workspace_id=DEFAULT_WORKSPACE,
            configured=True,
            url=one.url,
            name=one.name,
            description="",
            enabled_events=list(one.events),
            enabled=True,
            disabled_reason="",
            secret=self._sealer.seal(endpoint_id, {"secret": one.secret.get_secret_value()}),
            old_secret=None,
            overlap_until=None,
            failing_since=None,
            created_at=now,
            updated_at=now,
        )

    def _changed(self, before: EndpointRow, one: ConfiguredEndpoint) -> EndpointRow:
        after = replace(before, enabled_events=list(one.events))
        secret = one.secret.get_secret_value()
        if one.url != before.url or secret != self._opened(before):
            after = replace(
                after,
                url=one.url,
                secret=self._sealer.seal(before.id, {"secret": secret}),
                enabled=True,
                disabled_reason="",
                failing_since=None,
            )
        return after

    def _opened(self, endpoint: EndpointRow) -> str | None:
        try:
            secret: str = self._sealer.open(endpoint.id, endpoint.secret)["secret"]
        except SecretUnreadable:
            return None
        return secret

    async def reseal(self) -> int:
        """Seal with the newest key what an older one sealed; how many.

        What no key opens is said in the log and stays as it is: its key may come back.
        """
        async with self._database.read() as session:
            rows = await session.all(sa.select(_W.id, _W.secret, _W.old_secret))
        count = 0
        for row in rows:
            changed: dict[str, Any] = {}
            try:
                for name in ("secret", "old_secret"):
                    sealed = row[name]
                    if sealed is not None and not self._sealer.is_current(sealed):
                        opened = self._sealer.open(row["id"], sealed)
                        changed[name] = self._sealer.seal(row["id"], opened)
            except SecretUnreadable as error:
                log.warning("%s", error)
                continue
            if changed:
                count += 1
                async with self._database.write() as tx:
                    await tx.execute(
                        sa.update(webhook_endpoints)
                        .where(_W.id == row["id"], _W.secret == row["secret"])
                        .values(changed)
                    )
        return count


def _values(endpoint: EndpointRow) -> dict[str, object]:
    return {
        "id": endpoint.id,
        "workspace_id": endpoint.workspace_id,
        "configured": endpoint.configured,
        "url": endpoint.url,
        "name": endpoint.name,
        "description": endpoint.description,
        "enabled_events": list(endpoint.enabled_events),
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason,
        "secret": endpoint.secret,
        "old_secret": endpoint.old_secret,
        "overlap_until": endpoint.overlap_until,
        "failing_since": endpoint.failing_since,
        "created_at": endpoint.created_at,
        "updated_at": endpoint.updated_at,
    }


def _endpoint(row: RowMapping) -> EndpointRow:
    return EndpointRow(**row)
