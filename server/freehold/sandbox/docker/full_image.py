"""The full image: the base image with what the hosted sandbox has (spec 22.2), as far as Debian,
PyPI and npm give it.

Built as an environment's packages are, in a container on the base image, whichever road that one
took; so it reaches the registries as the host does, and needs no image registry.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from docker import DockerClient
from docker.errors import DockerException

from freehold.core.packages import Packages
from freehold.errors import ConfigurationError, SandboxUnavailable
from freehold.sandbox.docker.hardening import Limits
from freehold.sandbox.docker.packages.build import Target, Where, ensure_built
from freehold.sandbox.image_definition import images_folder
from freehold.sandbox.packages.plan import Plan
from freehold.sandbox.packages.reach import host_reach

FULL_TAG = "freehold-sandbox:full"
"""What the full image is called unless told otherwise."""
MEMORY = "4g"
"""Memory for its build."""
VARIABLES = {"PLAYWRIGHT_BROWSERS_PATH": "/opt/pw-browsers"}
"""What its containers find in their environment besides the base image's."""

_LISTS = ("apt", "npm", "pip")


def full_packages() -> Packages:
    """What is installed on the base image: ``sandbox_images/full/*.txt``."""
    lists = {}
    for manager in _LISTS:
        text = (images_folder() / "full" / f"{manager}.txt").read_text(encoding="utf-8")
        lines = (line.strip() for line in text.splitlines())
        lists[manager] = [line for line in lines if line and not line.startswith("#")]
    return Packages.of({"packages": lists})


def ensure_full_image(
    client: DockerClient,
    name: str = FULL_TAG,
    *,
    base: str,
    network: str,
    extra_ca_certs: Path | None,
    progress: Callable[[str], None],
) -> bool:
    """Build the full image on ``base`` unless it is there and up to date; tells whether it was
    built. Blocks, for many minutes.

    Args:
        client: one whose calls may be silent for as long as a build takes.
        name: repository and tag.
        base: name of the base image, which must be there.
        network: the engine's network to install in.
        extra_ca_certs: whom the build trusts besides the host's and the base's authorities.
        progress: is told what happens, line by line.

    Raises:
        SandboxUnavailable: something cannot be installed, or the engine could not.
        ConfigurationError: ``name`` has no tag, or ``extra_ca_certs`` holds no certificates.
    """
    repository, _, tag = name.rpartition(":")
    if not repository or "/" in tag:
        raise ConfigurationError(f"--tag: {name} needs a tag, such as {FULL_TAG}")
    try:
        plan = Plan(
            str(client.images.get(base).id),
            full_packages(),
            host_reach(os.environ, Path.home(), extra_ca_certs),
            (images_folder() / "full" / "setup.sh").read_bytes(),
        )
    except DockerException as error:
        raise SandboxUnavailable(f"The full image was not built: {error}") from error
    limits = Limits(memory=MEMORY, cpus=float(os.cpu_count() or 1))
    changes = tuple(f"ENV {key}={value}" for key, value in VARIABLES.items())
    return ensure_built(
        client,
        Where("", base, limits, network),
        plan,
        target=Target(repository, tag, changes),
        progress=progress,
    )
