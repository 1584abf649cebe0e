"""Files and their contents together, on every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.contract.test_event_log import create as create_session

from freehold.blobs import FolderBlobs
from freehold.core.workspaces import DEFAULT_WORKSPACE as WORKSPACE
from freehold.dispatch.clock import SystemClock
from freehold.ports.files import SessionFiles, StoredFile
from freehold.store import files
from freehold.store.database import Database
from freehold.store.file_library import FileLibrary

NOW = timedelta(seconds=-5)


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
async def library(database: Database, blobs: FolderBlobs) -> AsyncIterator[FileLibrary]:
    found = FileLibrary(database, blobs, SystemClock())
    yield found
    await found.close()


async def data(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def upload(
    database: Database, library: FileLibrary, content: bytes = b"data", **more: timedelta
) -> StoredFile:
    async with library.staged(data(content)) as staged, database.write() as tx:
        return await library.add(
            tx,
            staged,
            workspace_id=WORKSPACE,
            filename="a.txt",
            mime_type="text/plain",
            downloadable=False,
            **more,
        )


async def read(library: FileLibrary, file: StoredFile) -> bytes:
    async with library.open(file) as chunks:
        return b"".join([chunk async for chunk in chunks])


def kept(tmp_path: Path) -> int:
    return sum(path.is_file() for path in (tmp_path / "blobs" / "files").rglob("*"))


async def delete(database: Database, library: FileLibrary, file: StoredFile) -> bool:
    async with database.write() as tx:
        return await library.delete(tx, WORKSPACE, file.id)


async def test_it_is_what_the_harness_asks_for(library: FileLibrary) -> None:
    asked: SessionFiles = library
    assert await asked.find(WORKSPACE, "file_x") is None


async def test_a_session_and_its_files(
    database: Database, library: FileLibrary, tmp_path: Path
) -> None:
    session = (await create_session(database)).session_id
    other = (await create_session(database)).session_id
    made = await library.create(WORKSPACE, session, "out/r?.csv", data(b"a,b"), downloadable=True)
    assert (made.filename, made.mime_type, made.scope_id) == ("r_.csv", "text/csv", session)
    source = await upload(database, library, b"given")
    copied = await library.copy(WORKSPACE, source.id, session)
    assert copied is not None
    assert await read(library, copied) == b"given"
    assert kept(tmp_path) == 2
    assert list(await library.of_session(WORKSPACE, session)) == [made, copied]
    assert list(await library.of_session(WORKSPACE, other)) == []
    assert await library.find(WORKSPACE, copied.id) == copied
    assert await library.delete_of_session(WORKSPACE, session) == 2
    await library.close()
    assert kept(tmp_path) == 1
    assert await read(library, source) == b"given"
    async with database.read() as reading:
        assert await files.total_bytes(reading) == 5
        assert list(await files.page(reading, WORKSPACE, scope_id=None, after=None, limit=9)) == [
            source
        ]


async def test_nothing_is_kept_for_a_session_that_is_not_there(
    library: FileLibrary, database: Database, tmp_path: Path
) -> None:
    source = await upload(database, library)
    with pytest.raises(LookupError):
        await library.create(WORKSPACE, "sesn_x", "a", data(b"x"), downloadable=True)
    with pytest.raises(LookupError):
        await library.copy(WORKSPACE, source.id, "sesn_x")
    await library.close()
    assert kept(tmp_path) == 1


async def test_another_workspace_sees_nothing(library: FileLibrary, database: Database) -> None:
    session = (await create_session(database)).session_id
    file = await upload(database, library)
    assert await library.find("wrkspc_other", file.id) is None
    assert await library.copy("wrkspc_other", file.id, session) is None
    async with database.write() as tx:
        assert not await library.delete(tx, "wrkspc_other", file.id)


async def test_deleting_while_copying_never_takes_a_copy_its_content(
    database: Database, library: FileLibrary, tmp_path: Path
) -> None:
    session = (await create_session(database)).session_id
    for _ in range(20):
        source = await upload(database, library)
        copied, deleted = await asyncio.gather(
            library.copy(WORKSPACE, source.id, session), delete(database, library, source)
        )
        await library.close()
        assert deleted
        if copied is not None:
            assert await read(library, copied) == b"data"
    await library.delete_of_session(WORKSPACE, session)
    await library.close()
    await library.sweep(NOW)
    assert kept(tmp_path) == 0


async def test_a_deletion_that_is_rolled_back_takes_nothing(
    database: Database, library: FileLibrary
) -> None:
    file = await upload(database, library)
    with pytest.raises(RuntimeError):
        async with database.write() as tx:
            assert await library.delete(tx, WORKSPACE, file.id)
            raise RuntimeError
    await library.close()
    assert await library.find(WORKSPACE, file.id) == file
    assert await read(library, file) == b"data"


async def test_the_sweep_leaves_what_somebody_is_about_to_record(
    database: Database, library: FileLibrary, blobs: FolderBlobs, tmp_path: Path
) -> None:
    file = await upload(database, library)
    await blobs.put("files/file_orphan", data(b"x"))
    async with library.staged(data(b"y")) as staged:
        assert await library.sweep() == 0  # too young
        assert await library.sweep(NOW) == 1
        assert await blobs.size(staged.blob) == 1
        assert await read(library, file) == b"data"
    assert await library.sweep(NOW) == 1
    assert kept(tmp_path) == 1


async def test_expiry_parts_a_file_from_its_content_and_not_its_copies(
    database: Database, library: FileLibrary, tmp_path: Path
) -> None:
    session = (await create_session(database)).session_id
    file = await upload(database, library, lifetime=timedelta(hours=1))
    copied = await library.copy(WORKSPACE, file.id, session)
    gone = await upload(database, library, lifetime=timedelta(seconds=-1))
    old = await upload(database, library, lifetime=timedelta(days=-31))
    assert await library.copy(WORKSPACE, gone.id, session) is None
    assert await library.expire() == 2
    await library.close()
    assert kept(tmp_path) == 1
    assert copied is not None
    assert copied.expires_at is None
    left = await library.find(WORKSPACE, gone.id)
    assert left is not None
    assert left.blob is None
    assert await library.find(WORKSPACE, old.id) is None
    assert await library.expire() == 0
