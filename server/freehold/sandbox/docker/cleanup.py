"""Removes sandboxes: one session's, or all whose session is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Container

from docker import DockerClient
from docker.errors import DockerException

from freehold.errors import SandboxUnavailable
from freehold.sandbox.docker.container import (
    LABEL_OWNER,
    LABEL_SESSION,
    container_name,
    remove,
)
from freehold.sandbox.docker.engine import Engine, refused

_AT_ONCE = 8


async def remove_session(engine: Engine, owner: str, session_id: str, image: str) -> None:
    """Delete the session's container. None: no-op.

    Raises:
        SandboxUnavailable: the engine does not answer, or could not.
    """
    name = container_name(owner, session_id)
    try:
        await engine.run(lambda client: remove(client, name))
    except DockerException as error:
        raise refused(image, f"remove the sandbox of {session_id}", error) from error


async def sweep(engine: Engine, owner: str, keep: Container[str], image: str) -> list[str]:
    """Delete the owner's containers whose session is not in ``keep``; tell whose they were.

    Raises:
        SandboxUnavailable: the engine does not answer, or could not.
    """
    try:
        present = await engine.run(lambda client: _sessions(client, owner))
    except DockerException as error:
        raise refused(image, "list sandboxes", error) from error
    orphans = sorted(session for session in present if session not in keep)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(session: str) -> None:
        async with gate:
            await remove_session(engine, owner, session, image)

    failures = [
        result
        for result in await asyncio.gather(*map(one, orphans), return_exceptions=True)
        if isinstance(result, BaseException)
    ]
    for failure in failures:
        if not isinstance(failure, SandboxUnavailable):
            raise failure
    if failures:
        raise failures[0]
    return orphans


def _sessions(client: DockerClient, owner: str) -> set[str]:
    found = client.api.containers(all=True, filters={"label": f"{LABEL_OWNER}={owner}"})
    return {session for entry in found if (session := entry["Labels"].get(LABEL_SESSION))}
