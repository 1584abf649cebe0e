"""``/v1/sessions/{session_id}/resources``."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import requests, responses
from freehold.api.deps import services, workspace_id
from freehold.api.idempotency import kept
from freehold.api.openapi import operation
from freehold.api.session_resources import service
from freehold.api.session_resources.attaching import Workshop
from freehold.api.session_resources.schemas import (
    DeletedResource,
    FileResource,
    FileResourceParams,
    ResourceListQuery,
    ResourcePage,
    ResourceShown,
    ResourceUpdateParams,
)
from freehold.api.sessions import service as session_service

router = APIRouter(prefix="/v1/sessions/{session_id}/resources", tags=["session resources"])


@router.get("", **operation("List resources", ResourcePage, query=ResourceListQuery))
async def list_resources(request: Request, session_id: str) -> Response:
    """In the order in which the session was given them; all, unless a `limit` says otherwise."""
    query = requests.query(request, ResourceListQuery)
    async with services(request).database.read() as session:
        rows, following = await service.listed(session, workspace_id(request), session_id, query)
    return responses.page([service.shown(row) for row in rows], following)


@router.post("", **operation("Add a file", FileResource, body=FileResourceParams))
async def add_resource(request: Request, session_id: str) -> Response:
    """A file, at any time before the session is over; the next tool call finds it."""
    params = await requests.read(request, FileResourceParams)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await service.add(
            tx,
            workspace_id(request),
            session_id,
            params,
            Workshop(behind.files, behind.sealer, behind.clock, behind.settings.git_hosts),
            intake=behind.intake,
            sandboxes=behind.sandboxes,
        )
        return await kept(request, tx, responses.shown(service.shown(row)))


@router.get("/{resource_id}", **operation("Retrieve a resource", ResourceShown))
async def retrieve_resource(request: Request, session_id: str, resource_id: str) -> Response:
    """A file or a repository; memory stores have no id to be found by."""
    async with services(request).database.read() as session:
        row = await service.find(session, workspace_id(request), session_id, resource_id)
    return responses.shown(service.shown(row))


@router.post(
    "/{resource_id}", **operation("Update a resource", ResourceShown, body=ResourceUpdateParams)
)
async def update_resource(request: Request, session_id: str, resource_id: str) -> Response:
    """A repository's token, used from its next request on."""
    params = await requests.read(request, ResourceUpdateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await service.update(
            tx,
            workspace_id(request),
            session_id,
            resource_id,
            params,
            intake=behind.intake,
            sealer=behind.sealer,
            clock=behind.clock,
        )
        answer = await kept(request, tx, responses.shown(service.shown(row)))
    # What git's requests are given.
    await behind.egress.changed(row.session_id)
    return answer


@router.delete("/{resource_id}", **operation("Delete a resource", DeletedResource))
async def delete_resource(request: Request, session_id: str, resource_id: str) -> Response:
    """Gone from the sandbox before its next tool call; a file's copy goes too."""
    behind = services(request)
    async with behind.database.write() as tx:
        deleted = await service.delete(
            tx,
            workspace_id(request),
            session_id,
            resource_id,
            intake=behind.intake,
            files=behind.files,
        )
    await behind.egress.changed(session_service.normalise(session_id))
    return responses.shown(DeletedResource(id=deleted, type="session_resource_deleted"))
