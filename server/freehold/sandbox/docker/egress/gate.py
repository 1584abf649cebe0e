"""The server's side of the egress gate: which sandboxes it serves, and what it is told of them.

One gate serves all sandboxes of an installation. A sandbox that it serves has no network of its
own: :meth:`Gate.attach` leads its connections to the gate, :meth:`Gate.admit` says which of them go
on. All that can go wrong leaves the sandbox without any network.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from docker import DockerClient
from docker.errors import DockerException, ImageNotFound

from freehold.core.events import Json
from freehold.errors import ConfigurationError, SandboxUnavailable
from freehold.gate.resolving import own_addresses
from freehold.ports.egress import Grants
from freehold.sandbox.docker.container import inspect, remove
from freehold.sandbox.docker.egress.authority import authority, certificate
from freehold.sandbox.docker.egress.container import attach_sandbox, ensure_gate
from freehold.sandbox.docker.egress.image import DEFAULT_GATE_TAG
from freehold.sandbox.docker.egress.line import Line, Silent
from freehold.sandbox.docker.engine import Engine, refused
from freehold.sandbox.docker.names import LABEL_OWNER, gate_name
from freehold.sandbox.docker.packages.hosts import read_package_hosts
from freehold.sandbox.docker.transport import EngineRefusal

log = logging.getLogger(__name__)

_AT_ONCE = 3
"""Sandboxes that are attached at a time: each takes a container of its own for a moment."""


@dataclass(frozen=True)
class GateSettings:
    """What a gate is made of.

    Attributes:
        data_dir: Where the certificate authority is.
        image: The gate's image.
        network: The Docker network by which the gate reaches the world.
        trusted: Internal ranges that sandboxes may reach all the same, as CIDR.
        package_hosts: Hosts that ``allow_package_managers`` opens; ``None``: those that the
            sandboxes' image is configured to use.
    """

    data_dir: Path
    image: str = DEFAULT_GATE_TAG
    network: str = "bridge"
    trusted: tuple[str, ...] = ()
    package_hosts: tuple[str, ...] | None = None


class Gate:
    """The gate of one installation.

    Args:
        engine: Where the containers are.
        settings: See there.
        owner: The installation's id.

    Raises:
        ConfigurationError: the gate would share another's network, or have none.
    """

    def __init__(self, engine: Engine, settings: GateSettings, owner: Callable[[], str]) -> None:
        if settings.network in {"host", "none"} or settings.network.startswith("container:"):
            raise ConfigurationError(
                "FREEHOLD_GATE_NETWORK: the egress gate needs a network of the engine that is not "
                "the host's own; use bridge, or a network of your own."
            )
        self.settings = settings
        self._engine = engine
        self._owner = owner
        self._line = Line(engine)
        self._container = ""
        self._connecting = asyncio.Lock()
        self._attaching = asyncio.Semaphore(_AT_ONCE)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._certificate: bytes | None = None
        self._wanted: dict[str, Json | None] = {}
        """The sandboxes that should be served, and their policies; ``None``: nobody's yet."""
        self._incarnation = secrets.token_hex(8)
        self._admitted: dict[str, Json] = {}
        self._hosts: dict[str, tuple[str, ...]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def used(self) -> bool:
        """Whether the gate was ever asked for."""
        return bool(self._container)

    @property
    def attached(self) -> frozenset[str]:
        """What the gate calls the sandboxes that are led to it: ``container@when it started``."""
        return self._line.attached

    async def certificate(self) -> bytes:
        """What sandboxes must trust, PEM.

        Raises:
            ConfigurationError: it cannot be had.
        """
        if self._certificate is None:
            made = await asyncio.to_thread(authority, self.settings.data_dir)
            self._certificate = certificate(made).encode()
        return self._certificate

    async def policy(self, networking: Json, mcp_hosts: Sequence[str], image: str) -> Json:
        """What the gate is told of an environment's ``networking`` (spec 3.2).

        Args:
            networking: As the API stores it.
            mcp_hosts: The agent's MCP servers'.
            image: The sandbox's, whose package managers say which hosts they use.

        Raises:
            SandboxUnavailable: the engine does not answer.
        """
        if networking.get("type", "unrestricted") == "unrestricted":
            return {"type": "unrestricted"}
        hosts = [str(host) for host in networking.get("allowed_hosts") or ()]
        if networking.get("allow_mcp_servers"):
            hosts += mcp_hosts
        if networking.get("allow_package_managers"):
            hosts += await self._package_hosts(image)
        return {"type": "limited", "hosts": list(dict.fromkeys(hosts))}

    async def attach(self, container: str) -> None:
        """Lead the connections of a running sandbox, which has no network of its own, to the gate.

        They are all refused until :meth:`admit`.

        Raises:
            SandboxUnavailable: it cannot be; the sandbox has no network then.
        """
        self._wanted.setdefault(container, None)
        await self._serve(container)

    async def admit(self, container: str, policy: Json, *, fresh: bool) -> None:
        """Let a running sandbox reach what ``policy`` says; attaches it if that was not done.

        ``policy`` is that of :meth:`policy` with what :func:`told` makes of grants. Its secrets
        are in the gate's memory alone, and go there over the standard input of a program.

        Cheap where it is so already and ``fresh`` is not set: its processes may be new ones.

        Raises:
            SandboxUnavailable: it cannot be; the sandbox has no network then.
        """
        if not fresh and self._line.open and self._admitted.get(container) == policy:
            return
        self._admitted.pop(container, None)
        self._wanted[container] = policy
        await self._serve(container)

    async def forget(self, container: str) -> None:
        """Serve a sandbox no longer; it is about to be removed. Never raises."""
        self._wanted.pop(container, None)
        self._admitted.pop(container, None)
        with contextlib.suppress(Silent, OSError):
            for key in self._keys(container):
                if self._line.open:
                    await self._line.ask({"op": "forget", "key": key})

    async def prune(self) -> None:
        """Forget sandboxes whose containers are gone: their sockets keep a namespace each.

        Raises:
            SandboxUnavailable: the engine does not answer.
        """
        if not self._line.open:
            return
        label = {"label": f"{LABEL_OWNER}={self._owner()}"}
        try:
            there = await self._engine.run(
                lambda client: {e["Id"] for e in client.api.containers(all=True, filters=label)}
            )
        except DockerException as error:
            raise self._refused(error) from error
        for container in {key.partition("@")[0] for key in self._line.attached} - there:
            await self.forget(container)

    async def reclaim(self) -> None:
        """Have a gate that runs forget what an earlier server granted. Never raises."""
        try:
            name = gate_name(self._owner())
            found = await self._engine.run(lambda client: inspect(client, name))
            if found is not None and found["State"]["Running"]:
                await self._connect()
        except (DockerException, SandboxUnavailable, Silent, EngineRefusal, OSError) as error:
            log.warning("the egress gate was not told that there is a new server: %s", error)

    async def close(self) -> None:
        """Let go of the connection; the gate goes on."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._line.close()

    # --- one sandbox

    async def _serve(self, container: str) -> None:
        """Have the gate serve a sandbox as it is wanted."""
        try:
            try:
                await self._try_to_serve(container)
            except Silent:
                # It died, which was not known. It is started again.
                await self._try_to_serve(container)
        except DockerException as error:
            raise self._refused(error) from error
        except (Silent, EngineRefusal, OSError) as error:
            raise SandboxUnavailable(f"The egress gate does not answer: {error}") from error

    async def _try_to_serve(self, container: str) -> None:
        lock = self._locks.get(container)
        if lock is None:
            lock = self._locks[container] = asyncio.Lock()
        async with lock:
            await self._connect()
            found = await self._engine.run(lambda client: inspect(client, container))
            if found is None or not found["State"]["Running"]:
                self._wanted.pop(container, None)
                raise SandboxUnavailable("The sandbox ended before it was given a network.")
            key = f"{found['Id']}@{found['State']['StartedAt']}"
            policy = self._wanted.get(container)
            # The policy first: a sandbox without one reaches nothing, and would be told so.
            if policy is not None:
                await self._line.ask({"op": "policy", "key": key, "policy": policy})
            if key not in self._line.attached:
                for old in self._keys(container):
                    await self._line.ask({"op": "forget", "key": old})
                await self._attach(container, key)
                await self._line.ask({"op": "state"})
                if key not in self._line.attached:
                    raise Silent("it did not take the sandbox")
            if policy is not None:
                self._admitted[container] = policy

    def _keys(self, container: str) -> list[str]:
        return [key for key in self._line.attached if key.startswith(f"{container}@")]

    async def _attach(self, container: str, key: str) -> None:
        def work(client: DockerClient) -> str:
            return attach_sandbox(
                client,
                container,
                key,
                gate=self._container,
                owner=self._owner(),
                image=self.settings.image,
            )

        async with self._attaching:
            used = await self._engine.run(work)
        self._go_on(self._throw_away(used))

    async def _throw_away(self, used: str) -> None:
        with contextlib.suppress(DockerException, SandboxUnavailable):
            await self._engine.run(lambda client: remove(client, used))

    async def _package_hosts(self, image: str) -> tuple[str, ...]:
        if self.settings.package_hosts is not None:
            return self.settings.package_hosts
        try:
            image_id: str = await self._engine.run(lambda client: str(client.images.get(image).id))
            if image_id not in self._hosts:
                self._hosts[image_id] = await self._engine.run(
                    lambda client: read_package_hosts(client, image_id, self._owner())
                )
        except DockerException as error:
            raise refused(image, "read the package managers' configuration", error) from error
        return self._hosts[image_id]

    # --- the gate itself

    async def _connect(self) -> None:
        """The gate, running and told what it needs to know; no-op where it is."""
        async with self._connecting:
            if self._line.open:
                return
            self._admitted.clear()
            secret = await asyncio.to_thread(authority, self.settings.data_dir)
            self._container = await self._engine.run(
                lambda client: ensure_gate(
                    client, self._owner(), self.settings.image, self.settings.network
                )
            )
            greeting = {
                "op": "configure",
                "server": self._incarnation,
                "authority": secret,
                "trusted": list(self.settings.trusted),
                "own": await asyncio.to_thread(own_addresses),
            }
            await self._line.connect(self._container, greeting)
            # If it is another gate than before, it knows none of them.
            for container in list(self._wanted):
                self._go_on(self._bring_back(container))

    async def _bring_back(self, container: str) -> None:
        try:
            if container in self._wanted:
                await self._try_to_serve(container)
        except (Silent, EngineRefusal, DockerException, SandboxUnavailable, OSError) as error:
            # Its next call says so, or brings it back.
            log.debug("%s is without its network: %s", container[:12], error)

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refused(self, error: DockerException) -> SandboxUnavailable:
        text = str(getattr(error, "explanation", None) or error)
        if isinstance(error, ImageNotFound) or "no such image" in text.lower():
            return SandboxUnavailable(
                f"There is no gate image {self.settings.image}, by which sandboxes reach networks. "
                "Build it: `freehold image build`; or set FREEHOLD_SANDBOX_NETWORK (see "
                "docs/SECURITY.md)."
            )
        return refused(self.settings.image, "run the egress gate", error)


def told(grants: Grants) -> Json:
    """What the gate is told of the secrets that requests are given."""
    return {
        "variables": [
            {
                "placeholder": one.placeholder,
                "value": one.value,
                "hosts": None if one.hosts is None else list(one.hosts),
                "header": one.header,
                "body": one.body,
            }
            for one in grants.variables
            if one.value is not None
        ],
        "injections": [asdict(one) for one in grants.injections],
    }
