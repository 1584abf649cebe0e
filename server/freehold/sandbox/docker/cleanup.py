"""Removes sandboxes: one session's, or all whose session is gone or never came."""

from __future__ import annotations

import asyncio
from collections.abc import Container

from docker import DockerClient
from docker.errors import DockerException

from freehold.errors import SandboxUnavailable
from freehold.sandbox.docker.container import inspect, remove
from freehold.sandbox.docker.egress.container import remove_gate
from freehold.sandbox.docker.engine import Engine, refused
from freehold.sandbox.docker.names import (
    LABEL_GATED,
    LABEL_OWNER,
    LABEL_RESCUED,
    container_name,
    is_pool_name,
    session_of,
)
from freehold.sandbox.docker.rescue import drop_images

_AT_ONCE = 8


async def remove_session(engine: Engine, owner: str, session_id: str, image: str) -> None:
    """Delete the session's container. None: no-op.

    Raises:
        SandboxUnavailable: the engine does not answer, or could not.
    """
    await _remove(engine, owner, container_name(owner, session_id), image)


async def sweep(
    engine: Engine, owner: str, keep: Container[str], pool: Container[str], image: str
) -> list[str]:
    """Delete the owner's containers whose session is not in ``keep``; tell whose they were.

    Those that wait for a session go too, unless ``pool`` has their name: a server that is no more
    left them.

    Raises:
        SandboxUnavailable: the engine does not answer, or could not.
    """
    try:
        sessions, waiting = await engine.run(lambda client: _present(client, owner))
    except DockerException as error:
        raise refused(image, "list sandboxes", error) from error
    orphans = sorted(session for session in sessions if session not in keep)
    names = [container_name(owner, session) for session in orphans]
    names += [name for name in waiting if name not in pool]
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> None:
        async with gate:
            await _remove(engine, owner, name, image)

    failures: list[BaseException] = [
        result
        for result in await asyncio.gather(*map(one, names), return_exceptions=True)
        if isinstance(result, BaseException)
    ]
    try:
        await engine.run(lambda client: drop_images(client, owner))
    except DockerException as error:
        failures.append(refused(image, "list what was rescued", error))
    for failure in failures:
        if not isinstance(failure, SandboxUnavailable):
            raise failure
    if failures:
        raise failures[0]
    return orphans


async def sweep_gate(engine: Engine, owner: str, image: str) -> None:
    """Remove the owner's egress gate, unless a sandbox is there that it serves.

    Raises:
        SandboxUnavailable: the engine does not answer, or could not.
    """

    def work(client: DockerClient) -> None:
        label = [f"{LABEL_OWNER}={owner}", f"{LABEL_GATED}=1"]
        if not client.api.containers(all=True, filters={"label": label}):
            remove_gate(client, owner)

    try:
        await engine.run(work)
    except DockerException as error:
        raise refused(image, "remove the egress gate", error) from error


async def _remove(engine: Engine, owner: str, name: str, image: str) -> None:
    def work(client: DockerClient) -> None:
        found = inspect(client, name)
        # By name and not by id: a container that a session takes from the pool at this moment has
        # another name by then, and stays.
        remove(client, name)
        if found is not None and LABEL_RESCUED in found["Config"]["Labels"]:
            drop_images(client, owner)

    try:
        await engine.run(work)
    except DockerException as error:
        raise refused(image, f"remove the sandbox {name}", error) from error


def _present(client: DockerClient, owner: str) -> tuple[set[str], list[str]]:
    """The sessions that have a container, and the names of containers that wait for one."""
    sessions: set[str] = set()
    waiting: list[str] = []
    for entry in client.api.containers(all=True, filters={"label": f"{LABEL_OWNER}={owner}"}):
        # One that is being removed may have no name any more.
        name = (entry["Names"] or [""])[0].removeprefix("/")
        if is_pool_name(owner, name):
            waiting.append(name)
        elif session := session_of(owner, name, entry["Labels"]):
            sessions.add(session)
    return sessions, waiting
