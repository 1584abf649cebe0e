"""A session's skills in its sandbox, and what the model is told of them (spec 16, 22.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from freehold.core.skills import ROOT, WORKER_ROOT, AnnouncedSkill, location, system_block
from freehold.errors import TooManyFiles
from freehold.ports.log import SessionSpec
from freehold.ports.sandbox import Placed, Root, Sandbox
from freehold.ports.skills import RepositorySkill, RepositorySkills, SkillFile, SkillSource
from freehold.skills import repositories


async def no_repositories(_: SessionSpec) -> Sequence[RepositorySkill]:
    """Where sessions have none."""
    return ()


class SkillFurnisher:
    """:class:`freehold.ports.furnishing.Furnisher` of skills.

    Args:
        source: the skills of agents.
        in_repositories: those that repositories bring along, which whoever mounts the
            repositories puts into the sandbox; here they are only told of.
    """

    def __init__(
        self, source: SkillSource, in_repositories: RepositorySkills = no_repositories
    ) -> None:
        self._source = source
        self._in_repositories = in_repositories

    async def roots(self, spec: SessionSpec) -> Sequence[Root]:
        """The folder of skills, if the agent has any."""
        return [Root(ROOT)] if spec.agent["skills"] else []

    async def describe(self, spec: SessionSpec) -> str | None:
        """Names, descriptions and places; the model reads the rest when it needs it."""
        resolved = await self._source.of_session(spec)
        if spec.environment["type"] == "self_hosted":
            # Workers know no folders of ours: they go by the names (spec 22.1).
            return system_block(
                [
                    AnnouncedSkill(one.name, one.description, f"{WORKER_ROOT}/{one.name}/")
                    for one in resolved
                ],
                WORKER_ROOT,
            )
        told = [skill.announced for skill in resolved]
        told += repositories.announced(await self._in_repositories(spec))
        return system_block(told)

    async def furnish(self, spec: SessionSpec, sandbox: Sandbox, *, fresh: bool) -> None:
        """Put the skills there, one after another: each may be as large as an upload."""
        for skill in await self._source.of_session(spec):
            files = await self._source.files(spec.workspace_id, [skill])
            if not fresh:
                files = await _missing(sandbox, location(skill.folder), files)
            if files:
                await sandbox.place([Placed(file.path, file.content, file.mode) for file in files])


async def _missing(sandbox: Sandbox, folder: str, files: list[SkillFile]) -> list[SkillFile]:
    """Those that are not in the sandbox as they should be: a program that the agent left running
    may be reading the others."""
    try:
        there = {found.path: found.sha256 for found in await sandbox.listing(folder.rstrip("/"))}
    except TooManyFiles:
        return files
    return [f for f in files if there.get(f.path) != hashlib.sha256(f.content).hexdigest()]
