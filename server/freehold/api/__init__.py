"""The HTTP API: one folder a resource, and what they share.

    install(app, services)   puts all of it on an application

Inside a folder ``routes`` is the edge (reads the request, opens the transaction, writes the
answer), ``schemas`` the shapes on the wire, ``service`` what happens. A service never commits.
"""

from __future__ import annotations

from fastapi import FastAPI

from freehold.api import agents, auth, errors, openapi
from freehold.api.agents import routes as agent_routes
from freehold.api.deps import ApiServices
from freehold.api.gate import Gate

__all__ = ["ApiServices", "agents", "install"]


def install(app: FastAPI, services: ApiServices) -> None:
    """Have ``app`` answer the API out of ``services``.

    The caller runs what is behind them, and calls ``services.streams.close()`` when the server
    is told to stop.
    """
    app.state.services = services
    app.router.redirect_slashes = False
    app.include_router(agent_routes.router)
    errors.install(app)
    app.openapi = lambda: openapi.build(app)  # type: ignore[method-assign]
    app.add_middleware(
        Gate,
        keys=auth.Keys(services.settings.api_keys),
        organization_id=auth.organization_id(services.settings.resolved_database_url),
        mint=services.clock.mint,
    )
