"""``/v1/agents``."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import requests, responses
from freehold.api.agents import service
from freehold.api.agents.schemas import (
    Agent,
    AgentCreateParams,
    AgentListQuery,
    AgentPage,
    AgentRetrieveQuery,
    AgentUpdateParams,
    VersionListQuery,
)
from freehold.api.deps import services, workspace_id
from freehold.api.idempotency import kept
from freehold.api.openapi import operation
from freehold.api.validation import Dialect

router = APIRouter(prefix="/v1/agents", tags=["agents"])

_UPDATE = Dialect(prefix=("agent",))


@router.post("", **operation("Create an agent", Agent, body=AgentCreateParams))
async def create_agent(request: Request) -> Response:
    """Creates version 1."""
    params = await requests.read(request, AgentCreateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        agent = await service.create(tx, workspace_id(request), params, behind.clock)
        return await kept(request, tx, responses.shown(service.shown(agent)))


@router.get("", **operation("List agents", AgentPage, query=AgentListQuery))
async def list_agents(request: Request) -> Response:
    """Newest first, each at its newest version."""
    query = requests.query(request, AgentListQuery)
    async with services(request).database.read() as session:
        rows, following = await service.listed(session, workspace_id(request), query)
    return responses.page([service.shown(row) for row in rows], following)


@router.get("/{agent_id}", **operation("Retrieve an agent", Agent, query=AgentRetrieveQuery))
async def retrieve_agent(request: Request, agent_id: str) -> Response:
    """The newest version, or the one asked for."""
    query = requests.query(request, AgentRetrieveQuery)
    async with services(request).database.read() as session:
        agent = await service.find(session, workspace_id(request), agent_id, query.version)
    return responses.shown(service.shown(agent))


@router.post(
    "/{agent_id}", **operation("Update an agent", Agent, body=AgentUpdateParams, conflict=True)
)
async def update_agent(request: Request, agent_id: str) -> Response:
    """Makes a new version if anything changes; `version` is a precondition."""
    params = await requests.read(request, AgentUpdateParams, _UPDATE)
    behind = services(request)
    async with behind.database.write() as tx:
        agent = await service.update(tx, workspace_id(request), agent_id, params, behind.clock)
        return await kept(request, tx, responses.shown(service.shown(agent)))


@router.post("/{agent_id}/archive", **operation("Archive an agent", Agent))
async def archive_agent(request: Request, agent_id: str) -> Response:
    """Read-only for good; again is no error."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        agent = await service.archive(tx, workspace_id(request), agent_id, behind.clock)
        return await kept(request, tx, responses.shown(service.shown(agent)))


@router.get(
    "/{agent_id}/versions",
    **operation("List the versions of an agent", AgentPage, query=VersionListQuery),
)
async def list_agent_versions(request: Request, agent_id: str) -> Response:
    """Newest first."""
    query = requests.query(request, VersionListQuery)
    async with services(request).database.read() as session:
        rows, following = await service.versions(session, workspace_id(request), agent_id, query)
    return responses.page([service.shown(row) for row in rows], following)
