"""Skills that a mounted repository brings along (spec 9.2)."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Iterable, Sequence

from freehold.core import limits
from freehold.core.skills import SKILL_FILE, AnnouncedSkill
from freehold.errors import InvalidRequest
from freehold.ports.skills import RepositorySkill
from freehold.skills import frontmatter

log = logging.getLogger(__name__)

FOLDER = ".claude/skills"
"""Where they are, from the top of a repository."""


def skill_files(paths: Iterable[str]) -> list[str]:
    """Of the paths in a repository, relative to its top, those that are a skill's ``SKILL.md``."""
    return sorted(path for path in paths if _is_skill_file(path))


def announced(found: Sequence[RepositorySkill]) -> list[AnnouncedSkill]:
    """What the model is told of them, by their paths; what is no skill is left out.

    Nobody checked these files, and a broken one must not end a session.
    """
    told: list[AnnouncedSkill] = []
    for skill in sorted(found, key=lambda each: each.path):
        if len(told) == limits.REPOSITORY_SKILLS:
            log.warning("skills of repositories beyond %d are not told of", len(told))
            break
        folder = posixpath.dirname(skill.path)
        try:
            head = frontmatter.parse(skill.content)
        except InvalidRequest as error:
            log.warning("%s is not told of: %s", skill.path, error)
            continue
        name = head.name or posixpath.basename(folder)
        told.append(AnnouncedSkill(name, head.description, folder + "/"))
    return told


def _is_skill_file(path: str) -> bool:
    folder, name = posixpath.split(path)
    return name == SKILL_FILE and posixpath.dirname(folder) == FOLDER
