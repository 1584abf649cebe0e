"""What sessions delivered: files that clients can download, and which content is kept already."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import PurePosixPath

import sqlalchemy as sa

from freehold.core import file_names
from freehold.ports.log import SessionSpec
from freehold.ports.sandbox import Found
from freehold.store.database import Database
from freehold.store.file_library import FileLibrary
from freehold.store.tables import session_outputs
from freehold.store.units import WriteSession

_O = session_outputs.c


class SqlOutputs:
    """Implements :class:`freehold.ports.outputs.Outputs`."""

    def __init__(self, database: Database, files: FileLibrary) -> None:
        self._database = database
        self._files = files

    async def kept(self, session_id: str) -> Mapping[str, str]:
        """See the port."""
        async with self._database.read() as session:
            rows = await session.all(
                sa.select(_O.path, _O.sha256).where(_O.session_id == session_id)
            )
        return {row["path"]: row["sha256"] for row in rows}

    async def keep(self, spec: SessionSpec, file: Found, chunks: AsyncIterator[bytes]) -> None:
        """See the port."""
        name = PurePosixPath(file.path).name
        mime_type = file_names.mime_type_of(None, name)
        async with self._files.staged(chunks) as staged, self._database.write() as tx:
            if await tx.lock_session(spec.session_id) is None:
                raise LookupError(f"no session {spec.session_id}")
            added = await self._files.add(
                tx,
                staged,
                workspace_id=spec.workspace_id,
                filename=file_names.fitting(name, mime_type),
                mime_type=mime_type,
                downloadable=True,
                scope_id=spec.session_id,
            )
            this = (_O.session_id == spec.session_id, _O.path == file.path)
            await tx.execute(sa.delete(session_outputs).where(*this))
            await tx.execute(
                sa.insert(session_outputs).values(
                    session_id=spec.session_id,
                    path=file.path,
                    sha256=file.sha256,
                    file_id=added.id,
                )
            )


async def forget(tx: WriteSession, session_id: str) -> None:
    """The session is deleted, and its files with it."""
    await tx.execute(sa.delete(session_outputs).where(_O.session_id == session_id))
