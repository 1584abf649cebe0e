"""The skills of agents, out of the database and out of what ships with us."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from freehold.core import skills as names
from freehold.core.events import Json
from freehold.core.ids import is_id
from freehold.core.skills import LATEST
from freehold.ports.skills import ResolvedSkill, SkillFile
from freehold.skills.prebuilt import catalog
from freehold.skills.tree import unpack
from freehold.store import skills
from freehold.store.database import Database
from freehold.store.skills import CONTENTS, SkillVersionRow
from freehold.store.units import ReadSession

_NUMBER_DIGITS = 18


def numeric(version: str) -> int | None:
    """A version as the older API names them; ``None`` if ``version`` is no such name."""
    if version.isascii() and version.isdigit() and len(version) <= _NUMBER_DIGITS:
        return int(version)
    return None


async def find_version(
    session: ReadSession, workspace_id: str, skill_id: str, version: str
) -> SkillVersionRow | None:
    """The version that ``latest``, an id or a number means; ``None`` if there is none."""
    if not is_id("skill", skill_id):
        return None
    if version == LATEST:
        skill = await skills.get(session, workspace_id, skill_id)
        if skill is None or skill.latest_version_id is None:
            return None
        version = skill.latest_version_id
    if is_id("skver", version):
        return await skills.get_version(session, workspace_id, skill_id, version_id=version)
    if (number := numeric(version)) is not None:
        return await skills.get_version(session, workspace_id, skill_id, number=number)
    return None


class DatabaseSkills:
    """:class:`freehold.ports.skills.SkillSource` over the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def resolve(self, workspace_id: str, skills: Sequence[Json]) -> list[ResolvedSkill]:
        """The entries of ``agent["skills"]`` at the versions they now mean; gone ones left out."""
        found: list[ResolvedSkill] = []
        async with self._database.read() as session:
            for entry in skills:
                skill = await _resolve(session, workspace_id, entry)
                if skill is not None:
                    found.append(skill)
        folders = names.folders(skill.name for skill in found)
        return [replace(skill, folder=folder) for skill, folder in zip(found, folders, strict=True)]

    async def files(self, workspace_id: str, skills: Sequence[ResolvedSkill]) -> list[SkillFile]:
        """All files of these skills, with the absolute paths that they have in a sandbox."""
        mounted: list[SkillFile] = []
        for skill in skills:
            place = names.location(skill.folder)
            mounted += [
                replace(file, path=place + file.path) for file in await self._content(skill)
            ]
        return mounted

    async def _content(self, skill: ResolvedSkill) -> Sequence[SkillFile]:
        ours = catalog().get(skill.skill_id)
        if ours is not None:
            return ours.files
        async with self._database.read() as session:
            archive = await CONTENTS.get(session, skill.version_id)
        # Deleted since it was resolved: as with any other skill that is gone, without it.
        return () if archive is None else await asyncio.to_thread(unpack, archive)


async def _resolve(session: ReadSession, workspace_id: str, entry: Json) -> ResolvedSkill | None:
    skill_id, version = str(entry["skill_id"]), str(entry["version"])
    if entry["type"] == "anthropic":
        ours = catalog().get(skill_id)
        if ours is None or not ours.is_version(version):
            return None
        return ResolvedSkill(ours.id, ours.version_id, ours.id, ours.description, ours.id)
    row = await find_version(session, workspace_id, skill_id, version)
    if row is None:
        return None
    return ResolvedSkill(skill_id, row.id, row.name, row.description, row.name)
