"""``freehold serve``: the server, until it is told to stop."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from freehold import __version__, telemetry
from freehold.cli import clients, configuration
from freehold.cli.console import out
from freehold.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI


class LogLevel(StrEnum):
    """Values of ``--log-level``."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class SandboxKind(StrEnum):
    """Values of ``--sandbox``."""

    AUTO = "auto"
    DOCKER = "docker"
    PROCESS = "process"
    SCRIPTED = "scripted"


def serve(
    *,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on [127.0.0.1].", show_default=False)
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; 0 picks one [8787].", show_default=False)
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where everything is kept [.data].", show_default=False)
    ] = None,
    database_url: Annotated[
        str | None, typer.Option(help="SQLAlchemy URL [SQLite in the data directory].")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="`upstream`, `scripted` or `scripted:FILE.yaml`.")
    ] = None,
    sandbox: Annotated[SandboxKind | None, typer.Option(help="Where tools run.")] = None,
    log_level: Annotated[LogLevel | None, typer.Option(help="Least severe level to log.")] = None,
) -> None:
    """Run the server.

    Options come before `FREEHOLD_*` variables, and those before the configuration file; see
    `freehold config show`.
    """
    settings = configuration.load(
        host=host,
        port=port,
        data_dir=data_dir,
        database_url=database_url,
        model=model,
        sandbox=sandbox.value if sandbox else None,
        log_level=log_level.value if log_level else None,
    )
    # Imported late: they bring in the web framework and every adapter.
    import uvloop  # noqa: PLC0415

    from freehold.cli import listening  # noqa: PLC0415

    listening.require_keys_beyond_loopback(settings)
    telemetry.configure(
        settings.log_level, settings.log_format, secrets=configuration.secrets(settings)
    )
    from freehold.app import create_app  # noqa: PLC0415

    listener = listening.listen(settings.host, settings.port)
    with listener:
        app = create_app(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(
                listening.run(
                    app,
                    listener,
                    lambda: _greet(app, settings, listening.url_of(listener, settings.host)),
                )
            )
    out.print("Stopped. Sessions that were at work go on when the server starts again.")


def _greet(app: FastAPI, settings: Settings, url: str) -> None:
    out.print(f"[bold]Freehold {__version__}[/] listens on [bold]{url}[/]")
    out.print(f"  model     {escape(app.state.model.description)}")
    out.print(f"  sandbox   {escape(app.state.sandboxes.description)}")
    out.print(f"  data      {escape(str(settings.data_dir.absolute()))}")
    out.print(
        f"  keys      {len(settings.api_keys)} configured"
        if settings.api_keys
        else "  keys      none configured; any non-empty key is taken until `freehold keys create`"
    )
    out.print("Point a client at it:")
    out.print(
        f"  export ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={clients.example_key(settings)}"
    )
    out.print("Stop it with Ctrl-C.")
