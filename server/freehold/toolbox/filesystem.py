"""The files that the tools see. One class for the disk; the scripted sandbox has one in memory."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple


class Stat(NamedTuple):
    """What the tools need to know of a path, symbolic links followed."""

    kind: str
    """``file``, ``directory`` or ``other`` (devices, pipes, sockets)."""
    size: int
    modified: float


class TooMany(Exception):
    """There is more in a folder than is looked at."""


class Entry(NamedTuple):
    """One name in a directory."""

    name: str
    is_directory: bool
    is_file: bool
    is_link: bool
    """A symbolic link; the two flags before it tell what it leads to."""


class FileSystem:
    """Files on the disk. Every method raises the ``OSError`` that the system call raises."""

    def stat(self, path: str) -> Stat:
        """Kind, size and time of modification."""
        found = os.stat(path)
        if stat.S_ISREG(found.st_mode):
            kind = "file"
        elif stat.S_ISDIR(found.st_mode):
            kind = "directory"
        else:
            kind = "other"
        return Stat(kind, found.st_size, found.st_mtime_ns / 1e9)

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes from ``offset`` on, all or at most ``length``."""
        with open(path, "rb") as file:
            if offset:
                file.seek(offset)
            return file.read() if length is None else file.read(length)

    def read_version(self, path: str, offset: int, length: int) -> tuple[bytes, str]:
        """Bytes of a regular file, and what tells this version of it from every other.

        Raises:
            IsADirectoryError: a directory. PermissionError: nothing that has content of its own.
        """
        # Not to wait for the other end of what turns out to be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:
            found = os.fstat(descriptor)
            if stat.S_ISDIR(found.st_mode):
                raise IsADirectoryError(path)
            if not stat.S_ISREG(found.st_mode):
                raise PermissionError(path)
            file.seek(offset)
            parts = []
            while length > 0 and (data := file.read(length)):
                parts.append(data)
                length -= len(data)
            found = os.fstat(descriptor)
        version = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        return b"".join(parts), ":".join(map(str, version))

    def make_directory(self, path: str) -> None:
        """Make a directory and its parents, unless it is there."""
        os.makedirs(path, exist_ok=True)

    def delete(self, path: str) -> None:
        """Delete a file or a link, or a directory with all it holds."""
        if os.path.isdir(path) and not os.path.islink(path):
            # Here, as it would make every start slower.
            from shutil import rmtree  # noqa: PLC0415

            rmtree(path)
        else:
            os.unlink(path)

    def write(self, path: str, data: bytes, offset: int = 0) -> None:
        """Create or replace the file with its parents; past offset 0, extend it there."""
        if offset == 0:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "r+b" if offset else "wb") as file:
            file.seek(offset)
            file.write(data)

    def scan(self, path: str) -> list[Entry]:
        """What a directory holds, in order of name."""
        entries = []
        with os.scandir(path) as found:
            for item in found:
                try:
                    entries.append(
                        Entry(item.name, item.is_dir(), item.is_file(), item.is_symlink())
                    )
                except OSError:
                    continue
        return sorted(entries)


def reason(error: OSError) -> str:
    """The failure in words that are the same everywhere and hold no path of the host."""
    if isinstance(error, FileNotFoundError):
        return "no such file or directory"
    if isinstance(error, NotADirectoryError):
        return "not a directory"
    if isinstance(error, IsADirectoryError):
        return "is a directory"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, FileExistsError):
        return "file already exists"
    return (error.strerror or "i/o error").lower()


class Place:
    """A file system and the directory that relative paths start from."""

    def __init__(self, files: FileSystem, workdir: str, home: str) -> None:
        self.files = files
        self.workdir = workdir
        self.home = home

    def resolve(self, path: str) -> str:
        """The absolute form of a path. A leading ``~`` is the agent's home.

        There is no confinement: the sandbox is the boundary. ``..`` is left to the system, which
        knows what a symbolic link before it means.
        """
        if path == "~" or path.startswith("~/"):
            path = self.home + path[1:]
        return path if path.startswith("/") else os.path.join(self.workdir, path)
