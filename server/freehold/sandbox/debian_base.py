"""A base image from Debian packages alone, for places that reach no image registry.

``mmdebstrap`` makes the root file system on the host, with the host's network and trust, and the
engine imports it. Nothing is fetched inside a container.
"""

from __future__ import annotations

import os
import shlex
import shutil
import ssl
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path

from docker import DockerClient
from docker.errors import DockerException, ImageNotFound

from freehold.errors import SandboxUnavailable
from freehold.sandbox.image_definition import ImageDefinition

REPOSITORY = "freehold-debian"
"""Repository name of the imported root file systems; the tag names suite and content."""

# Debian's python3 has no venv without its own package; a registry's Python image has both.
_PYTHON = ("python3", "python3-venv")

# What of the caller's environment a build may see: how to reach the network, nothing else.
_PASSED_ON = (
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "TMPDIR"),
)


def ensure_debian_base(
    client: DockerClient,
    definition: ImageDefinition,
    *,
    suite: str,
    mirror: str | None,
    progress: Callable[[str], None],
) -> str:
    """The tag of an imported Debian root file system with the definition's packages.

    An import of the same packages and suite is used again.

    Raises:
        SandboxUnavailable: ``mmdebstrap`` is missing or failed, or the engine took no import.
    """
    tag = f"{suite}-{definition.install_digest[:12]}"
    name = f"{REPOSITORY}:{tag}"
    try:
        client.images.get(name)
    except ImageNotFound:
        pass
    else:
        progress(f"Using {name}, made before.")
        return name
    with tempfile.TemporaryDirectory(prefix="freehold-image-") as folder:
        # In mmdebstrap's unshare mode another user id reads and writes here.
        Path(folder).chmod(0o777)
        archive = Path(folder) / "root.tar"
        _make_root(Path(folder), archive, definition, suite=suite, mirror=mirror, progress=progress)
        progress(f"Importing the root file system as {name}.")
        try:
            client.api.import_image_from_file(str(archive), repository=REPOSITORY, tag=tag)
            client.images.get(name)
        except (DockerException, OSError) as error:
            raise SandboxUnavailable(
                f"The engine did not import the Debian root file system: {error}"
            ) from error
    return name


def _make_root(
    folder: Path,
    archive: Path,
    definition: ImageDefinition,
    *,
    suite: str,
    mirror: str | None,
    progress: Callable[[str], None],
) -> None:
    program = shutil.which("mmdebstrap")
    if program is None:
        raise SandboxUnavailable(
            "Making the sandbox image from Debian packages needs mmdebstrap. Install it "
            "(Debian and Ubuntu: `apt-get install mmdebstrap`; on Ubuntu also "
            "`debian-archive-keyring`), or build from an image registry: "
            "`freehold image build --from registry`."
        )
    for name, data in definition.install_files.items():
        (folder / name).write_bytes(data)
    (folder / "trust.crt").write_bytes(_host_trust(definition))
    copied = [*definition.install_files, "trust.crt"]
    inside = "/opt/freehold/image"
    command = [
        program,
        "--variant=apt",
        f"--include={','.join([*definition.packages, *_PYTHON])}",
        '--aptopt=Apt::Install-Recommends "false"',
        "--dpkgopt=force-unsafe-io",
        f'--customize-hook=mkdir -p "$1{inside}"',
        f"--customize-hook=copy-in {shlex.join(str(folder / n) for n in copied)} {inside}",
        f'--customize-hook=chroot "$1" env EXTRA_CA={inside}/trust.crt sh {inside}/install.sh',
        f'--customize-hook=rm "$1{inside}/trust.crt"',
        suite,
        str(archive),
        *([mirror] if mirror else []),
    ]
    progress(f"Making a Debian {suite} root file system (about a minute).")
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/root" if os.geteuid() == 0 else str(folder),
    }
    last: deque[str] = deque(maxlen=15)
    with subprocess.Popen(  # noqa: S603 - mmdebstrap, by a list of arguments
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            last.append(line.rstrip())
            progress(line.rstrip())
    if process.returncode != 0:
        raise SandboxUnavailable(
            f"mmdebstrap failed (exit {process.returncode}). Its last lines:\n" + "\n".join(last)
        )


def _host_trust(definition: ImageDefinition) -> bytes:
    """The certificates that downloads of the build trust: the host's and the extra ones."""
    found = ssl.get_default_verify_paths().cafile
    bundles = [Path(found)] if found else []
    bundles.append(Path("/etc/ssl/certs/ca-certificates.crt"))
    host = next((b.read_bytes() for b in bundles if b.is_file()), b"")
    return host + b"\n" + b"".join(definition.certificates.values())
