"""Puts the files that a session was given into its sandbox, to be read (spec 9.2, 22.1)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import tempfile
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from freehold.core.mounts import UPLOADS
from freehold.errors import BlobMissing, BlobsUnavailable, FurnishingFailed
from freehold.ports.clock import Clock
from freehold.ports.files import SessionFiles, StoredFile
from freehold.ports.log import SessionSpec
from freehold.ports.sandbox import Placed, Root, Sandbox

IN_MEMORY = 1 << 20
"""Bytes up to which a file is put there from memory; a larger one goes over the server's disk."""
AT_ONCE = 8 << 20
"""Bytes that are put there together."""
NAMED = 100
"""Files that the system prompt names one by one."""
_REMEMBERED = 512

Mounts = Mapping[str, str]
"""Ids of files by the paths at which they are mounted."""


class Uploads:
    """A :class:`freehold.ports.furnishing.Furnisher` of file resources.

    The folder is the server's alone, so what lies there is what was put there: by this server,
    which remembers it, or by one before it, and then contents are compared.

    Args:
        files: where they are.
        clock: tells which have expired.
        possible: whether the sandboxes have a folder that is the server's alone.
    """

    def __init__(self, files: SessionFiles, clock: Clock, *, possible: bool = True) -> None:
        self._files = files
        self._clock = clock
        self._possible = possible
        self._there: OrderedDict[str, tuple[str, Mounts]] = OrderedDict()

    async def roots(self, _: SessionSpec) -> Sequence[Root]:
        """The folder; of every session, since files can be added later."""
        return (Root(UPLOADS),)

    async def describe(self, spec: SessionSpec) -> str | None:
        """Which files are where (spec 22.4)."""
        mounts = _mounts(spec)
        if not mounts:
            return None
        names = {
            file.id: file.filename
            for file in await self._files.of_session(spec.workspace_id, spec.session_id)
        }
        return _block(mounts, names)

    async def furnish(self, spec: SessionSpec, sandbox: Sandbox, *, fresh: bool) -> None:
        """See the port."""
        wanted = _mounts(spec)
        if not (wanted or self._possible):
            return
        files = await self._wanted(spec, wanted) if wanted else {}
        # Nothing was begun in a fresh one, yet a server before this may have put files there.
        identity, there = self._there.pop(spec.session_id, ("", {}))
        if identity != sandbox.identity:
            there = await self._found(sandbox, files)
        if gone := [path for path in there if path not in wanted]:
            await sandbox.withdraw(_topmost(gone, wanted))
        await self._put(
            sandbox, {path: file for path, file in files.items() if there.get(path) != file.id}
        )
        self._there[spec.session_id] = (sandbox.identity, wanted)
        if len(self._there) > _REMEMBERED:
            self._there.popitem(last=False)

    async def _wanted(self, spec: SessionSpec, mounts: Mounts) -> dict[str, StoredFile]:
        own = await self._files.of_session(spec.workspace_id, spec.session_id)
        now = self._clock.now()
        known = {file.id: file for file in own if not file.expired(now)}
        for path, file_id in mounts.items():
            if file_id not in known:
                raise FurnishingFailed(
                    f"The file {file_id}, a resource of this session that is mounted at {path}, "
                    "was deleted. Delete the resource too, or add the file again."
                )
        return {path: known[file_id] for path, file_id in mounts.items()}

    async def _found(self, sandbox: Sandbox, files: Mapping[str, StoredFile]) -> Mounts:
        """What another server put there: ids of the wanted files that are there whole."""
        there: dict[str, str] = {}
        for found in await sandbox.listing(UPLOADS):
            file = files.get(found.path)
            whole = (
                file is not None
                and file.size_bytes == found.size
                and await self._digest(found.path, file) == found.sha256
            )
            there[found.path] = file.id if file is not None and whole else ""
        return there

    async def _put(self, sandbox: Sandbox, files: Mapping[str, StoredFile]) -> None:
        batch: list[Placed] = []
        size = 0
        for path, file in files.items():
            if file.size_bytes > IN_MEMORY:
                await self._put_large(sandbox, path, file)
                continue
            batch.append(Placed(path, await self._content(path, file)))
            size += file.size_bytes
            if size >= AT_ONCE:
                await sandbox.place(batch)
                batch, size = [], 0
        if batch:
            await sandbox.place(batch)

    async def _put_large(self, sandbox: Sandbox, path: str, file: StoredFile) -> None:
        with tempfile.TemporaryDirectory(prefix="freehold-") as folder:
            source = Path(folder) / "content"
            with source.open("wb") as sink, _told(path):
                async with self._files.open(file) as chunks:
                    async for chunk in chunks:
                        await asyncio.to_thread(sink.write, chunk)
            await sandbox.place([Placed(path, source)])

    async def _content(self, path: str, file: StoredFile) -> bytes:
        with _told(path):
            async with self._files.open(file) as chunks:
                return b"".join([chunk async for chunk in chunks])

    async def _digest(self, path: str, file: StoredFile) -> str:
        digest = hashlib.sha256()
        with _told(path):
            async with self._files.open(file) as chunks:
                async for chunk in chunks:
                    digest.update(chunk)
        return digest.hexdigest()


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except (BlobMissing, BlobsUnavailable) as error:
        raise FurnishingFailed(f"The content of {path} cannot be read: {error}") from error


def _mounts(spec: SessionSpec) -> dict[str, str]:
    return {
        resource["mount_path"]: resource["file_id"]
        for resource in spec.resources
        if resource["type"] == "file"
    }


def _topmost(gone: Collection[str], wanted: Collection[str]) -> list[str]:
    """The paths to delete so that no folder of what is gone stays without anything in it."""
    kept = {folder for path in wanted for folder in _above(path)}
    found: dict[str, None] = {}
    for path in gone:
        folders = [folder for folder in _above(path) if folder not in kept]
        found[folders[0] if folders else path] = None
    return list(found)


def _above(path: str) -> list[str]:
    """The folders between the uploads folder and the path, from the top."""
    parts = path.removeprefix(f"{UPLOADS}/").split("/")[:-1]
    return [f"{UPLOADS}/{'/'.join(parts[: end + 1])}" for end in range(len(parts))]


def _block(mounts: Mounts, names: Mapping[str, str]) -> str:
    lines = [f"The user has given you files, mounted read-only under {UPLOADS}:"]
    for path, file_id in list(mounts.items())[:NAMED]:
        name = names.get(file_id, "")
        told = f" ({name})" if name and name != path.rsplit("/", 1)[-1] else ""
        lines.append(f" - {path}{told}")
    if len(mounts) > NAMED:
        lines.append(f" - and {len(mounts) - NAMED} more")
    return "\n".join(lines)
