"""``freehold demo``: one real session, through the official SDK, on a server of its own."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.text import Text

from freehold import telemetry
from freehold.cli import clients, configuration
from freehold.cli.console import out
from freehold.cli.serve import LogLevel, SandboxKind
from freehold.cli.transcript import highlighted
from freehold.settings import Settings


def demo(
    *,
    model: Annotated[
        str | None,
        typer.Option(help="`upstream`, `scripted` or `scripted:FILE.yaml` [by the keys at hand]."),
    ] = None,
    sandbox: Annotated[SandboxKind | None, typer.Option(help="Where the tools run.")] = None,
    agent_model: Annotated[
        str, typer.Option(help="Model id that the agent is created with.")
    ] = "claude-sonnet-5",
    log_level: Annotated[LogLevel, typer.Option(help="Least severe level to log.")] = (
        LogLevel.WARNING
    ),
) -> None:
    """Run one session and print it as it happens.

    Starts a server on a free port with an empty data directory, creates an agent, an environment
    and a session through the official Python SDK, streams the session, and removes all of it.
    """
    settings = configuration.load(model=model, sandbox=sandbox.value if sandbox else None)
    # People read this, wherever it goes; JSON is for those who ask for it.
    form = "console" if settings.log_format == "auto" else settings.log_format
    telemetry.configure(log_level.value, form, secrets=configuration.secrets(settings))
    # Imported late: it brings in every adapter, and other commands need none.
    import uvloop  # noqa: PLC0415

    from freehold.cli import demonstration  # noqa: PLC0415

    with (
        tempfile.TemporaryDirectory(prefix="freehold-demo-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(demonstration.until_terminated(settings, Path(folder), agent_model))
    _say_how_to_go_on(settings, demonstration.model_of(settings))


def _say_how_to_go_on(settings: Settings, model: str) -> None:
    url = f"http://127.0.0.1:{settings.port}"
    key = clients.example_key(settings)
    command = "freehold serve"
    if model == "scripted":
        command += " --model scripted"
    # `make run` installs into .venv, which need not be the active environment.
    prefix = ".venv/bin/" if os.environ.get("MAKELEVEL") else ""
    out.print("[bold green]It works.[/] Start the server for good:\n")
    out.print(f"  {prefix}{escape(command)}\n")
    if model == "scripted":
        out.print(
            "With ANTHROPIC_API_KEY set, leave `--model scripted` out to have the real model.\n"
        )
    out.print("Point a client at it:\n")
    for name, language, code in (
        ("Python", "python", clients.python(url, key)),
        ("TypeScript", "typescript", clients.typescript(url, key)),
        ("curl", "bash", clients.curl(url, key)),
    ):
        out.print(f"[bold]{name}[/]")
        for line in highlighted(code, language):
            out.print(Text("  ").append_text(line))
    out.print("Unchanged programs need only the environment:")
    out.print(f"  export ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={key}")
