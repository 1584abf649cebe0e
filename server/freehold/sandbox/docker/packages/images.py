"""The images of environments with packages: built once, kept while they are used, then removed."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import requests
from docker import DockerClient
from docker.errors import APIError, DockerException

from freehold.core.packages import Packages
from freehold.errors import SandboxUnavailable
from freehold.sandbox.docker.container import remove
from freehold.sandbox.docker.engine import Engine, refused, unreachable
from freehold.sandbox.docker.packages.build import (
    LABEL_BASE,
    LABEL_OWNER,
    LABEL_PACKAGES,
    LONGEST,
    REPOSITORY,
    InstallFailed,
    Where,
    container_named,
    ensure_built,
    target_of,
)
from freehold.sandbox.packages.plan import Plan
from freehold.sandbox.packages.reach import host_reach

log = logging.getLogger(__name__)

AT_ONCE = 2
"""Builds at a time; more wait."""
FAILURE_KEPT = 30.0
"""Seconds for which whoever asks again hears of the same failure: the sessions that waited for the
build, and the tool call that follows a session's own warming up."""
YOUNG = timedelta(hours=1)
"""An image used less than this ago is never removed: a session may be about to start from it."""


@dataclass(frozen=True)
class PackageImage:
    """An image at hand."""

    tag: str
    packages: str
    """What was installed, for people."""
    owner: str
    base: str
    """Id of the image that it stands on."""
    size: int
    """Bytes, the base's included."""
    used: datetime
    """When a session last asked for it."""


class PackageImages:
    """Makes and removes them.

    Args:
        engine: where they are built.
        where: what all builds have in common; asked each time.
        keep: how long one is kept that no session asks for.
        extra_ca_certs: whom builds trust besides the host's and the image's own authorities.
    """

    def __init__(
        self,
        engine: Engine,
        where: Callable[[], Where],
        *,
        keep: timedelta,
        extra_ca_certs: Path | None,
    ) -> None:
        self._engine = engine
        self._where = where
        self._keep = keep
        self._extra_ca_certs = extra_ca_certs
        self._building: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, tuple[float, str]] = {}
        # Threads of their own: a build takes minutes, and must not keep others from the loop's.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="packages")
        self._client: DockerClient | None = None
        self._stopped = False

    async def ensure(self, packages: Packages) -> str:
        """The name of an image with these packages, built if there is none. Concurrent calls for
        the same packages build once.

        Raises:
            SandboxUnavailable: it cannot be built; tells the installer's last lines.
        """
        plan = await self._plan(packages)
        task = self._building.get(plan.digest)
        if task is None:
            failed = self._failures.get(plan.digest)
            if failed is not None and time.monotonic() - failed[0] < FAILURE_KEPT:
                raise SandboxUnavailable(failed[1])
            task = asyncio.create_task(self._build(plan), name=f"packages {plan.digest}")
            self._building[plan.digest] = task
            task.add_done_callback(lambda done: self._built(plan.digest, done))
        try:
            # Not cancelled with one session: others may wait for it too, and it is of use later.
            await asyncio.shield(task)
        except SandboxUnavailable as error:
            # Each waiter gets an exception of its own.
            raise type(error)(str(error)) from None
        return target_of(plan).name

    async def sweep(self) -> list[str]:
        """Remove this installation's images that no container uses and no session has asked for
        in a while, or whose base has been built anew since; tells their packages.

        Raises:
            SandboxUnavailable: the engine does not answer, or could not.
        """
        where = self._where()
        try:
            return await self._engine.run(lambda client: _sweep(client, where, self._keep))
        except DockerException as error:
            raise refused(where.image, "remove package images", error) from error

    async def close(self) -> None:
        """End the builds that are going on."""
        self._stopped = True
        for digest in list(self._building):
            try:
                await self._engine.run(partial(remove, container=container_named(digest)))
            except (DockerException, SandboxUnavailable) as error:
                log.warning("packages %s: the build could not be ended: %s", digest, error)
        if self._building:
            await asyncio.wait(self._building.values())
        self._threads.shutdown()
        if self._client is not None:
            self._client.close()

    async def _plan(self, packages: Packages) -> Plan:
        image = self._where().image

        def plan(client: DockerClient) -> Plan:
            base = client.images.get(image).id
            reach = host_reach(os.environ, Path.home(), self._extra_ca_certs)
            return Plan(str(base), packages, reach)

        try:
            return await self._engine.run(plan)
        except DockerException as error:
            raise refused(image, "build the environment's packages", error) from error

    def _built(self, digest: str, task: asyncio.Task[None]) -> None:
        self._building.pop(digest, None)
        if not task.cancelled():
            task.exception()  # Seen, also when nobody waits for it any more.

    async def _build(self, plan: Plan) -> None:
        try:
            loop = asyncio.get_running_loop()
            built = await loop.run_in_executor(self._threads, self._build_in_thread, plan)
        except InstallFailed as error:
            # Not what the engine's end, or another accident, was the cause of.
            now = time.monotonic()
            recent = {d: f for d, f in self._failures.items() if now - f[0] < FAILURE_KEPT}
            self._failures = {**recent, plan.digest: (now, str(error))}
            raise
        if built:
            try:
                await self.sweep()
            except SandboxUnavailable as error:
                log.warning("unused package images stay: %s", error)

    def _build_in_thread(self, plan: Plan) -> bool:
        try:
            if self._client is None:
                self._client = self._engine.new_client(timeout=LONGEST)
            return ensure_built(self._client, self._where(), plan, stopped=lambda: self._stopped)
        except (requests.RequestException, OSError) as error:
            raise unreachable(self._engine.host, error) from error


def present(client: DockerClient) -> list[PackageImage]:
    """All package images of the engine, whoever built them, the last used one first.

    Raises:
        DockerException: the engine could not tell.
    """
    found = []
    for image in client.images.list(REPOSITORY, filters={"label": LABEL_PACKAGES}):
        used = str(image.attrs.get("Metadata", {}).get("LastTagTime") or "")
        for tag in image.tags:
            found.append(
                PackageImage(
                    tag=tag,
                    packages=image.labels[LABEL_PACKAGES],
                    owner=image.labels.get(LABEL_OWNER, ""),
                    base=image.labels.get(LABEL_BASE, ""),
                    size=int(image.attrs.get("Size") or 0),
                    used=_moment(used) or _moment(str(image.attrs.get("Created"))) or _now(),
                )
            )
    return sorted(found, key=lambda image: image.used, reverse=True)


@dataclass(frozen=True)
class Building:
    """A build that is going on."""

    packages: str
    """What is being installed, for people."""
    begun: datetime


def being_built(client: DockerClient) -> list[Building]:
    """All builds that the engine has under way, whoever's they are, the oldest first.

    Raises:
        DockerException: the engine could not tell.
    """
    # By their names: containers made from a package image have its labels too.
    found = client.api.containers(filters={"name": container_named("")})
    builds = [
        Building(
            str(container["Labels"].get(LABEL_PACKAGES, "")),
            datetime.fromtimestamp(container["Created"], UTC),
        )
        for container in found
    ]
    return sorted(builds, key=lambda build: build.begun)


def _sweep(client: DockerClient, where: Where, keep: timedelta) -> list[str]:
    today = client.images.get(where.image).id
    removed = []
    for image in present(client):
        age = _now() - image.used
        if image.owner != where.owner or age < YOUNG:
            continue
        if image.base == today and age < keep:
            continue
        if client.api.containers(all=True, quiet=True, filters={"ancestor": image.tag}):
            continue
        try:
            client.images.remove(image.tag)
        except APIError as error:
            # A container was made from it just now.
            log.debug("%s stays: %s", image.tag, error)
            continue
        log.info("removed the unused package image %s (%s)", image.tag, image.packages)
        removed.append(image.packages)
    return removed


def _now() -> datetime:
    return datetime.now(UTC)


def _moment(text: str) -> datetime | None:
    """The engine's time; ``None``: none, or year one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.year > 1 else None
