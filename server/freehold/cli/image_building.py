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
from freehold.sandbox.docker.egress.image import load_gate_definition
from freehold.sandbox.docker.full_image import FULL_TAG, ensure_full_image
from freehold.sandbox.docker.packages.build import LONGEST
from freehold.sandbox.image_definition import DEFAULT_BASE, DEFAULT_TAG, load_definition
from freehold.settings import Settings

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


def build_full(
    tag: str | None,
    settings: Settings,
    *,
    source: str | None,
    base: str | None,
    suite: str,
    mirror: str | None,
) -> None:
    """Build the full image where it is missing or out of date, and the base image before it.

    Raises:
        SandboxUnavailable: no engine answers, or a build failed.
        ConfigurationError: a setting or the tag does not make sense.
    """
    build(
        DEFAULT_TAG,
        source=source,
        base=base,
        suite=suite,
        mirror=mirror,
        extra_ca_certs=settings.extra_ca_certs,
        if_needed=True,
    )
    name = tag or FULL_TAG
    with contextlib.closing(_engine(LONGEST)) as client:
        built = ensure_full_image(
            client,
            name,
            base=DEFAULT_TAG,
            network=settings.sandbox_build_network,
            extra_ca_certs=settings.extra_ca_certs,
            progress=lambda line: out.print(f"  [dim]{escape(line)}[/]"),
        )
    if built:
        out.print(f"[green]Built[/] {escape(name)}. FREEHOLD_SANDBOX_IMAGE={escape(name)} uses it.")
    else:
        out.print(f"The full sandbox image {escape(name)} is up to date.")


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


def _engine(timeout: int = 600) -> docker.DockerClient:
    """A client of an engine that answers, which may be silent for ``timeout`` seconds.

    Raises:
        SandboxUnavailable: there is none.
    """
    try:
        client = docker.DockerClient.from_env(timeout=timeout)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        raise SandboxUnavailable(
            f"no Docker engine answers ({error}); start it, or set DOCKER_HOST to where it is, or "
            "work without it: FREEHOLD_SANDBOX=process"
        ) from None
    return client
