"""What every store of contents must do, for both there are; S3 against a server of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from freehold.blobs import FolderBlobs, build_blobs
from freehold.blobs import folder as folder_module
from freehold.blobs import s3 as s3_module
from freehold.blobs.s3 import S3Blobs, connect
from freehold.errors import BlobMissing, BlobsUnavailable, ConfigurationError
from freehold.ports.blobs import BlobStore
from freehold.settings import Settings

LATER = timedelta(hours=1)


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def s3_client(url: str) -> Any:
    return connect(endpoint_url=url, region="us-east-1", access_key="me", secret_key="secret-1")


@pytest.fixture
def bucket(s3_url: str) -> Any:
    name = f"bucket-{secrets.token_hex(4)}"
    s3_client(s3_url).create_bucket(Bucket=name)
    return name


@pytest.fixture(params=["folder", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BlobStore]:
    store: BlobStore
    if request.param == "folder":
        store = FolderBlobs(tmp_path / "blobs")
    else:
        url, name = request.getfixturevalue("s3_url"), request.getfixturevalue("bucket")
        store = S3Blobs(s3_client(url), name, "some/prefix")
    await store.prepare()
    yield store
    await store.close()


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read(store: BlobStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    async with store.open(key, start, end) as found:
        return b"".join([chunk async for chunk in found])


async def keys(store: BlobStore, kind: str, before: datetime | None = None) -> set[str]:
    before = before or datetime.now(UTC) + LATER
    return {key async for key in store.keys(kind, before)}


async def test_what_is_put_is_there_as_it_was(blobs: BlobStore) -> None:
    assert await blobs.put("files/one", chunks(b"hello ", b"", b"world")) == 11
    assert await read(blobs, "files/one") == b"hello world"
    assert await blobs.size("files/one") == 11


async def test_nothing_is_a_content_too(blobs: BlobStore) -> None:
    assert await blobs.put("files/none", chunks()) == 0
    assert await read(blobs, "files/none") == b""
    assert await blobs.size("files/none") == 0


async def test_large_contents_come_back_whole(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "PART_BYTES", 5 << 20)
    data = secrets.token_bytes((11 << 20) + 17)
    pieces = [data[at : at + 300_001] for at in range(0, len(data), 300_001)]
    assert await blobs.put("files/large", chunks(*pieces)) == len(data)
    assert await read(blobs, "files/large") == data
    assert await read(blobs, "files/large", 7_000_000, 7_000_010) == data[7_000_000:7_000_010]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, None, b"0123456789"),
        (0, 4, b"0123"),
        (3, 7, b"3456"),
        (9, None, b"9"),
        (4, 100, b"456789"),
        (10, None, b""),
        (5, 5, b""),
        (50, 60, b""),
    ],
)
async def test_ranges(blobs: BlobStore, start: int, end: int | None, expected: bytes) -> None:
    await blobs.put("files/range", chunks(b"0123456789"))
    assert await read(blobs, "files/range", start, end) == expected


async def test_what_is_not_there_is_said_so(blobs: BlobStore) -> None:
    with pytest.raises(BlobMissing):
        await blobs.size("files/nothing")
    with pytest.raises(BlobMissing):
        await read(blobs, "files/nothing")
    with pytest.raises(BlobMissing):
        await read(blobs, "files/nothing", 3, 5)
    await blobs.delete("files/nothing")


async def test_deleted_is_gone(blobs: BlobStore) -> None:
    await blobs.put("files/gone", chunks(b"x"))
    await blobs.delete("files/gone")
    with pytest.raises(BlobMissing):
        await blobs.size("files/gone")
    assert await keys(blobs, "files") == set()


@pytest.mark.parametrize("sent", [1, 3_000_000])
async def test_a_source_that_breaks_off_leaves_nothing(
    blobs: BlobStore, sent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "PART_BYTES", 1 << 20)

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * sent
        raise LookupError("the client hung up")

    with pytest.raises(LookupError, match="hung up"):
        await blobs.put("files/half", broken())
    with pytest.raises(BlobMissing):
        await blobs.size("files/half")
    assert await keys(blobs, "files") == set()


async def test_nobody_sees_half_a_content(blobs: BlobStore) -> None:
    gate, fed = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"first"
        fed.set()
        await gate.wait()
        yield b"second"

    putting = asyncio.create_task(blobs.put("files/slow", slow()))
    await fed.wait()
    with pytest.raises(BlobMissing):
        await blobs.size("files/slow")
    assert await keys(blobs, "files") == set()
    gate.set()
    assert await putting == 11
    assert await read(blobs, "files/slow") == b"firstsecond"


async def test_a_put_that_is_cancelled_leaves_nothing(blobs: BlobStore) -> None:
    fed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x"
        fed.set()
        await asyncio.Event().wait()

    putting = asyncio.create_task(blobs.put("files/cut", endless()))
    await fed.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    with pytest.raises(BlobMissing):
        await blobs.size("files/cut")


async def test_keys_are_told_by_kind_and_age(blobs: BlobStore) -> None:
    for key in ("files/a1", "files/b2", "skills/c3"):
        await blobs.put(key, chunks(b"x"))
    assert await keys(blobs, "files") == {"files/a1", "files/b2"}
    assert await keys(blobs, "skills") == {"skills/c3"}
    assert await keys(blobs, "others") == set()
    assert await keys(blobs, "files", datetime.now(UTC) - LATER) == set()


@pytest.mark.parametrize("key", ["", "files", "files/../x", "/etc/passwd", "files/a/b", "files/ "])
async def test_keys_cannot_leave_the_store(blobs: BlobStore, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        await blobs.put(key, chunks(b"x"))


async def test_a_store_that_works_says_so(blobs: BlobStore) -> None:
    assert [finding.status for finding in await blobs.check()] == ["ok"]


async def test_a_bucket_that_is_not_there(s3_url: str) -> None:
    store = S3Blobs(s3_client(s3_url), "no-such-bucket")
    with pytest.raises(BlobsUnavailable):
        await store.prepare()
    with pytest.raises(BlobsUnavailable):
        await store.put("files/one", chunks(b"x"))
    (finding,) = await store.check()
    assert finding.status == "error"
    assert "secret-1" not in finding.detail


async def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store = FolderBlobs(tmp_path / "blobs")
    monkeypatch.setattr(folder_module, "_finish", full)
    with pytest.raises(BlobsUnavailable, match="No space left"):
        await store.put("files/one", chunks(b"x"))
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


async def test_what_a_dead_server_left_half_written_goes(tmp_path: Path) -> None:
    import os

    root = tmp_path / "blobs"
    store = FolderBlobs(root)
    await store.prepare()
    old, new = root / "unfinished" / "old", root / "unfinished" / "new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    await store.prepare()
    assert not old.exists()
    assert new.exists()


def test_the_settings_choose(tmp_path: Path) -> None:
    assert isinstance(build_blobs(Settings(data_dir=tmp_path)), FolderBlobs)
    chosen = build_blobs(Settings(data_dir=tmp_path, blobs="s3", blobs_bucket="mine"))
    assert isinstance(chosen, S3Blobs)
    with pytest.raises(ConfigurationError, match="FREEHOLD_BLOBS_BUCKET"):
        build_blobs(Settings(data_dir=tmp_path, blobs="s3"))
    with pytest.raises(ConfigurationError, match="FREEHOLD_BLOBS_SECRET_KEY"):
        build_blobs(Settings(data_dir=tmp_path, blobs="s3", blobs_bucket="b", blobs_access_key="k"))
