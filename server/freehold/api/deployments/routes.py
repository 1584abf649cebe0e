"""``/v1/deployments``."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import requests, responses
from freehold.api.deployment_runs import service as run_service
from freehold.api.deployment_runs.schemas import DeploymentRun
from freehold.api.deployments import service
from freehold.api.deployments.schemas import (
    Deployment,
    DeploymentCreateParams,
    DeploymentListQuery,
    DeploymentPage,
    DeploymentUpdateParams,
)
from freehold.api.deployments.starting import Starter
from freehold.api.deps import services, workspace_id
from freehold.api.idempotency import kept
from freehold.api.openapi import operation
from freehold.store.deployment_runs import RunRow
from freehold.store.units import WriteSession

router = APIRouter(prefix="/v1/deployments", tags=["deployments"])


@router.post("", **operation("Create a deployment", Deployment, body=DeploymentCreateParams))
async def create_deployment(request: Request) -> Response:
    """Pins the agent at a version; with a `schedule`, runs start by themselves."""
    params = await requests.read(request, DeploymentCreateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await service.create(tx, workspace_id(request), params, behind)
        return await kept(request, tx, responses.shown(service.shown(row, behind.clock.now())))


@router.get("", **operation("List deployments", DeploymentPage, query=DeploymentListQuery))
async def list_deployments(request: Request) -> Response:
    """Newest first."""
    query = requests.query(request, DeploymentListQuery)
    behind = services(request)
    async with behind.database.read() as session:
        rows, following = await service.listed(session, workspace_id(request), query)
    now = behind.clock.now()
    return responses.page([service.shown(row, now) for row in rows], following)


@router.get("/{deployment_id}", **operation("Retrieve a deployment", Deployment))
async def retrieve_deployment(request: Request, deployment_id: str) -> Response:
    """One deployment, archived or not."""
    behind = services(request)
    async with behind.database.read() as session:
        row = await service.find(session, workspace_id(request), deployment_id)
    return responses.shown(service.shown(row, behind.clock.now()))


@router.post(
    "/{deployment_id}",
    **operation("Update a deployment", Deployment, body=DeploymentUpdateParams),
)
async def update_deployment(request: Request, deployment_id: str) -> Response:
    """Later runs follow the change; sessions that are there do not."""
    params = await requests.read(request, DeploymentUpdateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await service.update(tx, workspace_id(request), deployment_id, params, behind)
        return await kept(request, tx, responses.shown(service.shown(row, behind.clock.now())))


@router.post("/{deployment_id}/archive", **operation("Archive a deployment", Deployment))
async def archive_deployment(request: Request, deployment_id: str) -> Response:
    """No more runs, for good; again is no error."""
    await requests.read_nothing(request)
    behind = services(request)
    now = behind.clock.now()
    async with behind.database.write() as tx:
        row = await service.archive(tx, workspace_id(request), deployment_id, now)
        return await kept(request, tx, responses.shown(service.shown(row, now)))


@router.post("/{deployment_id}/pause", **operation("Pause a deployment", Deployment))
async def pause_deployment(request: Request, deployment_id: str) -> Response:
    """The schedule starts no runs until it is unpaused; clients still can."""
    await requests.read_nothing(request)
    behind = services(request)
    now = behind.clock.now()
    async with behind.database.write() as tx:
        row = await service.pause(tx, workspace_id(request), deployment_id, now)
        return await kept(request, tx, responses.shown(service.shown(row, now)))


@router.post("/{deployment_id}/unpause", **operation("Unpause a deployment", Deployment))
async def unpause_deployment(request: Request, deployment_id: str) -> Response:
    """Goes on with the next occurrence."""
    await requests.read_nothing(request)
    behind = services(request)
    now = behind.clock.now()
    async with behind.database.write() as tx:
        row = await service.unpause(tx, workspace_id(request), deployment_id, now)
        return await kept(request, tx, responses.shown(service.shown(row, now)))


@router.post("/{deployment_id}/run", **operation("Run a deployment", DeploymentRun))
async def run_deployment(request: Request, deployment_id: str) -> Response:
    """Creates a session now; where that is refused, the run says why."""
    await requests.read_nothing(request)

    async def keep(tx: WriteSession, run: RunRow) -> None:
        await kept(request, tx, responses.shown(run_service.shown(run)))

    starter = Starter(services(request))
    run = await starter.manual(workspace_id(request), deployment_id, keep)
    return responses.shown(run_service.shown(run))
