"""``exchange`` in a file system in memory; see :mod:`freehold.toolbox.mirror`."""

from __future__ import annotations

import contextlib
import hashlib

from freehold.ports.sandbox import Exchange, Exchanged
from freehold.sandbox.scripted.memory import MemoryFiles


def exchange(files: MemoryFiles, folder: str, change: Exchange) -> Exchanged:
    """Make a change if what is there is as expected."""
    path = folder + change.path
    above = [folder + change.path[:end] for end, char in enumerate(change.path) if char == "/"][1:]
    try:
        for one in above:
            if files.exists(one) and files.stat(one).kind != "directory":
                return Exchanged("blocked", f"{one[len(folder) :]} is not a folder here")
        in_the_way = files.exists(path) and files.stat(path).kind == "directory"
        if in_the_way and not _clear(files, path):
            return Exchanged("blocked", "a folder with files is there")
        now = _digest(files.read(path)) if files.exists(path) else None
        if now == (None if change.content is None else _digest(change.content)):
            return Exchanged("done")
        if now != change.expected:
            return Exchanged("changed")
        if change.content is not None:
            files.write(path, change.content)
            return Exchanged("done")
        files.delete(path)
        for one in reversed(above):
            if files.scan(one):
                break
            files.delete(one)
    except OSError as error:
        return Exchanged("blocked", (error.strerror or "i/o error").lower())
    return Exchanged("done")


def _clear(files: MemoryFiles, folder: str) -> bool:
    """Remove a folder that holds nothing but folders; whether it was one."""
    for entry in files.scan(folder):
        if not entry.is_directory or not _clear(files, f"{folder}/{entry.name}"):
            return False
    with contextlib.suppress(FileNotFoundError):
        files.delete(folder)
    return True


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
