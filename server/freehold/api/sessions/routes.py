"""``/v1/sessions``."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import requests, responses
from freehold.api.deps import services, workspace_id
from freehold.api.idempotency import kept
from freehold.api.openapi import operation
from freehold.api.session_resources.attaching import Workshop
from freehold.api.sessions import service, updating
from freehold.api.sessions.schemas import (
    DeletedSession,
    Session,
    SessionCreateParams,
    SessionListQuery,
    SessionPage,
    SessionUpdateParams,
)
from freehold.store import memory_copies, outputs, session_resources

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])


@router.post("", **operation("Create a session", Session, body=SessionCreateParams))
async def create_session(request: Request) -> Response:
    """Idle, or running at once if it is given `initial_events`."""
    params = await requests.read(request, SessionCreateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        row, resources = await service.create(
            tx,
            workspace_id(request),
            params,
            intake=behind.intake,
            clock=behind.clock,
            catalog=behind.catalog,
            sandboxes=behind.sandboxes,
            workshop=Workshop(behind.files, behind.sealer, behind.clock, behind.settings.git_hosts),
            work_ttl=behind.settings.work_lease,
        )
        return await kept(
            request, tx, responses.shown(service.shown(row, resources, behind.clock.now()))
        )


@router.get("", **operation("List sessions", SessionPage, query=SessionListQuery))
async def list_sessions(request: Request) -> Response:
    """By time of creation, newest first unless asked otherwise; cursors lead both ways."""
    query = requests.query(request, SessionListQuery)
    behind = services(request)
    async with behind.database.read() as session:
        rows, cursors = await service.listed(session, workspace_id(request), query)
        theirs = await session_resources.of_sessions(session, [row.id for row in rows])
    now = behind.clock.now()
    return responses.page(
        [service.shown(row, theirs.get(row.id, ()), now) for row in rows],
        cursors.next_page,
        cursors.prev_page,
    )


@router.get("/{session_id}", **operation("Retrieve a session", Session))
async def retrieve_session(request: Request, session_id: str) -> Response:
    """One session, archived or not."""
    behind = services(request)
    async with behind.database.read() as session:
        row = await service.find(session, workspace_id(request), session_id)
        resources = await session_resources.of_session(session, row.id)
    return responses.shown(service.shown(row, resources, behind.clock.now()))


@router.post("/{session_id}", **operation("Update a session", Session, body=SessionUpdateParams))
async def update_session(request: Request, session_id: str) -> Response:
    """Title, metadata and budget at any time; the agent's tools while it is idle."""
    params = await requests.read(request, SessionUpdateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await updating.update(
            tx,
            workspace_id(request),
            session_id,
            params,
            intake=behind.intake,
            clock=behind.clock,
            catalog=behind.catalog,
        )
        resources = await session_resources.of_session(tx, row.id)
        answer = await kept(
            request, tx, responses.shown(service.shown(row, resources, behind.clock.now()))
        )
    # Hosts of MCP servers, which its sandbox may reach, may be others now.
    await behind.egress.changed(row.id)
    return answer


@router.delete("/{session_id}", **operation("Delete a session", DeletedSession))
async def delete_session(request: Request, session_id: str) -> Response:
    """Not while it runs. Its files go with it."""
    behind = services(request)
    async with behind.database.write() as tx:
        deleted = await service.delete(tx, workspace_id(request), session_id, behind.intake)
        await behind.files.delete_within(tx, workspace_id(request), deleted)
        await outputs.forget(tx, deleted)
        await memory_copies.forget(tx, deleted)
        await session_resources.forget(tx, deleted)
    return responses.shown(DeletedSession(id=deleted, type="session_deleted"))


@router.post("/{session_id}/archive", **operation("Archive a session", Session))
async def archive_session(request: Request, session_id: str) -> Response:
    """Terminated for good; not while it runs; again is no error."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await service.archive(
            tx, workspace_id(request), session_id, behind.intake, behind.clock
        )
        resources = await session_resources.of_session(tx, row.id)
        return await kept(
            request, tx, responses.shown(service.shown(row, resources, behind.clock.now()))
        )
