"""The rules by which memories change (spec 15.3), for clients and for sandboxes alike.

Every function here is called with the store's row locked: changes of one store come one after
the other, and what was read is still so when it is written. None commits.
"""

from __future__ import annotations

from dataclasses import replace

from freehold.core import limits
from freehold.core.ids import is_id
from freehold.core.memory_paths import content_problem, path_problem, sha256
from freehold.errors import (
    InvalidRequest,
    MemoryPathConflict,
    MemoryPreconditionFailed,
    NotFound,
)
from freehold.ports.clock import Clock
from freehold.ports.memory import Actor
from freehold.store import memories, memory_stores, memory_versions
from freehold.store.memories import MemoryRow
from freehold.store.memory_stores import MemoryStoreRow
from freehold.store.memory_versions import VersionRow
from freehold.store.units import WriteSession

PRECONDITION_FAILED = "precondition content_sha256 failed: content has changed"


async def lock(
    tx: WriteSession, workspace_id: str, memory_store_id: str, *, open_only: bool
) -> MemoryStoreRow:
    """The store, for changes; ``open_only``: for such as an archived store does not take.

    Raises:
        NotFound: no such store. InvalidRequest: it is archived.
    """
    store = None
    if is_id("memstore", memory_store_id):
        store = await memory_stores.get(tx, workspace_id, memory_store_id, for_update=True)
    if store is None:
        raise missing(memory_store_id)
    if open_only and store.archived_at is not None:
        raise InvalidRequest(f"cannot modify archived resource: memory store {store.id}")
    return store


def missing(memory_store_id: str) -> NotFound:
    """The store is not there."""
    return NotFound(f"Memory store `{memory_store_id[:200]}` not found.")


async def create(
    tx: WriteSession,
    store: MemoryStoreRow,
    actor: Actor,
    clock: Clock,
    *,
    path: str,
    content: str,
) -> MemoryRow:
    """A new memory.

    Raises:
        InvalidRequest: the path or the content is none, or the store is full.
        MemoryPathConflict: the path is taken, or part of another, or another is part of it.
    """
    check_path(path)
    check_content(content)
    other = await memories.in_the_way(tx, store.id, path)
    if other is not None:
        raise conflict(path, other, "use update to modify it")
    if await memories.count(tx, store.id) >= limits.MEMORIES_PER_STORE:
        raise InvalidRequest(
            f"memory store {store.id} has {limits.MEMORIES_PER_STORE} memories, "
            "which is the maximum"
        )
    now = clock.now()
    memory = MemoryRow(
        id=clock.mint("mem"),
        memory_store_id=store.id,
        version_id=clock.mint("memver"),
        path=path,
        content_sha256=sha256(content),
        content_size_bytes=len(content.encode()),
        created_at=now,
        updated_at=now,
        content=content,
    )
    await memory_stores.changed(tx, store.id)
    await memory_versions.insert(tx, _version(memory, "created", actor))
    await memories.insert(tx, memory)
    return memory


async def copy(
    tx: WriteSession, source: MemoryStoreRow, into: MemoryStoreRow, actor: Actor, clock: Clock
) -> None:
    """Fill a store that was just made with the memories of another, all of one moment."""
    there = sorted(await memories.all_of(tx, source.id), key=lambda row: (row.created_at, row.id))
    now = clock.now()
    copies = [
        replace(
            memory,
            id=clock.mint("mem"),
            memory_store_id=into.id,
            version_id=clock.mint("memver"),
            created_at=now,
            updated_at=now,
        )
        for memory in there
    ]
    if copies:
        await memory_stores.changed(tx, into.id)
        await memory_versions.insert_all(tx, [_version(row, "created", actor) for row in copies])
        await memories.insert_all(tx, copies)


async def update(
    tx: WriteSession,
    memory: MemoryRow,
    actor: Actor,
    clock: Clock,
    *,
    path: str | None = None,
    content: str | None = None,
) -> MemoryRow:
    """Another path, another content, or both; ``memory`` was read with its content.

    Raises:
        InvalidRequest: the path or the content is none.
        MemoryPathConflict: the path is taken, or part of another, or another is part of it.
    """
    changed = memory
    if content is not None:
        check_content(content)
        changed = replace(
            changed,
            content=content,
            content_sha256=sha256(content),
            content_size_bytes=len(content.encode()),
        )
    if path is not None:
        check_path(path)
        other = await memories.in_the_way(tx, memory.memory_store_id, path, of=memory.id)
        if other is not None:
            raise conflict(path, other, "delete it first to rename-and-replace")
        changed = replace(changed, path=path)
    changed = replace(
        changed,
        version_id=clock.mint("memver"),
        # A clock that is set back must not put a memory's newest version before its last.
        updated_at=max(clock.now(), memory.updated_at),
    )
    await memory_stores.changed(tx, memory.memory_store_id)
    await memory_versions.insert(tx, _version(changed, "modified", actor))
    await memories.update(tx, changed)
    return changed


async def delete(tx: WriteSession, memory: MemoryRow, actor: Actor, clock: Clock) -> None:
    """Remove a memory; a version says that it was deleted, by whom, and from where."""
    await memory_stores.changed(tx, memory.memory_store_id)
    await memory_versions.insert(
        tx,
        VersionRow(
            id=clock.mint("memver"),
            memory_store_id=memory.memory_store_id,
            memory_id=memory.id,
            operation="deleted",
            path=memory.path,
            content=None,
            content_sha256=None,
            content_size_bytes=None,
            created_by=actor,
            created_at=max(clock.now(), memory.updated_at),
        ),
    )
    await memories.delete(tx, memory.id)


def check_expected(memory: MemoryRow, expected_sha256: str | None) -> None:
    """Raises: MemoryPreconditionFailed: the memory holds something else."""
    if expected_sha256 is not None and expected_sha256 != memory.content_sha256:
        raise MemoryPreconditionFailed(PRECONDITION_FAILED)


def check_path(path: str) -> None:
    """Raises: InvalidRequest: no memory can have this path."""
    if (problem := path_problem(path)) is not None:
        raise InvalidRequest(f"path: {problem}")


def check_content(content: str) -> None:
    """Raises: InvalidRequest: no memory can hold this."""
    if (problem := content_problem(content)) is not None:
        raise InvalidRequest(problem)


def conflict(path: str, other: MemoryRow, remedy: str) -> MemoryPathConflict:
    """``other`` is in the way of a memory at ``path``."""
    if other.path == path:
        text = f"path `{path}` is already used by `{other.id}`; {remedy}"
    else:
        text = (
            f"path `{path}` conflicts with existing memory at `{other.path}`: a memory and a path "
            "prefix of it cannot coexist. Delete or rename the other memory first."
        )
    return MemoryPathConflict(text, memory_id=other.id, path=other.path)


def _version(memory: MemoryRow, operation: memory_versions.Operation, actor: Actor) -> VersionRow:
    return VersionRow(
        id=memory.version_id,
        memory_store_id=memory.memory_store_id,
        memory_id=memory.id,
        operation=operation,
        path=memory.path,
        content=memory.content,
        content_sha256=memory.content_sha256,
        content_size_bytes=memory.content_size_bytes,
        created_by=actor,
        created_at=memory.updated_at,
    )
