"""How many requests were taken, for all processes on one database."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from freehold.core.rates import Bucket
from freehold.store.database import Database
from freehold.store.tables import request_rates

_T = request_rates.c


class SqlRequestRates:
    """The buckets that processes take from; a row for each subject and kind."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    async def take(
        self, subject: str, kind: str, limit: int, count: int, now: int
    ) -> tuple[int, Bucket]:
        """Take up to ``count`` requests; how many there were, and what is left of the bucket.

        ``now`` is in microseconds since 1970.
        """
        key = {"subject": subject, "kind": kind}
        row = sa.and_(_T.subject == subject, _T.kind == kind)
        async with self._database.write() as tx:
            new = self._insert(request_rates).values(**key, full_at=0).on_conflict_do_nothing()
            await tx.execute(new)
            full_at = await tx.scalar(sa.select(_T.full_at).where(row).with_for_update())
            taken, bucket = Bucket(limit, full_at).take(count, now)
            if taken:
                await tx.execute(sa.update(request_rates).where(row).values(full_at=bucket.full_at))
        return taken, bucket
