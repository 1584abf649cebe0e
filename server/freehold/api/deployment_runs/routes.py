"""``/v1/deployment_runs``."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import requests, responses
from freehold.api.deployment_runs import service
from freehold.api.deployment_runs.schemas import DeploymentRun, RunListQuery, RunPage
from freehold.api.deps import services, workspace_id
from freehold.api.openapi import operation

router = APIRouter(prefix="/v1/deployment_runs", tags=["deployment runs"])


@router.get("", **operation("List runs", RunPage, query=RunListQuery))
async def list_runs(request: Request) -> Response:
    """Newest first, of all deployments or of one."""
    query = requests.query(request, RunListQuery)
    async with services(request).database.read() as session:
        rows, following = await service.listed(session, workspace_id(request), query)
    return responses.page([service.shown(row) for row in rows], following)


@router.get("/{deployment_run_id}", **operation("Retrieve a run", DeploymentRun))
async def retrieve_run(request: Request, deployment_run_id: str) -> Response:
    """One run; it stays when its session is deleted."""
    async with services(request).database.read() as session:
        row = await service.find(session, workspace_id(request), deployment_run_id)
    return responses.shown(service.shown(row))
