"""``freehold worker``: serves a self-hosted environment's queue, each session in its sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from freehold import telemetry
from freehold.cli import configuration
from freehold.cli.console import out
from freehold.cli.serve import LogLevel, SandboxKind
from freehold.errors import ConfigurationError

if TYPE_CHECKING:
    from freehold.worker.serving import QueueWorker


def worker(
    *,
    url: Annotated[
        str, typer.Option(envvar="ANTHROPIC_BASE_URL", help="The server whose queue is served.")
    ],
    environment: Annotated[
        str,
        typer.Option(envvar="ANTHROPIC_ENVIRONMENT_ID", help="The self-hosted environment."),
    ],
    key: Annotated[
        str,
        typer.Option(
            envvar="ANTHROPIC_ENVIRONMENT_KEY",
            help="The environment's key; better in the variable, as others see options.",
        ),
    ],
    sessions: Annotated[int, typer.Option(min=1, help="Sessions served at once at most.")] = 4,
    max_idle: Annotated[
        float, typer.Option(min=0, help="Seconds that a session keeps its sandbox at rest.")
    ] = 60,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where sandboxes are kept [.data].", show_default=False)
    ] = None,
    sandbox: Annotated[SandboxKind | None, typer.Option(help="Where tools run.")] = None,
    log_level: Annotated[LogLevel | None, typer.Option(help="Least severe level to log.")] = None,
) -> None:
    """Serve the queue of a self-hosted environment.

    Each session's tools run in a sandbox of its own, made by the `FREEHOLD_SANDBOX_*` settings and
    removed when the session rests. Sessions with memory stores are told that this worker cannot
    mount them.
    """
    settings = configuration.load(
        data_dir=data_dir,
        sandbox=sandbox.value if sandbox else None,
        log_level=log_level.value if log_level else None,
    )
    # Apart from a server's on the same machine: neither knows of the other's sandboxes.
    settings = settings.model_copy(update={"data_dir": settings.data_dir / "worker"})
    telemetry.configure(
        settings.log_level, settings.log_format, secrets=[*configuration.secrets(settings), key]
    )
    # Imported late: they bring in the SDK and every adapter.
    from anthropic import AsyncAnthropic  # noqa: PLC0415

    from freehold.app import build_sandboxes  # noqa: PLC0415
    from freehold.worker.serving import QueueWorker  # noqa: PLC0415

    with _alone(settings.data_dir):
        sandboxes = build_sandboxes(settings)
        out.print(f"Serving [bold]{escape(environment)}[/] of [bold]{escape(url)}[/]")
        out.print(f"  sandbox   {escape(sandboxes.description)}")
        out.print("Stop it with Ctrl-C.")
        client = AsyncAnthropic(base_url=url, auth_token=key)
        serving = QueueWorker(client, sandboxes, environment, key, sessions, max_idle)
        asyncio.run(_serve(serving))
    out.print("Stopped. What was at work is in the queue again.")


async def _serve(serving: QueueWorker) -> None:
    sandboxes = serving.sandboxes
    try:
        await sandboxes.sweep(())
        await sandboxes.prepare()
        working = asyncio.create_task(serving.run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, working.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await working
    finally:
        await serving.client.close()
        await sandboxes.close()


@contextlib.contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Hold the data directory: a second worker on it would sweep away the first one's sandboxes.

    Raises:
        ConfigurationError: another has it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "worker.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigurationError(
                f"another worker keeps its sandboxes in {data_dir}; give this one a --data-dir of "
                "its own"
            ) from None
        yield
