"""Making the resources of a session: all or none, each in its place (spec 9.2)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from tests.contract.test_event_log import create as create_session
from tests.contract.test_memory_resources import made as made_store

from freehold.api.memory_stores import service as stores
from freehold.api.session_resources import service
from freehold.api.session_resources.attaching import Owner, Workshop, attach
from freehold.api.session_resources.schemas import ResourceListQuery, ResourceParams
from freehold.blobs import FolderBlobs
from freehold.dispatch.clock import SystemClock
from freehold.errors import InvalidRequest, NotFound
from freehold.ports.files import StoredFile
from freehold.store import files, session_resources, sessions
from freehold.store.database import Database
from freehold.store.file_library import FileLibrary
from freehold.store.sealing import Sealer
from freehold.store.session_resources import ResourceRow, SqlRepositoryTokens

WORKSPACE = "wrkspc_test"
CLOCK = SystemClock()
KEY = os.urandom(32)
TOOLS = [
    {
        "type": "agent_toolset_20260401",
        "configs": [
            {"name": "read", "enabled": True, "permission_policy": {"type": "always_allow"}}
        ],
    }
]
BAD_URL = (
    "Invalid `github_repository` resource: invalid github_repository url: must be "
    "https://github.com/{owner}/{repo} with no .git suffix"
)
REPOSITORY = {"type": "github_repository", "url": "https://github.com/o/tool"}
PARAMS: TypeAdapter[list[Any]] = TypeAdapter(list[ResourceParams])


@pytest.fixture
async def workshop(database: Database, tmp_path: Path) -> AsyncIterator[Workshop]:
    library = FileLibrary(database, FolderBlobs(tmp_path / "blobs"), CLOCK)
    yield Workshop(library, Sealer(lambda: [KEY]), CLOCK)
    await library.close()


async def data(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def upload(database: Database, library: FileLibrary) -> StoredFile:
    async with library.staged(data(b"data")) as staged, database.write() as tx:
        return await library.add(
            tx,
            staged,
            workspace_id=WORKSPACE,
            filename="a.txt",
            mime_type="text/plain",
            downloadable=False,
        )


async def attached(
    database: Database, workshop: Workshop, *given: dict[str, Any], **agent: Any
) -> list[ResourceRow]:
    """The resources of a new session."""
    session_id = (await create_session(database)).session_id
    owner = Owner(
        WORKSPACE, session_id, {"tools": TOOLS, "skills": [], **agent}, "env_1", {"type": "cloud"}
    )
    async with database.write() as tx:
        return await attach(tx, owner, PARAMS.validate_python(list(given)), workshop)


def file(file_id: str, mount_path: str | None = None) -> dict[str, Any]:
    return {"type": "file", "file_id": file_id, "mount_path": mount_path}


async def test_every_kind_in_its_order(database: Database, workshop: Workshop) -> None:
    upload_id = (await upload(database, workshop.files)).id
    one, two = await made_store(database, "Notes", "What we know"), await made_store(database, "n")
    branch = {"type": "branch", "name": "main"}
    rows = await attached(
        database,
        workshop,
        {"type": "memory_store", "memory_store_id": one, "access": "read_only"},
        {**REPOSITORY, "authorization_token": "canary", "checkout": branch},
        file(upload_id),
        {**REPOSITORY, "mount_path": "/workspace/other/"},
        {"type": "memory_store", "memory_store_id": two, "instructions": "Read first."},
    )
    assert [row.position for row in rows] == [0, 1, 2, 3, 4]
    assert [row.type for row in rows] == [row.body["type"] for row in rows]
    assert [row.body for row in rows] == [
        {
            "type": "memory_store",
            "memory_store_id": one,
            "access": "read_only",
            "name": "Notes",
            "description": "What we know",
            "mount_path": "/mnt/memory/notes",
        },
        {
            "type": "github_repository",
            "url": "https://github.com/o/tool",
            "mount_path": "/workspace/tool",
            "checkout": branch,
        },
        {
            "type": "file",
            "file_id": rows[2].body["file_id"],
            "mount_path": f"/mnt/session/uploads/{upload_id}",
        },
        {
            "type": "github_repository",
            "url": "https://github.com/o/tool",
            "mount_path": "/workspace/other",
            "checkout": None,
        },
        {
            "type": "memory_store",
            "memory_store_id": two,
            "access": "read_write",
            "name": "n",
            "description": "",
            "mount_path": "/mnt/memory/n",
            "instructions": "Read first.",
        },
    ]
    session_id = rows[0].session_id
    async with database.read() as session:
        assert await session_resources.of_session(session, session_id) == rows
        copies = await files.of_session(session, WORKSPACE, session_id)
    assert [copy.id for copy in copies] == [rows[2].body["file_id"]]
    assert "canary" not in repr(rows)
    tokens = SqlRepositoryTokens(database, workshop.sealer)
    assert await tokens.tokens(session_id) == {rows[1].id: "canary"}
    for row in rows:
        assert "canary" not in service.shown(row).model_dump_json()
    assert list(session_resources.shown(rows[0])) == list(rows[0].body)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({**REPOSITORY, "url": "https://github.com/o/tool.git"}, BAD_URL),
        ({**REPOSITORY, "url": "http://github.com/o/tool"}, BAD_URL),
        ({**REPOSITORY, "mount_path": "/etc/x"}, "resources.1.mount_path: /etc belongs to the"),
        ({**REPOSITORY, "mount_path": "/mnt"}, "resources.1.mount_path: /mnt/session is not for"),
        (
            {**REPOSITORY, "mount_path": "/workspace/first/x"},
            "resources.1.mount_path: /workspace/first/x overlaps the mount of another resource "
            "at /workspace/first",
        ),
        (
            {"type": "github_repository", "url": "https://github.com/o/skills"},
            "resources.1.mount_path: /workspace/skills is not for repositories",
        ),
    ],
)
async def test_repositories_that_are_refused(
    database: Database, workshop: Workshop, given: dict[str, Any], message: str
) -> None:
    first = {"type": "github_repository", "url": "https://github.com/o/first"}
    with pytest.raises(InvalidRequest) as caught:
        await attached(database, workshop, first, given, skills=[{"skill_id": "xlsx"}])
    assert caught.value.message.startswith(message)


async def test_memory_stores_that_are_refused(database: Database, workshop: Workshop) -> None:
    one = await made_store(database, "one")
    given = {"type": "memory_store", "memory_store_id": one}
    with pytest.raises(InvalidRequest, match=f"contains duplicate memory_store_id: {one}"):
        await attached(database, workshop, given, given)
    nine = [
        {"type": "memory_store", "memory_store_id": await made_store(database, f"n{n}")}
        for n in range(9)
    ]
    with pytest.raises(InvalidRequest, match="at most 8 memory stores"):
        await attached(database, workshop, *nine)
    missing = "memstore_01" + "1" * 22
    with pytest.raises(NotFound, match=f"Memory store `{missing}` not found."):
        await attached(database, workshop, {**given, "memory_store_id": missing})
    async with database.write() as tx:
        await stores.archive(tx, WORKSPACE, one, CLOCK)
    with pytest.raises(InvalidRequest, match=rf"Memory store {one} is archived\."):
        await attached(database, workshop, given)


async def test_workers_get_memory_stores_alone(database: Database, workshop: Workshop) -> None:
    store = await made_store(database, "one")
    session_id = (await create_session(database)).session_id
    owner = Owner(
        WORKSPACE, session_id, {"tools": [], "skills": []}, "env_1", {"type": "self_hosted"}
    )
    memory = {"type": "memory_store", "memory_store_id": store}
    with pytest.raises(InvalidRequest, match="Environment env_1 is a self-hosted environment"):
        async with database.write() as tx:
            await attach(tx, owner, PARAMS.validate_python([memory, REPOSITORY]), workshop)
    async with database.write() as tx:
        (row,) = await attach(tx, owner, PARAMS.validate_python([memory]), workshop)
    async with database.read() as session:
        found, _ = await service.listed(
            session, "wrkspc_1", session_id, ResourceListQuery.model_validate({})
        )
        assert list(found) == [row]
        with pytest.raises(NotFound, match=f"Resource not found: {row.id}"):
            await service.find(session, "wrkspc_1", session_id, row.id)


async def test_sessions_are_found_by_their_store(database: Database, workshop: Workshop) -> None:
    one, two = await made_store(database, "one"), await made_store(database, "two")
    memory = {"type": "memory_store", "memory_store_id": one}
    with_one = [(await attached(database, workshop, memory))[0].session_id for _ in range(2)]
    await attached(database, workshop, {**memory, "memory_store_id": two})
    async with database.read() as session:
        found = await sessions.page(
            session,
            "wrkspc_1",
            sessions.Filter(memory_store_id=one),
            after=None,
            descending=False,
            limit=10,
        )
    assert [row.id for row in found] == with_one


async def test_a_failure_leaves_no_copies(database: Database, workshop: Workshop) -> None:
    good = (await upload(database, workshop.files)).id
    session_id = (await create_session(database)).session_id
    owner = Owner(WORKSPACE, session_id, {"tools": TOOLS, "skills": []}, "env_1", {"type": "cloud"})
    with pytest.raises(NotFound):
        async with database.write() as tx:
            await attach(
                tx, owner, PARAMS.validate_python([file(good), file("file_x", "/x")]), workshop
            )
    async with database.read() as session:
        assert await files.of_session(session, WORKSPACE, session_id) == []
        assert await session_resources.of_session(session, session_id) == []


async def test_sessions_that_copy_the_same_files_at_once(
    database: Database, workshop: Workshop
) -> None:
    ids = [(await upload(database, workshop.files)).id for _ in range(4)]
    made = await asyncio.gather(
        *(
            attached(database, workshop, *map(file, ids if turn % 2 else reversed(ids)))
            for turn in range(8)
        )
    )
    copies = {row.body["file_id"] for rows in made for row in rows}
    assert len(copies) == 32
    assert not copies & set(ids)
