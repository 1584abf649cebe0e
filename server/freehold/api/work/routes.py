"""``/v1/environments/{environment_id}/work``."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import requests, responses
from freehold.api.deps import services, worker, workspace_id
from freehold.api.idempotency import kept
from freehold.api.openapi import operation
from freehold.api.validation import Dialect
from freehold.api.work import service
from freehold.api.work.schemas import (
    BLOCK_MS,
    Work,
    WorkHeartbeat,
    WorkHeartbeatQuery,
    WorkListQuery,
    WorkPage,
    WorkPollQuery,
    WorkQueueStats,
    WorkStopParams,
    WorkUpdateParams,
)
from freehold.store import work

router = APIRouter(prefix="/v1/environments/{environment_id}/work", tags=["work"])

WORKER_ID = "anthropic-worker-id"
GLANCE = 0.1
"""Seconds between two looks at the queue while a poll is kept waiting."""
_DIALECT = Dialect(pydantic=True)


def _operation(summary: str, answer: Any, **more: Any) -> dict[str, Any]:
    return operation(summary, answer, forbidden=True, **more)


@router.get("/poll", **_operation("Poll for work", Work | None, query=WorkPollQuery))
async def poll_work(request: Request, environment_id: str) -> Response:
    """The item that has waited longest, with a secret that opens its session; `null` if none."""
    query = requests.query(request, WorkPollQuery)
    behind = services(request)
    worker_id = request.headers.get(WORKER_ID, "")[: service.WORKER_ID]
    async with behind.database.read() as session:
        environment = await service.pollable(session, workspace_id(request), environment_id)
    if worker_id:
        async with behind.database.write() as tx:
            await work.polled(tx, environment.id, worker_id, behind.clock.now())
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(query.block_ms or 0, BLOCK_MS) / 1000
    while True:
        async with behind.database.read() as session:
            found = await service.waiting(session, environment, query, behind.clock)
        if found:
            async with behind.database.write() as tx:
                item = await service.claim(tx, environment, query, behind.clock)
            if item is not None:
                return responses.shown(item)
        left = deadline - loop.time()
        if left <= 0 or behind.streams.closed:
            return responses.json(None)
        await asyncio.sleep(min(GLANCE, left))


@router.get("/stats", **_operation("Describe the work queue", WorkQueueStats))
async def work_stats(request: Request, environment_id: str) -> Response:
    """How many items wait, how many are handed out, how many workers ask."""
    behind = services(request)
    async with behind.database.read() as session:
        stats = await service.stats(session, workspace_id(request), environment_id, behind.clock)
    return responses.shown(stats)


@router.get("", **_operation("List work", WorkPage, query=WorkListQuery))
async def list_work(request: Request, environment_id: str) -> Response:
    """Newest first."""
    query = requests.query(request, WorkListQuery)
    behind = services(request)
    async with behind.database.read() as session:
        rows, following = await service.listed(
            session, workspace_id(request), environment_id, query, behind.clock
        )
    return responses.page([service.shown(row) for row in rows], following, null_at_end=True)


@router.get("/{work_id}", **_operation("Retrieve a work item", Work))
async def retrieve_work(request: Request, environment_id: str, work_id: str) -> Response:
    """One item; its secret is only in the answer of a poll."""
    behind = services(request)
    async with behind.database.read() as session:
        item = await service.find(
            session, workspace_id(request), environment_id, work_id, behind.clock
        )
    return responses.shown(service.shown(item))


@router.post("/{work_id}", **_operation("Update a work item", Work, body=WorkUpdateParams))
async def update_work(request: Request, environment_id: str, work_id: str) -> Response:
    """Its metadata; a value of `null` deletes a key."""
    params = await requests.read(request, WorkUpdateParams, _DIALECT)
    behind = services(request)
    async with behind.database.write() as tx:
        item = await service.find(
            tx, workspace_id(request), environment_id, work_id, behind.clock, for_update=True
        )
        item = await service.update(tx, item, params)
        return await kept(request, tx, responses.shown(service.shown(item)))


@router.post("/{work_id}/ack", **_operation("Acknowledge a work item", Work, conflict=True))
async def acknowledge_work(request: Request, environment_id: str, work_id: str) -> Response:
    """The worker has got it; what follows are heartbeats."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        item = await service.find(
            tx, workspace_id(request), environment_id, work_id, behind.clock, for_update=True
        )
        item = await service.acknowledge(tx, item, behind.clock)
        return await kept(request, tx, responses.shown(service.shown(item)))


@router.post(
    "/{work_id}/heartbeat",
    **_operation("Keep a work item", WorkHeartbeat, query=WorkHeartbeatQuery, precondition=True),
)
async def heartbeat_work(request: Request, environment_id: str, work_id: str) -> Response:
    """Extends the lease. `412` if it is another's by now."""
    query = requests.query(request, WorkHeartbeatQuery)
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        item = await service.find(
            tx, workspace_id(request), environment_id, work_id, behind.clock, for_update=True
        )
        beat = await service.heartbeat(tx, item, query, behind.clock)
        return await kept(request, tx, responses.shown(beat))


@router.post("/{work_id}/stop", **_operation("Stop a work item", Work, body=WorkStopParams))
async def stop_work(request: Request, environment_id: str, work_id: str) -> Response:
    """Asks its worker to end, or with `force` says that it has ended. Again is no error."""
    params = await requests.read_or(request, WorkStopParams, _DIALECT)
    behind = services(request)
    async with behind.database.write() as tx:
        item = await service.find(
            tx, workspace_id(request), environment_id, work_id, behind.clock, for_update=True
        )
        item = await service.stop(
            tx, item, params, behind.clock, by_worker=worker(request) is not None
        )
        return await kept(request, tx, responses.shown(service.shown(item)))
