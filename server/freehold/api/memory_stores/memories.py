"""What happens to memories (spec 15). Never commits."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.api import pages
from freehold.api.memory_stores import service
from freehold.api.memory_stores.schemas import (
    Memory,
    MemoryCreateParams,
    MemoryListQuery,
    MemoryPrefix,
    MemoryUpdateParams,
)
from freehold.core import cursors, limits
from freehold.core.cursors import Cursor
from freehold.core.ids import is_id
from freehold.errors import InvalidRequest, NotFound
from freehold.ports.clock import Clock
from freehold.ports.memory import Actor
from freehold.store import memories, memory_changes
from freehold.store.memories import MemoryRow
from freehold.store.units import ReadSession, WriteSession

LIST = "memories"
FOLDERS = "memory_prefixes"
"""The first part of a list with ``depth=1``: cursors there are folders."""


async def create(
    tx: WriteSession,
    workspace_id: str,
    memory_store_id: str,
    params: MemoryCreateParams,
    *,
    actor: Actor,
    clock: Clock,
) -> MemoryRow:
    """A new memory.

    Raises:
        NotFound: no such store.
        InvalidRequest: it is archived or full.
        MemoryPathConflict: another memory is in the way.
    """
    store = await memory_changes.lock(tx, workspace_id, memory_store_id, open_only=True)
    return await memory_changes.create(
        tx, store, actor, clock, path=params.path, content=params.content
    )


async def find(
    session: ReadSession, workspace_id: str, memory_store_id: str, memory_id: str, *, content: bool
) -> MemoryRow:
    """A memory of a store.

    Raises:
        NotFound: no such store, or no such memory in it.
    """
    store = await service.find(session, workspace_id, memory_store_id)
    return await _get(session, store.id, memory_id, content=content)


async def _get(
    session: ReadSession, memory_store_id: str, memory_id: str, *, content: bool
) -> MemoryRow:
    memory = None
    if is_id("mem", memory_id):
        memory = await memories.get(session, memory_store_id, memory_id, content=content)
    if memory is None:
        raise NotFound(f"Memory `{memory_id[:200]}` not found.")
    return memory


async def listed(
    session: ReadSession, workspace_id: str, memory_store_id: str, query: MemoryListQuery
) -> tuple[Sequence[Memory | MemoryPrefix], str | None]:
    """A page of memories and the cursor of the next.

    Memories come newest first. With ``depth=1`` the folders come before them, by name. So
    nothing that comes, goes or is renamed meanwhile moves what is already there.

    Raises:
        NotFound: no such store. InvalidRequest: the cursor is none of this list.
    """
    store = await service.find(session, workspace_id, memory_store_id)
    prefix = query.path_prefix or "/"
    full = query.view == "full"
    limit = min(query.limit, limits.MEMORIES_FULL_PAGE) if full else query.limit
    deep = query.depth != 1
    folders: list[str] = []
    after = None
    name = pages.of(LIST, store.id)
    folder_names = pages.of(FOLDERS, store.id)
    if deep or not _among_folders(query.page):
        after = pages.key(pages.decode(query.page, name, "desc"))
    if not deep and after is None:
        begin = _folder(pages.decode(query.page, folder_names, "asc"))
        folders = [
            path for path in await memories.prefixes(session, store.id, prefix) if path > begin
        ]
    first: list[Memory | MemoryPrefix] = [
        MemoryPrefix(type="memory_prefix", path=path) for path in folders[:limit]
    ]
    if len(folders) > limit:
        return first, _folder_cursor(folder_names, folders[limit - 1])
    left = limit - len(first)
    rows = await memories.page(
        session,
        store.id,
        prefix=prefix,
        deep=deep,
        after=after,
        limit=left + 1,
        content=full,
    )
    if rows and not left:
        return first, _folder_cursor(folder_names, folders[-1])
    rows, following = pages.forward(rows, left, name)
    return [*first, *(shown(row, full=full) for row in rows)], following


def _among_folders(page: str | None) -> bool:
    try:
        return not page or cursors.decode(page).list.startswith(pages.of(FOLDERS, ""))
    except ValueError:
        return False


def _folder(cursor: Cursor | None) -> str:
    if cursor is None:
        return ""
    match cursor.key:
        case (str(path),):
            return path
    raise InvalidRequest(pages.INVALID)


def _folder_cursor(name: str, path: str) -> str:
    return cursors.encode(Cursor(name, "asc", "next", (path,)))


async def update(
    tx: WriteSession,
    workspace_id: str,
    memory_store_id: str,
    memory_id: str,
    params: MemoryUpdateParams,
    *,
    actor: Actor,
    clock: Clock,
) -> MemoryRow:
    """Another content, another path, or both; each time a version.

    Raises:
        NotFound: no such store or memory.
        InvalidRequest: the store is archived.
        MemoryPreconditionFailed: the memory holds something else than the client thinks.
        MemoryPathConflict: another memory is in the way.
    """
    store = await memory_changes.lock(tx, workspace_id, memory_store_id, open_only=True)
    memory = await _get(tx, store.id, memory_id, content=True)
    if params.precondition is not None:
        memory_changes.check_expected(memory, params.precondition.content_sha256)
    return await memory_changes.update(
        tx, memory, actor, clock, path=params.path, content=params.content
    )


async def delete(
    tx: WriteSession,
    workspace_id: str,
    memory_store_id: str,
    memory_id: str,
    expected_sha256: str | None,
    *,
    actor: Actor,
    clock: Clock,
) -> None:
    """Remove a memory, also from an archived store; its versions stay.

    Raises:
        NotFound: no such store or memory.
        MemoryPreconditionFailed: the memory holds something else than the client thinks.
    """
    store = await memory_changes.lock(tx, workspace_id, memory_store_id, open_only=False)
    memory = await _get(tx, store.id, memory_id, content=False)
    memory_changes.check_expected(memory, expected_sha256)
    await memory_changes.delete(tx, memory, actor, clock)


def shown(row: MemoryRow, *, full: bool) -> Memory:
    """The memory as the API shows it."""
    return Memory(
        id=row.id,
        type="memory",
        memory_store_id=row.memory_store_id,
        path=row.path,
        content=row.content if full else None,
        content_sha256=row.content_sha256,
        content_size_bytes=row.content_size_bytes,
        memory_version_id=row.version_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
