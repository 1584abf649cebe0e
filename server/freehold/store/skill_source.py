"""The skills of agents, out of the database and out of what ships with us."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from freehold.core import skills as names
from freehold.core.events import Json
from freehold.core.ids import is_id
from freehold.core.skills import LATEST
from freehold.ports.log import SessionSpec
from freehold.ports.skills import ResolvedSkill, SkillFile
from freehold.skills.prebuilt import catalog
from freehold.skills.tree import unpack
from freehold.store import skills
from freehold.store.database import Database
from freehold.store.skills import CONTENTS, SkillVersionRow
from freehold.store.tables import session_skills
from freehold.store.units import ReadSession, WriteSession

_NUMBER_DIGITS = 18

_PINS = sa.select(session_skills.c.skills).where(
    session_skills.c.session_id == sa.bindparam("of_session")
)


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

    async def of_session(self, spec: SessionSpec) -> list[ResolvedSkill]:
        """The session's skills at the versions that were pinned; deleted ones left out."""
        found: list[ResolvedSkill] = []
        async with self._database.read() as session:
            pins = await session.scalar(_PINS, {"of_session": spec.session_id})
            for pin in pins or ():
                # Of ours there is one version, the server's own.
                wanted = {**pin, "version": LATEST} if pin["type"] == "anthropic" else pin
                skill = await _resolve(session, spec.workspace_id, wanted)
                if skill is not None:
                    found.append(replace(skill, folder=pin["folder"]))
        return found

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


async def pin(
    tx: WriteSession, workspace_id: str, session_id: str, entries: Sequence[Json]
) -> None:
    """Settle which versions of its agent's skills a new session uses.

    ``entries`` are those of ``agent["skills"]``; one whose skill is gone is left out.
    """
    found = [(entry, await _resolve(tx, workspace_id, entry)) for entry in entries]
    resolved = [(entry["type"], skill) for entry, skill in found if skill is not None]
    if not resolved:
        return
    folders = names.folders(skill.name for _, skill in resolved)
    pins = [
        {"type": kind, "skill_id": skill.skill_id, "version": skill.version_id, "folder": folder}
        for (kind, skill), folder in zip(resolved, folders, strict=True)
    ]
    await tx.execute(sa.insert(session_skills).values(session_id=session_id, skills=pins))


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
