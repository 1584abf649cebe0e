"""The tools of one session, run in its sandbox, in the form that the SDK's worker takes."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from anthropic.lib.tools import BetaAsyncBuiltinFunctionTool, ToolError

from freehold.core.events import Json
from freehold.core.skills import ROOT
from freehold.core.toolset import WORKER_TOOLS
from freehold.errors import SandboxError, SandboxLost
from freehold.harness.offload import offload
from freehold.harness.tools import LOST, NOT_STARTED
from freehold.ports.sandbox import (
    Placed,
    Root,
    Sandbox,
    SandboxProvider,
    SandboxSpec,
    ToolCall,
)

log = logging.getLogger(__name__)

ENVIRONMENT: Json = {"type": "cloud", "networking": {"type": "unrestricted"}, "packages": {}}
"""What sandboxes of workers are made for: a self-hosted environment has no wishes of its own."""
_PATHS = ("file_path", "path")
_EXECUTABLE = 0o111


class SandboxTool(BetaAsyncBuiltinFunctionTool):
    """One of the built-in tools."""

    def __init__(self, name: str, session: SessionSandbox) -> None:
        self._tool = WORKER_TOOLS[name]
        self._session = session

    def to_dict(self) -> Any:
        """As the Messages API would have it declared."""
        return self._tool

    async def call(self, input: object) -> Any:
        """Run it. Raises :class:`anthropic.lib.tools.ToolError` with what the model is told."""
        return await self._session.run(self._tool["name"], cast(Json, input))


class SessionSandbox:
    """A session's sandbox, made when the first call wants it.

    Args:
        provider: makes it.
        session_id: whose it is.
        skills: the folder on this machine that has the session's skills, if there are any.
        refusal: why no call can be run for this session, for the model; ``None``: they can.
    """

    def __init__(
        self,
        provider: SandboxProvider,
        session_id: str,
        skills: Path,
        refusal: str | None = None,
    ) -> None:
        self._provider = provider
        self._session_id = session_id
        self._skills = skills
        self._refusal = refusal
        self._sandbox: Sandbox | None = None
        self._cancelling: set[asyncio.Task[None]] = set()

    def tools(self) -> list[SandboxTool]:
        """All tools that workers have."""
        return [SandboxTool(name, self) for name in WORKER_TOOLS]

    async def run(self, name: str, arguments: Json) -> Any:
        """Run a call; its content.

        Raises:
            ToolError: it failed, or could not be run; what it holds is for the model.
        """
        if self._refusal is not None:
            raise ToolError(self._refusal)
        try:
            sandbox = await self._attached()
        except (SandboxError, OSError) as error:
            log.warning("no sandbox for %s: %s", self._session_id, error)
            raise ToolError(NOT_STARTED) from error
        workdir = sandbox.layout.workdir
        call = ToolCall(
            id=f"call_{uuid.uuid4().hex}", name=name, input=absolute(arguments, workdir)
        )
        try:
            outcome = await sandbox.call(call)
            content = await offload(sandbox, call.id, outcome.content)
        except SandboxLost as error:
            log.warning("the sandbox of %s was lost: %s", self._session_id, error)
            self._sandbox = None
            raise ToolError(LOST) from error
        except asyncio.CancelledError:
            # It took too long, or the session is another worker's by now.
            task = asyncio.create_task(self._cancel(sandbox, call.id))
            self._cancelling.add(task)
            task.add_done_callback(self._cancelling.discard)
            raise
        if outcome.is_error:
            raise ToolError(cast(Any, content))
        return content

    async def remove(self) -> None:
        """The session is over for this worker."""
        await asyncio.gather(*self._cancelling, return_exceptions=True)
        await self._provider.remove(self._session_id)

    async def _attached(self) -> Sandbox:
        if self._sandbox is None:
            placed = await asyncio.to_thread(skills_in, self._skills)
            roots = (Root(ROOT),) if placed else ()
            sandbox = await self._provider.acquire(
                SandboxSpec(session_id=self._session_id, environment=ENVIRONMENT, roots=roots)
            )
            if placed:
                await sandbox.place(placed)
            self._sandbox = sandbox
        return self._sandbox

    async def _cancel(self, sandbox: Sandbox, call_id: str) -> None:
        try:
            await sandbox.cancel(call_id)
        except SandboxError as error:
            log.warning("could not stop %s of %s: %s", call_id, self._session_id, error)


def absolute(arguments: Json, workdir: str) -> Json:
    """The arguments of a tool with all paths made absolute."""
    changed = dict(arguments)
    for name in _PATHS:
        path = changed.get(name)
        if isinstance(path, str) and path and not path.startswith("/"):
            changed[name] = f"{workdir}/{path}"
    return changed


def skills_in(folder: Path) -> Sequence[Placed]:
    """The files of the skills in a folder, as they are put into a sandbox."""
    return [
        Placed(
            path=f"{ROOT}/{path.relative_to(folder).as_posix()}",
            source=path,
            mode=0o755 if path.stat().st_mode & _EXECUTABLE else 0o644,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    ]
