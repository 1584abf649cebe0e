"""Skills as the model and the sandbox know them: names, places, the block of the system prompt.

A skill is a folder with a ``SKILL.md``. The model is told its name and description and reads the
rest when it needs it (spec 16, 22.4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from freehold.core import limits

ROOT = "/workspace/skills"
"""Where skills are in a sandbox (spec 22.1)."""
WORKER_ROOT = "skills"
"""Where a worker of a self-hosted environment puts them, from its working directory on."""
SKILL_FILE = "SKILL.md"
LATEST = "latest"
"""The version that stands for the newest."""

_USAGE_POLICY = (
    "# Skills usage policy\n\n"
    "Skills are folders of instructions, scripts and reference files for particular kinds of "
    "work. Before you start on a task that a skill below is described for, read its "
    f"`{SKILL_FILE}` at the skill's location and follow it; it says which of the skill's other "
    "files to read or run and when, so do not read those in advance. Paths in a skill are "
    "relative to its location. What lies below {root} is read-only: copy what you want to "
    "change. Use "
    "several skills together where a task calls for that, and none where no description fits."
)


@dataclass(frozen=True)
class AnnouncedSkill:
    """What the model is told of a skill before it reads it."""

    name: str
    description: str
    location: str
    """The skill's folder, with a slash at its end."""


def slug(text: str) -> str:
    """The kebab-case form of a name: lower-case letters, digits and single hyphens; maybe empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def folders(names: Iterable[str]) -> list[str]:
    """A folder below :data:`ROOT` for each name, in order.

    Skills of one agent may share a name: the second becomes ``name-2``.
    """
    taken: set[str] = set()
    found: list[str] = []
    for name in names:
        folder, number = name, 1
        while folder in taken:
            number += 1
            folder = f"{name}-{number}"
        taken.add(folder)
        found.append(folder)
    return found


def location(folder: str) -> str:
    """The path of a skill's folder in the sandbox, with a slash at its end."""
    return f"{ROOT}/{folder}/"


def system_block(skills: Sequence[AnnouncedSkill], root: str = ROOT) -> str | None:
    """The text that announces skills to the model; ``None`` if there are none (spec 22.4)."""
    if not skills:
        return None
    lines = [_USAGE_POLICY.replace("{root}", root), "", "<available_skills>"]
    for skill in skills:
        lines += [
            "<skill>",
            f"<name>{_text(skill.name)}</name>",
            f"<description>{_text(skill.description)}</description>",
            f"<location>{_text(skill.location)}</location>",
            "</skill>",
        ]
    lines.append("</available_skills>")
    return "\n".join(lines)


def _text(value: str) -> str:
    # One line, and nothing that could close the element or forge another.
    return escape(" ".join(value.split()))


def path_problem(path: str) -> str | None:
    """Why ``path`` cannot be a file's place in a skill, or ``None``."""
    if not path or len(path) > limits.SKILL_PATH:
        return f"must have 1 to {limits.SKILL_PATH} characters"
    if path.startswith("/") or "\\" in path or (len(path) > 1 and path[1] == ":"):
        return "must be relative, with `/` between its parts"
    if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in path):
        return "must not hold control characters"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return "must not have empty, `.` or `..` parts"
        if len(part.encode("utf-8", "surrogatepass")) > limits.SKILL_PATH_PART:
            return f"must have parts of at most {limits.SKILL_PATH_PART} bytes"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "must be valid Unicode"
    return None
