"""How Docker stands as a sandbox provider, line by line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import requests
from docker import DockerClient
from docker.errors import DockerException

from freehold.errors import ConfigurationError, SandboxUnavailable
from freehold.ports.sandbox import Finding
from freehold.sandbox.docker.egress.gate import GateSettings
from freehold.sandbox.docker.egress.image import load_gate_definition
from freehold.sandbox.docker.engine import Engine
from freehold.sandbox.docker.hardening import GATE_NETWORK, ORDINARY_RUNTIMES, Limits
from freehold.sandbox.docker.packages.images import being_built, present
from freehold.sandbox.images import image_state

OLDEST_API = (1, 41)
"""Docker 20.10, the oldest engine this is tested on; private cgroup namespaces came with it."""

LOW_DISK = 2 * 1024**3
"""Bytes free where the engine keeps containers, below which a warning is due."""

_TOLD = 10
"""Package images that are told by name."""

_LIMITS = {
    "MemoryLimit": "memory",
    "SwapLimit": "swap",
    "PidsLimit": "processes",
    "CpuCfsQuota": "CPU",
}


async def examine(
    engine: Engine, image: str, limits: Limits, extra_ca_certs: Path | None
) -> list[Finding]:
    """Look at the engine, the image and what the settings ask of them. Never raises."""
    try:
        return await engine.run(lambda client: _examine(client, image, limits, extra_ca_certs))
    except SandboxUnavailable as error:
        return [
            Finding(
                "engine",
                "error",
                str(error),
                "start Docker, set DOCKER_HOST, or work without it: FREEHOLD_SANDBOX=process",
            )
        ]
    except (DockerException, OSError) as error:
        return [Finding("engine", "error", str(error), "look at the engine's own log")]


async def examine_gate(
    engine: Engine, gate: GateSettings, limits: Limits, extra_ca_certs: Path | None
) -> Finding | None:
    """Look at the egress gate's image; ``None``: the engine does not answer. Never raises."""
    image, needed = gate.image, limits.network == GATE_NETWORK

    def work(client: DockerClient) -> Finding:
        state = image_state(client, image, extra_ca_certs=extra_ca_certs, load=load_gate_definition)
        if state.id is None:
            detail = f"there is no image {image}, which sandboxes need to reach networks"
        elif state.outdated is not None:
            detail = f"{image} should be built again: {state.outdated}"
        else:
            return Finding("gate", "ok", f"{image}, on the network {gate.network}")
        missing = needed and state.id is None
        return Finding("gate", "error" if missing else "warning", detail, "freehold image build")

    try:
        return await engine.run(work)
    except (SandboxUnavailable, ConfigurationError, DockerException, OSError):
        return None


def _examine(
    client: DockerClient, image: str, limits: Limits, extra_ca_certs: Path | None
) -> list[Finding]:
    info: dict[str, Any] = client.api.info()
    return [
        _version(client),
        _image(client, image, extra_ca_certs),
        _packages(client),
        _storage(info),
        _runtime(info, limits),
        _limits(info),
        _profiles(info, limits),
        _users(info, limits),
        _network(client, limits),
    ]


def _version(client: DockerClient) -> Finding:
    version = client.api.version()
    api = tuple(int(part) for part in str(version["ApiVersion"]).split("."))
    text = f"Docker {version['Version']} (API {version['ApiVersion']})"
    if api < OLDEST_API:
        return Finding(
            "engine", "warning", f"{text} is older than tested", "upgrade to Docker 20.10 or later"
        )
    return Finding("engine", "ok", text)


def _image(client: DockerClient, image: str, extra_ca_certs: Path | None) -> Finding:
    try:
        state = image_state(client, image, extra_ca_certs=extra_ca_certs)
    except ConfigurationError as error:
        return Finding("image", "error", str(error), "mend FREEHOLD_EXTRA_CA_CERTS")
    if state.id is None:
        return Finding(
            "image",
            "error",
            f"there is no image {image}",
            "build it: `freehold image build` (without a registry: `--from debian`)",
        )
    if state.outdated is not None:
        return Finding(
            "image",
            "warning",
            f"{image} should be built again: {state.outdated}",
            "freehold image build",
        )
    made = "up to date" if state.ours else "not built by Freehold; it needs python3 from 3.9"
    return Finding("image", "ok", f"{image}, {made}")


def _packages(client: DockerClient) -> Finding:
    """The images with environments' packages, the one used last first."""
    found = present(client)
    told = [f"{i.tag} ({i.packages}; last used {i.used:%Y-%m-%d})" for i in found[:_TOLD]]
    if len(found) > _TOLD:
        told.append(f"{len(found) - _TOLD} more")
    parts = [f"{len(found)} built: {', '.join(told)}"] if found else []
    parts += [
        f"being built since {build.begun:%H:%M} UTC: {build.packages}"
        for build in being_built(client)
    ]
    return Finding(
        "packages", "ok", "; ".join(parts) or "no environment's packages have been built"
    )


def _storage(info: dict[str, Any]) -> Finding:
    driver, root = info.get("Driver", "unknown"), Path(info.get("DockerRootDir", "/nowhere"))
    try:
        free = shutil.disk_usage(root).free
    except OSError:
        # A remote engine, or a folder only root may look at.
        return Finding("storage", "ok", f"{driver}; free space unknown from here")
    text = f"{driver}, {free / 1024**3:.1f} GB free"
    if free < LOW_DISK:
        return Finding("storage", "warning", text, "make room: `docker system prune`")
    if driver == "vfs":
        return Finding(
            "storage", "warning", f"{text}; every sandbox copies its whole image", "use overlay2"
        )
    return Finding("storage", "ok", text)


def _runtime(info: dict[str, Any], limits: Limits) -> Finding:
    known = info.get("Runtimes") or {}
    chosen = limits.runtime or info.get("DefaultRuntime", "the engine's default")
    if limits.runtime is not None and limits.runtime not in known:
        return Finding(
            "runtime",
            "error",
            f"the engine has no runtime {limits.runtime}; it has {', '.join(sorted(known))}",
            "install it, or mend FREEHOLD_SANDBOX_RUNTIME",
        )
    if limits.runtime is None and chosen not in ORDINARY_RUNTIMES:
        return Finding(
            "runtime",
            "warning",
            f"the engine's default is {chosen}, which not everything works under",
            f"set FREEHOLD_SANDBOX_RUNTIME={chosen}, so that what does not work is refused",
        )
    if limits.own_kernel:
        return Finding(
            "runtime",
            "ok",
            f"{chosen}: a kernel of its own; `limited` networking, files, skills and memories are "
            "refused under it",
        )
    return Finding("runtime", "ok", str(chosen))


def _limits(info: dict[str, Any]) -> Finding:
    missing = [text for key, text in _LIMITS.items() if not info.get(key)]
    cgroups = f"cgroup v{info.get('CgroupVersion', '1')}"
    if missing:
        return Finding(
            "limits",
            "warning",
            f"{cgroups}; this host cannot limit {', '.join(missing)}",
            "enable these cgroup controllers (rootless Docker: delegate them to your user)",
        )
    return Finding("limits", "ok", f"{cgroups}; memory, swap, processes and CPU are limited")


def _security(info: dict[str, Any]) -> tuple[list[str], list[str | None]]:
    """The engine's security options, and their names."""
    options = [str(option) for option in info.get("SecurityOptions") or []]
    return options, [
        dict(p.split("=", 1) for p in o.split(",") if "=" in p).get("name") for o in options
    ]


def _users(info: dict[str, Any], limits: Limits) -> Finding:
    """Whom root inside a container would be outside."""
    _, names = _security(info)
    if "rootless" in names:
        return Finding("users", "ok", "rootless engine: its root is an ordinary user of the host")
    if "userns" in names:
        return Finding("users", "ok", "userns-remap: root inside is nobody on the host")
    mend = "run a rootless engine, or dockerd with --userns-remap=default (docs/SECURITY.md)"
    if limits.root and not limits.own_kernel:
        return Finding("users", "warning", "root inside is root on the host", mend)
    return Finding(
        "users", "ok", f"no user namespace; nothing runs as root inside. To go further: {mend}"
    )


def _profiles(info: dict[str, Any], limits: Limits) -> Finding:
    options, names = _security(info)
    found = ", ".join(str(name) for name in names) or "none"
    if "seccomp" not in names or any("unconfined" in option for option in options):
        return Finding(
            "isolation",
            "warning",
            f"the engine applies no seccomp profile by default (has: {found})",
            "start dockerd with its default seccomp profile",
        )
    if limits.root:
        return Finding(
            "isolation",
            "warning",
            f"{found}; sandboxes run as root inside, with the engine's default capabilities",
            "unset FREEHOLD_SANDBOX_ROOT unless agents need apt-get",
        )
    return Finding("isolation", "ok", f"{found}, no capabilities, no new privileges")


def _network(client: DockerClient, limits: Limits) -> Finding:
    name = limits.network
    if name == "host":
        return Finding(
            "network",
            "error",
            "sandboxes must not share the host's network",
            "set FREEHOLD_SANDBOX_NETWORK to gate, bridge, none, or a network of your own",
        )
    if name == GATE_NETWORK:
        return Finding("network", "ok", "all that leaves sandboxes goes through the egress gate")
    if name.startswith("container:") or name == "none":
        return Finding("network", "ok", name)
    try:
        client.api.inspect_network(name)
    except (DockerException, requests.RequestException) as error:
        return Finding(
            "network",
            "error",
            f"the engine has no network {name} ({error})",
            "mend FREEHOLD_SANDBOX_NETWORK; `docker network ls` lists them",
        )
    detail = f"{name}; sandboxes with unrestricted networking reach what it reaches"
    return Finding("network", "ok", detail)
