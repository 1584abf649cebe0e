"""What happens to memory stores (spec 15). Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from freehold.api import pages
from freehold.api.memory_stores.schemas import (
    MemoryStore,
    MemoryStoreCreateParams,
    MemoryStoreListQuery,
    MemoryStoreResourceParams,
    MemoryStoreUpdateParams,
)
from freehold.core import limits
from freehold.core.ids import is_id
from freehold.core.memory_mounts import MountedStore, mount_paths
from freehold.core.merge import metadata_problem, patch_metadata
from freehold.errors import InvalidRequest
from freehold.ports.clock import Clock
from freehold.store import memory_changes, memory_stores, outbox
from freehold.store.keyset import Span
from freehold.store.memory_stores import MemoryStoreRow
from freehold.store.units import ReadSession, WriteSession

LIST = "memory_stores"


async def create(
    tx: WriteSession, workspace_id: str, params: MemoryStoreCreateParams, clock: Clock
) -> MemoryStoreRow:
    """Keep a new store, empty.

    Raises:
        InvalidRequest: the metadata is too large.
    """
    _check_metadata(params.metadata)
    now = clock.now()
    store = MemoryStoreRow(
        id=clock.mint("memstore"),
        workspace_id=workspace_id,
        name=params.name,
        description=params.description or "",
        metadata=params.metadata,
        created_at=now,
        updated_at=now,
        archived_at=None,
    )
    await memory_stores.insert(tx, store)
    await outbox.tell(tx, workspace_id, "memory_store.created", store.id, now)
    return store


async def find(session: ReadSession, workspace_id: str, memory_store_id: str) -> MemoryStoreRow:
    """A store.

    Raises:
        NotFound: no such store; what is no id is not there either (spec 1.4).
    """
    store = None
    if is_id("memstore", memory_store_id):
        store = await memory_stores.get(session, workspace_id, memory_store_id)
    if store is None:
        raise memory_changes.missing(memory_store_id)
    return store


async def listed(
    session: ReadSession, workspace_id: str, query: MemoryStoreListQuery
) -> tuple[Sequence[MemoryStoreRow], str | None]:
    """A page of stores and the cursor of the next.

    Raises:
        InvalidRequest: the cursor is none of this list.
    """
    rows = await memory_stores.page(
        session,
        workspace_id,
        after=pages.key(pages.decode(query.page, LIST, "desc")),
        limit=query.limit + 1,
        include_archived=query.include_archived,
        within=Span(gte=query.created_at_gte, lte=query.created_at_lte),
    )
    return pages.forward(rows, query.limit, LIST)


async def update(
    tx: WriteSession,
    workspace_id: str,
    memory_store_id: str,
    params: MemoryStoreUpdateParams,
    clock: Clock,
) -> MemoryStoreRow:
    """Merge the changes. Sessions that have the store keep its name and description of then.

    Raises:
        NotFound: no such store. InvalidRequest: it is archived, or the metadata too large.
    """
    stored = await memory_changes.lock(tx, workspace_id, memory_store_id, open_only=True)
    changed = stored
    if params.name is not None:
        changed = replace(changed, name=params.name)
    if "description" in params.model_fields_set:
        changed = replace(changed, description=params.description or "")
    if params.metadata is not None:
        metadata = patch_metadata(stored.metadata, params.metadata)
        _check_metadata(metadata)
        changed = replace(changed, metadata=metadata)
    if changed == stored:
        return stored
    changed = replace(changed, updated_at=clock.now())
    await memory_stores.update(tx, changed)
    return changed


async def archive(
    tx: WriteSession, workspace_id: str, memory_store_id: str, clock: Clock
) -> MemoryStoreRow:
    """Close it for good; a second time changes nothing.

    Raises:
        NotFound: no such store.
    """
    store = await memory_changes.lock(tx, workspace_id, memory_store_id, open_only=False)
    if store.archived_at is None:
        now = clock.now()
        store = replace(store, archived_at=now, updated_at=now)
        await memory_stores.update(tx, store)
        await outbox.tell(tx, workspace_id, "memory_store.archived", store.id, now)
    return store


async def delete(tx: WriteSession, workspace_id: str, memory_store_id: str, clock: Clock) -> None:
    """Remove it with its memories and all their versions.

    Raises:
        NotFound: no such store.
    """
    store = await memory_changes.lock(tx, workspace_id, memory_store_id, open_only=False)
    await memory_stores.delete(tx, store)
    await outbox.tell(tx, workspace_id, "memory_store.deleted", store.id, clock.now())


async def mounted(
    session: ReadSession, workspace_id: str, resources: Sequence[MemoryStoreResourceParams]
) -> list[MountedStore]:
    """The stores that a new session names, as it keeps them (spec 9.2).

    Raises:
        NotFound: one is not there.
        InvalidRequest: one is archived or named twice, or there are too many.
    """
    if len(resources) > limits.MEMORY_STORES_PER_SESSION:
        raise InvalidRequest(
            f"resources: at most {limits.MEMORY_STORES_PER_SESSION} memory stores are allowed"
        )
    rows: dict[str, MemoryStoreRow] = {}
    for resource in resources:
        if resource.memory_store_id in rows:
            raise InvalidRequest(
                f"resources contains duplicate memory_store_id: {resource.memory_store_id}"
            )
        row = await find(session, workspace_id, resource.memory_store_id)
        if row.archived_at is not None:
            raise InvalidRequest(f"Memory store {row.id} is archived.")
        rows[row.id] = row
    paths = mount_paths((row.name, row.id) for row in rows.values())
    return [
        MountedStore(
            memory_store_id=row.id,
            name=row.name,
            description=row.description,
            access=resource.access or "read_write",
            instructions=resource.instructions,
            mount_path=path,
        )
        for row, resource, path in zip(rows.values(), resources, paths, strict=True)
    ]


def _check_metadata(bag: dict[str, str]) -> None:
    if (problem := metadata_problem(bag)) is not None:
        raise InvalidRequest(problem)


def shown(row: MemoryStoreRow) -> MemoryStore:
    """The store as the API shows it."""
    return MemoryStore(
        id=row.id,
        type="memory_store",
        name=row.name,
        description=row.description,
        metadata=row.metadata,
        created_at=row.created_at,
        updated_at=row.updated_at,
        archived_at=row.archived_at,
    )
