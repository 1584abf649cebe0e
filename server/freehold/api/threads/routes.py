"""``/v1/sessions/{session_id}/threads``."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import requests, responses
from freehold.api.deps import services, workspace_id
from freehold.api.events.routes import STREAMED, list_of, stream_of
from freehold.api.events.schemas import EventListQuery, EventPage, EventStreamQuery
from freehold.api.openapi import operation
from freehold.api.threads import service
from freehold.api.threads.schemas import Thread, ThreadListQuery, ThreadPage
from freehold.errors import InvalidRequest

router = APIRouter(prefix="/v1/sessions/{session_id}/threads", tags=["threads"])


@router.get("", **operation("List threads", ThreadPage, query=ThreadListQuery))
async def list_threads(request: Request, session_id: str) -> Response:
    """The primary thread: this version has no others."""
    query = requests.query(request, ThreadListQuery)
    behind = services(request)
    async with behind.database.read() as session:
        threads = await service.listed(
            session, workspace_id(request), session_id, query, behind.clock.now()
        )
    return responses.page(threads, None)


@router.get("/{thread_id}", **operation("Retrieve a thread", Thread))
async def retrieve_thread(request: Request, session_id: str, thread_id: str) -> Response:
    """One thread."""
    behind = services(request)
    async with behind.database.read() as session:
        row = await service.find(session, workspace_id(request), session_id, thread_id)
    return responses.shown(service.shown(row, behind.clock.now()))


@router.post("/{thread_id}/archive", **operation("Archive a thread", Thread))
async def archive_thread(request: Request, session_id: str, thread_id: str) -> Response:
    """Refused for the primary thread."""
    await requests.read_nothing(request)
    async with services(request).database.read() as session:
        await service.find(session, workspace_id(request), session_id, thread_id)
    raise InvalidRequest("The primary thread cannot be archived; archive the session instead.")


@router.get(
    "/{thread_id}/events", **operation("List a thread's events", EventPage, query=EventListQuery)
)
async def list_thread_events(request: Request, session_id: str, thread_id: str) -> Response:
    """The primary thread's are the session's."""
    async with services(request).database.read() as session:
        await service.find(session, workspace_id(request), session_id, thread_id)
    return await list_of(request, session_id)


@router.get(
    "/{thread_id}/stream",
    **operation("Stream a thread's events", None, query=EventStreamQuery, stream=STREAMED),
)
async def stream_thread_events(request: Request, session_id: str, thread_id: str) -> Response:
    """The primary thread's are the session's."""
    async with services(request).database.read() as session:
        await service.find(session, workspace_id(request), session_id, thread_id)
    return await stream_of(request, session_id)
