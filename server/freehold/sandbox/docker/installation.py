"""Which installation this is: the id that its containers are told apart by."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from freehold.errors import ConfigurationError

INSTALLATION_FILE = "installation"
"""File in the data directory with the id."""


def installation_id(data_dir: Path) -> str:
    """The id of the installation that lives in ``data_dir``; made on first use.

    Raises:
        ConfigurationError: the data directory cannot be written.
    """
    path = data_dir / INSTALLATION_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        # A name of our own, then a link: whoever comes first decides, and nobody reads half an id.
        fresh = path.with_name(f".{INSTALLATION_FILE}-{secrets.token_hex(6)}")
        if not path.exists():
            fresh.write_text(secrets.token_hex(12), encoding="ascii")
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
            fresh.unlink()
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigurationError(
            f"FREEHOLD_DATA_DIR: {data_dir} cannot be written ({error}); give a folder that can."
        ) from error
