"""``/v1/environments``."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import requests, responses
from freehold.api.deps import services, workspace_id
from freehold.api.environments import service
from freehold.api.environments.schemas import (
    DeletedEnvironment,
    Environment,
    EnvironmentCreateParams,
    EnvironmentDeleteQuery,
    EnvironmentListQuery,
    EnvironmentPage,
    EnvironmentUpdateParams,
)
from freehold.api.idempotency import kept
from freehold.api.openapi import operation
from freehold.api.validation import Dialect

router = APIRouter(prefix="/v1/environments", tags=["environments"])

_DIALECT = Dialect(pydantic=True, should_retry=False)


@router.post("", **operation("Create an environment", Environment, body=EnvironmentCreateParams))
async def create_environment(request: Request) -> Response:
    """Packages and limited networking are stored; sessions say when they cannot have them."""
    params = await requests.read(request, EnvironmentCreateParams, _DIALECT)
    behind = services(request)
    async with behind.database.write() as tx:
        environment = await service.create(tx, workspace_id(request), params, behind.clock)
        return await kept(request, tx, responses.shown(service.shown(environment)))


@router.get("", **operation("List environments", EnvironmentPage, query=EnvironmentListQuery))
async def list_environments(request: Request) -> Response:
    """Newest first."""
    query = requests.query(request, EnvironmentListQuery)
    async with services(request).database.read() as session:
        rows, following = await service.listed(session, workspace_id(request), query)
    return responses.page([service.shown(row) for row in rows], following, null_at_end=True)


@router.get("/{environment_id}", **operation("Retrieve an environment", Environment))
async def retrieve_environment(request: Request, environment_id: str) -> Response:
    """One environment, archived or not."""
    async with services(request).database.read() as session:
        environment = await service.find(session, workspace_id(request), environment_id)
    return responses.shown(service.shown(environment))


@router.post(
    "/{environment_id}",
    **operation("Update an environment", Environment, body=EnvironmentUpdateParams),
)
async def update_environment(request: Request, environment_id: str) -> Response:
    """Fields that are left out stay, inside `config` too."""
    params = await requests.read(request, EnvironmentUpdateParams, _DIALECT)
    behind = services(request)
    async with behind.database.write() as tx:
        environment = await service.update(
            tx, workspace_id(request), environment_id, params, behind.clock
        )
        return await kept(request, tx, responses.shown(service.shown(environment)))


@router.delete(
    "/{environment_id}",
    **operation(
        "Delete an environment", DeletedEnvironment, query=EnvironmentDeleteQuery, conflict=True
    ),
)
async def delete_environment(request: Request, environment_id: str) -> Response:
    """Sessions on it go on. A self-hosted one that has some is only deleted with `force=true`."""
    query = requests.query(request, EnvironmentDeleteQuery)
    behind = services(request)
    async with behind.database.write() as tx:
        await service.delete(
            tx, workspace_id(request), environment_id, behind.clock, force=query.force
        )
    return responses.shown(DeletedEnvironment(id=environment_id, type="environment_deleted"))


@router.post("/{environment_id}/archive", **operation("Archive an environment", Environment))
async def archive_environment(request: Request, environment_id: str) -> Response:
    """Read-only for good; again is no error."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        environment = await service.archive(tx, workspace_id(request), environment_id, behind.clock)
        return await kept(request, tx, responses.shown(service.shown(environment)))
