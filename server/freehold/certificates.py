"""Trust in the operator's own certificates beside the machine's, for clients of the server."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx2

from freehold.errors import ConfigurationError

_SUFFIXES = {".pem", ".crt", ".cer"}


def client_context(extra_ca_certs: Path | None) -> ssl.SSLContext:
    """A context for connections to others.

    Args:
        extra_ca_certs: File of CA certificates, or folder of such files, to trust as well.

    Raises:
        ConfigurationError: there is no certificate in it, or one that cannot be read.
    """
    context = httpx2.create_ssl_context()
    if extra_ca_certs is None:
        return context
    folder = extra_ca_certs.is_dir()
    files = sorted(extra_ca_certs.iterdir()) if folder else [extra_ca_certs]
    loaded = 0
    for file in files:
        if folder and file.suffix not in _SUFFIXES:
            continue
        try:
            context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError) as err:
            raise ConfigurationError(f"FREEHOLD_EXTRA_CA_CERTS: {file}: {err}") from None
        loaded += 1
    if not loaded:
        raise ConfigurationError(
            f"FREEHOLD_EXTRA_CA_CERTS: no .pem, .crt or .cer file in {extra_ca_certs}"
        )
    return context
