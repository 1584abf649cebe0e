"""Builds the sandbox image, and tells whether the one at hand is up to date.

Two roads lead to the same image. ``registry`` starts from a slim Python image; ``debian`` needs
no image registry and starts from a root file system of Debian packages. Both then run the one
Dockerfile in ``sandbox_images/base``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from docker import DockerClient
from docker.errors import DockerException, ImageNotFound

from freehold.errors import SandboxUnavailable
from freehold.sandbox.debian_base import ensure_debian_base
from freehold.sandbox.image_definition import (
    DEFAULT_BASE,
    DEFAULT_TAG,
    LABEL_DEFINITION,
    LABEL_SOURCE,
    LABEL_TOOLBOX,
    ImageDefinition,
    load_definition,
)

Source = Literal["registry", "debian"]
Load = Callable[[Path | None], ImageDefinition]
"""From extra certificates to what an image is made of."""


@dataclass(frozen=True)
class ImageState:
    """How the image under a tag stands against today's definition."""

    id: str | None
    """The engine's id of the image; ``None``: there is no such image."""
    ours: bool = False
    """Whether Freehold built it."""
    outdated: str | None = None
    """Why it should be built again; ``None``: it need not be."""


def build_image(
    client: DockerClient,
    tag: str = DEFAULT_TAG,
    *,
    source: Source = "registry",
    base: str | None = None,
    suite: str = "bookworm",
    mirror: str | None = None,
    extra_ca_certs: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
    load: Load = load_definition,
) -> str:
    """Build the base image and tag it; the engine's id of it is returned.

    Args:
        client: a client of the engine; its calls block, so run this in a thread if you must not.
        tag: name of the image.
        source: ``registry`` or ``debian``.
        base: image to start from on the registry road; must be of Debian's kind (``apt-get``).
        suite: Debian release on the Debian road.
        mirror: Debian mirror on the Debian road; default: mmdebstrap's choice.
        extra_ca_certs: PEM file, or folder of them, that the image trusts as well.
        progress: is told what happens, line by line.
        load: which image it is; default: the sandboxes' base.

    Raises:
        SandboxUnavailable: the build failed; the text says why and how to mend it.
        ConfigurationError: ``extra_ca_certs`` holds no certificates.
    """
    definition = load(extra_ca_certs)
    try:
        return _build(
            client,
            tag,
            definition,
            source=source,
            base=base,
            suite=suite,
            mirror=mirror,
            progress=progress,
        )
    except DockerException as error:
        raise SandboxUnavailable(f"The sandbox image was not built: {error}") from error


def ensure_image(
    client: DockerClient,
    tag: str = DEFAULT_TAG,
    *,
    source: Source | Literal["auto"] = "auto",
    suite: str = "bookworm",
    mirror: str | None = None,
    extra_ca_certs: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
    load: Load = load_definition,
) -> str:
    """Build the base image if there is none or it is out of date; its id is returned.

    ``auto`` tries the registry first and takes the Debian road where it does not answer.

    Raises:
        SandboxUnavailable, ConfigurationError: as :func:`build_image`.
    """
    try:
        state = image_state(client, tag, extra_ca_certs=extra_ca_certs, load=load)
    except DockerException as error:
        raise SandboxUnavailable(f"The Docker engine does not answer: {error}") from error
    if state.id is not None and state.outdated is None:
        progress(f"{tag} is up to date.")
        return state.id
    progress(f"Building {tag}: {state.outdated or 'there is none yet'}.")
    roads: tuple[Source, ...] = ("registry", "debian") if source == "auto" else (source,)
    if source == "auto" and not _can_have(client, DEFAULT_BASE, progress):
        roads = ("debian",)
    return build_image(
        client,
        tag,
        source=roads[0],
        suite=suite,
        mirror=mirror,
        extra_ca_certs=extra_ca_certs,
        progress=progress,
        load=load,
    )


def image_state(
    client: DockerClient,
    tag: str = DEFAULT_TAG,
    *,
    extra_ca_certs: Path | None = None,
    load: Load = load_definition,
) -> ImageState:
    """Compare the image's labels with today's definition.

    An image that Freehold did not build is never out of date: its owner knows best.

    Raises:
        DockerException: the engine does not answer.
        ConfigurationError: ``extra_ca_certs`` holds no certificates.
    """
    try:
        image = client.images.get(tag)
    except ImageNotFound:
        return ImageState(id=None)
    labels: dict[str, str] = image.labels
    if not labels.get(LABEL_DEFINITION):
        return ImageState(id=image.id)
    definition = load(extra_ca_certs)
    outdated = None
    if labels[LABEL_DEFINITION] != definition.digest:
        outdated = "its definition or its certificates have changed"
    elif labels.get(LABEL_TOOLBOX) != definition.toolbox_version:
        outdated = "its toolbox is of another version"
    return ImageState(id=image.id, ours=True, outdated=outdated)


def _build(
    client: DockerClient,
    tag: str,
    definition: ImageDefinition,
    *,
    source: Source,
    base: str | None,
    suite: str,
    mirror: str | None,
    progress: Callable[[str], None],
) -> str:
    if source == "debian":
        base = ensure_debian_base(client, definition, suite=suite, mirror=mirror, progress=progress)
    output = client.api.build(
        fileobj=BytesIO(definition.build_context()),
        custom_context=True,
        tag=tag,
        buildargs={"BASE": base or DEFAULT_BASE},
        labels={
            LABEL_DEFINITION: definition.digest,
            LABEL_SOURCE: source,
            LABEL_TOOLBOX: definition.toolbox_version,
        },
        rm=True,
        forcerm=True,
        decode=True,
    )
    _follow(output, source, progress)
    image_id = client.images.get(tag).id
    if image_id is None:
        raise SandboxUnavailable(f"The engine built {tag} and does not tell its id.")
    return image_id


def _follow(
    output: Iterable[dict[str, Any]], source: Source, progress: Callable[[str], None]
) -> None:
    """Pass the builder's lines on; a failure becomes an error that says what to do."""
    for entry in output:
        if "error" in entry:
            mend = (
                " If the engine reaches no image registry, build from Debian packages: "
                "`freehold image build --from debian`."
                if source == "registry"
                else ""
            )
            raise SandboxUnavailable(
                f"The sandbox image was not built: {str(entry['error']).strip()}.{mend}"
            )
        line = str(entry.get("stream") or "").rstrip()
        if line:
            progress(line)


def _can_have(client: DockerClient, base: str, progress: Callable[[str], None]) -> bool:
    """Whether the engine has the base image or can fetch it."""
    try:
        client.images.get(base)
    except ImageNotFound:
        progress(f"Fetching {base}.")
        try:
            client.images.pull(base)
        except DockerException as error:
            progress(f"No {base} from a registry ({error}); taking Debian packages.")
            return False
    return True
