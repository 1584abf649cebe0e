"""What a client uploads as a skill: one archive, or loose files below one folder (spec 16).

The archive is read in memory and never unpacked to disk. Whatever its directory claims, no more
than the limit is ever inflated.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from freehold.core import limits
from freehold.core.skills import SKILL_FILE, path_problem, slug
from freehold.errors import InvalidRequest, RequestTooLarge
from freehold.ports.skills import SkillFile
from freehold.skills import frontmatter
from freehold.skills.tree import SkillTree, mode_of

UNREADABLE = 'archive must be a readable, unencrypted zip using "DEFLATE" or "STORE" compression'
SYMLINKS = "archives must not contain symbolic links"
NO_SKILL_FILE = "SKILL.md not found in uploaded files"
REQUIRED = "files[]: Field required"
_SUFFIXES = (".zip", ".skill")
_ENCRYPTED = 0x1
_UNIX = 3
_LEFTOVERS = ("__MACOSX", ".DS_Store")
"""What file managers add to archives and folders; no part of a skill."""

_END = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\x05\x06"
_ZIP64_MARK = b"PK\x06\x07"
_ZIP64_LOCATOR = 20
_DIRECTORY_BYTES = 4 * 1024 * 1024
"""Largest directory of an archive that is parsed: far beyond what the allowed files need."""


@dataclass(frozen=True)
class Part:
    """A part ``files[]`` of the form."""

    filename: str
    content: bytes


def read(parts: Sequence[Part]) -> SkillTree:
    """The skill that a client uploaded.

    Raises:
        InvalidRequest: it is none. RequestTooLarge: it is larger than skills may be.
    """
    if not parts:
        raise refusal(REQUIRED)
    if sum(len(part.content) for part in parts) > limits.SKILL_BYTES:
        raise _too_large()
    if len(parts) == 1 and parts[0].filename.lower().endswith(_SUFFIXES):
        files = _archived(parts[0].content)
    else:
        files = [_loose(part) for part in parts]
    files = [file for file in files if not _is_leftover(file.path)]
    _check_count(len(files))
    _check_places([file.path for file in files])
    return _tree(files)


def _loose(part: Part) -> SkillFile:
    path = part.filename.removeprefix("./")
    _check_path(path)
    return SkillFile(path, part.content, mode_of(part.content))


def _archived(content: bytes) -> list[SkillFile]:
    _check_directory(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _entries(archive)
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        struct.error,
        UnicodeError,
    ):
        raise refusal(UNREADABLE) from None


def _check_directory(content: bytes) -> None:
    """Refuse a directory too large to be parsed, before it is."""
    at = content.rfind(_END_MARK, max(0, len(content) - _END.size - 0xFFFF))
    if at < 0 or at + _END.size > len(content):
        raise refusal(UNREADABLE)
    if content[max(0, at - _ZIP64_LOCATOR) : at].startswith(_ZIP64_MARK):
        raise refusal(UNREADABLE)  # for archives beyond 4 GB, or to lie about smaller ones
    size = _END.unpack_from(content, at)[5]
    if size > _DIRECTORY_BYTES:
        raise refusal(UNREADABLE)


def _entries(archive: zipfile.ZipFile) -> list[SkillFile]:
    entries = archive.infolist()
    for entry in entries:
        mode = entry.external_attr >> 16 if entry.create_system == _UNIX else 0
        if stat.S_ISLNK(mode):
            raise refusal(SYMLINKS)
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise refusal(UNREADABLE)
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise refusal(f"archives must not contain special files: `{_quoted(entry.filename)}`")
    wanted = [entry for entry in entries if not entry.is_dir()]
    for entry in entries:
        # Folders too: one that points outside shows what the archive is meant for. The raw name,
        # because the library cuts names at a NUL.
        _check_path(entry.orig_filename.removesuffix("/"))
    _check_count(len(wanted))
    left = limits.SKILL_BYTES
    files: list[SkillFile] = []
    for entry in wanted:
        with archive.open(entry) as opened:
            content = opened.read(left + 1)
        if len(content) > left:
            raise _too_large()
        left -= len(content)
        executable = entry.create_system == _UNIX and bool(entry.external_attr >> 16 & 0o111)
        files.append(SkillFile(entry.filename, content, mode_of(content, executable=executable)))
    return files


def _tree(files: Sequence[SkillFile]) -> SkillTree:
    tops = {file.path.partition("/")[0] for file in files}
    if not any(PurePosixPath(file.path).name == SKILL_FILE for file in files):
        raise refusal(NO_SKILL_FILE)
    if len(tops) > 1 or any("/" not in file.path for file in files):
        raise refusal("files[]: all files must be in the same top-level directory")
    (directory,) = tops
    inside = tuple(
        SkillFile(file.path.partition("/")[2], file.content, file.mode)
        for file in sorted(files, key=lambda each: each.path)
    )
    head = next((file for file in inside if file.path == SKILL_FILE), None)
    if head is None:
        raise refusal(NO_SKILL_FILE)
    said = frontmatter.parse(head.content)
    title = said.name or directory
    name = slug(title)
    if not name:
        raise refusal(
            "SKILL.md: frontmatter `name` must have at least one of the characters a-z and 0-9"
        )
    if len(name) > limits.SKILL_NAME:
        raise refusal(f"skill name must be at most {limits.SKILL_NAME} characters long")
    return SkillTree(name, title, said.description, directory, inside)


def _check_path(path: str) -> None:
    if (problem := path_problem(path)) is not None:
        raise refusal(f"files[]: path `{_quoted(path)}` {problem}")


def _check_places(paths: Sequence[str]) -> None:
    """Refuse two files in one place, and a file where a folder is."""
    files = set(paths)
    if len(files) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise refusal(f"files[]: path `{_quoted(twice)}` occurs more than once")
    for path in paths:
        for folder in PurePosixPath(path).parents:
            if str(folder) in files:
                raise refusal(f"files[]: path `{_quoted(str(folder))}` is a file and a directory")


def _check_count(count: int) -> None:
    if count > limits.SKILL_FILES:
        raise refusal(f"files[]: a skill must have at most {limits.SKILL_FILES} files")


def _is_leftover(path: str) -> bool:
    return any(part in _LEFTOVERS for part in path.split("/"))


def _quoted(text: str) -> str:
    return text[:200].encode("ascii", "backslashreplace").decode()


def refusal(message: str) -> InvalidRequest:
    """A refusal that clients do not repeat (spec 1.3)."""
    return InvalidRequest(message, should_retry=False)


def _too_large() -> RequestTooLarge:
    megabytes = limits.SKILL_BYTES // 2**20
    return RequestTooLarge(
        f"Skill exceeds the maximum of {megabytes} MB, compressed or not", should_retry=False
    )
