"""What an agent's skills resolve to, and the files they put into a sandbox (spec 22.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from freehold.core import ids
from freehold.ports.log import SessionSpec
from freehold.ports.skills import ResolvedSkill, SkillFile
from freehold.skills.prebuilt import catalog
from freehold.skills.tree import pack
from freehold.store import skills
from freehold.store.database import Database
from freehold.store.skill_source import DatabaseSkills, pin
from freehold.store.skills import SkillRow, SkillVersionRow
from freehold.store.tables import session_skills

WORKSPACE = "wrkspc_011CZkZ1111111111111111a"
SKILL = ids.encode("skill", 1, bytes(ids.ENTROPY_BYTES))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def version_id(number: int) -> str:
    return ids.encode("skver", number, bytes(ids.ENTROPY_BYTES))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(f"sqlite+aiosqlite:///{tmp_path / 'db'}")
    await made.migrate()
    async with made.write() as tx:
        await skills.insert(tx, skill(2))
    for number in (1, 2):
        await upload(made, number)
    yield made
    await made.close()


async def upload(database: Database, number: int) -> None:
    files = [SkillFile("SKILL.md", b"v%d" % number, 0o644), SkillFile("run", b"", 0o755)]
    row = SkillVersionRow(
        version_id(number), SKILL, WORKSPACE, number, "pdf", f"D{number}", "pdf", NOW
    )
    async with database.write() as tx:
        await skills.insert_version(tx, row, pack("pdf", files))
        await skills.update(tx, skill(number))


def skill(latest: int) -> SkillRow:
    return SkillRow(SKILL, WORKSPACE, "pdf", "Mine", version_id(latest), NOW, NOW)


def custom(version: str) -> dict[str, str]:
    return {"type": "custom", "skill_id": SKILL, "version": version}


def session(number: int, workspace_id: str = WORKSPACE) -> SessionSpec:
    return SessionSpec(
        f"sesn_{number}", workspace_id, "sthr_1", {"skills": []}, "env_1", {}, created_at=NOW
    )


async def pinned(database: Database, *entries: dict[str, str]) -> list[ResolvedSkill]:
    async with database.write() as tx:
        await pin(tx, WORKSPACE, "sesn_1", entries)
    return await DatabaseSkills(database).of_session(session(1))


async def test_versions_and_aliases(database: Database) -> None:
    found = await pinned(database, custom("latest"), custom(version_id(1)), custom("1"))
    assert [each.version_id for each in found] == [version_id(2), version_id(1), version_id(1)]
    assert [each.description for each in found] == ["D2", "D1", "D1"]
    assert [each.folder for each in found] == ["pdf", "pdf-2", "pdf-3"]
    assert found[1].announced.location == "/workspace/skills/pdf-2/"


async def test_a_session_keeps_the_version_that_latest_meant(database: Database) -> None:
    before = await pinned(database, custom("latest"))
    await upload(database, 3)
    assert await DatabaseSkills(database).of_session(session(1)) == before
    async with database.write() as tx:
        await pin(tx, WORKSPACE, "sesn_2", [custom("latest")])
    (after,) = await DatabaseSkills(database).of_session(session(2))
    assert (before[0].version_id, after.version_id) == (version_id(2), version_id(3))


async def test_what_was_deleted_is_left_out_and_the_others_stay_where_they_are(
    database: Database,
) -> None:
    source = DatabaseSkills(database)
    found = await pinned(database, custom("1"), custom("2"))
    async with database.write() as tx:
        version = await skills.get_version(tx, WORKSPACE, SKILL, version_id=version_id(1))
        assert version is not None
        await skills.delete_version(tx, version)
    assert await source.of_session(session(1)) == found[1:]
    assert found[1].folder == "pdf-2"
    assert await source.files(WORKSPACE, found[:1]) == []


async def test_our_own_are_those_that_the_server_has(database: Database) -> None:
    ours = {"type": "anthropic", "skill_id": "pdf", "version": "latest"}
    (found,) = await pinned(database, ours)
    async with database.write() as tx:
        older = {**ours, "version": version_id(9), "folder": "pdf"}
        await tx.execute(sa.update(session_skills).values(skills=[older]))
    assert await DatabaseSkills(database).of_session(session(1)) == [found]


async def test_what_is_gone_or_anothers_is_left_out(database: Database) -> None:
    unknown = {"type": "anthropic", "skill_id": "pdf", "version": "20251013"}
    assert await pinned(database, custom(version_id(3)), custom("x"), unknown) == []
    await pinned(database, custom("latest"))
    assert await DatabaseSkills(database).of_session(session(1, "wrkspc_other")) == []
    assert await DatabaseSkills(database).of_session(session(2)) == []


async def test_files_have_their_places_in_the_sandbox(database: Database) -> None:
    source = DatabaseSkills(database)
    ours = {"type": "anthropic", "skill_id": "pdf", "version": "latest"}
    found = await pinned(database, ours, custom("latest"))
    files = {file.path: file for file in await source.files(WORKSPACE, found)}
    assert files["/workspace/skills/pdf-2/SKILL.md"].content == b"v2"
    assert files["/workspace/skills/pdf-2/run"].mode == 0o755
    assert {
        path.removeprefix("/workspace/skills/pdf/")
        for path in files
        if path.startswith("/workspace/skills/pdf/")
    } == {file.path for file in catalog()["pdf"].files}
