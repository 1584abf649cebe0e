"""Contents as objects of a bucket, in anything that speaks the S3 API.

The official client blocks, so every call runs in a thread; it may be shared by threads. An object
appears when its upload is completed, so a content is there as a whole or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from freehold.blobs.keys import checked
from freehold.errors import BlobMissing, BlobsUnavailable
from freehold.ports.sandbox import Finding

T = TypeVar("T")

PART_BYTES = 8 << 20
"""Larger contents go up in parts of this size (S3 wants 5 MiB at least)."""
READ_BYTES = 1 << 18
ABANDONED = timedelta(days=1)
"""Uploads in parts that began before belong to nobody."""

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


def connect(
    *,
    endpoint_url: str | None,
    region: str | None,
    access_key: str | None,
    secret_key: str | None,
    addressing: Literal["auto", "path", "virtual"] = "auto",
    ca_certs: Path | None = None,
) -> Any:
    """A client. Without keys they come from where AWS's own tools look for them."""
    session = boto3.session.Session()
    return session.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=region or session.region_name or "us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        verify=str(ca_certs) if ca_certs is not None and ca_certs.is_file() else None,
        config=Config(
            connect_timeout=10,
            read_timeout=60,
            retries={"mode": "standard", "max_attempts": 4},
            max_pool_connections=32,
            s3={"addressing_style": addressing},
            # Checksums that other stores than Amazon's do not know would fail every request.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


class S3Blobs:
    """A bucket, or what is below a prefix of one. The bucket must exist."""

    def __init__(self, client: Any, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        prefix = prefix.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        """See :meth:`freehold.ports.blobs.BlobStore.put`."""
        where = self._where(key)
        size = 0
        waiting = bytearray()
        upload: _Upload | None = None
        try:
            async for chunk in chunks:
                size += len(chunk)
                waiting += chunk
                while len(waiting) >= PART_BYTES:
                    upload = upload or await self._begin(where)
                    part = bytes(waiting[:PART_BYTES])
                    del waiting[:PART_BYTES]
                    await upload.add(part)
            if upload is None:
                await _run(self._client.put_object, **where, Body=bytes(waiting))
                return size
            if waiting:
                await upload.add(bytes(waiting))
            await upload.complete()
            return size
        except BaseException:
            if upload is not None:
                await upload.abandon()
            raise

    async def _begin(self, where: dict[str, str]) -> _Upload:
        begun = await _run(self._client.create_multipart_upload, **where)
        return _Upload(self._client, where, begun["UploadId"])

    @asynccontextmanager
    async def open(
        self, key: str, start: int = 0, end: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """See :meth:`freehold.ports.blobs.BlobStore.open`."""
        whole = start == 0 and end is None
        if not whole:
            # A range that is empty or begins at the end is no error here, and is one for S3.
            size = await self.size(key)
            end = size if end is None else min(end, size)
            if start >= end:
                yield _nothing()
                return
        wanted = {} if whole else {"Range": f"bytes={start}-{(end or 0) - 1}"}
        answer = await _found(self._client.get_object, **self._where(key), **wanted)
        body = answer["Body"]
        try:
            yield _read(body)
        finally:
            body.close()

    async def size(self, key: str) -> int:
        """See :meth:`freehold.ports.blobs.BlobStore.size`."""
        answer = await _found(self._client.head_object, **self._where(key))
        return int(answer["ContentLength"])

    async def delete(self, key: str) -> None:
        """See :meth:`freehold.ports.blobs.BlobStore.delete`."""
        with contextlib.suppress(BlobMissing):
            await _found(self._client.delete_object, **self._where(key))

    async def keys(self, kind: str, before: datetime) -> AsyncIterator[str]:
        """See :meth:`freehold.ports.blobs.BlobStore.keys`."""
        prefix = f"{self._prefix}{kind}/"
        following: dict[str, str] = {}
        while True:
            answer = await _run(
                self._client.list_objects_v2, Bucket=self._bucket, Prefix=prefix, **following
            )
            for found in answer.get("Contents", ()):
                if found["LastModified"] < before:
                    yield found["Key"].removeprefix(self._prefix)
            if not answer.get("IsTruncated"):
                return
            following = {"ContinuationToken": answer["NextContinuationToken"]}

    async def prepare(self) -> None:
        """Find the bucket, and abandon uploads in parts that nobody goes on with."""
        await _run(self._client.head_bucket, Bucket=self._bucket)
        before = datetime.now(UTC) - ABANDONED
        try:
            listed = await _run(
                self._client.list_multipart_uploads, Bucket=self._bucket, Prefix=self._prefix
            )
            for upload in listed.get("Uploads", ()):
                if upload["Initiated"] < before:
                    where = {"Bucket": self._bucket, "Key": upload["Key"]}
                    await _Upload(self._client, where, upload["UploadId"]).abandon()
        except BlobsUnavailable:
            return  # not every store lists them, nor lets everybody; they cost room, nothing else

    async def check(self) -> list[Finding]:
        """Whether the bucket answers."""
        try:
            await _run(self._client.head_bucket, Bucket=self._bucket)
        except BlobsUnavailable as error:
            advice = "check FREEHOLD_BLOBS_BUCKET, _ENDPOINT_URL, _REGION and the keys"
            return [Finding("blobs", "error", str(error), advice)]
        return [Finding("blobs", "ok", f"the bucket {self._bucket} answers")]

    async def close(self) -> None:
        """Let go of connections."""
        await asyncio.to_thread(self._client.close)

    def _where(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{checked(key)}"}


class _Upload:
    """An upload in parts."""

    def __init__(self, client: Any, where: dict[str, str], upload_id: str) -> None:
        self._client = client
        self._where = {**where, "UploadId": upload_id}
        self._parts: list[dict[str, Any]] = []

    async def add(self, data: bytes) -> None:
        number = len(self._parts) + 1
        answer = await _run(self._client.upload_part, **self._where, PartNumber=number, Body=data)
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    async def complete(self) -> None:
        await _run(
            self._client.complete_multipart_upload,
            **self._where,
            MultipartUpload={"Parts": self._parts},
        )

    async def abandon(self) -> None:
        with contextlib.suppress(BlobsUnavailable):
            await _run(self._client.abort_multipart_upload, **self._where)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def _read(body: Any) -> AsyncIterator[bytes]:
    while chunk := await _run(body.read, READ_BYTES):
        yield chunk


async def _run(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Do it in a thread, its errors told as the port tells them."""
    try:
        return await asyncio.to_thread(work, *arguments, **named)
    except ClientError as error:
        told = error.response.get("Error", {})
        # What the store says in full may quote the request; its code does not.
        raise BlobsUnavailable(f"the bucket answers {told.get('Code', 'an error')}") from error
    except (BotoCoreError, HTTPClientError, OSError) as error:
        raise BlobsUnavailable(f"the bucket cannot be reached: {type(error).__name__}") from error


async def _found(work: Callable[..., Any], **named: Any) -> Any:
    """:func:`_run` for what is about one object that may not be there."""
    try:
        return await _run(work, **named)
    except BlobsUnavailable as error:
        cause = error.__cause__
        if isinstance(cause, ClientError) and cause.response["Error"]["Code"] in _MISSING:
            raise BlobMissing("there is no such content") from None
        raise
