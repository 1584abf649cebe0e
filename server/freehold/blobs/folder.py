"""Contents as files in a folder.

A content is written to a temporary file, brought to the disk and then renamed, so under its own
name it is there as a whole or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

from freehold.blobs.keys import checked
from freehold.errors import BlobMissing, BlobsUnavailable
from freehold.ports.sandbox import Finding

T = TypeVar("T")

WRITE_BYTES = 1 << 20
READ_BYTES = 1 << 18
ABANDONED = 86_400.0
"""Seconds after which a temporary file belongs to nobody: no upload takes that long."""

_UNFINISHED = "unfinished"
_LITTLE_ROOM = 1 << 30


class FolderBlobs:
    """A folder of this machine; made when first needed, for the server's user alone."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        """See :meth:`freehold.ports.blobs.BlobStore.put`."""
        path = self._path(key)
        temporary = self._root / _UNFINISHED / f"{path.name}.{secrets.token_hex(8)}"
        file = await _run(_create, temporary)
        try:
            size = 0
            waiting = bytearray()
            async for chunk in chunks:
                size += len(chunk)
                waiting += chunk
                if len(waiting) >= WRITE_BYTES:
                    await _run(file.write, bytes(waiting))
                    waiting.clear()
            await _run(_finish, file, bytes(waiting), temporary, path)
            return size
        except BaseException:
            # Also when cancelled, and then nothing may wait: closing and unlinking are quick.
            with contextlib.suppress(OSError):
                file.close()
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    @asynccontextmanager
    async def open(
        self, key: str, start: int = 0, end: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """See :meth:`freehold.ports.blobs.BlobStore.open`."""
        file = await _found(_open_at, self._path(key), start)
        try:
            yield _read(file, None if end is None else max(0, end - start))
        finally:
            file.close()

    async def size(self, key: str) -> int:
        """See :meth:`freehold.ports.blobs.BlobStore.size`."""
        return (await _found(self._path(key).stat)).st_size

    async def delete(self, key: str) -> None:
        """See :meth:`freehold.ports.blobs.BlobStore.delete`."""
        with contextlib.suppress(BlobMissing):
            await _found(self._path(key).unlink)

    async def keys(self, kind: str, before: datetime) -> AsyncIterator[str]:
        """See :meth:`freehold.ports.blobs.BlobStore.keys`."""
        for key in await _run(lambda: list(self._keys(kind, before.timestamp()))):
            yield key

    def _keys(self, kind: str, before: float) -> Iterator[str]:
        root = self._root / kind
        if not root.is_dir():
            return
        for folder in root.iterdir():
            for path in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime < before:
                        yield f"{kind}/{path.name}"

    async def prepare(self) -> None:
        """Make the folder and remove temporary files that nobody writes any more."""
        await _run(self._prepare)

    def _prepare(self) -> None:
        unfinished = self._root / _UNFINISHED
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished.mkdir(mode=0o700, exist_ok=True)
        before = time.time() - ABANDONED
        for path in unfinished.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()

    async def check(self) -> list[Finding]:
        """Whether there is room."""
        try:
            folder = next(path for path in (self._root, *self._root.parents) if path.exists())
            free = (await asyncio.to_thread(shutil.disk_usage, folder)).free
        except OSError as error:
            return [Finding("blobs", "error", f"{self._root}: {error.strerror}")]
        room = f"{self._root}; {free / (1 << 30):.1f} GiB free"
        if free < _LITTLE_ROOM:
            return [Finding("blobs", "warning", room, "make room on that disk")]
        return [Finding("blobs", "ok", room)]

    async def close(self) -> None:
        """Nothing is held open."""

    def _path(self, key: str) -> Path:
        kind, name = checked(key).split("/")
        # Ids begin with the time: their ends spread evenly.
        return self._root / kind / name[-2:] / name


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _finish(file: BinaryIO, rest: bytes, temporary: Path, path: Path) -> None:
    file.write(rest)
    file.flush()
    os.fsync(file.fileno())
    file.close()
    made = not path.parent.exists()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary.rename(path)
    _sync(path.parent)
    if made:
        _sync(path.parent.parent)
        _sync(path.parent.parent.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _open_at(path: Path, start: int) -> BinaryIO:
    file = path.open("rb")
    file.seek(start)
    return file


async def _read(file: BinaryIO, length: int | None) -> AsyncIterator[bytes]:
    while length is None or length > 0:
        chunk = await _run(file.read, READ_BYTES if length is None else min(READ_BYTES, length))
        if not chunk:
            return
        if length is not None:
            length -= len(chunk)
        yield chunk


async def _run(work: Callable[..., T], *arguments: object) -> T:
    """Do it in a thread, its errors told as the port tells them."""
    try:
        return await asyncio.to_thread(work, *arguments)
    except OSError as error:
        raise BlobsUnavailable(f"the folder of contents: {error.strerror or error}") from error


async def _found(work: Callable[..., T], *arguments: object) -> T:
    """:func:`_run` for what is about a file that may not be there."""
    try:
        return await _run(work, *arguments)
    except BlobsUnavailable as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise BlobMissing("there is no such content") from None
        raise
