"""A file system in memory, with the face of the toolbox's."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
from collections.abc import Iterator

from freehold.toolbox.filesystem import Entry, FileSystem, Stat


class _File:
    def __init__(self, modified: float) -> None:
        self.data = bytearray()
        self.modified = modified


class MemoryFiles(FileSystem):
    """Files and directories by absolute path; no links, and no permissions but those that the
    server takes with :meth:`hold`.

    Times of modification are counted, not read from a clock: each change is later than the one
    before, in every run the same.
    """

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._directories: dict[str, float] = {"/": 0.0}
        self._changes = 0.0
        self._held: set[str] = set()
        self._serving = False
        for path in ("/tmp", "/dev"):  # noqa: S108 - inside
            self.make_directory(path)

    def stat(self, path: str) -> Stat:
        """Kind, size and time of modification."""
        path = self._clean(path)
        if path == "/dev/null":
            return Stat("other", 0, 0.0)
        if path in self._directories:
            return Stat("directory", 0, self._directories[path])
        file = self._file(path)
        return Stat("file", len(file.data), file.modified)

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes from ``offset`` on."""
        path = self._clean(path)
        if path == "/dev/null":
            return b""
        data = self._file(path).data
        return bytes(data[offset:] if length is None else data[offset : offset + length])

    def write(self, path: str, data: bytes, offset: int = 0) -> None:
        """Create or replace the file with its parents; past offset 0, extend it there."""
        path = self._clean(path)
        if path == "/dev/null":
            return
        if path in self._directories:
            raise _error(errno.EISDIR, path)
        self._refuse_held(path)
        if offset == 0:
            self.make_directory(posixpath.dirname(path))
            self._files.setdefault(path, _File(0.0))
        file = self._file(path)
        file.data[offset:] = data
        file.modified = self._tick()

    def read_version(self, path: str, offset: int, length: int) -> tuple[bytes, str]:
        """Bytes of a file, and what tells this version of it from every other."""
        found = self.stat(path)
        if found.kind == "directory":
            raise _error(errno.EISDIR, path)
        return self.read(path, offset, length), str(found.modified)

    @contextlib.contextmanager
    def as_server(self) -> Iterator[None]:
        """While the server changes what is its own."""
        self._serving = True
        try:
            yield
        finally:
            self._serving = False

    def hold(self, path: str) -> None:
        """Keep what is at a path from the agent: changing it is refused from now on."""
        self._held.add(self._clean(path))

    def release(self, path: str) -> None:
        """The agent may change a path again, and all below it."""
        path = self._clean(path)
        self._held = {one for one in self._held if one != path and not one.startswith(path + "/")}

    def _refuse_held(self, path: str) -> None:
        below = path.rstrip("/") + "/"
        if not self._serving and (
            posixpath.dirname(path) in self._held
            or any(held == path or held.startswith(below) for held in self._held)
        ):
            raise _error(errno.EACCES, path)

    def append(self, path: str, data: bytes) -> None:
        """Add to the end of a file, which is made if it is missing."""
        size = self.stat(path).size if self.exists(path) else 0
        self.write(path, data, size) if size else self.write(path, data)

    def scan(self, path: str) -> list[Entry]:
        """What a directory holds, in order of name."""
        path = self._clean(path)
        if path not in self._directories:
            self._file(path)
            raise _error(errno.ENOTDIR, path)
        prefix = path.rstrip("/") + "/"
        entries = []
        for known, is_directory in [
            *((name, True) for name in self._directories),
            *((name, False) for name in self._files),
        ]:
            name = known[len(prefix) :]
            if known.startswith(prefix) and name and "/" not in name:
                entries.append(Entry(name, is_directory, not is_directory, False))
        return sorted(entries)

    def exists(self, path: str) -> bool:
        """Whether anything is there."""
        try:
            self.stat(path)
        except OSError:
            return False
        return True

    def make_directory(self, path: str) -> None:
        """Make a directory and its parents.

        Raises:
            OSError: a file is in the way.
        """
        path = self._clean(path)
        if path in self._directories:
            return
        if path in self._files:
            raise _error(errno.EEXIST, path)
        parent = posixpath.dirname(path)
        if parent in self._files:
            raise _error(errno.ENOTDIR, path)
        if parent in self._held and not self._serving:
            raise _error(errno.EACCES, path)
        self.make_directory(parent)
        self._directories[path] = self._tick()

    def delete(self, path: str) -> None:
        """Delete a file, or a directory with all it holds.

        Raises:
            FileNotFoundError: there is nothing.
        """
        path = self._clean(path)
        if self.exists(path):
            self._refuse_held(path)
        if path in self._directories:
            below = path.rstrip("/") + "/"
            for known in [name for name in self._files if name.startswith(below)]:
                del self._files[known]
            for known in [name for name in self._directories if name.startswith(below)]:
                del self._directories[known]
            if path != "/":
                del self._directories[path]
        else:
            self._file(path)
            del self._files[path]

    def _file(self, path: str) -> _File:
        file = self._files.get(path)
        if file is not None:
            return file
        parent = posixpath.dirname(path)
        raise _error(errno.ENOTDIR if parent in self._files else errno.ENOENT, path)

    def _tick(self) -> float:
        self._changes += 1.0
        return self._changes

    @staticmethod
    def _clean(path: str) -> str:
        return "/" + posixpath.normpath(path).lstrip("/")


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
