"""What an agent's skills resolve to, and the files they put into a sandbox (spec 22.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from freehold.core import ids
from freehold.ports.skills import SkillFile
from freehold.skills.prebuilt import catalog
from freehold.skills.tree import pack
from freehold.store import skills
from freehold.store.database import Database
from freehold.store.skill_source import DatabaseSkills
from freehold.store.skills import SkillRow, SkillVersionRow

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
        await skills.insert(tx, SkillRow(SKILL, WORKSPACE, "pdf", "Mine", version_id(2), NOW, NOW))
        for number in (1, 2):
            files = [SkillFile("SKILL.md", b"v%d" % number, 0o644), SkillFile("run", b"", 0o755)]
            row = SkillVersionRow(
                version_id(number), SKILL, WORKSPACE, number, "pdf", f"D{number}", "pdf", NOW
            )
            await skills.insert_version(tx, row, pack("pdf", files))
    yield made
    await made.close()


def custom(version: str) -> dict[str, str]:
    return {"type": "custom", "skill_id": SKILL, "version": version}


async def test_versions_and_aliases(database: Database) -> None:
    source = DatabaseSkills(database)
    found = await source.resolve(WORKSPACE, [custom("latest"), custom(version_id(1)), custom("1")])
    assert [each.version_id for each in found] == [version_id(2), version_id(1), version_id(1)]
    assert [each.description for each in found] == ["D2", "D1", "D1"]
    assert [each.folder for each in found] == ["pdf", "pdf-2", "pdf-3"]
    assert found[1].announced.location == "/workspace/skills/pdf-2/"


async def test_what_is_gone_or_anothers_is_left_out(database: Database) -> None:
    source = DatabaseSkills(database)
    assert await source.resolve("wrkspc_other", [custom("latest")]) == []
    assert await source.resolve(WORKSPACE, [custom(version_id(3)), custom("x")]) == []
    unknown = {"type": "anthropic", "skill_id": "pdf", "version": "20251013"}
    assert await source.resolve(WORKSPACE, [unknown]) == []


async def test_files_have_their_places_in_the_sandbox(database: Database) -> None:
    source = DatabaseSkills(database)
    ours = {"type": "anthropic", "skill_id": "pdf", "version": "latest"}
    found = await source.resolve(WORKSPACE, [ours, custom("latest")])
    files = {file.path: file for file in await source.files(WORKSPACE, found)}
    assert files["/workspace/skills/pdf-2/SKILL.md"].content == b"v2"
    assert files["/workspace/skills/pdf-2/run"].mode == 0o755
    assert {
        path.removeprefix("/workspace/skills/pdf/")
        for path in files
        if path.startswith("/workspace/skills/pdf/")
    } == {file.path for file in catalog()["pdf"].files}
