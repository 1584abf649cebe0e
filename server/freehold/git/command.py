"""Runs the git program: an environment made from nothing, and ends to time and size."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from freehold.errors import RepositoryError

OLDEST = (2, 37)
"""Git learned ``http.curloptResolve`` then; older ones would ignore it and look names up."""

_OUTPUT = 16 * 2**20
_BLOCK = 512
_KILL_SECONDS = 5.0

_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.packedGitWindowSize": "32m",
    "core.packedGitLimit": "256m",
    "core.bigFileThreshold": "32m",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    # Always a pack: its size is the file's, and that has a limit.
    "fetch.unpackLimit": "1",
    "gc.auto": "0",
    "maintenance.auto": "false",
    # A redirect leads to an address that nobody checked.
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "http.sslVerify": "true",
    "pack.threads": "1",
    "protocol.version": "2",
    "submodule.recurse": "false",
    "transfer.bundleURI": "false",
}


@dataclass(frozen=True)
class Outcome:
    """How a command ended; ``errors`` may hold what the host said."""

    status: int
    output: bytes
    errors: str = field(repr=False)


class Git:
    """The git program of this machine.

    Args:
        home: A folder that is never made: git finds nothing of a user's there.
        seconds: After which a command is ended.
        most_bytes: How large a file may become that it writes.
    """

    def __init__(self, home: Path, *, seconds: float, most_bytes: int) -> None:
        self._home = home
        self._seconds = seconds
        self._blocks = max(1, most_bytes // _BLOCK)
        self._program: str | None = None

    async def run(
        self,
        *arguments: str,
        config: Mapping[str, str] | None = None,
        given: bytes = b"",
    ) -> Outcome:
        """Run a command.

        Args:
            arguments: Without the program; public, as every command line is.
            config: Further settings; they may be secret: only git itself sees them.
            given: Its standard input.

        Raises:
            RepositoryError: there is no fitting git here, or it took too long.
        """
        program = await self._found()
        return await self._run(program, arguments, {**_SETTINGS, **(config or {})}, given)

    async def _found(self) -> str:
        if self._program is None:
            program = shutil.which("git")
            if program is None:
                raise RepositoryError("clone", "the server has no git program")
            told = await self._run(program, ("version",), {}, b"")
            match = re.search(rb"(\d+)\.(\d+)", told.output)
            if match is None or (int(match[1]), int(match[2])) < OLDEST:
                wanted = ".".join(map(str, OLDEST))
                raise RepositoryError("clone", f"the server's git is older than {wanted}")
            self._program = program
        return self._program

    async def _run(
        self, program: str, arguments: Sequence[str], config: Mapping[str, str], given: bytes
    ) -> Outcome:
        # A shell of one line, since limits must be set in the process that becomes git; with the
        # signal ignored, git says what was too large.
        limits = f'trap "" XFSZ && ulimit -f {self._blocks} && ulimit -c 0 && exec "$0" "$@"'
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", limits, program, *arguments),
            # A pipe to a process that has ended already is an error of the event loop's own.
            stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment(config),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._seconds):
                return await _conversation(process, given)
        except TimeoutError:
            raise RepositoryError(
                "clone", f"git did not finish within {self._seconds:g} seconds"
            ) from None
        finally:
            await _end(process)

    def _environment(self, config: Mapping[str, str]) -> dict[str, str]:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._home),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "https",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_CONFIG_COUNT": str(len(config)),
        }
        for number, (key, value) in enumerate(config.items()):
            environment[f"GIT_CONFIG_KEY_{number}"] = key
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        return environment


async def _conversation(process: asyncio.subprocess.Process, given: bytes) -> Outcome:
    assert process.stdout and process.stderr  # noqa: S101 - both are pipes
    if process.stdin is not None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            process.stdin.write(given)
            await process.stdin.drain()
        process.stdin.close()
    output, errors = await asyncio.gather(_read(process.stdout), _read(process.stderr))
    status = await process.wait()
    return Outcome(status, output, errors.decode(errors="replace"))


async def _read(stream: asyncio.StreamReader) -> bytes:
    kept = bytearray()
    while data := await stream.read(65536):
        if len(kept) + len(data) > _OUTPUT:
            raise RepositoryError("clone", "the host tells of more than can be taken in")
        kept += data
    return bytes(kept)


async def _end(process: asyncio.subprocess.Process) -> None:
    """The whole group: git's helpers are processes of their own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_KILL_SECONDS):
            await process.wait()
