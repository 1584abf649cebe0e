"""``freehold keys``: issue, list and revoke keys, also while a server runs on the same database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from freehold.cli import configuration
from freehold.cli.console import err, out
from freehold.core import limits, times
from freehold.core.ids import is_id
from freehold.core.keys import ENVIRONMENT_LIFETIME, Scope
from freehold.core.workspaces import DEFAULT_COLOR, DEFAULT_WORKSPACE, MOST, NAME_MAX
from freehold.errors import ConfigurationError

if TYPE_CHECKING:
    from freehold.store.database import Database
    from freehold.store.keys import KeyRow, Minted
    from freehold.store.keyset import Key
    from freehold.store.units import WriteSession
    from freehold.store.workspaces import WorkspaceRow

T = TypeVar("T")

commands = typer.Typer(help="Issue, list and revoke keys.", no_args_is_help=True)

_DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where everything is kept [.data].")
]
_DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database-url", help="SQLAlchemy URL [SQLite in the data directory]."),
]


@commands.command("create")
def create(
    *,
    workspace: Annotated[
        str | None,
        typer.Option(
            help="Workspace that the key is for: an id, or a name; a name that there is none of "
            "becomes a workspace [Default]."
        ),
    ] = None,
    admin: Annotated[
        bool, typer.Option("--admin", help="A key for the organization: workspaces and keys.")
    ] = False,
    environment: Annotated[
        str | None,
        typer.Option(help="Self-hosted environment (`env_…`) whose workers the key is for."),
    ] = None,
    name: Annotated[str, typer.Option(help="What to call the key.")] = "",
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the key and nothing else.")
    ] = False,
    data_dir: _DataDir = None,
    database_url: _DatabaseUrl = None,
) -> None:
    """Issue a key, and print it. It is never shown again: only its hash is kept."""
    if admin + (environment is not None) + (workspace is not None) > 1:
        raise ConfigurationError(
            "--workspace, --admin and --environment are three kinds of keys; give one"
        )
    if len(name) > limits.API_KEY_NAME:
        raise ConfigurationError(f"--name: at most {limits.API_KEY_NAME} characters")

    async def work(database: Database) -> tuple[Minted, WorkspaceRow | None]:
        from freehold.dispatch.clock import SystemClock  # noqa: PLC0415
        from freehold.store import keys  # noqa: PLC0415

        async with database.write() as tx:
            made = None
            if admin:
                scope = Scope("admin")
            elif environment is not None:
                scope = await _of_environment(tx, environment)
            else:
                id_, made = await _workspace(tx, workspace or DEFAULT_WORKSPACE)
                scope = Scope("workspace", id_)
            clock = SystemClock()
            lifetime = ENVIRONMENT_LIFETIME if scope.kind == "environment" else None
            ends = clock.now() + lifetime if lifetime is not None else None
            return await keys.mint(tx, clock, scope, name=name, expires_at=ends), made

    minted, made = _run(work, data_dir, database_url)
    if quiet:
        typer.echo(minted.text)
        return
    if made is not None:
        err.print(f"Made the workspace [bold]{escape(made.name)}[/] ({made.id}).")
    err.print(f"{minted.row.id} {_reach(minted.row)}. Keep it now, it is not shown again:")
    typer.echo(minted.text)


@commands.command("list")
def list_(data_dir: _DataDir = None, database_url: _DatabaseUrl = None) -> None:
    """Show the keys that were issued; those of the settings are not among them."""

    async def work(database: Database) -> list[KeyRow]:
        from freehold.store import keys  # noqa: PLC0415

        found: list[KeyRow] = []
        async with database.read() as session:
            while page := await keys.page(
                session,
                kinds=("workspace", "admin", "environment"),
                beyond=_beyond(found),
                limit=500,
                now=_now(),
            ):
                found += page
        return found

    rows = _run(work, data_dir, database_url, there=True)
    table = Table(box=None, pad_edge=False)
    for column in ("Id", "Key", "Reaches", "Name", "Status", "Created", "Last used"):
        table.add_column(column, no_wrap=column in {"Id", "Key"}, overflow="fold")
    now = _now()
    for row in rows:
        status = "expired" if row.expired(now) and row.status == "active" else row.shown_status
        table.add_row(
            row.id,
            row.hint,
            _reach(row),
            escape(row.name),
            {"archived": "revoked"}.get(status, status),
            times.render(row.created_at)[:16],
            times.render(row.last_used_at)[:16] if row.last_used_at else "",
        )
    out.print(table)


@commands.command("revoke")
def revoke(
    key_ids: Annotated[list[str], typer.Argument(help="Ids of keys (`apikey_…`).")],
    data_dir: _DataDir = None,
    database_url: _DatabaseUrl = None,
) -> None:
    """End keys for good; a running server refuses them from the next request on."""

    async def work(database: Database) -> None:
        from freehold.store import keys  # noqa: PLC0415

        async with database.write() as tx:
            for key_id in key_ids:
                row = await keys.get(tx, key_id)
                if row is None:
                    # Whoever pastes the key itself must not find it in a log.
                    shown = key_id if is_id("apikey", key_id) else "what was given"
                    raise ConfigurationError(
                        f"{shown} is no key's id; `freehold keys list` shows them. "
                        "Nothing was revoked"
                    )
                await keys.update(tx, replace(row, status="archived"))

    _run(work, data_dir, database_url, there=True)
    for key_id in key_ids:
        out.print(f"Revoked {key_id}.")


def _run(
    work: Callable[[Database], Awaitable[T]],
    data_dir: Path | None,
    database_url: str | None,
    *,
    there: bool = False,
) -> T:
    """Do ``work`` on the database of the settings, which a server may be using.

    With ``there`` it must exist already.
    """
    settings = configuration.load(data_dir=data_dir, database_url=database_url)
    file = settings.data_dir / "freehold.db"
    if there and not settings.database_url and not file.exists():
        raise ConfigurationError(
            f"FREEHOLD_DATA_DIR: there is no database in {settings.data_dir}; give the server's "
            "with --data-dir"
        )

    async def all_of_it() -> T:
        from freehold.store.database import Database  # noqa: PLC0415

        database = Database(settings.resolved_database_url)
        try:
            await database.migrate()
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(all_of_it())


async def _workspace(tx: WriteSession, wanted: str) -> tuple[str, WorkspaceRow | None]:
    """The id of a workspace, and the workspace if it was made just now."""
    from freehold.dispatch.clock import SystemClock  # noqa: PLC0415
    from freehold.store import workspaces  # noqa: PLC0415
    from freehold.store.workspaces import WorkspaceRow  # noqa: PLC0415

    if is_id("wrkspc", wanted):
        found = await workspaces.get(tx, wanted)
        if found is None or found.archived_at is not None:
            raise ConfigurationError(f"--workspace: there is no workspace {wanted}")
        return found.id, None
    if not 1 <= len(wanted) <= NAME_MAX:
        raise ConfigurationError(f"--workspace: a name has 1 to {NAME_MAX} characters")
    if (known := await workspaces.named(tx, wanted)) is not None:
        return known.id, None
    if await workspaces.count(tx) >= MOST:
        raise ConfigurationError(f"--workspace: there are {MOST} workspaces already")
    clock = SystemClock()
    made = WorkspaceRow(clock.mint("wrkspc"), wanted, DEFAULT_COLOR, {}, clock.now())
    await workspaces.insert(tx, made)
    return made.id, made


async def _of_environment(tx: WriteSession, environment_id: str) -> Scope:
    from freehold.store import keys  # noqa: PLC0415

    found = await keys.environment(tx, environment_id)
    if found is None:
        raise ConfigurationError(f"--environment: there is no environment {environment_id[:200]}")
    scope, kind = found
    if kind != "self_hosted":
        raise ConfigurationError(
            f"--environment: {environment_id} is a {kind} environment, which has no workers"
        )
    return scope


def _reach(row: KeyRow) -> str:
    match row.kind:
        case "admin":
            return "the organization"
        case "environment":
            return f"workers of {row.environment_id}"
    if row.workspace_id == DEFAULT_WORKSPACE:
        return "the default workspace"
    return str(row.workspace_id)


def _beyond(rows: list[KeyRow]) -> Key | None:
    from freehold.store.keyset import Key  # noqa: PLC0415

    return Key(rows[-1].created_at, rows[-1].id) if rows else None


def _now() -> datetime:
    from freehold.dispatch.clock import SystemClock  # noqa: PLC0415

    return SystemClock().now()
