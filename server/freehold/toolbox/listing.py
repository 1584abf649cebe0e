"""``list``: the regular files under a folder, with the digest of what is in them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any

from .filesystem import TooMany

_CHUNK = 1024 * 1024


def listing(folder: str, limit: int) -> list[dict[str, Any]]:
    """Path, size, time of modification (seconds) and SHA-256 of each file, by path.

    Symbolic links are neither followed nor listed. What cannot be opened, is no regular file or
    has a name that is not UTF-8 is left out.

    Raises:
        TooMany: over ``limit`` entries of any kind.
        OSError: the folder cannot be looked at.
    """
    try:
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            return []
    except (FileNotFoundError, NotADirectoryError):
        return []
    budget = [limit]

    def count() -> None:
        budget[0] -= 1
        if budget[0] < 0:
            raise TooMany

    found = (_found(path) for path in sorted(_regular_files(folder, count)))
    return [entry for entry in found if entry is not None]


def _regular_files(folder: str, count: Callable[[], None]) -> Iterator[str]:
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    count()
                    if not _is_text(entry.name) or entry.is_symlink():
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        yield entry.path
        except OSError:
            # Gone meanwhile, or closed to the agent itself. The folder asked for is no exception:
            # the agent owns what is listed, and an unreadable folder holds nothing for others.
            continue


def _found(path: str) -> dict[str, Any] | None:
    try:
        # Not to wait for the other end, should it have become a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb", buffering=0) as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            return None
        digest, left = hashlib.sha256(), before.st_size
        # No further than it was long: one that grows all the time has no end.
        while left > 0:
            data = file.read(min(left, _CHUNK))
            if not data:
                break
            digest.update(data)
            left -= len(data)
        return {
            "path": path,
            "size": before.st_size - left,
            "modified": before.st_mtime_ns / 1e9,
            "sha256": digest.hexdigest(),
        }


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
