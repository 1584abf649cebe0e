"""What sandboxes hold of memory stores (:class:`freehold.ports.memory.MemoryCopies`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from freehold.ports.memory import GONE, Copy, Held
from freehold.store.database import Database
from freehold.store.tables import memory_copies
from freehold.store.units import ReadSession, WriteSession

_C = memory_copies.c
_AT_ONCE = 500


class SqlMemoryCopies:
    """In the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def held(self, copy: Copy, memory_store_id: str) -> Mapping[str, Held]:
        """See the port."""
        async with self._database.read() as session:
            return await _rows(session, copy, memory_store_id)

    async def begin(self, copy: Copy, memory_store_id: str) -> None:
        """See the port."""
        async with self._database.write() as tx:
            await tx.execute(sa.delete(memory_copies).where(*_of(copy, memory_store_id)))

    async def coming(
        self, copy: Copy, memory_store_id: str, files: Mapping[str, str | None]
    ) -> None:
        """See the port."""
        async with self._database.write() as tx:
            rows = await _rows(tx, copy, memory_store_id)
            nothing = Held(None)
            await _replace(
                tx,
                copy,
                memory_store_id,
                {
                    path: Held(rows.get(path, nothing).sha256, GONE if new is None else new)
                    for path, new in files.items()
                },
            )

    async def came(self, copy: Copy, memory_store_id: str, files: Mapping[str, str | None]) -> None:
        """See the port."""
        async with self._database.write() as tx:
            await note(tx, copy, memory_store_id, files)


async def note(
    tx: WriteSession, copy: Copy, memory_store_id: str, files: Mapping[str, str | None]
) -> None:
    """The copy holds these files, with these hashes; ``None``: it does not hold them."""
    await _replace(
        tx, copy, memory_store_id, {path: Held(sha256) for path, sha256 in files.items()}
    )


async def forget(tx: WriteSession, session_id: str) -> None:
    """The session is deleted, and its sandbox with it."""
    await tx.execute(sa.delete(memory_copies).where(_C.session_id == session_id))


async def _rows(session: ReadSession, copy: Copy, memory_store_id: str) -> dict[str, Held]:
    rows = await session.all(
        sa.select(_C.path, _C.sha256, _C.coming).where(
            *_of(copy, memory_store_id), _C.sandbox_id == copy.sandbox_id
        )
    )
    return {row["path"]: Held(row["sha256"], row["coming"]) for row in rows}


async def _replace(
    tx: WriteSession, copy: Copy, memory_store_id: str, files: Mapping[str, Held]
) -> None:
    of = _of(copy, memory_store_id)
    # Another sandbox's copy is gone with it.
    await tx.execute(sa.delete(memory_copies).where(*of, _C.sandbox_id != copy.sandbox_id))
    for paths in _parts(list(files)):
        await tx.execute(sa.delete(memory_copies).where(*of, _C.path.in_(paths)))
    rows = [
        {
            "session_id": copy.session_id,
            "memory_store_id": memory_store_id,
            "path": path,
            "sandbox_id": copy.sandbox_id,
            "sha256": held.sha256,
            "coming": held.coming,
        }
        for path, held in files.items()
        if held != Held(None)
    ]
    if rows:
        await tx.execute(sa.insert(memory_copies), rows)


def _parts(paths: Sequence[str]) -> list[Sequence[str]]:
    return [paths[start : start + _AT_ONCE] for start in range(0, len(paths), _AT_ONCE)]


def _of(copy: Copy, memory_store_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (_C.session_id == copy.session_id, _C.memory_store_id == memory_store_id)
