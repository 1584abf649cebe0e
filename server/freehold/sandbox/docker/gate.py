"""The server's side of the egress gate: its container, and what it is told.

One gate serves all sandboxes of an installation. A sandbox that it serves has no network of its
own; :meth:`Gate.admit` gives it one that leads to the gate and nowhere else. All that can go wrong
leaves the sandbox without any network.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import json
import logging
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig

from freehold.core.events import Json
from freehold.errors import SandboxUnavailable
from freehold.ports.egress import Grants
from freehold.sandbox.docker.authority import authority, certificate
from freehold.sandbox.docker.container import inspect, remove
from freehold.sandbox.docker.engine import Engine, is_conflict, refused
from freehold.sandbox.docker.gate_image import DEFAULT_GATE_TAG
from freehold.sandbox.docker.names import LABEL_GATE, LABEL_OWNER, gate_name
from freehold.sandbox.docker.package_hosts import read_package_hosts
from freehold.sandbox.docker.transport import EngineRefusal, ExecStream, open_exec

log = logging.getLogger(__name__)

PROGRAM = ["/opt/freehold-gate/bin/python", "-I", "/opt/freehold-gate/gate.pyz"]

_MEMORY = "1g"
_PIDS = 256
_STARTING = 30.0
"""Seconds until a gate that was started answers."""
_ANSWERING = 20.0
_ATTACHING = 60
_PAUSE = 0.1
_LABEL_NETWORK = "dev.freehold.gate.network"


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


class _Silent(Exception):
    """The gate did not answer, or hung up."""


class Gate:
    """The gate of one installation.

    Args:
        engine: Where the containers are.
        settings: See there.
        owner: The installation's id.
    """

    def __init__(self, engine: Engine, settings: GateSettings, owner: Callable[[], str]) -> None:
        self.settings = settings
        self._engine = engine
        self._owner = owner
        self._stream: ExecStream | None = None
        self._container = ""
        self._lock = asyncio.Lock()
        self._incarnation = secrets.token_hex(8)
        self._asked = 0
        self._attached: set[str] = set()
        self._admitted: dict[str, Json] = {}
        self._hosts: dict[str, tuple[str, ...]] = {}

    async def certificate(self) -> bytes:
        """What sandboxes must trust, PEM.

        Raises:
            ConfigurationError: it cannot be had.
        """
        return certificate(await asyncio.to_thread(authority, self.settings.data_dir)).encode()

    async def policy(self, networking: Json, mcp_hosts: Sequence[str], image: str) -> Json:
        """What the gate is told of an environment's ``networking`` (spec 3.2).

        Args:
            networking: As the API stores it.
            mcp_hosts: The agent's MCP servers'.
            image: The sandbox's, whose package managers say which hosts they use.

        Raises:
            SandboxUnavailable: the engine does not answer.
        """
        if networking["type"] == "unrestricted":
            return {"type": "unrestricted"}
        hosts = [str(host) for host in networking.get("allowed_hosts") or ()]
        if networking.get("allow_mcp_servers"):
            hosts += mcp_hosts
        if networking.get("allow_package_managers"):
            hosts += await self._package_hosts(image)
        return {"type": "limited", "hosts": list(dict.fromkeys(hosts))}

    async def admit(self, container: str, policy: Json, *, fresh: bool) -> None:
        """Let a running sandbox, which has no network of its own, reach what ``policy`` says.

        ``policy`` is that of :meth:`policy` with what :func:`told` makes of grants. Its secrets
        are in the gate's memory alone, and go there over the standard input of a program.

        Cheap where it is so already and ``fresh`` is not set: its processes may be new ones.

        Raises:
            SandboxUnavailable: it cannot be; the sandbox has no network then.
        """
        if (
            not fresh
            and self._stream is not None
            and not self._stream.reader.at_eof()
            and self._admitted.get(container) == policy
        ):
            return
        self._admitted.pop(container, None)
        try:
            async with self._lock:
                await self._admit(container, policy)
        except DockerException as error:
            raise self._refused(error) from error
        except (_Silent, EngineRefusal, OSError) as error:
            raise SandboxUnavailable(f"The egress gate does not answer: {error}") from error

    async def forget(self, container: str) -> None:
        """Serve a sandbox no longer; it is about to be removed. Never raises."""
        policy = self._admitted.pop(container, None)
        if policy is None or self._stream is None:
            return
        with contextlib.suppress(_Silent, OSError):
            async with self._lock:
                for key in [key for key in self._attached if key.startswith(f"{container}@")]:
                    await self._ask({"op": "forget", "key": key})

    async def reclaim(self) -> None:
        """Have a gate that runs forget what an earlier server granted. Never raises."""
        try:
            async with self._lock:
                name = gate_name(self._owner())
                found = await self._engine.run(lambda client: inspect(client, name))
                if found is not None and found["State"]["Running"]:
                    await self._connect()
        except (DockerException, SandboxUnavailable, _Silent, EngineRefusal, OSError) as error:
            log.warning("the egress gate was not told that there is a new server: %s", error)

    async def close(self) -> None:
        """Let go of the connection; the gate goes on."""
        async with self._lock:
            await self._hang_up()

    # --- one sandbox

    async def _admit(self, container: str, policy: Json) -> None:
        await self._connect()
        found = await self._engine.run(lambda client: inspect(client, container))
        if found is None or not found["State"]["Running"]:
            raise SandboxUnavailable("The sandbox ended before it was given a network.")
        key = f"{container}@{found['State']['StartedAt']}"
        # The policy first: a sandbox without one reaches nothing, and would be told so.
        await self._ask({"op": "policy", "key": key, "policy": policy})
        if key not in self._attached:
            for old in [old for old in self._attached if old.startswith(f"{container}@")]:
                await self._ask({"op": "forget", "key": old})
            every_port = policy["type"] == "unrestricted"
            await self._engine.run(
                lambda client: self._attach(client, container, key, every_port=every_port)
            )
            await self._ask({"op": "state"})
            if key not in self._attached:
                raise _Silent("it did not take the sandbox")
        self._admitted[container] = policy

    def _attach(self, client: DockerClient, container: str, key: str, *, every_port: bool) -> None:
        """Run ``attach`` in the sandbox's network namespace. Blocks."""
        made: str = client.api.create_container(
            self.settings.image,
            entrypoint=PROGRAM,
            command=["attach", "--key", key, *(["--every-port"] if every_port else [])],
            user="0:0",
            environment={"XTABLES_LOCKFILE": "/tmp/xtables.lock"},  # noqa: S108 - its own tmpfs
            labels={LABEL_OWNER: self._owner(), LABEL_GATE: "attach"},
            host_config=client.api.create_host_config(
                network_mode=f"container:{container}",
                volumes_from=[f"{self._container}:rw"],
                cap_drop=["ALL"],
                cap_add=["NET_ADMIN", "NET_RAW"],
                security_opt=["no-new-privileges:true"],
                read_only=True,
                tmpfs={"/tmp": "rw,noexec,nosuid,size=1m"},  # noqa: S108
                mem_limit="256m",
                pids_limit=32,
                log_config=LogConfig(type="json-file", config={"max-size": "64k"}),
            ),
        )["Id"]
        try:
            client.api.start(made)
            status = client.api.wait(made, timeout=_ATTACHING)["StatusCode"]
            if status != 0:
                said = client.api.logs(made, stdout=False, stderr=True).decode(errors="replace")
                raise SandboxUnavailable(
                    f"The sandbox was not given its network: {said.strip()[-500:]}"
                )
        finally:
            remove(client, made)

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
        if self._stream is not None and not self._stream.reader.at_eof():
            return
        await self._hang_up()
        self._attached.clear()
        self._admitted.clear()
        secret = await asyncio.to_thread(authority, self.settings.data_dir)
        self._container = await self._engine.run(self._ensure)
        message = {
            "op": "configure",
            "server": self._incarnation,
            "authority": secret,
            "trusted": list(self.settings.trusted),
            "own": await asyncio.to_thread(own_addresses),
        }
        deadline = asyncio.get_running_loop().time() + _STARTING
        while True:
            try:
                self._stream = await self._open()
                await self._ask(message)
                return
            except (_Silent, EngineRefusal, OSError) as error:
                await self._hang_up()
                if asyncio.get_running_loop().time() > deadline:
                    raise _Silent(str(error) or "it does not start") from error
            await asyncio.sleep(_PAUSE)

    async def _open(self) -> ExecStream:
        exec_id, version = await self._engine.run(
            lambda client: (
                client.api.exec_create(self._container, [*PROGRAM, "control"], stdin=True)["Id"],
                str(client.api.api_version),
            )
        )
        return await open_exec(self._engine.endpoint, exec_id, api_version=version)

    async def _ask(self, message: Json) -> None:
        """Tell the gate; what it says of itself is noted."""
        stream = self._stream
        if stream is None:
            raise _Silent("there is no connection")
        self._asked += 1
        ident = self._asked
        try:
            async with asyncio.timeout(_ANSWERING):
                stream.writer.write(json.dumps({"id": ident, **message}).encode() + b"\n")
                await stream.writer.drain()
                line = await stream.reader.readline()
            reply = json.loads(line) if line else {}
        except (TimeoutError, OSError, ValueError) as error:
            await self._hang_up()
            raise _Silent(str(error) or "no answer in time") from error
        except BaseException:
            # An answer may be on its way that the next question would take for its own.
            await self._hang_up()
            raise
        if reply.get("id") != ident or not reply.get("ok"):
            said = reply.get("error") or stream.stderr[-300:] or "it hung up"
            await self._hang_up()
            raise _Silent(str(said))
        self._attached = set(reply["attached"])

    async def _hang_up(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                await stream.close()

    def _ensure(self, client: DockerClient) -> str:
        """The id of the gate's container, which runs. Blocks."""
        name = gate_name(self._owner())
        image_id = client.images.get(self.settings.image).id
        for _ in range(5):
            found = inspect(client, name)
            if found is not None:
                labels = found["Config"]["Labels"]
                if labels.get(LABEL_OWNER) != self._owner():
                    raise SandboxUnavailable(f"A container named {name} is somebody else's.")
                same = labels.get(_LABEL_NETWORK) == self.settings.network
                if same and found["Image"] == image_id:
                    if not found["State"]["Running"]:
                        client.api.start(found["Id"])
                    return str(found["Id"])
                remove(client, name)
            try:
                return self._create(client, name)
            except APIError as error:
                # Somebody else makes it at this moment.
                if not is_conflict(error):
                    raise
        raise SandboxUnavailable(f"The container {name} is made and removed by others.")

    def _create(self, client: DockerClient, name: str) -> str:
        made: str = client.api.create_container(
            self.settings.image,
            name=name,
            entrypoint=PROGRAM,
            command=["serve"],
            user="1000:1000",
            hostname="gate",
            detach=True,
            labels={
                LABEL_OWNER: self._owner(),
                LABEL_GATE: "gate",
                _LABEL_NETWORK: self.settings.network,
            },
            host_config=client.api.create_host_config(**gate_options(self.settings.network)),
        )["Id"]
        client.api.start(made)
        return made

    def _refused(self, error: DockerException) -> SandboxUnavailable:
        text = str(getattr(error, "explanation", None) or error)
        if isinstance(error, ImageNotFound) or "no such image" in text.lower():
            return SandboxUnavailable(
                f"There is no gate image {self.settings.image}, which limited networking needs. "
                "Build it: `freehold image build`."
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


def gate_options(network: str) -> dict[str, Any]:
    """The arguments of ``create_host_config`` for the gate's own container."""
    return {
        "init": True,
        "network_mode": network,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "read_only": True,
        "tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=16m"},  # noqa: S108
        "mem_limit": _MEMORY,
        "memswap_limit": _MEMORY,
        "pids_limit": _PIDS,
        "restart_policy": {"Name": "no"},
        "ipc_mode": "private",
        "log_config": LogConfig(type="json-file", config={"max-size": "1m", "max-file": "2"}),
    }


def remove_gate(client: DockerClient, owner: str) -> None:
    """Remove the owner's gate, and what a server that died left of attaching.

    Raises:
        DockerException: the engine could not.
    """
    label = [f"{LABEL_OWNER}={owner}", LABEL_GATE]
    for entry in client.api.containers(all=True, filters={"label": label}):
        with contextlib.suppress(NotFound):
            remove(client, entry["Id"])


def own_addresses() -> list[str]:
    """The addresses of the machine this runs on, as far as its system tells."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        lines = Path("/proc/net/fib_trie").read_text(encoding="ascii").splitlines()
        for before, line in itertools.pairwise(lines):
            if "host LOCAL" in line:
                found.add(before.split()[-1])
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines():
            found.add(str(ipaddress.IPv6Address(int(line.split()[0], 16))))
    with contextlib.suppress(OSError):
        for entry in socket.getaddrinfo(socket.gethostname(), None):
            found.add(str(entry[4][0]).split("%")[0])
    return sorted(found)
