"""Alembic's entry: the server's own connection, or the database that the settings name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from freehold.settings import Settings
from freehold.store import migrate
from freehold.store.tables import Moment, metadata


def _render(kind: str, item: object, _: object) -> str | bool:
    """A script must not change its meaning with the package: times are what they are made of."""
    return "sa.BigInteger()" if kind == "type" and isinstance(item, Moment) else False


def _run(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transactional_ddl=True,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        render_item=_render,
    )
    with context.begin_transaction():
        context.run_migrations()


def _main() -> None:
    if context.is_offline_mode():
        raise SystemExit("migrations run on a database, not into a script")
    given = context.config.attributes.get("connection")
    if given is not None:
        _run(given)
        return
    engine = migrate.sync_engine(sa.make_url(Settings().resolved_database_url))
    with engine.begin() as connection:
        _run(connection)


_main()
