"""Where a session's container comes from: its own that is there, one kept ready, or a new one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from docker.errors import DockerException

from freehold.core.packages import Packages
from freehold.errors import SandboxUnavailable
from freehold.ports.sandbox import SandboxSpec
from freehold.sandbox.docker.container import Recipe, inspect
from freehold.sandbox.docker.engine import Engine, refused
from freehold.sandbox.docker.names import LABEL_SESSION, container_name
from freehold.sandbox.docker.opening import DockerSandbox, Opener
from freehold.sandbox.docker.packages.images import PackageImages
from freehold.sandbox.docker.pool import Pool
from freehold.sandbox.docker.pools import Kind, Pools
from freehold.sandbox.docker.rescue import base_of
from freehold.sandbox.docker.wiring import LIMITED, OPEN, Wiring, is_limited


class Sources:
    """Opens sandboxes.

    Args:
        engine: where the containers are.
        owner: the installation's id.
        image: of sandboxes without packages.
        wiring: which network they are on.
        packages: the images of those with packages.
        warm: how many containers of a kind to keep ready.
    """

    def __init__(
        self,
        engine: Engine,
        owner: Callable[[], str],
        image: str,
        *,
        wiring: Wiring,
        packages: PackageImages,
        warm: int,
    ) -> None:
        self._engine = engine
        self._owner = owner
        self._image = image
        self._wiring = wiring
        self._packages = packages
        self._warm = warm
        self._prepared = False
        self._usual = Kind(image, gated=wiring.gated(OPEN))
        self.pool = self._make_pool(self._usual)
        """The containers kept ready of the kind that most sessions want."""
        self.pools = Pools(self._make_pool)
        """Those of other kinds, while sessions want them."""

    def __contains__(self, name: object) -> bool:
        """Whether a container of this name is kept ready, or about to be."""
        return name in self.pool or name in self.pools

    def prepare(self) -> None:
        """Begin to keep containers ready."""
        self._prepared = True
        self.pool.start()

    async def open(self, spec: SandboxSpec, *, gated: bool) -> DockerSandbox:
        """The session's sandbox, not yet admitted to any network by the gate.

        Args:
            spec: What it is for.
            gated: Whether a new one has no network but the gate.

        Raises:
            SandboxUnavailable: there can be none; says why.
        """
        try:
            packages = Packages.of(spec.environment)
        except ValueError as error:
            raise SandboxUnavailable(str(error)) from error
        image = self._image
        if packages:
            found = await self._image_of(spec.session_id)
            if found is not None:
                # It has what it was made with, whatever the packages' image would be today.
                return await self._open(Kind(found, gated), spec)
            image = await self._packages.ensure(packages)
        kind = Kind(image, gated)
        with contextlib.ExitStack() as busy:
            busy.enter_context(self.pool.busy())
            pool = self.pool
            if kind != self._usual:
                pool = self.pools.of(kind)
                if self._prepared:
                    pool.start()
                busy.enter_context(pool.busy())
            sandbox = await pool.take(spec.session_id)
            return sandbox if sandbox is not None else await self._open(kind, spec)

    async def close(self) -> None:
        """Remove the containers that no session took."""
        await self.pool.close()
        await self.pools.close()

    async def _image_of(self, session_id: str) -> str | None:
        """The image that the session's own container began with; ``None``: it has none."""
        name = container_name(self._owner(), session_id)
        try:
            found = await self._engine.run(lambda client: inspect(client, name))
        except DockerException as error:
            raise refused(self._image, "look for the sandbox", error) from error
        return base_of(found) if found is not None else None

    async def _open(self, kind: Kind, spec: SandboxSpec) -> DockerSandbox:
        opener = self._opener(kind, limited=is_limited(spec.environment))
        name = container_name(self._owner(), spec.session_id)
        return await opener.open(name, {LABEL_SESSION: spec.session_id})

    def _opener(self, kind: Kind, *, limited: bool) -> Opener:
        return self._wiring.opener(
            self._engine, self._owner, kind.image, gated=kind.gated, limited=limited
        )

    def _make_pool(self, kind: Kind) -> Pool:
        # A gated container that is kept ready suits every environment: what it may reach is said
        # when a session takes it.
        if kind.gated and self._wiring.unenforceable(LIMITED) is not None:
            return Pool(Opener(self._engine, _no_recipe), 0)
        return Pool(self._opener(kind, limited=kind.gated), self._warm)


def _no_recipe() -> Recipe:
    raise SandboxUnavailable("Nothing is kept ready of what cannot be had.")
