"""What ``freehold image build`` does."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

import docker
import docker.errors
from rich.markup import escape

from freehold.cli.console import out
from freehold.errors import SandboxUnavailable
from freehold.sandbox import images
from freehold.sandbox.docker.gate_image import load_gate_definition
from freehold.sandbox.image_definition import DEFAULT_BASE, load_definition

Source = Literal["registry", "debian"]


def build(
    name: str,
    *,
    source: str | None,
    base: str | None,
    suite: str,
    mirror: str | None,
    extra_ca_certs: Path | None,
    if_needed: bool,
    gate: bool = False,
) -> None:
    """Build the image ``name`` and print how it goes.

    ``gate``: it is the egress gate's, not the sandboxes'.

    Raises:
        SandboxUnavailable: no engine answers, or the build failed.
        ConfigurationError: ``extra_ca_certs`` holds no certificates.
    """
    load = load_gate_definition if gate else load_definition
    what = "gate" if gate else "sandbox"
    with contextlib.closing(_engine()) as client:
        if if_needed:
            state = images.image_state(client, name, extra_ca_certs=extra_ca_certs, load=load)
            if state.id is not None and state.outdated is None:
                out.print(f"The {what} image {escape(name)} is up to date.")
                return
        road = _road(client, source, base)
        where = "a registry's base" if road == "registry" else "Debian packages"
        out.print(f"Building the {what} image {escape(name)} from {where}.")
        images.build_image(
            client,
            name,
            source=road,
            base=base,
            suite=suite,
            mirror=mirror,
            extra_ca_certs=extra_ca_certs,
            progress=lambda line: out.print(f"  [dim]{escape(line.rstrip())}[/]"),
            load=load,
        )
        out.print(f"[green]Built[/] {escape(name)}.")


def _road(client: docker.DockerClient, asked: str | None, base: str | None) -> Source:
    """What was asked for; else the registry where the engine, with its mirrors, reaches one."""
    if asked == "debian":
        return "debian"
    if asked == "registry" or base is not None:
        return "registry"
    try:
        client.images.get_registry_data(DEFAULT_BASE)
    except (docker.errors.APIError, OSError):
        return "debian"
    return "registry"


def _engine() -> docker.DockerClient:
    """A client of an engine that answers.

    Raises:
        SandboxUnavailable: there is none.
    """
    try:
        client = docker.DockerClient.from_env(timeout=600)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        raise SandboxUnavailable(
            f"no Docker engine answers ({error}); start it, or set DOCKER_HOST to where it is, or "
            "work without it: FREEHOLD_SANDBOX=process"
        ) from None
    return client
