"""``pack`` and ``unpack``: the agent's own files as one stream, and back.

The stream is a tar in zlib's format, so that it has an end of its own. Both run with the agent's
rights and nothing else: what an archive holds that the agent could not have made is not made.
"""

from __future__ import annotations

import os
import stat
import sys
import tarfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

_CHUNK = 256 * 1024
_LEVEL = 1
ENTRIES = 200_000
"""Files, folders and links that one archive holds."""
TOO_MUCH = 4
"""Exit status: over the limit of bytes or entries."""


class TooMuch(Exception):
    """Over the limit."""


class _Deflater:
    """A sink for :mod:`tarfile` that compresses what it is given."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._zlib = zlib.compressobj(_LEVEL)

    def write(self, data: bytes) -> int:
        self._sink.write(self._zlib.compress(data))
        return len(data)

    def finish(self) -> None:
        self._sink.write(self._zlib.flush())
        self._sink.flush()


class _Inflater:
    """A source for :mod:`tarfile` that ends where the compressed stream does."""

    def __init__(self, source: int) -> None:
        self._source = source
        self._zlib = zlib.decompressobj()

    def read(self, size: int = _CHUNK) -> bytes:
        out = bytearray()
        while len(out) < size and not self._zlib.eof:
            # What did not fit the last time comes first: never more in memory than was asked for.
            data = self._zlib.unconsumed_tail or os.read(self._source, _CHUNK)
            if not data:
                raise EOFError("the archive breaks off")
            out += self._zlib.decompress(data, size - len(out))
        return bytes(out)


def pack(roots: list[str], sink: BinaryIO, limit: int) -> None:
    """Write what the agent owns under ``roots``: files, folders and links, no devices or pipes.

    Raises:
        TooMuch: over ``limit`` bytes or :data:`ENTRIES`.
    """
    owner = os.geteuid()
    deflater = _Deflater(sink)
    seen: dict[tuple[int, int], str] = {}
    left, count = limit, 0
    with tarfile.open(fileobj=deflater, mode="w|", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        for path, found in _entries(roots):
            if found.st_uid != owner:
                continue
            info = _info(path, found)
            if info is None:
                continue
            count += 1
            key = (found.st_dev, found.st_ino)
            if info.isreg() and found.st_nlink > 1 and key in seen:
                info.type, info.linkname, info.size = tarfile.LNKTYPE, seen[key], 0
            left -= info.size
            if left < 0 or count > ENTRIES:
                raise TooMuch
            if not info.isreg():
                tar.addfile(info)
            elif _add_file(tar, path, info) and found.st_nlink > 1:
                seen[key] = info.name
    deflater.finish()


def unpack(roots: list[str], source: int, limit: int) -> None:
    """Make what an archive holds, under ``roots`` alone.

    Entries of another kind than :func:`pack` writes, or that lead elsewhere, are left out, as is
    what the agent may not make.

    Raises:
        TooMuch: over ``limit`` bytes or :data:`ENTRIES`. EOFError, tarfile.TarError, zlib.error:
            no whole archive.
    """
    left, count = limit, 0
    folders: list[tuple[str, tarfile.TarInfo]] = []
    with tarfile.open(fileobj=cast("BinaryIO", _Inflater(source)), mode="r|") as tar:
        for info in tar:
            count += 1
            left -= max(0, info.size)
            if left < 0 or count > ENTRIES:
                raise TooMuch
            # Sparse files, whose size is made up, are of another type.
            path = _destination(roots, info.name)
            if path is None or not _plain_above(roots, path):
                continue
            try:
                if info.isdir():
                    if not os.path.isdir(path) or os.path.islink(path):
                        os.mkdir(path, 0o700)
                    folders.append((path, info))
                elif info.issym():
                    _clear(path)
                    os.symlink(info.linkname, path)
                elif info.type == tarfile.LNKTYPE:
                    target = _destination(roots, info.linkname)
                    if target is not None and stat.S_ISREG(os.lstat(target).st_mode):
                        _clear(path)
                        os.link(target, path, follow_symlinks=False)
                elif info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not info.issparse():
                    _write(tar, info, path)
            except OSError as error:
                sys.stderr.write(f"{path}: {error.strerror}\n")
    # Last, since a folder may be closed to its owner.
    for path, info in reversed(folders):
        try:
            os.utime(path, (info.mtime, info.mtime))
            os.chmod(path, info.mode & 0o777)
        except OSError:
            continue


def main(command: str, roots: list[str], limit: int) -> int:
    """Run one of the two on the standard streams; the process's exit status."""
    try:
        if command == "pack":
            pack(roots, sys.stdout.buffer, limit)
        else:
            unpack(roots, 0, limit)
            # The last word: the other end counts on nothing before it.
            sys.stdout.write("done\n")
            sys.stdout.flush()
    except TooMuch:
        sys.stderr.write("too much\n")
        return TOO_MUCH
    except (OSError, EOFError, tarfile.TarError, zlib.error, ValueError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


def _entries(roots: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    waiting = list(reversed(roots))
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in found:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            yield entry.path, status
            if stat.S_ISDIR(status.st_mode):
                waiting.append(entry.path)


def _info(path: str, found: os.stat_result) -> tarfile.TarInfo | None:
    info = tarfile.TarInfo(path)
    info.mode, info.mtime = stat.S_IMODE(found.st_mode) & 0o777, found.st_mtime
    if stat.S_ISDIR(found.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(found.st_mode):
        info.type = tarfile.SYMTYPE
        try:
            info.linkname = os.readlink(path)
        except OSError:
            return None
    elif stat.S_ISREG(found.st_mode):
        info.size = found.st_size
    else:
        return None
    return info


def _add_file(tar: tarfile.TarFile, path: str, info: tarfile.TarInfo) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with open(descriptor, "rb", buffering=0) as file:
        tar.addfile(info, cast("BinaryIO", _Exactly(file, info.size)))
    return True


class _Exactly:
    """A file that is as long as it was said to be, whatever happens to it meanwhile."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int) -> bytes:
        size = min(size, self._left)
        data = bytearray()
        while len(data) < size:
            piece = self._file.read(size - len(data))
            if not piece:
                data += bytes(size - len(data))
                break
            data += piece
        self._left -= size
        return bytes(data)


def _destination(roots: list[str], name: str) -> str | None:
    path = os.path.normpath("/" + name.lstrip("/"))
    inside = any(path.startswith(root.rstrip("/") + "/") for root in roots)
    return path if inside and "\0" not in path else None


def _plain_above(roots: list[str], path: str) -> bool:
    """Whether no folder above is a symbolic link; makes those that are missing."""
    root = max((root for root in roots if path.startswith(root.rstrip("/") + "/")), key=len)
    current = root.rstrip("/")
    for part in os.path.dirname(path)[len(current) :].split("/"):
        if not part:
            continue
        current = f"{current}/{part}"
        try:
            if not stat.S_ISDIR(os.lstat(current).st_mode):
                return False
        except FileNotFoundError:
            try:
                os.mkdir(current, 0o755)
            except OSError:
                return False
        except OSError:
            return False
    return True


def _clear(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _write(tar: tarfile.TarFile, info: tarfile.TarInfo, path: str) -> None:
    source = tar.extractfile(info)
    _clear(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:
        while source is not None and (data := source.read(_CHUNK)):
            file.write(data)
        os.utime(file.fileno(), (info.mtime, info.mtime))
        os.fchmod(file.fileno(), info.mode & 0o777)
