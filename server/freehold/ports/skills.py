"""Where the skills of a session come from: their files and what the model is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from freehold.core.events import Json
from freehold.core.skills import AnnouncedSkill, location


@dataclass(frozen=True)
class SkillFile:
    """A file of a skill, or a file to put into a sandbox."""

    path: str
    """Relative to the skill; absolute where it is to be mounted."""
    content: bytes
    mode: int
    """Permission bits: 0o644, or 0o755 for what can be run."""


@dataclass(frozen=True)
class ResolvedSkill:
    """An agent's skill at a concrete version."""

    skill_id: str
    version_id: str
    """Names the content for good: equal ids, equal files."""
    name: str
    description: str
    folder: str
    """Below ``/workspace/skills``; unique among the skills of one agent."""

    @property
    def announced(self) -> AnnouncedSkill:
        """What the system prompt says of it."""
        return AnnouncedSkill(self.name, self.description, location(self.folder))


class SkillSource(Protocol):
    """Resolves the skills of an agent's definition."""

    async def resolve(self, workspace_id: str, skills: Sequence[Json]) -> list[ResolvedSkill]:
        """The entries of ``agent["skills"]`` at the versions they now mean, in order.

        ``latest`` is looked up at each call (spec 24, number 32). An entry whose skill or version
        is gone is left out: deleting a skill that an agent uses succeeds.
        """
        ...

    async def files(self, workspace_id: str, skills: Sequence[ResolvedSkill]) -> list[SkillFile]:
        """All files of these skills, with the absolute paths that they have in a sandbox."""
        ...
