"""``/v1/organizations``: for admin keys (:mod:`freehold.api.reach`)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import auth, openapi, requests, responses
from freehold.api.deps import services
from freehold.api.idempotency import kept
from freehold.api.organization import service
from freehold.api.organization.schemas import (
    ApiKey,
    ApiKeyListQuery,
    ApiKeyPage,
    ApiKeyUpdateParams,
    Organization,
    Workspace,
    WorkspaceCreateParams,
    WorkspaceListQuery,
    WorkspacePage,
    WorkspaceUpdateParams,
)

router = APIRouter(prefix="/v1/organizations", tags=["organization"])

NAME = "Freehold"


def _operation(summary: str, answer: type[BaseModel], **more: Any) -> dict[str, Any]:
    return openapi.operation(summary, answer, beta=False, forbidden=True, **more)


@router.get("/me", **_operation("Retrieve the organization", Organization))
async def retrieve_organization(request: Request) -> Response:
    """The server, which is one organization."""
    id_ = auth.organization_id(services(request).settings.resolved_database_url)
    return responses.shown(Organization(id=id_, type="organization", name=NAME))


@router.post(
    "/workspaces", **_operation("Create a workspace", Workspace, body=WorkspaceCreateParams)
)
async def create_workspace(request: Request) -> Response:
    """Empty; `freehold keys create --workspace` makes a key for it."""
    params = await requests.read(request, WorkspaceCreateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await service.create_workspace(tx, params, behind.clock)
        return await kept(request, tx, responses.shown(service.shown_workspace(row)))


@router.get("/workspaces", **_operation("List workspaces", WorkspacePage, query=WorkspaceListQuery))
async def list_workspaces(request: Request) -> Response:
    """Newest first; the default one only if it is asked for."""
    query = requests.query(request, WorkspaceListQuery)
    async with services(request).database.read() as session:
        rows, more = await service.list_workspaces(session, query)
    return responses.shown(
        WorkspacePage(
            data=[service.shown_workspace(row) for row in rows],
            has_more=more,
            first_id=rows[0].id if rows else None,
            last_id=rows[-1].id if rows else None,
        )
    )


@router.get("/workspaces/{workspace_id}", **_operation("Retrieve a workspace", Workspace))
async def retrieve_workspace(request: Request, workspace_id: str) -> Response:
    """One workspace, archived or not."""
    async with services(request).database.read() as session:
        row = await service.find_workspace(session, workspace_id)
    return responses.shown(service.shown_workspace(row))


@router.post(
    "/workspaces/{workspace_id}",
    **_operation("Update a workspace", Workspace, body=WorkspaceUpdateParams),
)
async def update_workspace(request: Request, workspace_id: str) -> Response:
    """Fields that are left out stay."""
    params = await requests.read(request, WorkspaceUpdateParams)
    async with services(request).database.write() as tx:
        row = await service.update_workspace(tx, workspace_id, params)
        return await kept(request, tx, responses.shown(service.shown_workspace(row)))


@router.post("/workspaces/{workspace_id}/archive", **_operation("Archive a workspace", Workspace))
async def archive_workspace(request: Request, workspace_id: str) -> Response:
    """Its keys open nothing any more; what is in it stays, and its sessions run on."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await service.archive_workspace(tx, workspace_id, behind.clock)
        return await kept(request, tx, responses.shown(service.shown_workspace(row)))


@router.get("/api_keys", **_operation("List API keys", ApiKeyPage, query=ApiKeyListQuery))
async def list_keys(request: Request) -> Response:
    """Newest first. Those of the settings and those of workers are not among them."""
    query = requests.query(request, ApiKeyListQuery)
    behind = services(request)
    now = behind.clock.now()
    async with behind.database.read() as session:
        rows, more = await service.list_keys(session, query, now)
    return responses.shown(
        ApiKeyPage(
            data=[service.shown_key(row, now) for row in rows],
            has_more=more,
            first_id=rows[0].id if rows else None,
            last_id=rows[-1].id if rows else None,
        )
    )


@router.get("/api_keys/{api_key_id}", **_operation("Retrieve an API key", ApiKey))
async def retrieve_key(request: Request, api_key_id: str) -> Response:
    """One key, in whatever state."""
    behind = services(request)
    async with behind.database.read() as session:
        row = await service.find_key(session, api_key_id)
    return responses.shown(service.shown_key(row, behind.clock.now()))


@router.post(
    "/api_keys/{api_key_id}",
    **_operation("Update an API key", ApiKey, body=ApiKeyUpdateParams),
)
async def update_key(request: Request, api_key_id: str) -> Response:
    """Its name or its status; it opens nothing unless it is `active`."""
    params = await requests.read(request, ApiKeyUpdateParams)
    behind = services(request)
    now = behind.clock.now()
    async with behind.database.write() as tx:
        row = await service.update_key(tx, api_key_id, params, now)
        return await kept(request, tx, responses.shown(service.shown_key(row, now)))
