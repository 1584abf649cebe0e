"""Servers' services without servers, to start runs of deployments with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from freehold.api.agents import service as agents
from freehold.api.agents.schemas import AgentCreateParams
from freehold.api.deployments import service as deployments
from freehold.api.deployments.schemas import DeploymentCreateParams
from freehold.api.deps import ApiServices
from freehold.api.environments import service as environments
from freehold.api.environments.schemas import EnvironmentCreateParams
from freehold.app import create_app
from freehold.settings import Settings
from freehold.store.deployments import DeploymentRow
from tests.support.clocks import Wall

WORKSPACE = "wrkspc_test"
SECRET_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def settings(database_url: str, folder: Path) -> Settings:
    return Settings(
        data_dir=folder,
        database_url=database_url,
        secret_key=SECRET_KEY,  # type: ignore[arg-type]
        model="scripted",
        scripted_latency=0,
        sandbox="scripted",
        sandbox_warm=0,
        sandbox_network="bridge",
    )


def worker(database_url: str, folder: Path, wall: Wall) -> ApiServices:
    """What a server on the database has; close its ``database`` in the end."""
    app = create_app(settings(database_url, folder), clock=wall.clock())
    services: ApiServices = app.state.services
    return services


async def deployed(behind: ApiServices, **more: Any) -> DeploymentRow:
    """A new deployment, with an agent and an environment of its own."""
    async with behind.database.write() as tx:
        agent = await agents.create(
            tx,
            WORKSPACE,
            AgentCreateParams.model_validate(
                {
                    "name": "Helper",
                    "model": "claude-opus-5",
                    "tools": [{"type": "agent_toolset_20260401"}],
                }
            ),
            behind.clock,
        )
        environment = await environments.create(
            tx, WORKSPACE, EnvironmentCreateParams.model_validate({"name": "plain"}), behind.clock
        )
        given = {
            "name": "Nightly",
            "agent": agent.id,
            "environment_id": environment.id,
            "initial_events": [
                {"type": "user.message", "content": [{"type": "text", "text": "Go."}]}
            ],
        }
        params = DeploymentCreateParams.model_validate(given | more)
        return await deployments.create(tx, WORKSPACE, params, behind)
