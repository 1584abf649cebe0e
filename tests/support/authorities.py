"""Certificates of private CAs, for tunnels."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

EXPIRY = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(
    *, expires: datetime = EXPIRY, authority: bool | None = True, comment: str = ""
) -> x509.Certificate:
    """One of its own making; ``comment`` only makes it longer."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Private CA")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(expires)
    )
    if authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    if comment:
        notice = x509.UnrecognizedExtension(
            x509.ObjectIdentifier("1.3.6.1.4.1.1"), comment.encode()
        )
        builder = builder.add_extension(notice, critical=False)
    return builder.sign(KEY, hashes.SHA256())


def pem(found: x509.Certificate) -> str:
    """As clients send it."""
    return found.public_bytes(serialization.Encoding.PEM).decode()
