"""Where tools run.

"The command failed" is a :class:`ToolOutcome`; "the sandbox failed" is an exception, and the
second must never reach the model as the first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from freehold.core.events import Content, Json
from freehold.ports.egress import SessionGrants


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


LISTING_LIMIT = 10_000
"""Entries, of any kind, that one listing looks at."""


@dataclass(frozen=True)
class Root:
    """A folder inside that the server keeps things in, known before the sandbox is made.

    What lies in a root that is not ``writable`` is out of the agent's reach for good. A writable
    root is the agent's own folder; the one above it is the server's, so that the root can be
    neither renamed nor deleted.
    """

    path: str
    """Absolute, normalized; never a folder of the system's."""
    writable: bool = False


@dataclass(frozen=True)
class Placed:
    """One thing that the server puts into a sandbox."""

    path: str
    """Absolute and normalized, in one of the sandbox's roots or folders of the agent's."""
    source: bytes | Path | None
    """Its bytes, or the file on the server's disk that has them; ``None``: an empty folder."""
    mode: int = 0o644
    """Permissions of a file; folders have 0755."""


@dataclass(frozen=True)
class Found:
    """A regular file in a sandbox, as it was when it was looked at."""

    path: str
    size: int
    """Bytes."""
    modified: datetime
    """What the file system says; the agent can set it."""
    sha256: str
    """Of the content, in hexadecimal."""


@dataclass(frozen=True)
class Survey:
    """What is under a folder of the agent's. Paths are within the folder and start with ``/``."""

    files: Mapping[str, str | None]
    """The SHA-256 of each regular file, in hexadecimal; ``None``: larger than was asked for."""
    others: frozenset[str] = frozenset()
    """What is there and is no regular file, or cannot be read, folders included."""
    unnamed: int = 0
    """How many names are not UTF-8."""


@dataclass(frozen=True)
class Exchange:
    """A change of one file in a folder of the agent's, unless the agent has changed it."""

    path: str
    """Within the folder; starts with ``/``."""
    expected: str | None
    """The SHA-256 of what must be there; ``None``: nothing."""
    content: bytes | None
    """What is to be there; ``None``: nothing."""


@dataclass(frozen=True)
class Exchanged:
    """What came of an exchange."""

    outcome: Literal["done", "changed", "blocked"]
    """``changed``: something else is there; ``blocked``: no file can be there."""
    reason: str = ""
    """Why it is blocked."""


@dataclass(frozen=True)
class SandboxSpec:
    """What a sandbox is for."""

    session_id: str
    environment: Json = field(default_factory=dict)
    mcp_hosts: tuple[str, ...] = ()
    """Hosts of the agent's MCP servers, which ``allow_mcp_servers`` opens (spec 3.2)."""
    roots: tuple[Root, ...] = ()
    """Where the server will keep things in it."""
    grants: SessionGrants | None = None
    """Asked what its requests are given (spec 14.4); ``None``: nothing, ever."""


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
    def boot(self) -> str:
        """Names the present run of its processes: another one after they all ended, as when it
        was stopped and started again with the files it had."""
        ...

    @property
    def ended(self) -> str | None:
        """Why the run before this one ended, where that is known and nobody wished it.

        Half a sentence, for the model.
        """
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

    async def place(self, files: Sequence[Placed], *, writable: bool = False) -> None:
        """Put files inside, with the folders above them, in the place of what is there.

        Unless ``writable``, nothing the agent does can change, rename or delete them or a folder
        above them, and nothing it did before stands in the way: a folder of its own that lies on
        the way becomes the server's. Not all at once: after an error some may be there. With
        ``writable`` they are the agent's, put there with its own rights.

        Raises:
            PlacementRefused: not there, or this sandbox cannot keep the agent from it.
            OSError: a source cannot be read, or (``writable``) the agent could not write there.
            SandboxLost: the sandbox is gone.
        """
        ...

    async def withdraw(self, paths: Sequence[str]) -> None:
        """Delete what was placed: files, or folders with all they hold. Not there: no-op.

        Raises:
            PlacementRefused: not where things are placed. SandboxLost: the sandbox is gone.
        """
        ...

    async def listing(self, folder: str) -> list[Found]:
        """The regular files at any depth under a folder, by path; no folder, no files.

        Symbolic links are neither followed nor listed, nor are devices, pipes, sockets, what the
        agent itself may not read, and names that are not UTF-8.

        Raises:
            TooManyFiles: over ``LISTING_LIMIT`` entries. SandboxLost: the sandbox is gone.
        """
        ...

    async def survey(self, folder: str, *, largest: int, fresh: bool = False) -> Survey:
        """What is under a folder, at little cost where little has changed.

        Files of up to ``largest`` bytes have their digest. Unless ``fresh``, a file whose times
        have not changed since a survey before is taken to be the same. Links are not followed.

        Raises:
            TooManyFiles: over ``LISTING_LIMIT`` entries. OSError: the folder cannot be looked at.
            SandboxLost: the sandbox is gone.
        """
        ...

    async def exchange(self, folder: str, changes: Sequence[Exchange]) -> list[Exchanged]:
        """Change files in a folder of the agent's with its own rights, in this order, each only
        if it is as expected; nobody sees half a file.

        Folders are made and, when the last file goes, removed; one that holds no file is in
        nobody's way.

        Raises:
            SandboxLost: the sandbox is gone.
        """
        ...

    def read_stream(self, path: str) -> AsyncIterator[bytes]:
        """The bytes of a regular file inside, in pieces of a few MiB; never a mixture of two
        versions of it.

        Raises:
            FileChanged: it was written to or replaced meanwhile; read it again.
            FileNotFoundError: no such file. IsADirectoryError, PermissionError: as it says.
            SandboxLost: the sandbox is gone.
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
    def installs_packages(self) -> bool:
        """Whether :meth:`acquire` gives sandboxes the packages of their environment (spec 3.3).

        Where it does not, a session on an environment with packages is refused.
        """
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

    def unfurnishable(self) -> str | None:
        """Why nothing could be put into these sandboxes that the agent cannot change.

        ``None``: it can be. Half a sentence, for people.
        """
        ...

    def ungrantable(self, environment: Json) -> str | None:
        """Why requests of sandboxes on an environment could not be given secrets that the sandbox
        does not know (spec 14.4).

        ``None``: they can. Half a sentence, for people.
        """
        ...

    async def regrant(self, session_id: str) -> None:
        """What the session's requests are given has changed: ask ``SandboxSpec.grants`` again and
        enforce it before this returns. A sandbox that is not in use by this process: no-op, as
        it is asked when it is used next.

        Raises:
            SandboxUnavailable: it could not be enforced; what was before may still be.
        """
        ...

    async def package_hosts(self, environment: Json) -> tuple[str, ...]:
        """The hosts that ``allow_package_managers`` opens to sandboxes on an environment.

        Raises:
            SandboxUnavailable: that cannot be told now.
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

        Concurrent calls for one session give the same sandbox. A new one has the packages of its
        environment, and is waited for while they are built.

        Raises:
            SandboxUnavailable: none can be had; the message says why and how to mend it. A package
                that cannot be installed is told with its installer's last lines.
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
