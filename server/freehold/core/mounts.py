"""Where a session's resources are mounted in its sandbox: rules that all kinds share (spec 9.2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from freehold.core import memory_mounts

UPLOADS = "/mnt/session/uploads"
"""The folder of the files that a session was given; read-only (spec 22.1)."""
REPOSITORIES = "/workspace"
"""Where repositories are that say nothing else."""

SYSTEM_FOLDERS = frozenset(
    {"bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt", "proc", "root"}
    | {"run", "sbin", "sys", "usr", "var"}
)
"""Folders at the top that belong to the sandbox's image; nothing is put into them."""

SKILLS = "/workspace/skills"
"""Where the skills of an agent are that has some."""

_RESERVED = ("/mnt/session", "/mnt/skills", memory_mounts.ROOT)
"""Folders whose contents the server alone decides."""

_NAME_BYTES = 255
_PATH_BYTES = 4095


def normalised(path: str) -> str:
    """A mount path in its one form: absolute, without empty and ``.`` parts or a slash at its end.

    Raises:
        ValueError: it cannot be one; the message says why.
    """
    if not path.startswith("/"):
        raise ValueError("must be an absolute path")
    if any(ord(char) < ord(" ") or ord(char) == 0x7F for char in path):
        raise ValueError("must not contain control characters")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts:
        raise ValueError("must name more than the root")
    if ".." in parts:
        raise ValueError('must not contain ".."')
    whole = "/" + "/".join(parts)
    if any(len(part.encode()) > _NAME_BYTES for part in parts):
        raise ValueError(f"no part of it may be longer than {_NAME_BYTES} bytes")
    if len(whole.encode()) > _PATH_BYTES:
        raise ValueError(f"must be at most {_PATH_BYTES} bytes")
    return whole


def of_file(file_id: str, wanted: str | None) -> str:
    """Where a file is mounted: always under :data:`UPLOADS`, where relative paths begin too.

    ``file_id`` is the file's that the client named, not its copy's.

    Raises:
        ValueError: what is wanted is no place for a file; the message says why.
    """
    if wanted is None:
        return f"{UPLOADS}/{file_id}"
    if not wanted.startswith("/"):
        # What has no parts would else be the folder itself.
        return normalised(UPLOADS + normalised("/" + wanted))
    path = normalised(wanted)
    if path == UPLOADS:
        raise ValueError(f"must name a file in {UPLOADS}")
    return path if path.startswith(f"{UPLOADS}/") else normalised(UPLOADS + path)


def of_repository(name: str, wanted: str | None, *, has_skills: bool = False) -> str:
    """Where a repository is mounted; ``has_skills`` tells whether the agent has some.

    Raises:
        ValueError: what is wanted is no place for one; the message says why.
    """
    path = f"{REPOSITORIES}/{name}" if wanted is None else normalised(wanted)
    if path == REPOSITORIES:
        raise ValueError(f"must name a folder in {REPOSITORIES}, which is the agent's own")
    if path.split("/")[1] in SYSTEM_FOLDERS:
        raise ValueError(f"/{path.split('/')[1]} belongs to the sandbox's system")
    for folder in (*_RESERVED, *([SKILLS] if has_skills else [])):
        if overlap([folder, path]) is not None:
            raise ValueError(f"{folder} is not for repositories")
    return path


def overlap(paths: Sequence[str]) -> tuple[int, int] | None:
    """Two mounts of which one is, or lies in, the other, by their places; ``None``: there are none.

    The paths are absolute and normalised.
    """
    # Sorted by their parts, what lies in a folder comes right behind it.
    ordered = sorted((path.split("/"), place) for place, path in enumerate(paths))
    for (outer, one), (inner, other) in pairwise(ordered):
        if inner[: len(outer)] == outer:
            return min(one, other), max(one, other)
    return None
