"""URLs, files, migrations and the manners of connections."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
import tomllib
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import CommandLine
from alembic.script import ScriptDirectory

from freehold.errors import ConfigurationError
from freehold.store import migrate, sqlite
from freehold.store.database import Database
from freehold.store.tables import agents, metadata

ROOT = Path(__file__).parents[3]


class TestUrls:
    @pytest.mark.parametrize(
        ("given", "drivername", "is_sqlite"),
        [
            ("sqlite+aiosqlite:///{}/f.db", "sqlite+aiosqlite", True),
            ("sqlite:///{}/f.db", "sqlite+aiosqlite", True),
            ("postgresql+psycopg://u:p@h/d", "postgresql+psycopg", False),
            ("postgresql://u:p@h/d", "postgresql+psycopg", False),
            ("postgres://u:p@h/d", "postgresql+psycopg", False),
        ],
    )
    def test_the_driver_is_filled_in(
        self, tmp_path: Path, given: str, drivername: str, is_sqlite: bool
    ) -> None:
        database = Database(given.format(tmp_path))
        assert (database.url.drivername, database.is_sqlite) == (drivername, is_sqlite)

    @pytest.mark.parametrize(
        "given",
        [
            "mysql://root:hunter2@h/d",
            "postgresql+asyncpg://root:hunter2@h/d",
            "sqlite+aiosqlite://",
            "sqlite:///:memory:",
            "sqlite:///file?mode=ro",
            "not a url hunter2",
        ],
    )
    def test_others_are_refused_by_the_name_of_the_setting(self, given: str) -> None:
        with pytest.raises(ConfigurationError, match="FREEHOLD_DATABASE_URL") as caught:
            Database(given)
        assert "hunter2" not in str(caught.value)


class TestFiles:
    async def test_what_we_make_is_for_its_owner_alone(self, tmp_path: Path) -> None:
        folder = tmp_path / "data" / "deep"
        previous = os.umask(0)
        try:
            database = Database(f"sqlite:///{folder}/f.db")
            await database.migrate()
            async with database.write() as tx:
                await tx.execute(sa.delete(agents))
        finally:
            os.umask(previous)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        await database.close()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert modes["f.db"] == modes["f.db-wal"] == 0o600

    async def test_closing_leaves_one_file(self, tmp_path: Path) -> None:
        database = Database(f"sqlite:///{tmp_path}/f.db")
        await database.migrate()
        async with database.write() as tx:
            await tx.execute(sa.delete(agents))
        async with database.read() as session:
            assert await session.all(sa.select(agents)) == []
        await database.close()
        assert [path.name for path in tmp_path.iterdir()] == ["f.db"]

    async def test_pragmas(self, sqlite_url: str) -> None:
        database = Database(sqlite_url)
        async with database.write() as tx:
            assert await tx.scalar(sa.text("PRAGMA journal_mode")) == "wal"
            assert await tx.scalar(sa.text("PRAGMA synchronous")) == 2
            assert await tx.scalar(sa.text("PRAGMA foreign_keys")) == 1
        await database.close()


class TestBusy:
    async def test_a_writer_waits_for_another_process_without_holding_up_the_loop(
        self, sqlite_url: str
    ) -> None:
        database = Database(sqlite_url)
        other = sqlite3.connect(
            str(database.url.database), isolation_level=None, check_same_thread=False
        )
        other.execute("BEGIN IMMEDIATE")
        turns = 0

        async def write() -> None:
            async with database.write() as tx:
                await tx.execute(sa.delete(agents))

        task = asyncio.create_task(write())
        for turns in range(20):  # noqa: B007
            await asyncio.sleep(0.001)
            assert not task.done()
        other.execute("COMMIT")
        await task
        assert turns == 19
        other.close()
        await database.close()

    async def test_patience_ends(self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.01)
        database = Database(sqlite_url)
        other = sqlite3.connect(str(database.url.database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sa.exc.OperationalError, match="locked"):
            async with database.write() as tx:
                await tx.execute(sa.delete(agents))
        other.execute("COMMIT")
        other.close()
        async with database.write() as tx:
            await tx.execute(sa.delete(agents))
        await database.close()

    async def test_cancelled_while_it_waits_it_leaves_a_working_database(
        self, sqlite_url: str
    ) -> None:
        database = Database(sqlite_url)
        other = sqlite3.connect(
            str(database.url.database), isolation_level=None, check_same_thread=False
        )
        other.execute("BEGIN IMMEDIATE")

        async def write() -> None:
            async with database.write() as tx:
                await tx.execute(sa.delete(agents))

        task = asyncio.create_task(write())
        await asyncio.sleep(0.02)
        task.cancel()
        threading.Timer(0.05, other.execute, ("COMMIT",)).start()
        with pytest.raises(asyncio.CancelledError):
            await task
        await write()
        other.close()
        await database.close()

    async def test_writers_are_served_in_the_order_they_came(self, sqlite_url: str) -> None:
        database = Database(sqlite_url)
        order: list[int] = []

        async def write(n: int) -> None:
            async with database.write() as tx:
                order.append(n)
                await tx.execute(sa.delete(agents))

        await asyncio.gather(*map(write, range(20)))
        assert order == list(range(20))
        await database.close()

    async def test_more_readers_than_connections_take_turns(self, sqlite_url: str) -> None:
        database = Database(sqlite_url)

        async def read() -> int:
            async with database.read() as session:
                await asyncio.sleep(0)
                return int(await session.scalar(sa.select(sa.func.count()).select_from(agents)))

        assert await asyncio.gather(*(read() for _ in range(50))) == [0] * 50
        await database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a schema."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/f.db"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


class TestMigrations:
    async def test_they_make_what_the_tables_say(self, empty_url: str) -> None:
        database = Database(empty_url)
        await database.migrate()
        await database.close()
        engine = migrate.sync_engine(database.url)
        with engine.begin() as connection:
            settings = migrate.config()
            settings.attributes["connection"] = connection
            command.check(settings)
            made = set(sa.inspect(connection).get_table_names())
            indexes = {
                str(index["name"])
                for table in metadata.tables
                for index in sa.inspect(connection).get_indexes(table)
            }
        engine.dispose()
        assert made == {*metadata.tables, "alembic_version"}
        assert indexes >= {
            str(index.name) for table in metadata.tables.values() for index in table.indexes
        }

    async def test_several_processes_may_start_at_once(self, empty_url: str) -> None:
        databases = [Database(empty_url) for _ in range(3)]
        await asyncio.gather(*(database.migrate() for database in databases))
        for database in databases:
            await database.migrate()
            await database.close()

    async def test_they_can_be_taken_back(self, empty_url: str) -> None:
        database = Database(empty_url)
        await database.migrate()
        engine = migrate.sync_engine(database.url)
        with engine.begin() as connection:
            settings = migrate.config()
            settings.attributes["connection"] = connection
            command.downgrade(settings, "base")
            assert sa.inspect(connection).get_table_names() == ["alembic_version"]
        engine.dispose()
        await database.close()

    async def test_the_schema_of_a_newer_version_is_refused(self, empty_url: str) -> None:
        database = Database(empty_url)
        await database.migrate()
        async with database.write() as tx:
            await tx.execute(sa.text("UPDATE alembic_version SET version_num = 'from_2030'"))
        with pytest.raises(ConfigurationError, match="from_2030"):
            await database.migrate()
        await database.close()

    async def test_a_database_out_of_reach_is_told_without_its_password(self) -> None:
        database = Database("postgresql://u:hunter2@127.0.0.1:1/d")
        with pytest.raises(ConfigurationError, match="FREEHOLD_DATABASE_URL") as caught:
            await database.migrate()
        assert "hunter2" not in str(caught.value)

    def test_script_names_begin_with_their_date(self) -> None:
        names = [path.name for path in (ROOT / "migrations" / "versions").glob("*.py")]
        assert names
        for name in names:
            year, month, day, clock, slug = name.split("_", 4)
            assert (len(year), len(month), len(day), len(clock)) == (4, 2, 2, 4)
            assert slug.removesuffix(".py").replace("_", "").isalnum()

    def test_the_newest_script_is_told_by_its_name(self) -> None:
        folder = ScriptDirectory.from_config(migrate.config())
        assert migrate.newest() == folder.get_current_head()
        for script in folder.walk_revisions():
            assert Path(script.path).name.replace("_", "").startswith(script.revision)

    async def test_a_schema_that_is_right_is_left_alone(
        self, empty_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database = Database(empty_url)
        await database.migrate()
        monkeypatch.setattr(migrate, "config", lambda: pytest.fail("Alembic was asked"))
        await database.migrate()
        await database.close()

    def test_an_installed_package_has_its_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        included = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
            "targets"
        ]["wheel"]["force-include"]
        assert included["migrations"] == "freehold/_migrations"
        package = tmp_path / "site-packages" / "freehold"
        package.mkdir(parents=True)
        monkeypatch.setattr("freehold.__file__", str(package / "__init__.py"))
        with pytest.raises(ConfigurationError, match="lacks its migrations"):
            migrate.scripts()
        (package / "_migrations").mkdir()
        (package / "_migrations" / "env.py").touch()
        assert migrate.scripts() == package / "_migrations"

    def test_alembic_s_own_command_finds_all_it_needs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(ROOT)
        monkeypatch.setenv("FREEHOLD_DATABASE_URL", f"sqlite:///{tmp_path}/f.db")
        for words in (["upgrade", "head"], ["check"]):
            CommandLine().main(words)  # leaves by SystemExit if it fails
        assert (tmp_path / "f.db").stat().st_size > 0
