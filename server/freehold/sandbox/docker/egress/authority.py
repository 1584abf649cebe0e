"""The certificate authority of an installation, whose certificate its gated sandboxes trust."""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from freehold.errors import ConfigurationError

FILE = "gate-ca.pem"
"""In the data directory: key, then certificate, readable by its owner alone."""

_YEARS = timedelta(days=3650)
_BEGIN = "-----BEGIN CERTIFICATE-----"


def authority(data_dir: Path) -> str:
    """Key and certificate as one PEM text; made on first use.

    Raises:
        ConfigurationError: the data directory cannot be read or written, or the file is no such.
    """
    path = data_dir / FILE
    try:
        if not path.exists():
            data_dir.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f".{FILE}-{secrets.token_hex(6)}")
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(_made())
            # Whoever comes first decides.
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
            fresh.unlink()
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"FREEHOLD_DATA_DIR: {path} cannot be had: {error}") from error
    if "PRIVATE KEY-----" not in text or _BEGIN not in text:
        raise ConfigurationError(
            f"FREEHOLD_DATA_DIR: {path} holds no key and certificate; remove it, and a new one is "
            "made"
        )
    return text


def certificate(text: str) -> str:
    """The certificate alone."""
    return text[text.index(_BEGIN) :].strip() + "\n"


def _made() -> str:
    # RSA: some old clients take nothing else.
    key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Freehold egress gate")])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + _YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return (private + made.public_bytes(serialization.Encoding.PEM)).decode("ascii")
