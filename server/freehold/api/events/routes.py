"""``/v1/sessions/{session_id}/events``. The hot path: send and stream."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import requests, responses
from freehold.api.deps import services, worker, workspace_id
from freehold.api.events import service
from freehold.api.events.schemas import (
    EventListQuery,
    EventPage,
    EventSendParams,
    EventStreamQuery,
    SentEvents,
)
from freehold.api.idempotency import kept
from freehold.api.openapi import operation
from freehold.api.sessions.service import normalise
from freehold.api.sse import EventStream
from freehold.store.event_log import PublicEvent

router = APIRouter(prefix="/v1/sessions/{session_id}/events", tags=["events"])

STREAMED = "Events from now on, one in each `message` event; `ping` events in between"


@router.post("", **operation("Send events", SentEvents, body=EventSendParams, forbidden=True))
async def send_events(request: Request, session_id: str) -> Response:
    """All are taken, or none; the answer comes as soon as they are safe."""
    params = await requests.read(request, EventSendParams)
    behind = services(request)
    async with behind.database.write() as tx:
        echoes = await service.send(
            tx,
            workspace_id(request),
            session_id,
            params,
            intake=behind.intake,
            clock=behind.clock,
            from_worker=worker(request) is not None,
        )
        return await kept(request, tx, responses.json({"data": echoes}))


@router.get("", **operation("List events", EventPage, query=EventListQuery))
async def list_events(request: Request, session_id: str) -> Response:
    """By `processed_at`; what waits for the agent is the newest."""
    return await list_of(request, session_id)


async def list_of(request: Request, session_id: str) -> Response:
    """A page of a session's events."""
    query = requests.query(request, EventListQuery)
    behind = services(request)
    async with behind.database.read() as session:
        data, following = await service.listed(
            session, behind.reader, workspace_id(request), session_id, query
        )
    return responses.spliced(data, following)


@router.get("/stream", **operation("Stream events", None, query=EventStreamQuery, stream=STREAMED))
async def stream_events(request: Request, session_id: str) -> Response:
    """Server-sent events; with `Last-Event-ID` none is missed. Ends after `session.deleted`."""
    return await stream_of(request, session_id)


async def stream_of(request: Request, session_id: str) -> Response:
    """A session's stream. No transaction is open while it waits."""
    wanted = requests.query(request, EventStreamQuery)
    session_id = normalise(session_id)
    behind = services(request)
    # Listen first: what is appended after the log's end was read must not go unheard.
    listener = behind.fanout.subscribe(session_id)
    try:
        async with behind.database.read() as session:
            after = await service.stream_start(
                session,
                behind.reader,
                workspace_id(request),
                session_id,
                request.headers.get("last-event-id"),
            )
        # Previews only from here on: those of a message that is in the log by now would never
        # be closed.
        subscription = behind.fanout.subscribe(session_id, frozenset(wanted.event_deltas))
    finally:
        listener.close()

    async def read(seq: int, limit: int) -> Sequence[PublicEvent]:
        async with behind.database.read() as session:
            return await behind.reader.since(session, session_id, seq, limit)

    return EventStream(streams=behind.streams, subscription=subscription, read=read, after=after)
