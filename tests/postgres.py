"""A private PostgreSQL for tests, and the databases that the contract suites run on.

One cluster for each test process, started when first asked for, from the programs of the
machine; one database for each test module, copied from a migrated template. Set
``FREEHOLD_TEST_POSTGRES_URL`` to use a server that runs already (the user must be able to create
databases), and ``FREEHOLD_TEST_REQUIRE_POSTGRES=1`` to fail where there is none.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from freehold.store import migrate
from freehold.store.database import Database

_URL = "FREEHOLD_TEST_POSTGRES_URL"
_REQUIRE = "FREEHOLD_TEST_REQUIRE_POSTGRES"
_SUPERUSER = "freehold"
_INITDB = ("-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
_START_SECONDS = 30.0


def _programs() -> Path | None:
    """The folder that holds ``initdb`` and ``postgres``, the newest one first."""
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name), reverse=True
    )
    found = shutil.which("initdb")
    for folder in (*debian, *([Path(found).resolve().parent] if found else [])):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


def _unprivileged() -> str | None:
    """Whom to run as; PostgreSQL refuses to run as root. ``None`` if we are nobody special."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return None


class _Cluster:
    """A throw-away server on a Unix socket. Its data survive no power cut: fsync is off."""

    def __init__(self, programs: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="freehold-pg-", dir="/tmp"))
        user = _unprivileged()
        self._as: dict[str, str | int | list[str | int]] = {}
        if user is not None:
            owner = pwd.getpwnam(user)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
            self._as = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        data = self._folder / "data"
        made = subprocess.run(
            [programs / "initdb", "-D", data, "-U", _SUPERUSER, *_INITDB],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            **self._as,  # type: ignore[call-overload]
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        self._log = self._folder / "log"
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._folder),
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": "200",
        }
        # The server must not outlive a test run that was killed.
        leash = ("setpriv", "--pdeathsig", "INT") if shutil.which("setpriv") else ()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *leash,
                    programs / "postgres",
                    *("-D", data),
                    *(part for item in options.items() for part in ("-c", "=".join(item))),
                ],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as,  # type: ignore[call-overload]
            )
        self.url = sa.URL.create(
            "postgresql+psycopg",
            username=_SUPERUSER,
            database="postgres",
            query={"host": str(self._folder)},
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(_conninfo(self.url)).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise
                time.sleep(0.02)

    def stop(self) -> None:
        """End the server, its clients with it, and delete its data."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # "fast" shutdown
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait(timeout=20)
        shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def throwaway() -> Iterator[sa.URL]:
    """URL of an empty database on a server of its own, for measurements."""
    programs = _programs()
    if programs is None:
        raise RuntimeError("no PostgreSQL server programs (apt-get install postgresql)")
    cluster = _Cluster(programs)
    try:
        yield cluster.url
    finally:
        cluster.stop()


def _conninfo(url: sa.URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _admin(url: sa.URL, statement: str, *names: str) -> None:
    with psycopg.connect(_conninfo(url), autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sa.URL]:
    """URL of a server where databases may be made; skips the test where there is none."""
    given = os.environ.get(_URL)
    if given:
        yield sa.make_url(given).set(drivername="postgresql+psycopg")
        return
    programs = _programs()
    if programs is None:
        reason = "no PostgreSQL server programs (apt-get install postgresql) and no " + _URL
        if os.environ.get(_REQUIRE) == "1":
            pytest.fail(f"{_REQUIRE}=1, but {reason}")
        pytest.skip(reason)
    cluster = _Cluster(programs)
    try:
        yield cluster.url
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: sa.URL) -> Iterator[str]:
    """Name of a migrated database to copy."""
    name = f"freehold_template_{uuid.uuid4().hex[:12]}"
    _admin(postgres_server, "CREATE DATABASE {}", name)
    migrate.upgrade(postgres_server.set(database=name))
    yield name
    _admin(postgres_server, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture(scope="module")
def postgres_url(postgres_server: sa.URL, postgres_template: str) -> Iterator[str]:
    """URL of a migrated database of this module's own."""
    name = f"freehold_test_{uuid.uuid4().hex[:12]}"
    _admin(postgres_server, "CREATE DATABASE {} TEMPLATE {}", name, postgres_template)
    yield postgres_server.set(database=name).render_as_string(hide_password=False)
    _admin(postgres_server, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def empty_postgres_url(postgres_server: sa.URL) -> Iterator[str]:
    """URL of a database without a schema, for one test."""
    name = f"freehold_empty_{uuid.uuid4().hex[:12]}"
    _admin(postgres_server, "CREATE DATABASE {}", name)
    yield postgres_server.set(database=name).render_as_string(hide_password=False)
    _admin(postgres_server, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate.upgrade(sa.URL.create("sqlite+aiosqlite", database=str(path)))
    return path


@pytest.fixture(scope="module")
def sqlite_url(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a migrated SQLite file of this module's own."""
    path = tmp_path_factory.mktemp("sqlite") / "freehold.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)],
)
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a migrated database of this module's own, once on SQLite, once on PostgreSQL."""
    fixture = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    url: str = request.getfixturevalue(fixture)
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The module's database, opened for one test; tests share it, so each makes its own ids."""
    opened = Database(database_url)
    yield opened
    await opened.close()
