"""Reading the certificate that a client registers with a tunnel (spec 19)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

_BLOCK = re.compile(r"-----BEGIN ([^-\n]*)-----")
_PRIVATE = re.compile(r"private\s+key", re.IGNORECASE)
_NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""What certificates say that do not expire (RFC 5280, section 4.1.2.5)."""

_UNREADABLE = (
    ValueError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True)
class Read:
    """What a certificate says of itself."""

    fingerprint: str
    """SHA-256 of its DER, in lower-case hexadecimal digits."""
    expires_at: datetime | None


def read(text: str) -> Read:
    """The one CA certificate of a text in PEM.

    Raises:
        ValueError: it holds another number of certificates or something else besides, or the
            certificate is not a CA's. The message holds no part of the text.
    """
    if _PRIVATE.search(text):
        raise ValueError("must not contain a private key")
    if _BLOCK.findall(text) != ["CERTIFICATE"]:
        raise ValueError("must contain exactly one PEM-encoded certificate and nothing else")
    try:
        certificate = x509.load_pem_x509_certificate(text.encode())
        authority = _is_authority(certificate)
        expires_at = certificate.not_valid_after_utc
    except _UNREADABLE:
        raise ValueError("is not a valid X.509 certificate") from None
    if not authority:
        raise ValueError("must be the certificate of a CA (basicConstraints CA:TRUE)")
    return Read(
        fingerprint=certificate.fingerprint(SHA256()).hex(),
        expires_at=None if expires_at == _NEVER else expires_at,
    )


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
