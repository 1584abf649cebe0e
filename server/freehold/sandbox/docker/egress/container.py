"""The container of the egress gate, and those that attach sandboxes to it for a moment.

Everything here blocks and runs in a thread (:meth:`Engine.run`).
"""

from __future__ import annotations

import contextlib
from typing import Any

from docker import DockerClient
from docker.errors import APIError, NotFound
from docker.types import LogConfig

from freehold.errors import SandboxUnavailable
from freehold.sandbox.docker.container import inspect, remove
from freehold.sandbox.docker.engine import is_conflict
from freehold.sandbox.docker.names import LABEL_GATE, LABEL_OWNER, gate_name

PROGRAM = ["/opt/freehold-gate/bin/python", "-I", "/opt/freehold-gate/gate.pyz"]

_MEMORY = "1g"
_PIDS = 256
_ATTACHING = 60
_LABEL_NETWORK = "dev.freehold.gate.network"


def ensure_gate(client: DockerClient, owner: str, image: str, network: str) -> str:
    """The id of the owner's gate, which runs: found, started or made.

    Raises:
        DockerException: the engine could not.
        SandboxUnavailable: its name is somebody else's.
    """
    name = gate_name(owner)
    image_id = client.images.get(image).id
    for _ in range(5):
        found = inspect(client, name)
        if found is not None:
            labels = found["Config"]["Labels"]
            if labels.get(LABEL_OWNER) != owner:
                raise SandboxUnavailable(f"A container named {name} is somebody else's.")
            if labels.get(_LABEL_NETWORK) == network and found["Image"] == image_id:
                if not found["State"]["Running"]:
                    client.api.start(found["Id"])
                return str(found["Id"])
            remove(client, name)
        try:
            return _create(client, name, owner, image, network)
        except APIError as error:
            # Somebody else makes it at this moment.
            if not is_conflict(error):
                raise
    raise SandboxUnavailable(f"The container {name} is made and removed by others.")


def attach_sandbox(
    client: DockerClient, container: str, key: str, *, gate: str, owner: str, image: str
) -> str:
    """Run ``attach`` in a sandbox's network namespace; the id of the container it ran in, which
    is to be removed.

    Args:
        client: The engine.
        container: The sandbox's.
        key: What the gate is to call the sandbox.
        gate: The gate's container.
        owner: The installation.
        image: The gate's.

    Raises:
        DockerException: the engine could not.
        SandboxUnavailable: it failed; says why.
    """
    made: str = client.api.create_container(
        image,
        entrypoint=PROGRAM,
        command=["attach", "--key", key],
        user="0:0",
        environment={"XTABLES_LOCKFILE": "/tmp/xtables.lock"},  # noqa: S108 - its own tmpfs
        labels={LABEL_OWNER: owner, LABEL_GATE: "attach"},
        host_config=client.api.create_host_config(
            network_mode=f"container:{container}",
            volumes_from=[f"{gate}:rw"],
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN", "NET_RAW"],
            security_opt=["no-new-privileges:true"],
            read_only=True,
            tmpfs={"/tmp": "rw,noexec,nosuid,size=1m"},  # noqa: S108 - inside
            mem_limit="256m",
            pids_limit=32,
            log_config=LogConfig(type="json-file", config={"max-size": "64k"}),
        ),
    )["Id"]
    try:
        client.api.start(made)
        _until_done(client, made)
    except BaseException:
        remove(client, made)
        raise
    return made


def remove_gate(client: DockerClient, owner: str) -> None:
    """Remove the owner's gate, and what a server that died left of attaching.

    Raises:
        DockerException: the engine could not.
    """
    label = [f"{LABEL_OWNER}={owner}", LABEL_GATE]
    for entry in client.api.containers(all=True, filters={"label": label}):
        with contextlib.suppress(NotFound):
            remove(client, entry["Id"])


def gate_options(network: str) -> dict[str, Any]:
    """The arguments of ``create_host_config`` for the gate's own container."""
    return {
        "init": True,
        "network_mode": network,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "read_only": True,
        "tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=16m"},  # noqa: S108 - inside
        "mem_limit": _MEMORY,
        "memswap_limit": _MEMORY,
        "pids_limit": _PIDS,
        "restart_policy": {"Name": "no"},
        "ipc_mode": "private",
        "log_config": LogConfig(type="json-file", config={"max-size": "1m", "max-file": "2"}),
    }


def _create(client: DockerClient, name: str, owner: str, image: str, network: str) -> str:
    made: str = client.api.create_container(
        image,
        name=name,
        entrypoint=PROGRAM,
        command=["serve"],
        user="1000:1000",
        hostname="gate",
        detach=True,
        labels={LABEL_OWNER: owner, LABEL_GATE: "gate", _LABEL_NETWORK: network},
        host_config=client.api.create_host_config(**gate_options(network)),
    )["Id"]
    client.api.start(made)
    return made


def _until_done(client: DockerClient, made: str) -> None:
    status = client.api.wait(made, timeout=_ATTACHING)["StatusCode"]
    if status != 0:
        said = client.api.logs(made, stdout=False, stderr=True).decode(errors="replace")
        raise SandboxUnavailable(f"The sandbox was not given its network: {said.strip()[-500:]}")
