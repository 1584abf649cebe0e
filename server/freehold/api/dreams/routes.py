"""``/v1/dreams``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import betas, openapi, requests, responses
from freehold.api.deps import services, workspace_id
from freehold.api.dreams import service
from freehold.api.dreams.schemas import Dream, DreamCreateParams, DreamListQuery, DreamPage
from freehold.api.idempotency import kept

router = APIRouter(prefix="/v1/dreams", tags=["dreams"])


def _operation(summary: str, answer: type[BaseModel], **more: Any) -> dict[str, Any]:
    return openapi.operation(summary, answer, betas=(betas.DREAMING,), **more)


@router.post("", **_operation("Create a dream", Dream, body=DreamCreateParams, conflict=True))
async def create_dream(request: Request) -> Response:
    """It reads a memory store and past sessions, and reorganizes the store or a copy of it."""
    params = await requests.read(request, DreamCreateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        dream = await service.create(
            tx, workspace_id(request), params, clock=behind.clock, sandboxes=behind.sandboxes
        )
        (shown,) = await service.shown(tx, workspace_id(request), [dream])
        tx.on_commit(behind.new_dream.set)
        return await kept(request, tx, responses.shown(shown))


@router.get("", **_operation("List dreams", DreamPage, query=DreamListQuery))
async def list_dreams(request: Request) -> Response:
    """Newest first."""
    query = requests.query(request, DreamListQuery)
    async with services(request).database.read() as session:
        rows, following = await service.listed(session, workspace_id(request), query)
        shown = await service.shown(session, workspace_id(request), rows)
    return responses.page(shown, following)


@router.get("/{dream_id}", **_operation("Retrieve a dream", Dream))
async def retrieve_dream(request: Request, dream_id: str) -> Response:
    """One dream, archived or not."""
    async with services(request).database.read() as session:
        dream = await service.find(session, workspace_id(request), dream_id)
        (shown,) = await service.shown(session, workspace_id(request), [dream])
    return responses.shown(shown)


@router.post("/{dream_id}/cancel", **_operation("Cancel a dream", Dream))
async def cancel_dream(request: Request, dream_id: str) -> Response:
    """Its session is interrupted; again is no error."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        dream = await service.cancel(
            tx, workspace_id(request), dream_id, intake=behind.intake, clock=behind.clock
        )
        (shown,) = await service.shown(tx, workspace_id(request), [dream])
        return await kept(request, tx, responses.shown(shown))


@router.post("/{dream_id}/archive", **_operation("Archive a dream", Dream))
async def archive_dream(request: Request, dream_id: str) -> Response:
    """Hidden from the list; only when it is over; again is no error."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        dream = await service.archive(tx, workspace_id(request), dream_id, behind.clock)
        (shown,) = await service.shown(tx, workspace_id(request), [dream])
        return await kept(request, tx, responses.shown(shown))
