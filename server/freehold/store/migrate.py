"""Schema migrations: Alembic, run from inside the server.

The scripts are in ``migrations/`` of a source checkout and in ``freehold/_migrations`` of an
installed package.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

import freehold
from freehold.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.config import Config

_ADVISORY_LOCK = 0x46726565686F6C64  # "Freehold"


def scripts() -> Path:
    """The folder of the migration scripts.

    Raises:
        ConfigurationError: the installation lacks it.
    """
    package = Path(freehold.__file__).parent
    for folder in (package / "_migrations", package.parents[1] / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise ConfigurationError("this installation of Freehold lacks its migrations; reinstall it")


def newest() -> str:
    """The revision that our scripts lead to.

    Each script's file name begins with its revision, which is the time it was written at.
    """
    last = max(path.name for path in (scripts() / "versions").glob("*.py"))
    return "".join(last.split("_")[:4])


def config() -> Config:
    """Alembic's configuration for our scripts."""
    from alembic.config import Config  # noqa: PLC0415 - needed where something is to be migrated

    made = Config()
    made.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    return made


def upgrade(url: sa.URL) -> None:
    """Bring the schema of the database to this version's, in one transaction. Blocks.

    Raises:
        ConfigurationError: the schema is newer than this version, or no connection.
    """
    engine = sync_engine(url)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # SQLite's BEGIN IMMEDIATE does the same: one migrator at a time.
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            if not _is_newest(connection):
                _run_scripts(connection)
    except sa.exc.OperationalError as error:
        raise ConfigurationError(
            f"FREEHOLD_DATABASE_URL: cannot use {url.render_as_string()}: {error.orig}"
        ) from error
    finally:
        engine.dispose()


def _is_newest(connection: sa.Connection) -> bool:
    if not sa.inspect(connection).has_table("alembic_version"):
        return False
    found = connection.scalars(sa.text("SELECT version_num FROM alembic_version"))
    return list(found) == [newest()]


def _run_scripts(connection: sa.Connection) -> None:
    # Imported late: most starts find the schema as it should be.
    from alembic import command  # noqa: PLC0415 - as above
    from alembic.util import CommandError  # noqa: PLC0415 - as above

    settings = config()
    settings.attributes["connection"] = connection
    try:
        command.upgrade(settings, "head")
    except CommandError as error:
        raise ConfigurationError(
            f"the database's schema is not one that this version of Freehold knows ({error}); "
            "use the version that made it, or a newer one"
        ) from error


def sync_engine(url: sa.URL) -> sa.Engine:
    """A blocking engine whose transactions hold schema changes too."""
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, poolclass=sa.NullPool)
    engine = sa.create_engine(
        url.set(drivername="sqlite+pysqlite"),
        poolclass=sa.NullPool,
        connect_args={"isolation_level": None, "timeout": 30.0},
    )

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
