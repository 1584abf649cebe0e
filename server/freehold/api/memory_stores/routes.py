"""``/v1/memory_stores`` and what is in them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import betas, openapi, requests, responses
from freehold.api.deps import api_key_id, services, worker, workspace_id
from freehold.api.idempotency import kept
from freehold.api.memory_stores import memories, service, versions
from freehold.api.memory_stores.schemas import (
    BasicViewQuery,
    DeletedMemory,
    DeletedMemoryStore,
    FullViewQuery,
    Memory,
    MemoryCreateParams,
    MemoryDeleteQuery,
    MemoryListQuery,
    MemoryPage,
    MemoryStore,
    MemoryStoreCreateParams,
    MemoryStoreListQuery,
    MemoryStorePage,
    MemoryStoreUpdateParams,
    MemoryUpdateParams,
    MemoryVersion,
    MemoryVersionListQuery,
    MemoryVersionPage,
)
from freehold.ports.memory import Actor

router = APIRouter(prefix="/v1/memory_stores", tags=["memory_stores"])

_STORE = "/{memory_store_id}"
_MEMORIES = f"{_STORE}/memories"
_MEMORY = f"{_MEMORIES}/{{memory_id}}"
_VERSIONS = f"{_STORE}/memory_versions"
_VERSION = f"{_VERSIONS}/{{memory_version_id}}"


def _operation(summary: str, answer: type[BaseModel], **more: Any) -> dict[str, Any]:
    named = (betas.MEMORY, betas.MANAGED_AGENTS)
    return openapi.operation(summary, answer, betas=named, **more)


def _caller(request: Request) -> Actor:
    serving = worker(request)
    if serving is not None and serving.session_id is not None:
        return Actor("session_actor", serving.session_id)
    return Actor("api_actor", api_key_id(request))


@router.post("", **_operation("Create a memory store", MemoryStore, body=MemoryStoreCreateParams))
async def create_store(request: Request) -> Response:
    """A store keeps texts by their paths; sessions that name it have it in their sandbox."""
    params = await requests.read(request, MemoryStoreCreateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        store = await service.create(tx, workspace_id(request), params, behind.clock)
        return await kept(request, tx, responses.shown(service.shown(store)))


@router.get("", **_operation("List memory stores", MemoryStorePage, query=MemoryStoreListQuery))
async def list_stores(request: Request) -> Response:
    """Newest first."""
    query = requests.query(request, MemoryStoreListQuery)
    async with services(request).database.read() as session:
        rows, following = await service.listed(session, workspace_id(request), query)
    return responses.page([service.shown(row) for row in rows], following)


@router.get(_STORE, **_operation("Retrieve a memory store", MemoryStore))
async def retrieve_store(request: Request, memory_store_id: str) -> Response:
    """One store, archived or not."""
    async with services(request).database.read() as session:
        store = await service.find(session, workspace_id(request), memory_store_id)
    return responses.shown(service.shown(store))


@router.post(
    _STORE, **_operation("Update a memory store", MemoryStore, body=MemoryStoreUpdateParams)
)
async def update_store(request: Request, memory_store_id: str) -> Response:
    """Fields that are left out stay."""
    params = await requests.read(request, MemoryStoreUpdateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        store = await service.update(
            tx, workspace_id(request), memory_store_id, params, behind.clock
        )
        return await kept(request, tx, responses.shown(service.shown(store)))


@router.delete(_STORE, **_operation("Delete a memory store", DeletedMemoryStore))
async def delete_store(request: Request, memory_store_id: str) -> Response:
    """Its memories and all their versions go with it."""
    behind = services(request)
    async with behind.database.write() as tx:
        await service.delete(tx, workspace_id(request), memory_store_id, behind.clock)
    return responses.shown(DeletedMemoryStore(id=memory_store_id, type="memory_store_deleted"))


@router.post(f"{_STORE}/archive", **_operation("Archive a memory store", MemoryStore))
async def archive_store(request: Request, memory_store_id: str) -> Response:
    """Nothing can be written to it any more; again is no error."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        store = await service.archive(tx, workspace_id(request), memory_store_id, behind.clock)
        return await kept(request, tx, responses.shown(service.shown(store)))


@router.post(
    _MEMORIES,
    **_operation(
        "Create a memory", Memory, body=MemoryCreateParams, query=BasicViewQuery, conflict=True
    ),
)
async def create_memory(request: Request, memory_store_id: str) -> Response:
    """A text at a path that is free."""
    query = requests.query(request, BasicViewQuery)
    params = await requests.read(request, MemoryCreateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await memories.create(
            tx,
            workspace_id(request),
            memory_store_id,
            params,
            actor=_caller(request),
            clock=behind.clock,
        )
        return await kept(
            request, tx, responses.shown(memories.shown(row, full=query.view == "full"))
        )


@router.get(_MEMORIES, **_operation("List memories", MemoryPage, query=MemoryListQuery))
async def list_memories(request: Request, memory_store_id: str) -> Response:
    """Newest first; with `depth=1` folders first."""
    query = requests.query(request, MemoryListQuery)
    async with services(request).database.read() as session:
        items, following = await memories.listed(
            session, workspace_id(request), memory_store_id, query
        )
    return responses.page(items, following, more={"prefixes": []})


@router.get(_MEMORY, **_operation("Retrieve a memory", Memory, query=FullViewQuery))
async def retrieve_memory(request: Request, memory_store_id: str, memory_id: str) -> Response:
    """One memory, with its content."""
    full = requests.query(request, FullViewQuery).view == "full"
    async with services(request).database.read() as session:
        row = await memories.find(
            session, workspace_id(request), memory_store_id, memory_id, content=full
        )
    return responses.shown(memories.shown(row, full=full))


@router.post(
    _MEMORY,
    **_operation(
        "Update a memory", Memory, body=MemoryUpdateParams, query=BasicViewQuery, conflict=True
    ),
)
async def update_memory(request: Request, memory_store_id: str, memory_id: str) -> Response:
    """Another content, another path, or both."""
    query = requests.query(request, BasicViewQuery)
    params = await requests.read(request, MemoryUpdateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await memories.update(
            tx,
            workspace_id(request),
            memory_store_id,
            memory_id,
            params,
            actor=_caller(request),
            clock=behind.clock,
        )
        return await kept(
            request, tx, responses.shown(memories.shown(row, full=query.view == "full"))
        )


@router.delete(
    _MEMORY,
    **_operation("Delete a memory", DeletedMemory, query=MemoryDeleteQuery, conflict=True),
)
async def delete_memory(request: Request, memory_store_id: str, memory_id: str) -> Response:
    """Its versions stay, and one more says that it was deleted."""
    query = requests.query(request, MemoryDeleteQuery)
    behind = services(request)
    async with behind.database.write() as tx:
        await memories.delete(
            tx,
            workspace_id(request),
            memory_store_id,
            memory_id,
            query.expected_content_sha256,
            actor=_caller(request),
            clock=behind.clock,
        )
    return responses.shown(DeletedMemory(id=memory_id, type="memory_deleted"))


@router.get(
    _VERSIONS,
    **_operation("List memory versions", MemoryVersionPage, query=MemoryVersionListQuery),
)
async def list_versions(request: Request, memory_store_id: str) -> Response:
    """Newest first, of all the store's memories, deleted ones too."""
    query = requests.query(request, MemoryVersionListQuery)
    async with services(request).database.read() as session:
        rows, following = await versions.listed(
            session, workspace_id(request), memory_store_id, query
        )
    full = query.view == "full"
    return responses.page([versions.shown(row, full=full) for row in rows], following)


@router.get(_VERSION, **_operation("Retrieve a memory version", MemoryVersion, query=FullViewQuery))
async def retrieve_version(
    request: Request, memory_store_id: str, memory_version_id: str
) -> Response:
    """One version, with its content."""
    query = requests.query(request, FullViewQuery)
    async with services(request).database.read() as session:
        row = await versions.find(
            session, workspace_id(request), memory_store_id, memory_version_id
        )
    return responses.shown(versions.shown(row, full=query.view == "full"))


@router.post(f"{_VERSION}/redact", **_operation("Redact a memory version", MemoryVersion))
async def redact_version(
    request: Request, memory_store_id: str, memory_version_id: str
) -> Response:
    """Its content and path are forgotten for good; again is no error."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await versions.redact(
            tx,
            workspace_id(request),
            memory_store_id,
            memory_version_id,
            actor=_caller(request),
            clock=behind.clock,
        )
        return await kept(request, tx, responses.shown(versions.shown(row, full=True)))
