"""Memory stores as sandboxes use them (:class:`freehold.ports.memory.MemoryFiles`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from freehold.core.memory_paths import aside, content_problem, merged, sha256
from freehold.ports.clock import Clock
from freehold.ports.memory import Actor, Copy, Deleted, Heads, Mark, MemoryFile, Written
from freehold.store import (
    memories,
    memory_changes,
    memory_copies,
    memory_stores,
    memory_versions,
)
from freehold.store.database import Database
from freehold.store.memories import MemoryRow
from freehold.store.memory_stores import MemoryStoreRow
from freehold.store.units import WriteSession


class SqlMemoryFiles:
    """The files of memory stores in the database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def snapshot(
        self, workspace_id: str, memory_store_id: str
    ) -> Mapping[str, MemoryFile] | None:
        """Every file by its path, all of one moment; ``None``: the store is gone."""
        async with self._database.read() as session:
            if await memory_stores.get(session, workspace_id, memory_store_id) is None:
                return None
            rows = await memories.all_of(session, memory_store_id)
        return {row.path: _file(row) for row in rows}

    async def marks(self, workspace_id: str, memory_store_ids: Sequence[str]) -> Mapping[str, Mark]:
        """Where these stores stand; those that are gone are missing."""
        async with self._database.read() as session:
            return await memory_stores.marks(session, workspace_id, memory_store_ids)

    async def heads(self, workspace_id: str, memory_store_id: str) -> Heads | None:
        """Every file's hash, all of one moment; ``None``: the store is gone."""
        async with self._database.read() as session:
            found = await memory_stores.marks(session, workspace_id, [memory_store_id])
            if memory_store_id not in found:
                return None
            return Heads(found[memory_store_id], await memories.hashes(session, memory_store_id))

    async def contents(
        self, workspace_id: str, memory_store_id: str, paths: Sequence[str]
    ) -> Mapping[str, MemoryFile]:
        """The files at these paths as they are now; those that are gone are missing."""
        async with self._database.read() as session:
            if await memory_stores.get(session, workspace_id, memory_store_id) is None:
                return {}
            rows = await memories.all_at(session, memory_store_id, paths)
        return {row.path: _file(row) for row in rows}

    async def write(
        self,
        workspace_id: str,
        memory_store_id: str,
        path: str,
        content: str,
        *,
        expected_sha256: str | None,
        actor: Actor,
        copy: Copy | None = None,
    ) -> Written:
        """Bring a file to the store; see the port for what happens to both sides' changes."""
        memory_changes.check_path(path)
        memory_changes.check_content(content)
        async with self._database.write() as tx:
            store = await memory_changes.lock(tx, workspace_id, memory_store_id, open_only=True)
            written = await self._written(
                tx, store, path, content, expected_sha256=expected_sha256, actor=actor
            )
            if copy is not None:
                await memory_copies.note(tx, copy, store.id, {path: sha256(content)})
            return written

    async def _written(
        self,
        tx: WriteSession,
        store: MemoryStoreRow,
        path: str,
        content: str,
        *,
        expected_sha256: str | None,
        actor: Actor,
    ) -> Written:
        there = await memories.at(tx, store.id, path, content=True)
        mine = sha256(content)
        if mine == expected_sha256 or (there is not None and mine == there.content_sha256):
            return Written("unchanged", _file_or_none(there))
        if there is None:
            if (other := await memories.in_the_way(tx, store.id, path)) is None:
                made = await memory_changes.create(
                    tx, store, actor, self._clock, path=path, content=content
                )
                return Written("created", _file(made))
            segment = min(path.count("/"), other.path.count("/")) - 1
            kept = await self._set_aside(tx, store, actor, aside(path, segment, content), content)
            return Written("set_aside", None, kept)
        if there.content_sha256 == expected_sha256:
            changed = await memory_changes.update(tx, there, actor, self._clock, content=content)
            return Written("modified", _file(changed))
        both = await _both(tx, there, content, expected_sha256)
        if both is not None:
            changed = await memory_changes.update(tx, there, actor, self._clock, content=both)
            return Written("merged", _file(changed))
        place = aside(path, path.count("/") - 1, content)
        kept = await self._set_aside(tx, store, actor, place, content)
        return Written("set_aside", _file(there), kept)

    async def delete(
        self,
        workspace_id: str,
        memory_store_id: str,
        path: str,
        *,
        expected_sha256: str,
        actor: Actor,
        copy: Copy | None = None,
    ) -> Deleted:
        """Delete a file, unless it has changed since the sandbox had it with that hash."""
        async with self._database.write() as tx:
            store = await memory_changes.lock(tx, workspace_id, memory_store_id, open_only=False)
            if copy is not None:
                await memory_copies.note(tx, copy, store.id, {path: None})
            there = await memories.at(tx, store.id, path, content=True)
            if there is None:
                return Deleted("absent")
            if there.content_sha256 != expected_sha256:
                return Deleted("kept", _file(there))
            await memory_changes.delete(tx, there, actor, self._clock)
            return Deleted("deleted")

    async def _set_aside(
        self,
        tx: WriteSession,
        store: MemoryStoreRow,
        actor: Actor,
        place: str,
        content: str,
    ) -> MemoryFile:
        there = await memories.at(tx, store.id, place, content=True)
        if there is None or there.content != content:
            there = await memory_changes.create(
                tx, store, actor, self._clock, path=place, content=content
            )
        return _file(there)


async def _both(
    tx: WriteSession, there: MemoryRow, content: str, expected_sha256: str | None
) -> str | None:
    """The session's change and the other's in one, if that can be."""
    if expected_sha256 is None or there.content is None:
        return None
    base = await memory_versions.content_of(tx, there.memory_store_id, expected_sha256)
    if base is None:
        return None
    both = merged(base, content, there.content)
    return None if both is None or content_problem(both) is not None else both


def _file_or_none(row: MemoryRow | None) -> MemoryFile | None:
    return None if row is None else _file(row)


def _file(row: MemoryRow) -> MemoryFile:
    return MemoryFile(
        path=row.path,
        content=row.content or "",
        content_sha256=row.content_sha256,
        memory_id=row.id,
        memory_version_id=row.version_id,
    )
