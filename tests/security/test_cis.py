"""The container items of the CIS Docker Benchmark (5.1 to 5.32), on a live sandbox.

Each is asserted on what the engine says of the container, in the benchmark's order and by its
titles. Where the sandbox is left to do otherwise, the test says what stands in the item's place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from docker import DockerClient
from tests.docker_engine import container_of, output, providers

from freehold.ports.sandbox import Sandbox, SandboxSpec

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.docker]


class Live(NamedTuple):
    """What is looked at."""

    config: dict[str, Any]
    host: dict[str, Any]
    inspected: dict[str, Any]
    info: dict[str, Any]
    inside: str
    """The names of the programs that run inside, one a line."""
    listening: str
    """The sockets that listen inside."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(docker_image: str, docker_client: DockerClient) -> AsyncIterator[Live]:
    async with providers(docker_image) as make:
        sandbox: Sandbox = await make().acquire(SandboxSpec(session_id="sesn_cis"))
        inspected = container_of(docker_client, sandbox).attrs
        yield Live(
            inspected["Config"],
            inspected["HostConfig"],
            inspected,
            docker_client.info(),
            await output(sandbox, "ps -e -o comm="),
            await output(sandbox, "cat /proc/net/tcp /proc/net/tcp6 | grep ' 0A ' || echo none"),
        )


_HOSTS_FOLDERS = ("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr", "/var", "/run")


def _apparmor(live: Live) -> bool:
    """The engine's profile wherever the host has AppArmor: nothing here turns it off."""
    has = any("name=apparmor" in option for option in live.info["SecurityOptions"])
    unconfined = "apparmor=unconfined" in live.host["SecurityOpt"]
    return not unconfined and (not has or live.inspected["AppArmorProfile"] == "docker-default")


ITEMS: dict[str, Callable[[Live], bool]] = {
    "5.1 swarm mode is not enabled needlessly": lambda c: (
        "com.docker.swarm.service.id" not in c.config["Labels"]
    ),
    "5.2 an AppArmor profile is enabled, if applicable": _apparmor,
    "5.3 SELinux options are set, if applicable": lambda c: (
        "label=disable" not in c.host["SecurityOpt"]
        and (
            not any("name=selinux" in option for option in c.info["SecurityOptions"])
            or bool(c.inspected["ProcessLabel"])
        )
    ),
    "5.4 kernel capabilities are restricted": lambda c: (
        c.host["CapDrop"] == ["ALL"] and not c.host["CapAdd"]
    ),
    "5.5 privileged containers are not used": lambda c: c.host["Privileged"] is False,
    "5.6 sensitive directories of the host are not mounted": lambda c: (
        not c.host["Binds"]
        and not any(mount.get("Source") in _HOSTS_FOLDERS for mount in c.inspected["Mounts"])
    ),
    "5.7 sshd is not run": lambda c: "sshd" not in c.inside and "bash" in c.inside,
    "5.8 privileged ports are not mapped": lambda c: not c.host["PortBindings"],
    "5.9 only needed ports are open": lambda c: (
        not c.config.get("ExposedPorts")
        and c.host["PublishAllPorts"] is False
        and c.listening == "none"
    ),
    "5.10 the host's network is not shared": lambda c: c.host["NetworkMode"] != "host",
    "5.11 memory is limited": lambda c: c.host["Memory"] > 0,
    "5.12 CPU is limited": lambda c: c.host["NanoCpus"] > 0,
    # Not read-only: people install packages where they work. Nothing runs as root, so nothing of
    # the image can be changed (`test_escapes.py` tries).
    "5.13 the root file system is out of the user's hands": lambda c: (
        c.host["ReadonlyRootfs"] or c.config["User"] == "1000:1000"
    ),
    "5.14 incoming traffic is bound to one interface": lambda c: not c.host["PortBindings"],
    "5.15 restarts are bounded": lambda c: c.host["RestartPolicy"]["Name"] == "no",
    "5.16 the host's processes are not shared": lambda c: c.host["PidMode"] == "",
    "5.17 the host's IPC is not shared": lambda c: c.host["IpcMode"] == "private",
    "5.18 devices of the host are not exposed": lambda c: (
        not c.host["Devices"]
        and not c.host["DeviceRequests"]
        and not c.host.get("DeviceCgroupRules")
    ),
    "5.19 the default ulimits are overridden": lambda c: (
        {limit["Name"] for limit in c.host["Ulimits"]} >= {"nofile", "core"}
    ),
    "5.20 mounts are not propagated": lambda c: (
        not any(mount.get("Propagation") == "shared" for mount in c.inspected["Mounts"])
    ),
    "5.21 the host's UTS namespace is not shared": lambda c: c.host["UTSMode"] == "",
    "5.22 the default seccomp profile is not disabled": lambda c: (
        not any(option.startswith("seccomp") for option in c.host["SecurityOpt"])
        and any("name=seccomp" in option for option in c.info["SecurityOptions"])
    ),
    "5.23 docker exec is not used with privileges": lambda c: c.host["Privileged"] is False,
    "5.24 docker exec is not used as root by default": lambda c: (
        c.config["User"].split(":")[0] not in {"", "0", "root"}
    ),
    "5.25 the cgroup is confirmed": lambda c: c.host["CgroupParent"] == "",
    "5.26 no additional privileges can be acquired": lambda c: (
        "no-new-privileges:true" in c.host["SecurityOpt"]
    ),
    # The server asks the toolbox whenever a sandbox is used, and replaces one that is silent.
    "5.27 health is checked, here by the server": lambda c: (
        c.config["Healthcheck"]["Test"] == ["NONE"]
    ),
    # Whatever image was built is named by its id, not fetched by a tag that may move.
    "5.28 the image is what was built": lambda c: c.inspected["Image"].startswith("sha256:"),
    "5.29 processes are limited": lambda c: 0 < c.host["PidsLimit"] <= 512,
    # An operator's own network takes its place with FREEHOLD_SANDBOX_NETWORK; `limited` has none.
    "5.30 the network is one that was chosen": lambda c: (
        c.host["NetworkMode"] in {"bridge", "none"}
    ),
    "5.31 the host's user namespaces are not shared": lambda c: c.host["UsernsMode"] == "",
    "5.32 the engine's socket is not mounted": lambda c: (
        not any("sock" in str(mount) for mount in (*c.inspected["Mounts"], c.host["Binds"]))
    ),
}


@pytest.mark.parametrize("item", ITEMS)
async def test_it_holds(item: str, live: Live) -> None:
    assert ITEMS[item](live)


async def test_all_32_are_there() -> None:
    assert [item.split(" ")[0] for item in ITEMS] == [f"5.{number}" for number in range(1, 33)]


async def test_they_fail_for_a_container_that_is_weak(
    live: Live, docker_client: DockerClient, docker_image: str
) -> None:
    """What an engine says of a container (never started) in which nothing was kept."""
    made = docker_client.api.create_container(
        docker_image,
        user="0:0",
        labels={"com.docker.swarm.service.id": "x"},
        ports=[80],
        host_config=docker_client.api.create_host_config(
            privileged=True,
            binds=["/etc:/host:shared", "/var/run/docker.sock:/var/run/docker.sock"],
            pid_mode="host",
            ipc_mode="host",
            uts_mode="host",
            network_mode="host",
            userns_mode="host",
            restart_policy={"Name": "always"},
            devices=["/dev/null:/dev/null"],
            cgroup_parent="other",
            security_opt=["seccomp=unconfined", "apparmor=unconfined", "label=disable"],
        ),
    )["Id"]
    try:
        inspected = docker_client.containers.get(made).attrs
    finally:
        docker_client.api.remove_container(made)
    inspected["Config"].setdefault("Healthcheck", {"Test": []})
    inspected["Config"].setdefault("Labels", {})
    host = inspected["HostConfig"]
    for name, empty in (("Ulimits", []), ("PidsLimit", 0), ("DeviceRequests", [])):
        host[name] = host.get(name) or empty
    host["PortBindings"] = {"80/tcp": [{"HostPort": "80"}]}  # The SDK takes none with "host".
    if "Mounts" not in inspected or not inspected["Mounts"]:
        inspected["Mounts"] = [{"Source": "/etc", "Propagation": "shared"}]
    weak = Live(inspected["Config"], host, inspected, live.info, "sshd", "0A")
    kept = {item for item, holds in ITEMS.items() if holds(weak)}
    assert kept == {"5.28 the image is what was built"}
