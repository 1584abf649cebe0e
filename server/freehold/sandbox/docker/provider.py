"""Sandboxes that are Docker containers, one a session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Container, Sequence
from datetime import timedelta
from pathlib import Path
from weakref import WeakValueDictionary

from freehold.core.events import Json
from freehold.errors import ConfigurationError, SandboxLost, SandboxUnavailable
from freehold.ports.checkpoints import Awake
from freehold.ports.egress import Grants
from freehold.ports.sandbox import Finding, Layout, Sandbox, SandboxSpec
from freehold.sandbox.docker import check as checking
from freehold.sandbox.docker import cleanup, resting
from freehold.sandbox.docker.container import Recipe
from freehold.sandbox.docker.egress.gate import Gate, GateSettings, told
from freehold.sandbox.docker.engine import Engine
from freehold.sandbox.docker.fittings import LAYOUT
from freehold.sandbox.docker.hardening import Limits
from freehold.sandbox.docker.installation import installation_id
from freehold.sandbox.docker.names import container_name
from freehold.sandbox.docker.opening import DockerSandbox, Opener
from freehold.sandbox.docker.packages.build import Where
from freehold.sandbox.docker.packages.images import PackageImages
from freehold.sandbox.docker.pool import Pool
from freehold.sandbox.docker.sources import Sources
from freehold.sandbox.docker.wiring import LIMITED, Wiring, is_limited
from freehold.sandbox.image_definition import DEFAULT_TAG
from freehold.settings import Settings

log = logging.getLogger(__name__)

PING_TIMEOUT = 20.0
"""Seconds a sandbox in use may take to give a sign of life before it is looked for anew."""


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
        gate: what the egress gate is made of; ``None``: only the engine's own networks can be had.
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
        self.packages = PackageImages(
            self._engine,
            lambda: Where(self.owner, self._image, self._limits, build_network),
            keep=keep_packages,
            extra_ca_certs=extra_ca_certs,
        )
        """The images of environments with packages."""
        self.gate = Gate(self._engine, gate, lambda: self.owner) if gate is not None else None
        """By which sandboxes reach networks."""
        self._wiring = Wiring(self._limits, self.gate)
        self.sources = Sources(
            self._engine,
            lambda: self.owner,
            image,
            wiring=self._wiring,
            packages=self.packages,
            warm=warm,
        )
        """Where their containers come from."""
        self._plain = Opener(self._engine, lambda: Recipe(self.owner, self._image, self._limits))
        """Reaches containers that are there."""
        self._sandboxes: dict[str, DockerSandbox] = {}
        self._acquiring: set[asyncio.Task[DockerSandbox]] = set()
        self._reclaiming: asyncio.Task[None] | None = None
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        if self._limits.network == "host":
            raise ConfigurationError(
                "FREEHOLD_SANDBOX_NETWORK: sandboxes must not share the host's network; use gate, "
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
                network=settings.gate_network,
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
    def pool(self) -> Pool:
        """The containers kept ready."""
        return self.sources.pool

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
        return self._wiring.unenforceable(environment)

    def unfurnishable(self) -> str | None:
        """Root inside could change anything, and not every runtime shows it; see the port."""
        if self._limits.root:
            return (
                "FREEHOLD_SANDBOX_ROOT makes the agent root in its sandbox, so nothing can be kept "
                "from it; unset it"
            )
        if self._limits.own_kernel:
            return (
                f"under FREEHOLD_SANDBOX_RUNTIME={self._limits.runtime} a sandbox does not see "
                "what is put into it later"
            )
        return None

    def ungrantable(self, environment: Json) -> str | None:
        """Why requests could not be given secrets; see the port."""
        return self.unenforceable({**environment, **LIMITED})

    async def regrant(self, session_id: str) -> None:
        """Enforce what the session's requests are given by now; see the port.

        Raises:
            SandboxUnavailable: the gate does not answer.
        """
        async with self._lock(session_id):
            sandbox = self._sandboxes.get(session_id)
            if sandbox is not None and sandbox.spec is not None:
                # One that is lost is looked for anew, and told, when it is wanted next.
                with contextlib.suppress(SandboxLost):
                    await self._admit(sandbox, sandbox.spec, fresh=False)

    async def package_hosts(self, environment: Json) -> tuple[str, ...]:
        """The hosts of the image's package managers; see the port.

        Raises:
            SandboxUnavailable: the engine does not answer.
        """
        if self.gate is None or not is_limited(environment):
            return ()
        networking = {"type": "limited", "allow_package_managers": True}
        return tuple((await self.gate.policy(networking, (), self._image))["hosts"])

    async def prepare(self) -> None:
        """Begin to keep containers ready; see the port."""
        if self.gate is not None:
            self._reclaiming = asyncio.create_task(self.gate.reclaim())
        self.sources.prepare()

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
            sandbox = self._sandboxes.get(session_id)
            if self.gate is not None and sandbox is not None:
                await self.gate.forget(sandbox.container)
            await self._forget(session_id)
            await cleanup.remove_session(self._engine, self.owner, session_id, self._image)
            if self.gate is not None and sandbox is None:
                await self.gate.prune()

    async def present(self) -> Sequence[Awake]:
        """The sessions' containers; see :class:`freehold.ports.checkpoints.Resting`."""
        return await resting.present(self._engine, self.owner, self._image)

    async def rest(self, session_id: str) -> bool:
        """Stop the session's container; see :class:`freehold.ports.checkpoints.Resting`."""
        async with self._lock(session_id):
            current = self._sandboxes.get(session_id)
            name = container_name(self.owner, session_id)
            if not await resting.rest(self._plain, name, current):
                return False
            if self.gate is not None:
                if current is not None:
                    await self.gate.forget(current.container)
                else:
                    await self.gate.prune()
            await self._forget(session_id)
            return True

    async def sweep(self, keep: Container[str]) -> list[str]:
        """Delete containers of sessions not in ``keep``; see the port.

        Raises:
            SandboxUnavailable: the engine does not answer, or could not.
        """
        swept = await cleanup.sweep(self._engine, self.owner, keep, self.sources, self._image)
        for session_id in swept:
            await self._forget(session_id)
        # After the containers, which hold on to their images.
        with contextlib.suppress(SandboxUnavailable):
            await self.packages.sweep()
        if self.gate is not None:
            await self.gate.prune()
        if not self._sandboxes:
            await cleanup.sweep_gate(self._engine, self.owner, self._image)
        return swept

    async def check(self) -> list[Finding]:
        """How engine and image stand; see the port."""
        found = await checking.examine(
            self._engine, self._image, self._limits, self._extra_ca_certs
        )
        if self.gate is not None:
            gate = await checking.examine_gate(
                self._engine, self.gate.settings, self._limits, self._extra_ca_certs
            )
            found += [gate] if gate is not None else []
        return found

    async def close(self) -> None:
        """Drop the connections; containers of sessions run on."""
        await self.packages.close()
        if self._acquiring:
            await asyncio.wait(self._acquiring)
        if self._reclaiming is not None:
            await self._reclaiming
        await self.sources.close()
        for session_id in list(self._sandboxes):
            await self._forget(session_id)
        if self.gate is not None:
            await self.gate.close()
            if self.gate.used:
                with contextlib.suppress(SandboxUnavailable):
                    await cleanup.sweep_gate(self._engine, self.owner, self._image)
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
                    await self._admit(current, spec, fresh=current.connected_anew())
                    return current
                await current.close()
                del self._sandboxes[session_id]
            sandbox = await self.sources.open(spec, gated=await self._wants_gate(spec))
            sandbox.roots = spec.roots
            try:
                await self._admit(sandbox, spec, fresh=sandbox.connected_anew())
            except BaseException:
                await sandbox.close()
                raise
            self._sandboxes[session_id] = sandbox
            return sandbox

    async def _admit(self, sandbox: DockerSandbox, spec: SandboxSpec, *, fresh: bool) -> None:
        """Give a sandbox behind the gate what it may reach, where it has nothing before, and what
        its requests are given; and its processes the placeholders that stand for that."""
        sandbox.spec = spec
        grants = Grants(mcp_hosts=spec.mcp_hosts)
        if spec.grants is not None:
            grants = await spec.grants()
        if self.gate is not None and sandbox.gated:
            networking = spec.environment.get("networking") or {}
            policy = await self.gate.policy(networking, grants.mcp_hosts, self._image)
            await self.gate.admit(sandbox.container, policy | told(grants), fresh=fresh)
            await sandbox.vary({v.name: v.placeholder for v in grants.variables}, fresh=fresh)
        elif grants:
            # Made when its session had none: no promise was made then that this one could keep.
            log.warning(
                "the sandbox of %s is not behind the egress gate: its requests are not given the "
                "credentials that its vaults have by now",
                spec.session_id,
            )

    async def _wants_gate(self, spec: SandboxSpec) -> bool:
        if self._wiring.gated(spec.environment):
            return True
        if spec.grants is None or self.ungrantable(spec.environment) is not None:
            return False
        return bool(await spec.grants())

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
