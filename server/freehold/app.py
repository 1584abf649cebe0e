"""The composition root: settings become adapters, adapters become an application.

The only module that knows every adapter.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from fastapi import FastAPI

from freehold import __version__, api, tls
from freehold.api.auth import organization_id
from freehold.api.deployments.starting import Starter
from freehold.api.deps import ApiServices
from freehold.api.dreams.pipeline import Pipeline
from freehold.blobs import build_blobs
from freehold.core.addresses import parse_network
from freehold.core.webhook_endpoints import url_problem
from freehold.dispatch.clock import SystemClock
from freehold.dispatch.dreams import Dreams
from freehold.dispatch.fanout import InProcessFanout
from freehold.dispatch.inprocess import InProcessDispatcher
from freehold.dispatch.schedules import Schedules
from freehold.dispatch.timers import Timers
from freehold.errors import ConfigurationError
from freehold.git import GitCache, GitNetwork
from freehold.harness.backoff import Backoff
from freehold.harness.credentials import Keyring
from freehold.harness.driver import Driver
from freehold.harness.egress import Egress
from freehold.harness.intake import Intake
from freehold.harness.keeping import Rules
from freehold.harness.mcp import McpTools
from freehold.harness.memory_mounts import MemoryMounts
from freehold.harness.repositories import (
    RepositoryFurnisher,
    RepositoryGrants,
    RepositorySkillFinder,
)
from freehold.harness.repository_fetching import RepositoryFetching
from freehold.harness.sessions import Sessions
from freehold.harness.skills import SkillFurnisher
from freehold.harness.uploads import Uploads
from freehold.harness.validation import CredentialValidator
from freehold.harness.variables import VaultVariables
from freehold.mcp import Http, HttpMcpProber, HttpTokenEndpoint, LateMcpClient, McpNetwork
from freehold.models import build_catalog, build_model
from freehold.ports.clock import Clock
from freehold.ports.furnishing import Furnisher
from freehold.ports.model import Model, Relay
from freehold.ports.outputs import Outputs
from freehold.ports.sandbox import SandboxProvider
from freehold.ports.web import Web
from freehold.running import Running
from freehold.sandbox.process import ProcessSandboxProvider, bubblewrap_works
from freehold.sandbox.scripted import ScriptedSandboxProvider
from freehold.settings import Settings
from freehold.store.checkpoints import SqlCheckpoints
from freehold.store.credentials import SqlCredentialStore
from freehold.store.database import Database
from freehold.store.deployments import SqlDeploymentTokens, SqlTimetable
from freehold.store.dreams import SqlDreams
from freehold.store.event_log import EventReader, SqlEventLog
from freehold.store.file_library import FileLibrary
from freehold.store.keys import KeyDesk
from freehold.store.memory_copies import SqlMemoryCopies
from freehold.store.memory_files import SqlMemoryFiles
from freehold.store.outputs import SqlOutputs
from freehold.store.repository_skills import SqlRepositorySkills
from freehold.store.sealing import KEY_FILE, Sealer
from freehold.store.session_resources import SqlRepositoryTokens
from freehold.store.skill_source import DatabaseSkills
from freehold.store.timers import SqlTimers
from freehold.store.tunnels import SqlTunnelTokens
from freehold.store.variables import SqlVariables
from freehold.store.webhook_deliveries import SqlOutbox
from freehold.store.webhook_endpoints import SqlWebhookEndpoints
from freehold.upkeep import Upkeep
from freehold.web.service import build_web
from freehold.webhooks import Courier, HttpSender, WebhookNetwork

log = logging.getLogger(__name__)


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


def _check_webhooks(settings: Settings) -> None:
    for endpoint in settings.webhooks:
        problem = url_problem(endpoint.url, settings.resolved_webhook_networks)
        if problem is not None:
            raise ConfigurationError(f"FREEHOLD_WEBHOOKS: the url of {endpoint.name}: {problem}")


def create_app(
    settings: Settings,
    *,
    model: Model | None = None,
    sandboxes: SandboxProvider | None = None,
    web: Web | None = None,
    furnishers: Sequence[Furnisher] = (),
    outputs: Outputs | None = None,
    clock: Clock | None = None,
) -> FastAPI:
    """A server, ready to be served; starting it migrates the database and takes up work.

    Args:
        settings: Where everything comes from.
        model: Instead of the model that the settings name.
        sandboxes: Instead of the provider that the settings name.
        web: Instead of the web that the settings name.
        furnishers: Put things into sandboxes after those of the server's own.
        outputs: Keeps what agents deliver, instead of the Files API.
        clock: Instead of the machine's own.

    Raises:
        ConfigurationError: the settings contradict each other or the machine.
    """
    database = Database(settings.resolved_database_url)
    clock = clock or SystemClock()
    fanout = InProcessFanout()
    event_log = SqlEventLog(database)
    dispatcher = InProcessDispatcher(event_log)
    sessions = Sessions(event_log, fanout)
    model = model or build_model(settings)
    sandboxes = sandboxes or build_sandboxes(settings)
    catalog = build_catalog(settings)
    sealer = build_sealer(settings)
    credentials = SqlCredentialStore(database, sealer)
    tokens = SqlRepositoryTokens(database, sealer)
    trust = tls.context(settings.extra_ca_certs)
    http = Http(trust, McpNetwork(settings.resolved_mcp_networks))
    keyring = Keyring(credentials, HttpTokenEndpoint(http), clock)
    blobs = build_blobs(settings)
    files = FileLibrary(database, blobs, clock)
    repositories = GitCache(
        settings.data_dir / "git",
        GitNetwork([parse_network(text) for text in settings.trusted_networks]),
        tls=trust,
        hosts=settings.git_hosts,
        most_mb=settings.git_max_mb,
        seconds=settings.git_timeout,
        keep_days=settings.git_cache_days,
    )
    checkpoints = SqlCheckpoints(database, blobs, clock, timedelta(days=settings.sandbox_keep_days))
    relay = model if isinstance(model, Relay) else None
    keys = KeyDesk(database, clock)
    web = web or build_web(settings, relay)
    variables = VaultVariables(SqlVariables(database, sealer), sandboxes)
    egress = Egress([variables, RepositoryGrants(tokens, settings.git_hosts)], sandboxes)
    services = ApiServices(
        egress=egress,
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
        keys=keys,
    )
    fetching = RepositoryFetching(repositories)
    found_skills = RepositorySkillFinder(
        repositories, tokens, SqlRepositorySkills(database), fetching=fetching
    )
    memories = MemoryMounts(SqlMemoryFiles(database, clock), SqlMemoryCopies(database))
    driver = Driver(
        egress=egress,
        variables=variables,
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
        furnishers=[
            Uploads(files, clock, possible=sandboxes.unfurnishable() is None),
            memories,
            RepositoryFurnisher(repositories, tokens, fetching),
            SkillFurnisher(DatabaseSkills(database), found_skills),
            *furnishers,
        ],
        outputs=outputs or SqlOutputs(database, files),
        files=files,
        around_calls=memories,
        checkpoints=checkpoints,
        rules=_rules(settings),
    )
    timers = Timers(SqlTimers(database), event_log, dispatcher, clock)
    _check_webhooks(settings)
    endpoints = SqlWebhookEndpoints(database, sealer, clock)
    courier = Courier(
        SqlOutbox(database, sealer, timedelta(days=settings.webhook_patience_days)),
        HttpSender(
            WebhookNetwork(settings.resolved_webhook_networks),
            trust,
            clock,
            organization_id(settings.resolved_database_url),
            settings.webhook_timeout,
        ),
        clock,
        seconds=settings.webhook_timeout,
    )
    schedules = Schedules(SqlTimetable(database), Starter(services).scheduled, clock)
    dreams = Dreams(SqlDreams(database), Pipeline(services).carry, services.new_dream)
    upkeep = Upkeep(event_log, files, checkpoints, repositories, clock)

    running = Running(
        event_log=event_log,
        sealed=(
            credentials,
            tokens,
            endpoints,
            SqlDeploymentTokens(database, sealer),
            SqlTunnelTokens(database, sealer),
        ),
        endpoints=endpoints,
        courier=courier,
        sandboxes=sandboxes,
        dispatcher=dispatcher,
        driver=driver,
        timers=timers,
        schedules=schedules,
        dreams=dreams,
        upkeep=upkeep,
        services=services,
        keys=keys,
        blobs=blobs,
        # In the order in which they are closed.
        parts=(
            egress,
            driver,
            found_skills,
            fetching,
            web,
            sandboxes,
            model,
            files,
            blobs,
            keys,
            database,
        ),
    )
    app = FastAPI(title="Freehold", version=__version__, lifespan=running.lifespan)
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
