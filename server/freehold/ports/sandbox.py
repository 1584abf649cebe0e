"""Where tools run.

"The command failed" is a :class:`ToolOutcome`; "the sandbox failed" is an exception, and the
second must never reach the model as the first.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Literal, Protocol

from freehold.core.events import Content, Json


@dataclass(frozen=True)
class ToolCall:
    """One call of a built-in tool; ``id`` is its ``agent.tool_use`` event's."""

    id: str
    name: str
    input: Json


@dataclass(frozen=True)
class ToolOutcome:
    """What the model is told: content blocks (text, image, document) and whether it failed."""

    content: Content
    is_error: bool = False


@dataclass(frozen=True)
class Layout:
    """The paths inside, as the model sees them."""

    workdir: str = "/workspace"
    outputs: str = "/mnt/session/outputs"


@dataclass(frozen=True)
class SandboxSpec:
    """What a sandbox is for."""

    session_id: str
    environment: Json = field(default_factory=dict)
    mcp_hosts: tuple[str, ...] = ()
    """Hosts of the agent's MCP servers, which ``allow_mcp_servers`` opens (spec 3.2)."""


@dataclass(frozen=True)
class Finding:
    """One line of a health check: what was looked at, how it stands, how to mend it."""

    name: str
    status: Literal["ok", "warning", "error"]
    detail: str
    mend: str | None = None


class Sandbox(Protocol):
    """A running sandbox of one session."""

    @property
    def identity(self) -> str:
        """Names this sandbox's file system and journal; another one after they were lost."""
        ...

    @property
    def layout(self) -> Layout:
        """Its paths."""
        ...

    async def call(self, call: ToolCall) -> ToolOutcome:
        """Run the tool, or, for an id that is known, wait for or repeat its result.

        Never runs one id twice. Cancelling the coroutine leaves the tool running; use
        :meth:`cancel` to stop it.

        Raises:
            SandboxLost: the sandbox went away before the result was known.
        """
        ...

    async def cancel(self, call_id: str) -> None:
        """Stop a running call, its whole process tree; its outcome is an error. Unknown: no-op.

        Raises:
            SandboxLost: the sandbox is gone.
        """
        ...

    async def read_file(self, path: str) -> bytes:
        """The bytes of a file inside.

        Raises:
            FileNotFoundError: no such file. IsADirectoryError, PermissionError: as it says.
            SandboxLost: the sandbox is gone.
        """
        ...

    async def write_file(self, path: str, data: bytes) -> None:
        """Create or replace a file inside, with its parent folders.

        Raises:
            PermissionError: the agent may not write there. SandboxLost: the sandbox is gone.
        """
        ...


class SandboxProvider(Protocol):
    """Makes, finds and removes sandboxes."""

    @property
    def name(self) -> str:
        """``docker``, ``process`` or ``scripted``."""
        ...

    @property
    def description(self) -> str:
        """One line for people: what isolates the tools here."""
        ...

    @property
    def layout(self) -> Layout:
        """The paths every sandbox of this provider has, known before one exists."""
        ...

    def unenforceable(self, environment: Json) -> str | None:
        """Why what an environment's ``networking`` forbids could not be made impossible here.

        ``None``: it can. Half a sentence, for people.
        """
        ...

    async def prepare(self) -> None:
        """Make ready what can be made before a session asks.

        Called once, when the server has started. Never raises, and returns at once: the work goes
        on in the background, and ends with :meth:`close`.
        """
        ...

    async def acquire(self, spec: SandboxSpec) -> Sandbox:
        """The session's sandbox: the one that exists, started again if need be, or a new one.

        Concurrent calls for one session give the same sandbox.

        Raises:
            SandboxUnavailable: none can be had; the message says why and how to mend it.
        """
        ...

    async def remove(self, session_id: str) -> None:
        """Stop and delete the session's sandbox and all it holds. No sandbox: no-op."""
        ...

    async def sweep(self, keep: Container[str]) -> list[str]:
        """Remove sandboxes of sessions not in ``keep``; tell whose they were."""
        ...

    async def check(self) -> list[Finding]:
        """How the provider stands; never raises."""
        ...

    async def close(self) -> None:
        """Let go of connections. Running sandboxes go on, to be found again."""
        ...
