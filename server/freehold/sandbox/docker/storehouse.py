"""Puts things into a running container that are not the agent's, and takes them out again.

Things come in as an archive that the engine unpacks as root, from the top of the container's file
system down: each folder above a thing is an entry of its own. What stands in the way of one, a
file or a symbolic link of the agent's, is replaced, and a folder of the agent's becomes root's. So
no entry is ever unpacked through something that the agent could exchange.

A folder of the agent's own, like its working directory, becomes root's with the sticky bit, as
``/tmp`` is everywhere: the agent goes on making, changing and deleting what is its own there, and
cannot touch what is not.
"""

from __future__ import annotations

import os
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from docker import DockerClient
from docker.errors import APIError, DockerException

from freehold.errors import PlacementRefused, SandboxError, SandboxLost, SandboxUnavailable
from freehold.ports.sandbox import Placed
from freehold.sandbox.docker.engine import Engine, is_conflict, is_missing
from freehold.sandbox.docker.fittings import LAYOUT
from freehold.sandbox.docker.hardening import ROOT_USER, USER, Limits
from freehold.sandbox.placing import Ground, above

OPEN_FOLDERS = (LAYOUT.workdir, LAYOUT.outputs, "/home/agent", "/tmp")  # noqa: S108 - inside

_AGENT = 1000
_CHUNK = 1024 * 1024
_BLOCK = 512
_STICKY, _CLOSED = 0o1777, 0o755

# Runs as root without a single capability, so it can delete what is root's and nothing else; and
# as the agent. `rmtree` goes by descriptors: exchanging a folder for a link leads it nowhere.
_DELETE = """
import os, shutil, sys
left = 0
for path in sys.argv[1:]:
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError:
        left = 3
sys.exit(left)
"""
_LEFT = 3

Archive = Callable[[], Iterator[bytes]]
"""Makes the bytes of a tar file."""


class Storehouse:
    """Reaches into containers as root.

    Args:
        engine: where the containers are.
        python: the Python inside.
        limits: whether the agent is root, from whom nothing can be kept, and whether the runtime
            sees what is put into a container that runs.
    """

    def __init__(self, engine: Engine, python: str, limits: Limits) -> None:
        self._engine = engine
        self._python = python
        self._limits = limits

    async def put(self, container: str, ground: Ground, files: Sequence[Placed]) -> None:
        """Put files into the container, root's with every folder above them.

        Raises:
            PlacementRefused: the agent is root, or the runtime does not see what is put there.
            SandboxLost: the container is gone.
            OSError: a source cannot be read, or changed while it was.
        """
        self._refuse_where_nobody_looks()
        if self._limits.root:
            raise PlacementRefused(
                "FREEHOLD_SANDBOX_ROOT makes the agent root in its sandbox, so nothing can be "
                "kept from it: no files, skills or memories can be put there."
            )
        await self._unpack(container, lambda: _archive(ground, files))

    async def open_roots(self, container: str, roots: Sequence[str]) -> None:
        """Make folders of the agent's inside folders of root's, if they are not there.

        Raises:
            PlacementRefused: the runtime would not see them. SandboxLost: the container is gone.
        """
        self._refuse_where_nobody_looks()
        owner = 0 if self._limits.root else _AGENT

        def entries() -> Iterator[bytes]:
            made: set[str] = set()
            for root in roots:
                for folder in above(root):
                    if folder not in made:
                        made.add(folder)
                        yield _folder(folder, 0, _CLOSED)
                yield _folder(root, owner, _CLOSED)
            yield bytes(2 * _BLOCK)

        await self._unpack(container, entries)

    async def delete(self, container: str, paths: Sequence[str]) -> None:
        """Delete files and folders.

        Raises:
            PlacementRefused: some could not be deleted. SandboxLost: the container is gone.
        """
        status = await self._run(container, ROOT_USER, paths)
        if status == _LEFT:
            await self._run(container, USER, paths)
            status = await self._run(container, ROOT_USER, paths)
        if status:
            raise PlacementRefused(f"could not delete all of {', '.join(paths)}")

    def _refuse_where_nobody_looks(self) -> None:
        if self._limits.own_kernel:
            raise PlacementRefused(
                f"Under FREEHOLD_SANDBOX_RUNTIME={self._limits.runtime} a sandbox has a file "
                "system of its own, which does not show what the server puts there later: no "
                "files, skills or memories can be put into it."
            )

    async def _run(self, container: str, user: str, paths: Sequence[str]) -> int:
        command = [self._python, "-I", "-S", "-c", _DELETE, *paths]

        def run(client: DockerClient) -> int:
            exec_id = client.api.exec_create(container, command, user=user)["Id"]
            client.api.exec_start(exec_id)
            return int(client.api.exec_inspect(exec_id)["ExitCode"] or 0)

        try:
            return await self._engine.run(run)
        except (DockerException, SandboxUnavailable) as error:
            raise _failure(error) from error

    async def _unpack(self, container: str, archive: Archive) -> None:
        troubles: list[OSError] = []

        def watched() -> Iterator[bytes]:
            try:
                yield from archive()
            except OSError as error:
                # The HTTP client would take it for trouble with the connection.
                troubles.append(error)
                raise

        def unpack(client: DockerClient) -> None:
            client.api.put_archive(container, "/", watched())

        try:
            await self._engine.run(unpack)
        except (DockerException, SandboxUnavailable, OSError) as error:
            raise troubles[0] if troubles else _failure(error) from error


def _failure(error: Exception) -> SandboxError:
    if isinstance(error, SandboxUnavailable) or (
        isinstance(error, APIError) and (is_missing(error) or is_conflict(error))
    ):
        return SandboxLost(f"the sandbox is gone: {error}")
    return PlacementRefused(f"the Docker engine could not put it there: {error}")


def _archive(ground: Ground, files: Sequence[Placed]) -> Iterator[bytes]:
    made: set[str] = set()
    for file in files:
        for folder in above(file.path):
            if folder not in made:
                made.add(folder)
                yield _folder(folder, 0, _STICKY if folder in ground.open else _CLOSED)
        if file.source is None:
            if file.path not in made:
                made.add(file.path)
                yield _folder(file.path, 0, _CLOSED)
        elif isinstance(file.source, bytes):
            yield _header(file, len(file.source)) + file.source
            yield _padding(len(file.source))
        else:
            yield from _from_disk(file, file.source)
    yield bytes(2 * _BLOCK)


def _from_disk(file: Placed, source: Path) -> Iterator[bytes]:
    with source.open("rb") as stream:
        size = left = os.fstat(stream.fileno()).st_size
        yield _header(file, size)
        while left:
            data = stream.read(min(left, _CHUNK))
            if not data:
                # The archive breaks off here, which the engine refuses.
                raise OSError(f"{file.path}: its source became shorter while it was read")
            left -= len(data)
            yield data
        yield _padding(size)


def _header(file: Placed, size: int) -> bytes:
    info = tarfile.TarInfo(file.path.lstrip("/"))
    info.mode, info.size, info.mtime = file.mode & 0o755, size, int(time.time())
    return info.tobuf(tarfile.PAX_FORMAT)


def _folder(path: str, owner: int, mode: int) -> bytes:
    info = tarfile.TarInfo(path.lstrip("/"))
    info.type, info.mode, info.mtime = tarfile.DIRTYPE, mode, int(time.time())
    info.uid = info.gid = owner
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
