"""Whom to trust when the server itself connects somewhere: the usual roots and the settings'."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx2

from freehold.errors import ConfigurationError

_SUFFIXES = frozenset({".pem", ".crt", ".cer"})


def context(extra_ca_certs: Path | None) -> ssl.SSLContext:
    """A client's TLS context that also trusts a file of CA certificates, or a folder of them.

    Raises:
        ConfigurationError: there is no certificate in it; the message names the setting.
    """
    made = httpx2.create_ssl_context()
    if extra_ca_certs is None:
        return made
    folder = extra_ca_certs.is_dir()
    files = sorted(extra_ca_certs.iterdir()) if folder else [extra_ca_certs]
    loaded = 0
    for file in files:
        if folder and file.suffix not in _SUFFIXES:
            continue
        try:
            made.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError) as err:
            raise ConfigurationError(f"FREEHOLD_EXTRA_CA_CERTS: {file}: {err}") from None
        loaded += 1
    if not loaded:
        raise ConfigurationError(
            f"FREEHOLD_EXTRA_CA_CERTS: no .pem, .crt or .cer file in {extra_ca_certs}"
        )
    return made
