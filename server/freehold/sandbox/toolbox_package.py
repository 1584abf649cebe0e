"""The toolbox as it is put into sandboxes."""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
from importlib import resources

from freehold import toolbox

_ARCHIVE_MAIN = b"from toolbox.cli import main\n\nmain()\n"


@functools.cache
def toolbox_files() -> dict[str, bytes]:
    """The toolbox's files by path. Laid out in a folder, ``python3 -I -S FOLDER`` runs them, and
    starts faster than the archive where the byte code can be kept.
    """
    files = {
        f"toolbox/{item.name}": item.read_bytes()
        for item in resources.files(toolbox).iterdir()
        if item.name.endswith(".py") and item.name != "__main__.py"
    }
    return {"__main__.py": _ARCHIVE_MAIN, **dict(sorted(files.items()))}


@functools.cache
def toolbox_archive() -> bytes:
    """The toolbox as one file, for ``python3 -I -S toolbox.pyz``; the same bytes every time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in toolbox_files().items():
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.external_attr = 0o644 << 16
            member.create_system = 3
            archive.writestr(member, data)
    return buffer.getvalue()


@functools.cache
def toolbox_version() -> str:
    """The SHA-256 of :func:`toolbox_archive`, in hexadecimal."""
    return hashlib.sha256(toolbox_archive()).hexdigest()
