"""The document skills that ship with Freehold, under the ids that the API has for them (spec 16).

Their files are in ``documents/``, one folder a skill. A version's id comes from the files, so it
changes when they do and is the same on every server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from freehold.core import ids, times
from freehold.core.skills import LATEST, SKILL_FILE
from freehold.ports.skills import SkillFile
from freehold.skills import frontmatter
from freehold.skills.tree import mode_of, pack

NAMES = ("docx", "pdf", "pptx", "xlsx")
PUBLISHED = datetime(2026, 11, 22, tzinfo=UTC)
"""When these skills were made; change it with their files."""
_TITLES = {
    "docx": "Word documents",
    "pdf": "PDF files",
    "pptx": "PowerPoint presentations",
    "xlsx": "Excel workbooks",
}
_IGNORED = ("__pycache__",)


@dataclass(frozen=True)
class PrebuiltSkill:
    """One of ours, with its only version."""

    id: str
    display_name: str
    description: str
    version_id: str
    files: tuple[SkillFile, ...]
    created_at: datetime = PUBLISHED

    @property
    def number(self) -> int:
        """How the older API names the version."""
        return times.to_micros(self.created_at)

    def is_version(self, version: str) -> bool:
        """Whether ``version`` names the one that there is."""
        return version in (LATEST, self.version_id, str(self.number))

    def archive(self) -> bytes:
        """The zip, as clients download it."""
        return pack(self.id, self.files)


@cache
def catalog() -> Mapping[str, PrebuiltSkill]:
    """All of them by id."""
    return {name: _load(name) for name in NAMES}


def _load(name: str) -> PrebuiltSkill:
    folder = resources.files("freehold.skills").joinpath("documents", name)
    files = tuple(sorted(_walk(folder, ""), key=lambda file: file.path))
    head = next(file for file in files if file.path == SKILL_FILE)
    digest = hashlib.sha256(pack(name, files)).digest()
    return PrebuiltSkill(
        id=name,
        display_name=_TITLES[name],
        description=frontmatter.parse(head.content).description,
        version_id=ids.encode("skver", times.to_micros(PUBLISHED), digest[: ids.ENTROPY_BYTES]),
        files=files,
    )


def _walk(folder: Traversable, prefix: str) -> Iterator[SkillFile]:
    for entry in folder.iterdir():
        if entry.name in _IGNORED:
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            content = entry.read_bytes()
            yield SkillFile(prefix + entry.name, content, mode_of(content))
