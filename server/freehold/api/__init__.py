"""The HTTP API: one folder a resource, and what they share.

    install(app, services)   puts all of it on an application

Inside a folder ``routes`` is the edge (reads the request, opens the transaction, writes the
answer), ``schemas`` the shapes on the wire, ``service`` what happens. A service never commits.
"""

from __future__ import annotations

from fastapi import FastAPI

from freehold.api import auth, errors, openapi
from freehold.api.agents.routes import router as agents
from freehold.api.deployment_runs.routes import router as deployment_runs
from freehold.api.deployments.routes import router as deployments
from freehold.api.deps import ApiServices
from freehold.api.dreams.routes import router as dreams
from freehold.api.environments.routes import router as environments
from freehold.api.events.routes import router as events
from freehold.api.files.routes import router as files
from freehold.api.gate import Gate
from freehold.api.health.routes import router as health
from freehold.api.health.service import Watch
from freehold.api.idempotency import Idempotency
from freehold.api.memory_stores.routes import router as memory_stores
from freehold.api.messages.routes import router as messages
from freehold.api.models.routes import router as models
from freehold.api.organization.routes import router as organization
from freehold.api.rates import RateLimits
from freehold.api.session_resources.routes import router as session_resources
from freehold.api.sessions.routes import router as sessions
from freehold.api.skills.routes import router as skills
from freehold.api.threads.routes import router as threads
from freehold.api.tunnels.routes import router as tunnels
from freehold.api.user_profiles.routes import router as user_profiles
from freehold.api.vaults.routes import router as vaults
from freehold.api.webhooks.routes import router as webhooks
from freehold.api.work.routes import router as work
from freehold.api.workers import WorkerAccess
from freehold.core.rates import parse as parse_rates
from freehold.store.request_rates import SqlRequestRates

__all__ = ["ApiServices", "install"]


def install(app: FastAPI, services: ApiServices) -> None:
    """Have ``app`` answer the API out of ``services``.

    The caller runs what is behind them, and calls ``services.streams.close()`` when the server
    is told to stop, before it waits for its connections: streams never end by themselves.
    """
    app.state.services = services
    app.state.watch = Watch(services)
    app.router.redirect_slashes = False
    # Routers are tried in order: those that clients wait for come first.
    for router in (
        events,
        sessions,
        threads,
        session_resources,
        agents,
        environments,
        work,
        deployments,
        deployment_runs,
        vaults,
        files,
        memory_stores,
        dreams,
        skills,
        webhooks,
        user_profiles,
        tunnels,
        messages,
        models,
        organization,
        health,
    ):
        app.include_router(router)
    errors.install(app)
    app.openapi = lambda: openapi.build(app)  # type: ignore[method-assign]
    # The one that is added last is the outer one.
    app.add_middleware(
        Idempotency,
        database=services.database,
        sealer=services.sealer,
        clock=services.clock,
    )
    app.add_middleware(
        Gate,
        keys=auth.Keys(services.settings.api_keys, services.keys),
        access=WorkerAccess(services.database, services.keys, services.clock),
        organization_id=auth.organization_id(services.settings.resolved_database_url),
        mint=services.clock.mint,
        file_bytes=services.settings.file_max_mb << 20,
        rates=_rates(services),
    )


def _rates(services: ApiServices) -> RateLimits | None:
    rates = parse_rates(services.settings.rate_limits)
    if not rates:
        return None
    per, counts = services.settings.rate_limits_per, SqlRequestRates(services.database)
    return RateLimits(rates, per, counts, services.clock)
