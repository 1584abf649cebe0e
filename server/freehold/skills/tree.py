"""A skill's files and the zip they are kept as.

However a skill was uploaded, it is kept as one zip of one form: a single folder named after the
skill, files sorted by path, one fixed date, modes 644 and 755. Equal trees are equal bytes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from freehold.ports.skills import SkillFile

PLAIN = 0o644
EXECUTABLE = 0o755
_DATE = (1980, 1, 1, 0, 0, 0)
_REGULAR = 0o100000


@dataclass(frozen=True)
class SkillTree:
    """A checked skill: what its ``SKILL.md`` says and all its files."""

    name: str
    """The slug: 1 to 64 of lower-case letters, digits and hyphens."""
    title: str
    """The name as its author wrote it."""
    description: str
    directory: str
    """The folder that it was uploaded as."""
    files: tuple[SkillFile, ...]

    def archive(self) -> bytes:
        """The normal zip, with :attr:`name` as the only folder at its top."""
        return pack(self.name, self.files)


def mode_of(content: bytes, *, executable: bool = False) -> int:
    """The mode of a file: executable where its archive says so, or where it begins as a script."""
    return EXECUTABLE if executable or content.startswith(b"#!") else PLAIN


def pack(name: str, files: Sequence[SkillFile]) -> bytes:
    """The normal zip of files below a folder ``name``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(files, key=lambda each: each.path):
            entry = zipfile.ZipInfo(f"{name}/{file.path}", _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever this runs on: the modes count
            entry.external_attr = (_REGULAR | file.mode) << 16
            archive.writestr(entry, file.content)
    return buffer.getvalue()


def unpack(archive: bytes) -> tuple[SkillFile, ...]:
    """The files of a zip that :func:`pack` made, without the folder at its top."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return tuple(
            SkillFile(
                entry.filename.partition("/")[2],
                opened.read(entry),
                (entry.external_attr >> 16) & 0o777,
            )
            for entry in opened.infolist()
        )
