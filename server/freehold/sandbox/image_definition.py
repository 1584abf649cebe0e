"""What a sandbox image is made of: the files of ``sandbox_images/``, certificates, the toolbox.

The definition is data. Its digest is written on the image as a label, and an image whose label
differs from the digest of today's definition is out of date.
"""

from __future__ import annotations

import hashlib
import io
import ssl
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from freehold.errors import ConfigurationError
from freehold.sandbox.toolbox_package import toolbox_archive, toolbox_version

DEFAULT_TAG = "freehold-sandbox:base"
"""What the base image is called unless ``FREEHOLD_SANDBOX_IMAGE`` says otherwise."""

DEFAULT_BASE = "python:3.12-slim-bookworm"
"""The image the registry road starts from; the same as the default in the Dockerfile."""

LABEL_DEFINITION = "dev.freehold.image.definition"
LABEL_SOURCE = "dev.freehold.image.source"
LABEL_TOOLBOX = "dev.freehold.toolbox.version"

TOOLBOX_PATH = "/opt/freehold/toolbox.pyz"
PYTHON_PATH = "/opt/freehold/python3"
STATE_DIR = "/var/lib/freehold"

_DOCKERFILE = "Dockerfile"
_INSTALL_FILES = ("packages.txt", "node.txt", "install.sh")
_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"


@dataclass(frozen=True)
class ImageDefinition:
    """All that decides what is in the image, but for the base it stands on."""

    files: dict[str, bytes]
    """Files of ``sandbox_images/base`` by name."""
    certificates: dict[str, bytes]
    """One PEM certificate each, by file name."""
    toolbox: bytes
    toolbox_version: str

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of everything but the toolbox, which has a label of its own."""
        return _digest({**self.files, **{f"ca/{n}": c for n, c in self.certificates.items()}})

    @property
    def program_name(self) -> str:
        """What :attr:`toolbox` is called in the build context."""
        return "toolbox.pyz"

    @property
    def install_files(self) -> dict[str, bytes]:
        """The part that brings in packages, shared by both roads."""
        return {name: self.files[name] for name in _INSTALL_FILES}

    @property
    def install_digest(self) -> str:
        """SHA-256 (hex) of :attr:`install_files`."""
        return _digest(self.install_files)

    @property
    def packages(self) -> list[str]:
        """Debian packages of the image, Python aside (a base image may bring its own)."""
        lines = (line.strip() for line in self.files["packages.txt"].decode().splitlines())
        return [line for line in lines if line and not line.startswith("#")]

    def build_context(self) -> bytes:
        """The build context as a tar file; equal definitions give equal bytes."""
        entries = dict(self.files)
        entries |= {f"ca/{name}": data for name, data in self.certificates.items()}
        entries[self.program_name] = self.toolbox
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            folder = tarfile.TarInfo("ca")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
            for name in sorted(entries):
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(entries[name]), 0o644
                tar.addfile(info, io.BytesIO(entries[name]))
        return buffer.getvalue()


def load_definition(extra_ca_certs: Path | None = None) -> ImageDefinition:
    """Read the definition of the base image.

    Raises:
        ConfigurationError: ``extra_ca_certs`` cannot be read or holds no certificate, or the
            files of ``sandbox_images`` are not where they belong.
    """
    folder = definition_folder()
    files = {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}
    return ImageDefinition(
        files=files,
        certificates=read_certificates(extra_ca_certs) if extra_ca_certs else {},
        toolbox=toolbox_archive(),
        toolbox_version=toolbox_version(),
    )


@cache
def definition_folder() -> Path:
    """Where the base image's files lie: in the installed package, or in a source checkout.

    Raises:
        ConfigurationError: neither place has them.
    """
    return images_folder() / "base"


@cache
def images_folder() -> Path:
    """Where the definitions of all images lie.

    Raises:
        ConfigurationError: nowhere.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_sandbox_images", package.parents[1] / "sandbox_images"):
        if (folder / "base" / _DOCKERFILE).is_file():
            return folder
    raise ConfigurationError(
        "The files of the sandbox image (sandbox_images/base) are missing from this installation "
        "of Freehold; install it again."
    )


def read_certificates(path: Path) -> dict[str, bytes]:
    """The certificates in a PEM file, or in the ``.pem`` and ``.crt`` files of a folder.

    Each one gets a file of its own, named after its content, since ``update-ca-certificates``
    takes one certificate a file.

    Raises:
        ConfigurationError: nothing there, or not PEM; names ``FREEHOLD_EXTRA_CA_CERTS``.
    """
    setting = "FREEHOLD_EXTRA_CA_CERTS"
    try:
        if path.is_dir():
            sources = sorted(p for p in path.iterdir() if p.suffix in {".pem", ".crt"})
        else:
            sources = [path]
        texts = [(source, source.read_text(encoding="utf-8")) for source in sources]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{setting}: cannot read {path}: {error}") from error
    found: dict[str, bytes] = {}
    for source, text in texts:
        for part in text.split(_BEGIN)[1:]:
            # One that is cut off lacks its last line, and so is refused below.
            body, closed, _ = part.partition(_END)
            pem = f"{_BEGIN}{body}{closed}\n"
            try:
                der = ssl.PEM_cert_to_DER_cert(pem)
            except ValueError as error:
                raise ConfigurationError(f"{setting}: {source} is not PEM: {error}") from error
            found[f"{hashlib.sha256(der).hexdigest()[:16]}.crt"] = pem.encode()
    if not found:
        raise ConfigurationError(
            f"{setting}: no certificate in {path}; give a PEM file or a folder of .pem or .crt "
            "files."
        )
    return dict(sorted(found.items()))


def _digest(files: dict[str, bytes]) -> str:
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{len(name)}:{name}{len(files[name])}:".encode())
        whole.update(files[name])
    return whole.hexdigest()
