"""What happens to versions of memories (spec 15). Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from freehold.api import pages
from freehold.api.memory_stores import service
from freehold.api.memory_stores.schemas import (
    AnyActor,
    ApiActor,
    MemoryVersion,
    MemoryVersionListQuery,
    ServiceAccountActor,
    SessionActor,
    UserActor,
)
from freehold.core import limits
from freehold.core.ids import is_id
from freehold.errors import InvalidRequest, NotFound
from freehold.ports.clock import Clock
from freehold.ports.memory import Actor
from freehold.store import memories, memory_changes, memory_versions
from freehold.store.keyset import Span
from freehold.store.memory_versions import Matching, VersionRow
from freehold.store.units import ReadSession, WriteSession

LIST = "memory_versions"


async def find(
    session: ReadSession, workspace_id: str, memory_store_id: str, version_id: str
) -> VersionRow:
    """A version of a memory of a store, whether the memory is still there or not.

    Raises:
        NotFound: no such store, or no such version in it.
    """
    store = await service.find(session, workspace_id, memory_store_id)
    return await _get(session, store.id, version_id)


async def _get(session: ReadSession, memory_store_id: str, version_id: str) -> VersionRow:
    version = None
    if is_id("memver", version_id):
        version = await memory_versions.get(session, memory_store_id, version_id)
    if version is None:
        raise NotFound(f"Memory version `{version_id[:200]}` not found.")
    return version


async def listed(
    session: ReadSession, workspace_id: str, memory_store_id: str, query: MemoryVersionListQuery
) -> tuple[Sequence[VersionRow], str | None]:
    """A page of versions, newest first, and the cursor of the next.

    Raises:
        NotFound: no such store. InvalidRequest: the cursor is none of this list.
    """
    store = await service.find(session, workspace_id, memory_store_id)
    limit = query.limit if query.view == "basic" else min(query.limit, limits.MEMORIES_FULL_PAGE)
    name = pages.of(LIST, store.id)
    rows = await memory_versions.page(
        session,
        store.id,
        Matching(
            memory_id=query.memory_id,
            operation=query.operation,
            actors=tuple(_actors(query)),
            within=Span(gte=query.created_at_gte, lte=query.created_at_lte),
        ),
        after=pages.key(pages.decode(query.page, name, "desc")),
        limit=limit + 1,
    )
    return pages.forward(rows, limit, name)


def _actors(query: MemoryVersionListQuery) -> list[Actor]:
    actors = []
    if query.session_id is not None:
        actors.append(Actor("session_actor", query.session_id))
    if query.api_key_id is not None:
        actors.append(Actor("api_actor", query.api_key_id))
    if query.service_account_id is not None:
        actors.append(Actor("service_account_actor", query.service_account_id))
    return actors


async def redact(
    tx: WriteSession,
    workspace_id: str,
    memory_store_id: str,
    version_id: str,
    *,
    actor: Actor,
    clock: Clock,
) -> VersionRow:
    """Forget what a version held and where; a second time changes nothing.

    Raises:
        NotFound: no such store or version.
        InvalidRequest: it is what a memory holds now.
    """
    store = await memory_changes.lock(tx, workspace_id, memory_store_id, open_only=False)
    version = await _get(tx, store.id, version_id)
    if version.redacted_at is not None:
        return version
    memory = await memories.get(tx, store.id, version.memory_id, content=False)
    if memory is not None and memory.version_id == version.id:
        raise InvalidRequest(
            f"version is the current content of {memory.id}; write a new version first"
        )
    now = clock.now()
    await memory_versions.redact(tx, version.id, actor, now)
    return replace(
        version,
        path=None,
        content=None,
        content_sha256=None,
        content_size_bytes=None,
        redacted_by=actor,
        redacted_at=now,
    )


def shown(row: VersionRow, *, full: bool) -> MemoryVersion:
    """The version as the API shows it."""
    return MemoryVersion(
        id=row.id,
        type="memory_version",
        memory_store_id=row.memory_store_id,
        memory_id=row.memory_id,
        operation=row.operation,
        path=row.path,
        content=row.content if full else None,
        content_sha256=row.content_sha256,
        content_size_bytes=row.content_size_bytes,
        created_by=_actor(row.created_by),
        created_at=row.created_at,
        redacted_at=row.redacted_at,
        redacted_by=None if row.redacted_by is None else _actor(row.redacted_by),
    )


def _actor(actor: Actor) -> AnyActor:
    match actor.type:
        case "session_actor":
            return SessionActor(type=actor.type, session_id=actor.id)
        case "api_actor":
            return ApiActor(type=actor.type, api_key_id=actor.id)
        case "user_actor":
            return UserActor(type=actor.type, user_id=actor.id)
        case "service_account_actor":
            return ServiceAccountActor(type=actor.type, service_account_id=actor.id)
