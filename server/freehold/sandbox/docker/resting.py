"""Stopping containers that nobody uses; starting them again is what opening them does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime

from docker import DockerClient
from docker.errors import DockerException

from freehold.errors import SandboxError, SandboxLost
from freehold.ports.checkpoints import Awake
from freehold.sandbox.docker.container import Running, inspect, inspect_at_end
from freehold.sandbox.docker.engine import Engine, refused
from freehold.sandbox.docker.names import LABEL_OWNER, LABEL_PYTHON, is_pool_name, session_of
from freehold.sandbox.docker.opening import DockerSandbox, Opener

_ANSWER = 15.0
"""Seconds a toolbox may take to say whether it rests; a moment for what runs is in it."""
_STOP_SECONDS = 3


async def present(engine: Engine, owner: str, image: str) -> Sequence[Awake]:
    """The owner's containers that belong to a session.

    Raises:
        SandboxUnavailable: the engine does not answer, or could not.
    """

    def work(client: DockerClient) -> list[Awake]:
        found = []
        for entry in client.api.containers(all=True, filters={"label": f"{LABEL_OWNER}={owner}"}):
            name = (entry["Names"] or [""])[0].removeprefix("/")
            session_id = session_of(owner, name, entry["Labels"])
            if session_id is None or is_pool_name(owner, name):
                continue
            made = datetime.fromtimestamp(entry["Created"], UTC)
            found.append(Awake(session_id, made, entry["State"] == "running"))
        return found

    try:
        return await engine.run(work)
    except DockerException as error:
        raise refused(image, "list sandboxes", error) from error


async def rest(opener: Opener, name: str, sandbox: DockerSandbox | None) -> bool:
    """Stop the container unless a call runs in it; whether it is stopped now.

    Args:
        opener: reaches its engine.
        name: the container's.
        sandbox: the connection to it, if there is one.

    Raises:
        SandboxUnavailable: the engine does not answer, or could not.
    """
    image = opener.recipe().image
    try:
        found = await opener.engine.run(lambda client: inspect(client, name))
        if found is None or not found["State"]["Running"]:
            return True
        python = found["Config"]["Labels"].get(LABEL_PYTHON, "python3")
        running = Running(found["Id"], python, found["Image"])
        # A toolbox that does not answer, or does not know the word, holds no call that anybody
        # still waits for: this server is the one that would.
        with contextlib.suppress(SandboxError, TimeoutError, ValueError):
            if not await _asked(opener, running, sandbox):
                return False
        await opener.engine.run(lambda client: _end(client, running.id))
    except DockerException as error:
        raise refused(image, "stop the sandbox", error) from error
    return True


def _end(client: DockerClient, container: str) -> None:
    # Having been asked it ends by itself; a signal on its way out would look like an accident.
    ended = inspect_at_end(client, container)
    if ended is not None and ended["State"]["Running"]:
        client.api.stop(container, timeout=_STOP_SECONDS)


async def _asked(opener: Opener, running: Running, sandbox: DockerSandbox | None) -> bool:
    async with asyncio.timeout(_ANSWER):
        if sandbox is not None:
            with contextlib.suppress(SandboxLost):
                return await sandbox.rest()
        other = await opener.reach(running)
        try:
            return await other.rest()
        finally:
            await other.close()
