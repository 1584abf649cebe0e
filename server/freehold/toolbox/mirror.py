"""``survey`` and ``exchange``: a folder that the server keeps in step with what it has elsewhere.

Nothing here follows a symbolic link below the folder.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import time
from typing import Any

from .filesystem import TooMany, reason

INCOMING = ".freehold-incoming"
"""Name of a file that is being written; it is in nobody's survey."""

_CHUNK = 1024 * 1024
_SETTLED = 2.0
"""Seconds after which a change of a file shows in its times, on any file system."""


class _Blocked(Exception):
    """Something of the agent's is in the way; the message says what."""


class Digests:
    """Remembers the digests of files by their times, so that what did not change is not read."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[tuple[int, ...], str]]] = {}

    def survey(self, folder: str, limit: int, largest: int, fresh: bool) -> dict[str, Any]:
        """What is under a folder: ``files`` with their digests, ``others``, and ``unnamed``.

        Paths start with ``/`` and are within the folder. A file of over ``largest`` bytes has no
        digest. ``others`` are there and are no regular files, or cannot be read, folders included;
        ``unnamed`` counts the names that are not UTF-8. ``fresh`` has every file read again.

        Raises:
            TooMany: over ``limit`` entries. OSError: the folder cannot be looked at.
        """
        before = {} if fresh else self._known.get(folder, {})
        found: dict[str, tuple[tuple[int, ...], str]] = {}
        files: list[tuple[str, str | None]] = []
        others: list[str] = []
        unnamed = 0
        waiting = [""]
        while waiting:
            current = waiting.pop()
            try:
                names = _names(folder + current, limit)
            except OSError:
                if not current:
                    raise
                others.append(current)
                continue
            limit -= len(names)
            for name in names:
                path = f"{current}/{name}"
                if name == INCOMING:
                    continue
                if not _is_text(name):
                    unnamed += 1
                    continue
                try:
                    seen = os.lstat(folder + path)
                except OSError:
                    continue
                if stat.S_ISDIR(seen.st_mode):
                    waiting.append(path)
                elif not stat.S_ISREG(seen.st_mode):
                    others.append(path)
                elif seen.st_size > largest:
                    files.append((path, None))
                else:
                    stamp = _stamp(seen)
                    digest = before[path][1] if before.get(path, ((), ""))[0] == stamp else None
                    if digest is None:
                        try:
                            digest, stamp = _digest(folder + path, largest)
                        except FileNotFoundError:
                            continue
                        except OSError:
                            others.append(path)
                            continue
                    if digest is not None and stamp:
                        found[path] = (stamp, digest)
                    files.append((path, digest))
        self._known[folder] = found
        return {"files": files, "others": others, "unnamed": unnamed}


def exchange(folder: str, path: str, expected: str | None, data: str | None) -> list[str]:
    """Put ``data`` (base64) at a path in a folder, or nothing (``None``), if what is there has the
    digest ``expected`` (``None``: nothing is there); and how that went.

    ``done``; ``changed``: something else is there; ``blocked`` and why: what is there is no file,
    or the agent has closed the way to it.
    """
    try:
        content = None if data is None else base64.b64decode(data)
        wanted = None if content is None else hashlib.sha256(content).hexdigest()
        try:
            _check_way(folder, path, make=content is not None)
        except FileNotFoundError:
            return ["done"]  # Nothing is there, and nothing is wanted there.
        now = _there(folder + path)
        if now == wanted:
            return ["done"]
        if now != expected:
            return ["changed"]
        if content is None:
            os.unlink(folder + path)
            _prune(folder, path)
        else:
            _put(folder + path, content)
        return ["done"]
    except _Blocked as error:
        return ["blocked", str(error)]
    except OSError as error:
        return ["blocked", reason(error)]


def _names(folder: str, limit: int) -> list[str]:
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) > limit:
                raise TooMany
    return sorted(names)


def _stamp(seen: os.stat_result) -> tuple[int, ...]:
    return (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def _digest(path: str, largest: int) -> tuple[str | None, tuple[int, ...]]:
    """The digest of a file, ``None`` if it is too large by now, and its stamp once that is certain
    to change with the file."""
    # Not to wait for the other end, should it have become a pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            raise PermissionError(path)
        digest, left = hashlib.sha256(), largest
        while data := file.read(_CHUNK):
            left -= len(data)
            if left < 0:
                return None, ()
            digest.update(data)
    age = time.time() - max(seen.st_mtime, seen.st_ctime)
    return digest.hexdigest(), _stamp(seen) if age > _SETTLED else ()


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _check_way(folder: str, path: str, *, make: bool) -> None:
    """See to it that the folders above a path are folders."""
    current = folder
    for part in path.split("/")[1:-1]:
        current += "/" + part
        try:
            mode = os.lstat(current).st_mode
        except FileNotFoundError:
            if not make:
                raise
            os.mkdir(current)
            continue
        if not stat.S_ISDIR(mode):
            raise _Blocked(f"{current[len(folder) :]} is not a folder here")


def _there(path: str) -> str | None:
    """The digest of what is at a path; ``None``: nothing, or folders without a file in them."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        for current, folders, names in os.walk(path, topdown=False):
            if names or any(os.path.islink(os.path.join(current, name)) for name in folders):
                raise _Blocked("a folder with files is there")
            os.rmdir(current)
        return None
    if not stat.S_ISREG(mode):
        raise _Blocked("something other than a file is there")
    # What is larger than any content is not any of them.
    digest, _ = _digest(path, 64 * _CHUNK)
    return digest or "too large"


def _put(path: str, content: bytes) -> None:
    incoming = os.path.join(os.path.dirname(path), INCOMING)
    try:
        os.unlink(incoming)
    except FileNotFoundError:
        pass
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(incoming, flags, 0o644), "wb") as file:
        file.write(content)
    os.replace(incoming, path)


def _prune(folder: str, path: str) -> None:
    """Remove the folders above a path, below ``folder``, that hold nothing any more."""
    parent = path.rpartition("/")[0]
    while parent:
        try:
            os.rmdir(folder + parent)
        except OSError:
            return
        parent = parent.rpartition("/")[0]
