"""What the gate's image is made of: the files of ``sandbox_images/gate``, and the gate itself."""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path

from freehold.errors import ConfigurationError
from freehold.sandbox.image_definition import (
    ImageDefinition,
    definition_folder,
    read_certificates,
)

DEFAULT_GATE_TAG = "freehold-gate:latest"
"""What the gate's image is called unless ``FREEHOLD_GATE_IMAGE`` says otherwise."""

_INSTALL_FILES = ("packages.txt", "requirements.txt", "install.sh")
_MAIN = b"import sys\nfrom freehold.gate.__main__ import main\nsys.exit(main())\n"


class GateDefinition(ImageDefinition):
    """As a sandbox image's definition, with the gate where that has the toolbox."""

    @property
    def install_files(self) -> dict[str, bytes]:
        """The part that brings in packages."""
        return {name: self.files[name] for name in _INSTALL_FILES}

    @property
    def program_name(self) -> str:
        """The file name of the program in the build context."""
        return "gate.pyz"


def load_gate_definition(extra_ca_certs: Path | None = None) -> GateDefinition:
    """Read the definition of the gate's image.

    Raises:
        ConfigurationError: ``extra_ca_certs`` holds no certificate, or files are missing.
    """
    folder = definition_folder().parent / "gate"
    if not folder.is_dir():
        raise ConfigurationError(
            "The files of the gate's image (sandbox_images/gate) are missing from this "
            "installation of Freehold; install it again."
        )
    archive = gate_archive()
    return GateDefinition(
        files={p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()},
        certificates=read_certificates(extra_ca_certs) if extra_ca_certs else {},
        toolbox=archive,
        toolbox_version=hashlib.sha256(archive).hexdigest(),
    )


@cache
def gate_archive() -> bytes:
    """The gate as one file, for ``python3 -I gate.pyz``; the same bytes every time."""
    package = Path(__file__).resolve().parents[3]
    names = ["__init__.py", "core/__init__.py", "core/addresses.py"]
    names += [f"gate/{p.name}" for p in sorted((package / "gate").glob("*.py"))]
    members = {"__main__.py": _MAIN}
    members |= {f"freehold/{name}": (package / name).read_bytes() for name in names}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.external_attr = 0o644 << 16
            member.create_system = 3
            archive.writestr(member, data)
    return buffer.getvalue()
