"""Makes scripted sandboxes, and loses them on request."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Container, Sequence
from datetime import UTC, datetime

from freehold.core.events import Json
from freehold.errors import (
    FileChanged,
    PlacementRefused,
    SandboxLost,
    SandboxUnavailable,
    TooManyFiles,
)
from freehold.ports.sandbox import (
    LISTING_LIMIT,
    Exchange,
    Exchanged,
    Finding,
    Found,
    Layout,
    Placed,
    Root,
    SandboxSpec,
    Survey,
    ToolCall,
    ToolOutcome,
)
from freehold.sandbox.placing import Ground, above, checked, chunks, within
from freehold.sandbox.scripted.machine import HOME, Lost, Machine, Outcomes
from freehold.sandbox.scripted.memory import MemoryFiles
from freehold.sandbox.scripted.mirror import exchange

_LAYOUT = Layout()
_OPEN_FOLDERS = (_LAYOUT.workdir, _LAYOUT.outputs, HOME, "/tmp")  # noqa: S108 - inside
_CHUNK = 4 * 1024 * 1024


class ScriptedSandbox:
    """A sandbox in memory; implements :class:`freehold.ports.sandbox.Sandbox`."""

    def __init__(self, machine: Machine, roots: tuple[Root, ...] = ()) -> None:
        self._machine = machine
        self.roots = roots

    @property
    def identity(self) -> str:
        """Names this sandbox's files and journal."""
        return self._machine.identity

    @property
    def boot(self) -> str:
        """The run of its shell."""
        return self._machine.boot

    @property
    def ended(self) -> str | None:
        """Never known: it runs as long as it lives."""
        return None

    @property
    def layout(self) -> Layout:
        """Its paths."""
        return _LAYOUT

    @property
    def executed(self) -> list[ToolCall]:
        """The calls that ran, in order; asking again for an id adds nothing."""
        return list(self._machine.executed)

    async def call(self, call: ToolCall) -> ToolOutcome:
        """Run the tool, or wait for or repeat its result; see the port."""
        try:
            return await self._machine.call(call)
        except Lost:
            raise SandboxLost("the scripted sandbox was lost") from None

    async def cancel(self, call_id: str) -> None:
        """Stop a running call; see the port."""
        self._present().cancel(call_id)

    async def read_file(self, path: str) -> bytes:
        """The bytes of a file inside; see the port."""
        machine = self._present()
        resolved = machine.place.resolve(path)
        if machine.files.stat(resolved).kind == "directory":
            raise IsADirectoryError(path)
        return machine.files.read(resolved)

    async def write_file(self, path: str, data: bytes) -> None:
        """Create or replace a file inside; see the port."""
        machine = self._present()
        machine.files.write(machine.place.resolve(path), data)

    async def place(self, files: Sequence[Placed], *, writable: bool = False) -> None:
        """Put files inside; see the port."""
        files_inside = self._present().files
        ground = Ground(_OPEN_FOLDERS, self.roots)
        for file in files:
            if writable:
                ground.for_the_agent(file.path)
            else:
                ground.for_the_server(file.path)
        for file in files:
            data = b"".join([part async for part in chunks(file.source or b"", _CHUNK)])
            with files_inside.as_server():
                _put(files_inside, file, data, ground, writable=writable)

    async def withdraw(self, paths: Sequence[str]) -> None:
        """Delete what was placed; see the port."""
        files = self._present().files
        for path in paths:
            if checked(path) in _OPEN_FOLDERS:
                raise PlacementRefused(f"{path}: the agent's own folder")
            with files.as_server(), contextlib.suppress(FileNotFoundError, NotADirectoryError):
                files.delete(path)
            files.release(path)

    async def listing(self, folder: str) -> list[Found]:
        """The files under a folder; see the port."""
        machine = self._present()
        files = machine.files
        found, waiting, left = [], [machine.place.resolve(folder)], LISTING_LIMIT
        if not files.exists(waiting[0]) or files.stat(waiting[0]).kind != "directory":
            return []
        while waiting:
            current = waiting.pop()
            for entry in files.scan(current):
                left -= 1
                if left < 0:
                    raise TooManyFiles(f"{folder}: over {LISTING_LIMIT} entries")
                path = f"{current.rstrip('/')}/{entry.name}"
                if entry.is_directory:
                    waiting.append(path)
                    continue
                data = files.read(path)
                modified = datetime.fromtimestamp(files.stat(path).modified, UTC)
                found.append(Found(path, len(data), modified, hashlib.sha256(data).hexdigest()))
        return sorted(found, key=lambda file: file.path)

    async def survey(self, folder: str, *, largest: int, fresh: bool = False) -> Survey:
        """What is under a folder; see the port."""
        found = await self.listing(folder)
        return Survey(
            {f.path[len(folder) :]: f.sha256 if f.size <= largest else None for f in found}
        )

    async def exchange(self, folder: str, changes: Sequence[Exchange]) -> list[Exchanged]:
        """Change files that are as expected; see the port."""
        files = self._present().files
        return [exchange(files, folder, change) for change in changes]

    async def read_stream(self, path: str) -> AsyncIterator[bytes]:
        """The bytes of one version of a file inside; see the port."""
        offset, first = 0, ""
        while True:
            machine = self._present()
            resolved = machine.place.resolve(path)
            data, version = machine.files.read_version(resolved, offset, _CHUNK)
            if version != (first := first or version):
                raise FileChanged(f"{path} changed while it was read")
            yield data
            offset += len(data)
            if len(data) < _CHUNK:
                return

    def _present(self) -> Machine:
        if self._machine.gone:
            raise SandboxLost("the scripted sandbox was lost")
        return self._machine


def _put(files: MemoryFiles, file: Placed, data: bytes, ground: Ground, *, writable: bool) -> None:
    """Put one thing inside and, unless it is to be the agent's, keep it from the agent."""
    agents = within(file.path, ground.open + ground.writable) if writable else None
    folders = above(file.path) + ([file.path] if file.source is None else [])
    for folder in folders:
        if files.exists(folder) and files.stat(folder).kind != "directory":
            files.delete(folder)
        files.make_directory(folder)
        if folder not in ground.open and (agents is None or within(folder, [agents]) is None):
            files.hold(folder)
    if file.source is not None:
        if files.exists(file.path) and files.stat(file.path).kind == "directory":
            files.delete(file.path)
        files.write(file.path, data)
        if not writable:
            files.hold(file.path)


class ScriptedSandboxProvider:
    """Sandboxes in memory; implements :class:`freehold.ports.sandbox.SandboxProvider`.

    ``outcomes`` gives answers to commands instead of running them: by the exact text of the
    command, or by a compiled pattern that is searched in it.
    """

    def __init__(self, outcomes: Outcomes | None = None) -> None:
        self._outcomes: Outcomes = outcomes or {}
        self._machines: dict[str, Machine] = {}
        self._refusals: list[str] = []

    @property
    def name(self) -> str:
        """``scripted``."""
        return "scripted"

    @property
    def installs_packages(self) -> bool:
        """It does not."""
        return False

    @property
    def description(self) -> str:
        """One line for people."""
        return "scripted sandboxes: files in memory and a small shell, no processes"

    @property
    def layout(self) -> Layout:
        """The paths inside."""
        return _LAYOUT

    def reopened(self) -> ScriptedSandboxProvider:
        """Another provider with the same sandboxes, as a restarted server has."""
        other = ScriptedSandboxProvider(self._outcomes)
        other._machines = self._machines
        return other

    def fail_acquire(self, message: str, times: int = 1) -> None:
        """Let the next ``times`` calls of :meth:`acquire` fail."""
        self._refusals += [message] * times

    def lose(self, session_id: str) -> None:
        """Throw a session's sandbox away, as if its machine had died; the next one is new."""
        machine = self._machines.pop(session_id, None)
        if machine is not None:
            machine.lose()

    def unenforceable(self, environment: Json) -> str | None:
        """Nothing: what does not exist reaches no network."""

    def unfurnishable(self) -> str | None:
        """Nothing stands in the way."""

    def ungrantable(self, environment: Json) -> str | None:
        """Nothing: what does not exist sends no requests."""
        return None

    async def regrant(self, session_id: str) -> None:
        """Nothing: requests are given nothing here."""

    async def package_hosts(self, environment: Json) -> tuple[str, ...]:
        """None: no networking is enforced here."""
        return ()

    async def prepare(self) -> None:
        """Nothing to make ready."""

    async def acquire(self, spec: SandboxSpec) -> ScriptedSandbox:
        """The session's sandbox; see the port."""
        if self._refusals:
            raise SandboxUnavailable(self._refusals.pop(0))
        if spec.session_id not in self._machines:
            self._machines[spec.session_id] = Machine(_LAYOUT, self._outcomes)
        return ScriptedSandbox(self._machines[spec.session_id], spec.roots)

    async def remove(self, session_id: str) -> None:
        """Delete the session's sandbox; see the port."""
        self.lose(session_id)

    async def sweep(self, keep: Container[str]) -> list[str]:
        """Remove the sandboxes of sessions not in ``keep``; see the port."""
        orphans = [session for session in self._machines if session not in keep]
        for session in orphans:
            self.lose(session)
        return orphans

    async def check(self) -> list[Finding]:
        """Always well."""
        return [Finding("scripted sandbox", "ok", "in memory")]

    async def close(self) -> None:
        """Nothing to let go of; the sandboxes live as long as the process."""
