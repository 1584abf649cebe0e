"""Secrets under a new key, wherever a table has them."""

from __future__ import annotations

import logging

import sqlalchemy as sa

from freehold.errors import SecretUnreadable
from freehold.store.database import Database
from freehold.store.sealing import Sealer

log = logging.getLogger(__name__)


async def reseal(
    database: Database, sealer: Sealer, table: sa.Table, column: sa.Column[str | None]
) -> int:
    """Seal with the newest key what an older one sealed; how many.

    What no key opens is said in the log and stays as it is: its key may come back.

    Args:
        database: Where it is.
        sealer: Has the keys.
        table: With an ``id``, which the secrets are sealed for.
        column: Of the sealed secrets; null where there is none.
    """
    async with database.read() as session:
        rows = await session.all(sa.select(table.c.id, column).where(column.is_not(None)))
    count = 0
    for row in rows:
        sealed = row[column.name]
        if sealer.is_current(sealed):
            continue
        try:
            opened = sealer.open(row["id"], sealed)
        except SecretUnreadable as error:
            log.warning("%s", error)
            continue
        count += 1
        async with database.write() as tx:
            await tx.execute(
                sa.update(table)
                # Who changes it at this moment seals it with the newest key anyway.
                .where(table.c.id == row["id"], column == sealed)
                .values({column.name: sealer.seal(row["id"], opened)})
            )
    return count
