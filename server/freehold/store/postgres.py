"""PostgreSQL as this store uses it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from freehold.store import codec


def engine(url: sa.URL) -> AsyncEngine:
    """An engine for a server of a few cores; transactions are short, so few connections do."""
    return create_async_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=8,
        max_overflow=8,
        pool_timeout=30,
        pool_pre_ping=True,
        pool_recycle=1800,
        json_serializer=codec.dumps,
        json_deserializer=codec.loads,
        connect_args={"application_name": "freehold"},
    )


def snapshots(writer: AsyncEngine) -> AsyncEngine:
    """The same pool, its transactions read-only and each seeing one moment."""
    return writer.execution_options(
        isolation_level="REPEATABLE READ",
        postgresql_readonly=True,
    )
