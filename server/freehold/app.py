"""The composition root: settings become adapters, adapters become an application.

The only module that knows every adapter.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI

from freehold import __version__, api, tls
from freehold.api.deps import ApiServices
from freehold.blobs import build_blobs
from freehold.dispatch.clock import SystemClock
from freehold.dispatch.fanout import InProcessFanout
from freehold.dispatch.inprocess import InProcessDispatcher
from freehold.dispatch.timers import Timers
from freehold.errors import BlobsUnavailable, ConfigurationError
from freehold.harness.backoff import Backoff
from freehold.harness.credentials import Keyring
from freehold.harness.driver import Driver
from freehold.harness.intake import Intake
from freehold.harness.keeping import Rules
from freehold.harness.mcp import McpTools
from freehold.harness.sessions import Sessions
from freehold.harness.validation import CredentialValidator
from freehold.mcp import Http, HttpMcpProber, HttpTokenEndpoint, LateMcpClient, McpNetwork
from freehold.models import build_catalog, build_model
from freehold.ports.furnishing import Furnisher
from freehold.ports.model import Model, Relay
from freehold.ports.outputs import Outputs
from freehold.ports.sandbox import SandboxProvider
from freehold.ports.web import Web
from freehold.sandbox.process import ProcessSandboxProvider, bubblewrap_works
from freehold.sandbox.scripted import ScriptedSandboxProvider
from freehold.settings import Settings
from freehold.store.checkpoints import SqlCheckpoints
from freehold.store.credentials import SqlCredentialStore
from freehold.store.database import Database
from freehold.store.event_log import EventReader, SqlEventLog
from freehold.store.file_library import FileLibrary
from freehold.store.outputs import SqlOutputs
from freehold.store.sealing import KEY_FILE, Sealer
from freehold.store.timers import SqlTimers
from freehold.web.service import build_web

log = logging.getLogger(__name__)

DELETED_KEPT = timedelta(minutes=10)
"""How long a deleted session's log stays, for open streams to end on ``session.deleted``."""
PURGE_EVERY = 3_600.0


def build_sandboxes(settings: Settings) -> SandboxProvider:
    """The sandbox provider that the settings ask for.

    Raises:
        ConfigurationError: ``auto`` finds nothing that isolates; the message says how to mend it.
    """
    match settings.sandbox:
        case "docker":
            return _docker_sandboxes(settings)
        case "process":
            return ProcessSandboxProvider(settings.data_dir, plain=not bubblewrap_works())
        case "scripted":
            return ScriptedSandboxProvider()
        case "auto":
            from freehold.sandbox.docker import engine_answers  # noqa: PLC0415

            if engine_answers():
                return _docker_sandboxes(settings)
            if bubblewrap_works():
                return ProcessSandboxProvider(settings.data_dir)
            raise ConfigurationError(
                "No Docker engine answers and bubblewrap does not work here, so nothing would "
                "isolate the agent's tools. Start Docker, or install bubblewrap, or set "
                "FREEHOLD_SANDBOX=process to run tools as plain child processes."
            )


def _docker_sandboxes(settings: Settings) -> SandboxProvider:
    # The engine's client is large; a server without an engine starts without it.
    from freehold.sandbox.docker import DockerSandboxProvider  # noqa: PLC0415

    return DockerSandboxProvider.from_settings(settings)


def build_sealer(settings: Settings) -> Sealer:
    """What seals the secrets of vaults.

    Raises:
        ConfigurationError: a configured key is none.
    """
    if settings.secret_key is not None:
        return Sealer.of_text(settings.secret_key.get_secret_value())
    return Sealer.of_file(settings.data_dir / KEY_FILE)


def create_app(
    settings: Settings,
    *,
    model: Model | None = None,
    sandboxes: SandboxProvider | None = None,
    web: Web | None = None,
    furnishers: Sequence[Furnisher] = (),
    outputs: Outputs | None = None,
) -> FastAPI:
    """A server, ready to be served; starting it migrates the database and takes up work.

    Args:
        settings: Where everything comes from.
        model: Instead of the model that the settings name.
        sandboxes: Instead of the provider that the settings name.
        web: Instead of the web that the settings name.
        furnishers: Put things into sandboxes after those of the server's own.
        outputs: Keeps what agents deliver, instead of the Files API.

    Raises:
        ConfigurationError: the settings contradict each other or the machine.
    """
    database = Database(settings.resolved_database_url)
    clock = SystemClock()
    fanout = InProcessFanout()
    event_log = SqlEventLog(database)
    dispatcher = InProcessDispatcher(event_log)
    sessions = Sessions(event_log, fanout)
    model = model or build_model(settings)
    sandboxes = sandboxes or build_sandboxes(settings)
    catalog = build_catalog(settings)
    sealer = build_sealer(settings)
    credentials = SqlCredentialStore(database, sealer)
    http = Http(tls.context(settings.extra_ca_certs), McpNetwork(settings.resolved_mcp_networks))
    keyring = Keyring(credentials, HttpTokenEndpoint(http), clock)
    blobs = build_blobs(settings)
    files = FileLibrary(database, blobs, clock)
    checkpoints = SqlCheckpoints(database, blobs, clock, timedelta(days=settings.sandbox_keep_days))
    relay = model if isinstance(model, Relay) else None
    web = web or build_web(settings, relay)
    services = ApiServices(
        settings=settings,
        database=database,
        reader=EventReader(),
        intake=Intake(sessions, dispatcher, clock, catalog),
        fanout=fanout,
        clock=clock,
        sandboxes=sandboxes,
        model=model,
        catalog=catalog,
        relay=relay,
        sealer=sealer,
        validator=CredentialValidator(keyring, HttpMcpProber(http)),
        files=files,
    )
    driver = Driver(
        log=event_log,
        sessions=sessions,
        sandboxes=sandboxes,
        mcp=McpTools(LateMcpClient(http), keyring),
        model=model,
        fanout=fanout,
        clock=clock,
        backoff=Backoff(base=settings.retry_base, retries=settings.retry_limit),
        compact_at=settings.compact_at,
        max_rounds=settings.tool_rounds,
        catalog=catalog,
        web=web,
        auto_model=settings.auto_model,
        # In the order in which the system prompt tells of them (spec 22.4).
        furnishers=[*furnishers],
        outputs=outputs or SqlOutputs(database, files),
        files=files,
        checkpoints=checkpoints,
        rules=_rules(settings),
    )
    timers = Timers(SqlTimers(database), event_log, dispatcher, clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(database.close)
            await database.migrate()
            if resealed := await credentials.reseal():
                log.info("sealed %d secrets with the newest key", resealed)
            await blobs.prepare()
            stack.push_async_callback(blobs.close)
            stack.push_async_callback(files.close)
            stack.push_async_callback(model.close)
            stack.push_async_callback(sandboxes.close)
            stack.push_async_callback(web.close)
            stack.push_async_callback(driver.close)
            await _sweep_sandboxes(event_log, sandboxes)
            await sandboxes.prepare()
            background = [
                asyncio.create_task(dispatcher.serve(driver.wake), name="dispatcher"),
                asyncio.create_task(timers.run(), name="timers"),
                asyncio.create_task(_purge(event_log, clock), name="purge"),
                asyncio.create_task(_tidy(files, checkpoints), name="files"),
            ]
            if driver.keeper is not None:
                background.append(asyncio.create_task(driver.keeper.run(), name="keeper"))
            stack.push_async_callback(_end, background)
            yield
            services.streams.close()

    app = FastAPI(title="Freehold", version=__version__, lifespan=lifespan)
    app.state.model = model
    app.state.sandboxes = sandboxes
    api.install(app, services)
    return app


def _rules(settings: Settings) -> Rules:
    idle_stop = settings.sandbox_idle_stop
    return Rules(
        idle_stop=timedelta(seconds=idle_stop) if idle_stop else None,
        keep=timedelta(days=settings.sandbox_keep_days),
        every=timedelta(seconds=settings.checkpoint_every),
        largest=settings.checkpoint_max_mb << 20,
    )


async def _sweep_sandboxes(event_log: SqlEventLog, sandboxes: SandboxProvider) -> None:
    """Remove what a server that died left behind."""
    removed = await sandboxes.sweep(await event_log.alive())
    if removed:
        log.info("removed %d sandboxes whose sessions are over", len(removed))


async def _purge(event_log: SqlEventLog, clock: SystemClock) -> None:
    while True:
        await event_log.purge_deleted(clock.now() - DELETED_KEPT)
        await asyncio.sleep(PURGE_EVERY)


async def _tidy(files: FileLibrary, checkpoints: SqlCheckpoints) -> None:
    """Remove what has expired and, also of servers that died, contents that no file has."""
    while True:
        try:
            if removed := await files.expire() + await files.sweep():
                log.info("removed the contents of %d files that expired or were deleted", removed)
            if removed := await checkpoints.sweep():
                log.info("removed the contents of %d checkpoints", removed)
        except BlobsUnavailable as error:
            log.warning("contents of files that nobody has could not be removed: %s", error)
        except Exception:
            log.exception("tidying up files failed")
        await asyncio.sleep(PURGE_EVERY)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
