"""Makes scripted sandboxes, and loses them on request."""

from __future__ import annotations

from collections.abc import Container

from freehold.core.events import Json
from freehold.errors import SandboxLost, SandboxUnavailable
from freehold.ports.sandbox import Finding, Layout, SandboxSpec, ToolCall, ToolOutcome
from freehold.sandbox.scripted.machine import Lost, Machine, Outcomes

_LAYOUT = Layout()


class ScriptedSandbox:
    """A sandbox in memory; implements :class:`freehold.ports.sandbox.Sandbox`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    @property
    def identity(self) -> str:
        """Names this sandbox's files and journal."""
        return self._machine.identity

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

    def _present(self) -> Machine:
        if self._machine.gone:
            raise SandboxLost("the scripted sandbox was lost")
        return self._machine


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

    async def prepare(self) -> None:
        """Nothing to make ready."""

    async def acquire(self, spec: SandboxSpec) -> ScriptedSandbox:
        """The session's sandbox; see the port."""
        if self._refusals:
            raise SandboxUnavailable(self._refusals.pop(0))
        if spec.session_id not in self._machines:
            self._machines[spec.session_id] = Machine(_LAYOUT, self._outcomes)
        return ScriptedSandbox(self._machines[spec.session_id])

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
