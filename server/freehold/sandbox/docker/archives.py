"""The agent's files of a container as one archive, by a process of the toolbox beside it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from docker.errors import DockerException

from freehold.errors import (
    ArchiveBroken,
    ArchiveTooLarge,
    SandboxError,
    SandboxLost,
    SandboxUnavailable,
)
from freehold.ports.sandbox import Layout
from freehold.sandbox.docker.engine import Engine
from freehold.sandbox.docker.transport import EngineRefusal, ExecStream, open_exec
from freehold.sandbox.image_definition import TOOLBOX_PATH
from freehold.toolbox.archive import TOO_MUCH

_CHUNK = 256 * 1024
_ENDING = 10.0
"""Seconds to wait for an exit status after the streams have ended."""
_STEP = 0.01


class Archives:
    """Runs ``pack`` and ``unpack`` in a container, as the agent."""

    def __init__(self, engine: Engine, container: str, python: str) -> None:
        self._engine = engine
        self._container = container
        self._python = python

    async def pack(self, layout: Layout, limit: int) -> AsyncIterator[bytes]:
        """See :class:`freehold.ports.checkpoints.Archived`."""
        exec_id, stream = await self._start("pack", layout, limit)
        size = 0
        try:
            while data := await stream.reader.read(_CHUNK):
                # What runs inside can say what it likes: its word on its size is not taken.
                size += len(data)
                if size > limit + _CHUNK:
                    raise ArchiveTooLarge(f"over {limit >> 20} MiB")
                yield data
            status = await self._status(exec_id)
            if status == TOO_MUCH:
                raise ArchiveTooLarge(f"over {limit >> 20} MiB, or too many files")
            if status:
                raise SandboxLost(f"the archive broke off: {stream.stderr or status}")
        except OSError as error:
            raise SandboxLost(f"the archive broke off: {error}") from error
        finally:
            await stream.close()

    async def unpack(self, layout: Layout, chunks: AsyncIterator[bytes], limit: int) -> None:
        """See :class:`freehold.ports.checkpoints.Archived`."""
        exec_id, stream = await self._start("unpack", layout, limit)
        try:
            async for chunk in chunks:
                try:
                    stream.writer.write(chunk)
                    await stream.writer.drain()
                except OSError:
                    break  # It has ended before its input: its status says why.
            with contextlib.suppress(OSError):
                if stream.writer.can_write_eof():
                    stream.writer.write_eof()
            if await stream.reader.read() == b"done\n":
                return
            status = await self._status(exec_id)
            if status == TOO_MUCH:
                raise ArchiveTooLarge(f"over {limit >> 20} MiB, or too many files")
            if status == 1:
                raise ArchiveBroken(stream.stderr)
            raise SandboxLost(f"the sandbox ended while it was restored: status {status}")
        except OSError as error:
            raise SandboxLost(f"the sandbox is gone: {error}") from error
        finally:
            await stream.close()

    async def _start(self, command: str, layout: Layout, limit: int) -> tuple[str, ExecStream]:
        program: Sequence[str] = (self._python, "-I", "-S", TOOLBOX_PATH, command)
        roots = f"{layout.workdir}:{layout.outputs}"
        words = [*program, "--roots", roots, "--limit", str(limit)]
        try:
            version = await self._engine.run(lambda client: str(client.api.api_version))
            exec_id: str = await self._engine.run(
                lambda client: client.api.exec_create(self._container, words, stdin=True)["Id"]
            )
            return exec_id, await open_exec(self._engine.endpoint, exec_id, api_version=version)
        except (DockerException, EngineRefusal, SandboxUnavailable, OSError) as error:
            raise SandboxLost(f"the sandbox cannot be reached: {error}") from error

    async def _status(self, exec_id: str) -> int | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _ENDING
        try:
            while True:
                found = await self._engine.run(lambda client: client.api.exec_inspect(exec_id))
                if not found["Running"] or loop.time() > deadline:
                    status: int | None = found["ExitCode"]
                    return status
                await asyncio.sleep(_STEP)
        except (DockerException, SandboxError) as error:
            raise SandboxLost(f"the sandbox cannot be reached: {error}") from error
