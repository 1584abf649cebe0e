"""Sandboxes that are Docker containers, one a session."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from weakref import WeakValueDictionary

from docker.errors import DockerException

from freehold.core.events import Json
from freehold.core.packages import Packages
from freehold.errors import ConfigurationError, SandboxLost, SandboxUnavailable
from freehold.ports.checkpoints import Awake
from freehold.ports.sandbox import Finding, Layout, Sandbox, SandboxSpec
from freehold.sandbox.docker import check as checking
from freehold.sandbox.docker import cleanup, resting
from freehold.sandbox.docker.container import LAYOUT, Recipe, inspect
from freehold.sandbox.docker.engine import Engine, refused
from freehold.sandbox.docker.gate import Gate, GateSettings
from freehold.sandbox.docker.hardening import Limits
from freehold.sandbox.docker.names import LABEL_SESSION, container_name
from freehold.sandbox.docker.opening import DockerSandbox, Opener
from freehold.sandbox.docker.package_build import Where
from freehold.sandbox.docker.package_images import PackageImages
from freehold.sandbox.docker.pool import Pool
from freehold.sandbox.docker.pools import PackagePools
from freehold.sandbox.image_definition import DEFAULT_TAG
from freehold.settings import Settings

PING_TIMEOUT = 20.0
"""Seconds a sandbox in use may take to give a sign of life before it is looked for anew."""

ORDINARY_RUNTIMES = (None, "runc", "crun")
"""Those whose sandboxes use the kernel's own network, which the gate takes over."""

LIMITED: Json = {"networking": {"type": "limited"}}

INSTALLATION_FILE = "installation"
"""File in the data directory with the id that tells this installation's containers apart."""


class DockerSandboxProvider:
    """Implements :class:`freehold.ports.sandbox.SandboxProvider`.

    Args:
        owner: id of this installation, or how to get it; labels every container, and only
            containers with it are ever touched.
        image: the sandboxes' image.
        limits: what a sandbox may use.
        extra_ca_certs: what :meth:`check` compares the image's certificates with.
        warm: how many containers to keep ready for sessions to come, once :meth:`prepare` was
            called: of the image, and of each package image in use.
        build_network: the engine's network in which environments' packages are installed.
        keep_packages: how long the image of an environment's packages is kept that no session
            asks for.
        engine: default: the environment's.
        gate: what the egress gate is made of; ``None``: limited networking cannot be had.
    """

    def __init__(
        self,
        *,
        owner: str | Callable[[], str],
        image: str = DEFAULT_TAG,
        limits: Limits | None = None,
        extra_ca_certs: Path | None = None,
        warm: int = 0,
        build_network: str = "bridge",
        keep_packages: timedelta = timedelta(days=14),
        engine: Engine | None = None,
        gate: GateSettings | None = None,
    ) -> None:
        self._owner = owner
        self._image = image
        self._limits = limits or Limits()
        self._extra_ca_certs = extra_ca_certs
        self._engine = engine or Engine()
        self._opener = Opener(self._engine, self._recipe)
        self._warm = warm
        self._prepared = False
        self.pool = Pool(self._opener, warm)
        """The containers kept ready."""
        self.package_pools = PackagePools(self._package_pool)
        """Those of package images."""
        self.packages = PackageImages(
            self._engine,
            lambda: Where(self.owner, self._image, self._limits, build_network),
            keep=keep_packages,
            extra_ca_certs=extra_ca_certs,
        )
        """The images of environments with packages."""
        self.gate = Gate(self._engine, gate, lambda: self.owner) if gate is not None else None
        """Enforces limited networking."""
        self._sandboxes: dict[str, DockerSandbox] = {}
        self._acquiring: set[asyncio.Task[DockerSandbox]] = set()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        if self._limits.network == "host":
            raise ConfigurationError(
                "FREEHOLD_SANDBOX_NETWORK: sandboxes must not share the host's network; use "
                "bridge, none, or a network of your own."
            )
        if build_network == "host":
            raise ConfigurationError(
                "FREEHOLD_SANDBOX_BUILD_NETWORK: code of packages runs while they are installed "
                "and must not share the host's network; use bridge or a network of your own."
            )

    @classmethod
    def from_settings(cls, settings: Settings) -> DockerSandboxProvider:
        """The provider the settings describe. Contacts nothing.

        Raises:
            ConfigurationError: the settings would share the host's network.
        """
        return cls(
            owner=lambda: installation_id(settings.data_dir),
            image=settings.sandbox_image,
            limits=Limits(
                memory=settings.sandbox_memory,
                cpus=settings.sandbox_cpus,
                pids=settings.sandbox_pids,
                disk=settings.sandbox_disk,
                network=settings.sandbox_network,
                runtime=settings.sandbox_runtime,
                root=settings.sandbox_root,
            ),
            extra_ca_certs=settings.extra_ca_certs,
            warm=settings.sandbox_warm,
            build_network=settings.sandbox_build_network,
            keep_packages=timedelta(days=settings.sandbox_packages_keep),
            gate=GateSettings(
                data_dir=settings.data_dir,
                image=settings.gate_image,
                network=settings.sandbox_network,
                trusted=settings.trusted_networks,
                package_hosts=settings.package_hosts,
            ),
        )

    @property
    def name(self) -> str:
        """``docker``."""
        return "docker"

    @property
    def description(self) -> str:
        """One line for people."""
        who = "root" if self._limits.root else "an unprivileged user"
        runtime = f" under {self._limits.runtime}" if self._limits.runtime else ""
        return f"a Docker container a session ({self._image}{runtime}), tools run as {who}"

    @property
    def installs_packages(self) -> bool:
        """It does, once for each set of them."""
        return True

    @property
    def layout(self) -> Layout:
        """The paths every container has."""
        return LAYOUT

    @property
    def owner(self) -> str:
        """The installation's id."""
        if not isinstance(self._owner, str):
            self._owner = self._owner()
        return self._owner

    def unenforceable(self, environment: Json) -> str | None:
        """Why an environment's networking could not be enforced; see the port."""
        if not is_limited(environment):
            return None
        if self.gate is None:
            return "there is no egress gate"
        if self._limits.network == "none":
            return "FREEHOLD_SANDBOX_NETWORK=none leaves the egress gate without a network"
        if self._limits.runtime not in ORDINARY_RUNTIMES:
            return (
                f"under FREEHOLD_SANDBOX_RUNTIME={self._limits.runtime} the egress gate cannot "
                "take over a sandbox's network"
            )
        return None

    async def prepare(self) -> None:
        """Begin to keep containers ready; see the port."""
        self._prepared = True
        self.pool.start()

    async def acquire(self, spec: SandboxSpec) -> Sandbox:
        """The session's sandbox; see the port."""
        # In a task of its own: if the caller is cancelled, the engine is at work all the same, and
        # nobody else may touch the session's container until it is done.
        task = asyncio.create_task(self._acquire(spec))
        self._acquiring.add(task)
        task.add_done_callback(self._acquired)
        return await asyncio.shield(task)

    async def remove(self, session_id: str) -> None:
        """Delete the session's container; see the port.

        Raises:
            SandboxUnavailable: the engine does not answer, or could not.
        """
        async with self._lock(session_id):
            if self.gate is not None and (sandbox := self._sandboxes.get(session_id)) is not None:
                await self.gate.forget(sandbox.container)
            await self._forget(session_id)
            await cleanup.remove_session(self._engine, self.owner, session_id, self._image)

    async def present(self) -> Sequence[Awake]:
        """The sessions' containers; see :class:`freehold.ports.checkpoints.Resting`."""
        return await resting.present(self._engine, self.owner, self._image)

    async def rest(self, session_id: str) -> bool:
        """Stop the session's container; see :class:`freehold.ports.checkpoints.Resting`."""
        async with self._lock(session_id):
            current = self._sandboxes.get(session_id)
            name = container_name(self.owner, session_id)
            if not await resting.rest(self._opener, name, current):
                return False
            if current is not None and self.gate is not None:
                await self.gate.forget(current.container)
            await self._forget(session_id)
            return True

    async def sweep(self, keep: Container[str]) -> list[str]:
        """Delete containers of sessions not in ``keep``; see the port.

        Raises:
            SandboxUnavailable: the engine does not answer, or could not.
        """
        pools = _Either(self.pool, self.package_pools)
        swept = await cleanup.sweep(self._engine, self.owner, keep, pools, self._image)
        for session_id in swept:
            await self._forget(session_id)
        # After the containers, which hold on to their images.
        with contextlib.suppress(SandboxUnavailable):
            await self.packages.sweep()
        if not self._sandboxes:
            await cleanup.sweep_gate(self._engine, self.owner, self._image)
        return swept

    async def check(self) -> list[Finding]:
        """How engine and image stand; see the port."""
        found = await checking.examine(
            self._engine, self._image, self._limits, self._extra_ca_certs
        )
        if self.gate is not None:
            image = self.gate.settings.image
            gate = await checking.examine_gate(self._engine, image, self._extra_ca_certs)
            found += [gate] if gate is not None else []
        return found

    async def close(self) -> None:
        """Drop the connections; containers of sessions run on."""
        await self.packages.close()
        if self._acquiring:
            await asyncio.wait(self._acquiring)
        await asyncio.gather(self.pool.close(), self.package_pools.close())
        for session_id in list(self._sandboxes):
            await self._forget(session_id)
        if self.gate is not None:
            await self.gate.close()
        await asyncio.to_thread(self._engine.drop_client)

    async def _acquire(self, spec: SandboxSpec) -> DockerSandbox:
        session_id = spec.session_id
        async with self._lock(session_id):
            current = self._sandboxes.get(session_id)
            if current is not None:
                current.roots = spec.roots
                # Asked each time, at a third of a millisecond: that a container has died may not
                # have come through yet.
                with contextlib.suppress(SandboxLost, TimeoutError):
                    async with asyncio.timeout(PING_TIMEOUT):
                        await current.ping()
                    await self._admit(current, spec)
                    return current
                await current.close()
                del self._sandboxes[session_id]
            sandbox = await self._open(spec)
            sandbox.roots = spec.roots
            try:
                await self._admit(sandbox, spec)
            except BaseException:
                await sandbox.close()
                raise
            self._sandboxes[session_id] = sandbox
            return sandbox

    async def _admit(self, sandbox: DockerSandbox, spec: SandboxSpec) -> None:
        """Give a sandbox of limited networking what it may reach; it has nothing before."""
        if self.gate is not None and is_limited(spec.environment):
            networking = spec.environment["networking"]
            policy = await self.gate.policy(networking, spec.mcp_hosts, self._image)
            await self.gate.admit(sandbox.container, policy, fresh=sandbox.connected_anew())

    def _acquired(self, task: asyncio.Task[DockerSandbox]) -> None:
        self._acquiring.discard(task)
        if not task.cancelled():
            task.exception()  # Seen, also when the caller no longer is there to see it.

    def _lock(self, session_id: str) -> asyncio.Lock:
        lock = self._locks.get(session_id)
        if lock is None:
            lock = self._locks[session_id] = asyncio.Lock()
        return lock

    async def _forget(self, session_id: str) -> None:
        sandbox = self._sandboxes.pop(session_id, None)
        if sandbox is not None:
            await sandbox.close()

    async def _open(self, spec: SandboxSpec) -> DockerSandbox:
        """One from the pool, else the container that is there or a new one."""
        try:
            packages = Packages.of(spec.environment)
        except ValueError as error:
            raise SandboxUnavailable(str(error)) from error
        limited = is_limited(spec.environment)
        if packages:
            return await self._open_with(packages, spec.session_id, limited=limited)
        with self.pool.busy():
            if limited:
                return await self._open_gated(self._image, spec.session_id)
            return await self._open_from(self.pool, self._opener, spec.session_id)

    async def _open_with(
        self, packages: Packages, session_id: str, *, limited: bool
    ) -> DockerSandbox:
        """The same, from the image that has the packages; builds it first if need be."""
        name = container_name(self.owner, session_id)
        try:
            found = await self._engine.run(lambda client: inspect(client, name))
        except DockerException as error:
            raise refused(self._image, "look for the sandbox", error) from error
        if found is not None:
            # It has what it was made with, whatever the packages' image would be today.
            image = str(found["Image"])
            if limited:
                return await self._open_gated(image, session_id)
            return await self._opener_of(image).open(name, {LABEL_SESSION: session_id})
        image = await self.packages.ensure(packages)
        if limited:
            with self.pool.busy():
                return await self._open_gated(image, session_id)
        pool = self.package_pools.of(image)
        if self._prepared:
            pool.start()
        with self.pool.busy(), pool.busy():
            return await self._open_from(pool, self._opener_of(image), session_id)

    async def _open_from(self, pool: Pool, opener: Opener, session_id: str) -> DockerSandbox:
        sandbox = await pool.take(session_id)
        if sandbox is None:
            name = container_name(self.owner, session_id)
            sandbox = await opener.open(name, {LABEL_SESSION: session_id})
        return sandbox

    async def _open_gated(self, image: str, session_id: str) -> DockerSandbox:
        """One that reaches nothing but the gate."""
        reason = self.unenforceable(LIMITED)
        if self.gate is None or reason is not None:
            raise SandboxUnavailable(f"Limited networking cannot be enforced: {reason}.")
        limits = replace(self._limits, network="none")
        trust = await self.gate.certificate()
        opener = Opener(self._engine, lambda: Recipe(self.owner, image, limits, trust=trust))
        name = container_name(self.owner, session_id)
        return await opener.open(name, {LABEL_SESSION: session_id})

    def _recipe(self) -> Recipe:
        return Recipe(self.owner, self._image, self._limits)

    def _opener_of(self, image: str) -> Opener:
        return Opener(self._engine, lambda: replace(self._recipe(), image=image))

    def _package_pool(self, image: str) -> Pool:
        return Pool(self._opener_of(image), self._warm)


class _Either:
    """The names in any of several."""

    def __init__(self, *parts: Container[str]) -> None:
        self._parts = parts

    def __contains__(self, name: object) -> bool:
        return any(name in part for part in self._parts)


def is_limited(environment: Json) -> bool:
    """Whether an environment's ``config`` limits its networking."""
    networking = environment.get("networking") or {}
    return bool(networking.get("type") == "limited")


def installation_id(data_dir: Path) -> str:
    """The id of the installation that lives in ``data_dir``; made on first use.

    Raises:
        ConfigurationError: the data directory cannot be written.
    """
    path = data_dir / INSTALLATION_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        # A name of our own, then a link: whoever comes first decides, and nobody reads half an id.
        fresh = path.with_name(f".{INSTALLATION_FILE}-{secrets.token_hex(6)}")
        if not path.exists():
            fresh.write_text(secrets.token_hex(12), encoding="ascii")
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
            fresh.unlink()
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigurationError(
            f"FREEHOLD_DATA_DIR: {data_dir} cannot be written ({error}); give a folder that can."
        ) from error
