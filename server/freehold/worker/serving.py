"""Takes sessions out of a queue and serves several at once."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anthropic import APIStatusError, AsyncAnthropic

from freehold.errors import ConfigurationError
from freehold.ports.sandbox import SandboxProvider
from freehold.worker.sandboxed import SandboxTool, SessionSandbox

log = logging.getLogger(__name__)

NO_MEMORY = (
    "This worker cannot mount memory stores, so it runs no tools for this session. A worker of "
    "the official SDK can, as can a cloud environment."
)


@dataclass(frozen=True)
class QueueWorker:
    """Serves an environment's queue until it is cancelled."""

    client: AsyncAnthropic
    sandboxes: SandboxProvider
    environment_id: str
    environment_key: str
    sessions: int
    """How many at once at most."""
    max_idle: float
    """Seconds that a session keeps its sandbox once it rests."""

    async def run(self) -> None:
        """Serve.

        Raises:
            ConfigurationError: the queue cannot be polled, and asking again would not help.
        """
        try:
            await self._take()
        except* APIStatusError as refusals:
            reason = refusals.exceptions[0]
            raise ConfigurationError(f"the queue cannot be served: {reason}") from None

    async def _take(self) -> None:
        slots = asyncio.Semaphore(self.sessions)
        await slots.acquire()
        # Tasks of a group are cancelled with it, and say goodbye to the server before they end.
        async with asyncio.TaskGroup() as serving:
            async for item in self.client.beta.environments.work.poller(
                environment_id=self.environment_id,
                environment_key=self.environment_key,
                auto_stop=False,
            ):
                task = serving.create_task(self._serve(item), name=f"serve {item.data.id}")
                task.add_done_callback(lambda _: slots.release())
                await slots.acquire()

    async def _serve(self, item: Any) -> None:
        session_id: str = item.data.id
        made: list[SessionSandbox] = []

        def tools(context: Any) -> list[SandboxTool]:
            stores = any(one.type == "memory_store" for one in context.session.resources)
            folder = Path(context.workdir) / "skills"
            refusal = NO_MEMORY if stores else self._unfurnishable(folder)
            made.append(SessionSandbox(self.sandboxes, session_id, folder, refusal))
            return made[-1].tools()

        log.info("serving %s", session_id)
        with tempfile.TemporaryDirectory(prefix="freehold-worker-") as folder:
            worker = self.client.beta.environments.work.worker(
                workdir=folder,
                tools=tools,
                max_idle=self.max_idle,
                # Their folders would be this machine's, and those of all sessions at once.
                memory_sync_interval=None,
            )
            try:
                await worker.handle_item(
                    work_id=item.id,
                    environment_id=item.environment_id,
                    session_id=session_id,
                    environment_key=self.environment_key,
                    work_secret=item.secret,
                )
            except Exception:
                log.exception("%s could not be served", session_id)
            finally:
                for sandbox in made:
                    await asyncio.shield(sandbox.remove())
        log.info("done with %s", session_id)

    def _unfurnishable(self, skills: Path) -> str | None:
        reason = self.sandboxes.unfurnishable()
        if reason is None or not skills.exists():
            return None
        return f"This worker cannot put the agent's skills into its sandboxes: {reason}"
