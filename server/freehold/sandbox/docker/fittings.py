"""What a new container is given that its image lacks, before it is started.

Everything here blocks and runs in a thread (:meth:`Engine.run`).
"""

from __future__ import annotations

import io
import tarfile

from docker import DockerClient
from docker.errors import NotFound

from freehold.ports.sandbox import Layout
from freehold.sandbox.image_definition import (
    LABEL_DEFINITION,
    LABEL_TOOLBOX,
    STATE_DIR,
    TOOLBOX_PATH,
)
from freehold.sandbox.toolbox_package import toolbox_archive, toolbox_version

LAYOUT = Layout()

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
BUNDLE_FOLDER = "/usr/local/share/ca-certificates"

_AGENT = 1000


def furnish(
    client: DockerClient, container: str, image_labels: dict[str, str], trust: bytes | None
) -> None:
    """Give a new container what its image lacks, and a certificate (PEM) to trust.

    Raises:
        DockerException: the engine could not.
    """
    if trust is not None:
        _put(client, container, "/", _trusting(client, container, trust))
    if not image_labels.get(LABEL_DEFINITION):
        _put(client, container, "/", _foreign_places())
    if image_labels.get(LABEL_TOOLBOX) != toolbox_version():
        put_toolbox(client, container)


def _trusting(
    client: DockerClient, container: str, certificate: bytes
) -> list[tuple[tarfile.TarInfo, bytes]]:
    """The image's bundle of certificates and one more, and that one for the next update."""
    try:
        chunks, _ = client.api.get_archive(container, BUNDLE)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            file = tar.extractfile(tar.getmembers()[0])
            bundle = file.read() if file is not None else b""
    except NotFound:
        bundle = b""
    own = _entry(f"{BUNDLE_FOLDER.lstrip('/')}/freehold-gate.crt", 0o644)
    return [
        (_entry(BUNDLE.lstrip("/"), 0o644), bundle.rstrip() + b"\n" + certificate),
        (own, certificate),
    ]


def put_toolbox(client: DockerClient, container: str) -> None:
    """Give it today's toolbox.

    Raises:
        DockerException: the engine could not.
    """
    name = TOOLBOX_PATH.removeprefix("/opt/")
    _put(client, container, "/opt", [(_entry(name, 0o644), toolbox_archive())])


def _foreign_places() -> list[tuple[tarfile.TarInfo, bytes]]:
    """The folders that an image not built by Freehold lacks."""
    places = [
        _entry("opt/freehold", 0o755, folder=True),
        _entry("mnt/session", 0o755, folder=True),
        _entry(LAYOUT.outputs.lstrip("/"), 0o755, folder=True, owner=_AGENT),
        _entry(LAYOUT.workdir.lstrip("/"), 0o755, folder=True, owner=_AGENT),
        _entry(STATE_DIR.lstrip("/"), 0o700, folder=True, owner=_AGENT),
    ]
    return [(place, b"") for place in places]


def _entry(name: str, mode: int, *, folder: bool = False, owner: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid = mode, owner, owner
    if folder:
        info.type = tarfile.DIRTYPE
    return info


def _put(
    client: DockerClient,
    container: str,
    folder: str,
    entries: list[tuple[tarfile.TarInfo, bytes]],
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, data in entries:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    client.api.put_archive(container, folder, buffer.getvalue())
