"""Where the contents of files are kept: a folder, or a bucket of any S3-compatible store.

build_blobs(settings)   the store that the settings ask for
"""

from __future__ import annotations

from pydantic import SecretStr

from freehold.blobs.folder import FolderBlobs
from freehold.errors import ConfigurationError
from freehold.ports.blobs import BlobStore
from freehold.settings import Settings

__all__ = ["FolderBlobs", "build_blobs"]

FOLDER = "blobs"


def build_blobs(settings: Settings) -> BlobStore:
    """The store that the settings ask for.

    Raises:
        ConfigurationError: S3 without a bucket, or with half a credential.
    """
    if settings.blobs == "files":
        return FolderBlobs(settings.data_dir / FOLDER)
    if not settings.blobs_bucket:
        raise ConfigurationError("FREEHOLD_BLOBS=s3 needs FREEHOLD_BLOBS_BUCKET")
    if (settings.blobs_access_key is None) != (settings.blobs_secret_key is None):
        raise ConfigurationError(
            "FREEHOLD_BLOBS_ACCESS_KEY and FREEHOLD_BLOBS_SECRET_KEY are set together, or neither"
        )
    # The client is large; a server that keeps its files in a folder starts without it.
    from freehold.blobs.s3 import S3Blobs, connect  # noqa: PLC0415 - as above

    client = connect(
        endpoint_url=settings.blobs_endpoint_url,
        region=settings.blobs_region,
        access_key=_revealed(settings.blobs_access_key),
        secret_key=_revealed(settings.blobs_secret_key),
        addressing=settings.blobs_addressing,
        ca_certs=settings.extra_ca_certs,
    )
    return S3Blobs(client, settings.blobs_bucket, settings.blobs_prefix)


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
