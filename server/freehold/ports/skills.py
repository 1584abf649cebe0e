"""Where the skills of a session come from: their files and what the model is told of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from freehold.core.skills import AnnouncedSkill, location
from freehold.ports.log import SessionSpec


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
    """The skills of sessions."""

    async def of_session(self, spec: SessionSpec) -> list[ResolvedSkill]:
        """The skills of the session's agent, in order, at the versions that they meant when the
        session was created.

        The session's agent goes on saying ``latest`` (spec 2.4); what that stands for is settled
        with each new session (spec 24, number 32), so that neither the system prompt nor the
        files change under a running one. One that was deleted since is left out: deleting a
        skill that an agent uses succeeds.
        """
        ...

    async def files(self, workspace_id: str, skills: Sequence[ResolvedSkill]) -> list[SkillFile]:
        """All files of these skills, with the absolute paths that they have in a sandbox."""
        ...


@dataclass(frozen=True)
class RepositorySkill:
    """The ``SKILL.md`` of a skill in a mounted repository (spec 9.2)."""

    path: str
    """Its absolute path in the sandbox: ``…/.claude/skills/<name>/SKILL.md``."""
    content: bytes


RepositorySkills = Callable[[SessionSpec], Awaitable[Sequence[RepositorySkill]]]
"""Finds the skills in the root ``.claude/skills`` of a session's repositories, as they were checked
out at the start. Always the same for a session: what the system prompt says must not change."""
